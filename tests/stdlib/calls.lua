-- SPDX-License-Identifier: MIT
-- Calls of the standard library, made from a seed, and what comes of them, a line for each: same_spec.lua holds the lines of greenlua
-- against those of lua5.4. Plain Lua, since it runs under both.
--
--   lua5.4 tests/stdlib/calls.lua SEED COUNT
--   build/greenlua tests/stdlib/calls.lua SEED COUNT shaken
local seed, count, shaken = tonumber(arg[1]), tonumber(arg[2]), arg[3]
local makers = {} -- name -> function that makes a call: the function to be called, then its arguments

math.randomseed(seed)
local random = math.random

-- ---- what calls are made of ----

local function one_of(list) return list[random(#list)] end

-- A text of up to `most` pieces.
local function text_of(pieces, most)
  local list = {}
  for i = 1, random(0, most) do list[i] = one_of(pieces) end
  return table.concat(list)
end

local LETTERS = { "a", "a", "b", "b", "c", "A", "1", "0", " ", "_", "(", ")", "[", "]", "%", "-", ".", "\0", "\n", "\128", "\255" }
local FEW = { "a", "b" }
local ITEMS = {
  "a", "b", "a", ".", "%a", "%d", "%s", "%w", "%W", "%p", "%c", "%x", "%u", "%l", "%g", "%z", "%%", "%(", "[ab]", "[^a]", "[%w_]", "[a-c]",
  "[]]", "[^]]", "[a-]", "[%a-z]", "[\0-\127]", "\0", "%bab", "%b()", "%f[%w]", "%f[^a]", "%1", "%2", "]", "-", "\128", "%S", "%-",
}
local SUFFIXES = { "", "", "", "", "*", "+", "-", "?", "$" }
local BROKEN = { "%", "[", "[^", "[a", "[%", "[a-", "(", ")", "%b", "%bx", "%f", "%fa", "%0", "%9", "^", "$", "((", "())", "*", "+", "%1", "[]", "[^]", "%f[" }

local function subject() return random(4) == 1 and text_of(FEW, 30) or text_of(LETTERS, 14) end

-- Items with suffixes, some of them in parentheses; now and then something is wrong.
local function pattern()
  local list, open = {}, 0
  if random(6) == 1 then list[1] = "^" end
  for _ = 1, random(0, 5) do
    if random(5) == 1 then
      list[#list + 1] = "("
      open = open + 1
    end
    if random(9) == 1 then list[#list + 1] = "()" end
    list[#list + 1] = random(25) == 1 and one_of(BROKEN) or one_of(ITEMS) .. one_of(SUFFIXES)
    if open > 0 and random(3) == 1 then
      list[#list + 1] = ")"
      open = open - 1
    end
  end
  return table.concat(list) .. (")"):rep(random(20) == 1 and 0 or open)
end

local function position() return random(3) == 1 and random(-20, 20) or one_of { nil, 1, 0, 2, -1, 3.0, "2", math.mininteger, math.maxinteger } end

-- A value of any type, which most functions refuse.
local function anything()
  return one_of { 0, 1, -1, 2.5, 2 ^ 53, 1e308, 0 / 0, "", "x", "10", true, false, {}, math.abs, math.maxinteger, math.mininteger, setmetatable({}, { __name = "My" }) }
end

-- Makes functions that now and then make one argument something else, or leave some out.
local function spoils_with(make)
  return function(f, ...)
    local n, args = select("#", ...), { ... }
    if n > 0 and random(25) == 1 then args[random(n)] = make() end
    if random(40) == 1 then n = random(0, n) end
    return f, table.unpack(args, 1, n)
  end
end

local spoiled = spoils_with(anything)

-- For loops from one number to another, which would take years.
local spoiled_a_little = spoils_with(function()
  local value = anything()
  return type(value) == "number" and (value > 99 or value < -99) and "x" or value
end)

-- ---- patterns ----

makers["string.find"] = function() return spoiled(string.find, subject(), pattern(), position(), one_of { nil, nil, nil, true }) end
makers["string.find plain"] = function()
  local long = text_of(FEW, random(300))
  return spoiled(string.find, long .. one_of { "", "\0", "aab" }, text_of(FEW, 9), position(), true)
end
makers["string.match"] = function() return spoiled(string.match, subject(), pattern(), position()) end

local function all_matches(...)
  local found = {}
  for a, b, c in string.gmatch(...) do
    found[#found + 1] = ("%s,%s,%s"):format(a, b, c)
    if #found == 100 then break end
  end
  return table.concat(found, ";")
end

makers["string.gmatch"] = function() return spoiled(all_matches, subject(), pattern(), position()) end

local REPLACEMENTS = { "", "x", "%0", "%1", "%2", "%%", "<%0>", "%", "%a", "%9", "\0" }
local function replacement()
  local kind = random(12)
  if kind <= 6 then return text_of(REPLACEMENTS, 3) end
  if kind == 7 then return random(-5, 5) end
  if kind == 8 then return function(...) return ("<%d:%s>"):format(select("#", ...), (...)) end end
  if kind == 9 then return function(a) return one_of { false, nil, a, 12, 1.5, true, {} } end end
  if kind == 10 then return { a = "1", b = 2, ab = false, [1] = "one", aa = true } end
  if kind == 11 then return setmetatable({}, { __index = function(_, key) return "[" .. tostring(key) .. "]" end }) end
  return anything()
end

makers["string.gsub"] = function()
  return spoiled(string.gsub, subject(), pattern(), replacement(), one_of { nil, nil, nil, 0, 1, 2, -1, 2.0, "1", 1.5 })
end

makers["string.gsub with choices"] = function() return string.gsub, text_of(FEW, 40), text_of({ "a?", "b?", ".?", "(a*)", "()" }, 40), "<%0>" end

-- ---- tables ----

-- A list, or what stands for one; now and then with a hole.
local function list_of(make, most)
  local list = {}
  for i = 1, random(0, most) do list[i] = make() end
  if random(20) == 1 then list[random(most)] = nil end
  local kind = random(30)
  if kind == 1 then return setmetatable({}, { __index = list, __newindex = list, __len = function() return #list end }) end
  if kind == 2 then return setmetatable(list, { __len = function() return random(0, 12) end }) end
  if kind == 3 then return setmetatable(list, { __len = function() return "x" end }) end
  if kind == 4 then return setmetatable({}, { __index = function(_, i) return "i" .. tostring(i) end, __len = function() return 5 end }) end
  return list
end

-- The elements of a list, in one text.
local function contents(list)
  if type(list) ~= "table" then return type(list) end
  local texts = {}
  for key, value in next, list do
    if math.type(key) == "integer" then texts[#texts + 1] = ("%020d=%s"):format(key, type(value) == "table" and value.text or tostring(value):gsub("0x%x+", "")) end
  end
  table.sort(texts)
  return table.concat(texts, " ")
end

local function element() return one_of { 1, 2, 3, 1.5, "a", "b", "", 10, "10" } end

makers["table.concat"] = function()
  return spoiled_a_little(table.concat, list_of(element, 12), one_of { nil, "", ",", "--", 1 }, one_of { nil, nil, 1, 2, -1, 0 }, one_of { nil, nil, 3, 5, 12 })
end

-- What the function returns, and what has become of the list, whether it fails or not.
local function changed(f, list, ...)
  local results = table.pack(pcall(f, list, ...))
  for i = 1, results.n do results[i] = type(results[i]) == "table" and contents(results[i]) or results[i] end
  return contents(list), table.unpack(results, 1, results.n)
end

local function index() return one_of { 1, 2, 3, 4, 0, -1, 6, 9, 13, "2", 2.0, 1.5, math.maxinteger, math.mininteger, random(-3, 14) } end

makers["table.insert"] = function()
  if random(2) == 1 then return spoiled_a_little(changed, table.insert, list_of(element, 8), element()) end
  return spoiled_a_little(changed, table.insert, list_of(element, 8), index(), element())
end
makers["table.remove"] = function() return spoiled_a_little(changed, table.remove, list_of(element, 8), one_of { nil, nil, index() }) end
makers["table.move"] = function()
  local first = random(-2, 8)
  return spoiled_a_little(changed, table.move, list_of(element, 8), one_of { first, first, first, 2.0, "1" }, first + random(-2, 9), index(), random(2) == 1 and list_of(element, 5) or nil)
end
makers["table.unpack"] = function() return spoiled_a_little(table.unpack, list_of(element, 8), one_of { nil, 1, 2, -1 }, one_of { nil, 1, 4, 9 }) end

-- Comparators: good ones, some that contradict themselves, some that fail.
local function comparator(asked)
  local kind = random(12)
  local function ask(f)
    return function(a, b)
      asked[#asked + 1] = contents { a, b }
      return f(a, b)
    end
  end
  if kind <= 5 then return nil end
  if kind == 6 then return ask(function(a, b) return b < a end) end
  if kind == 7 then return ask(function(a, b) return a <= b end) end
  if kind == 8 then return ask(function() return true end) end
  if kind == 9 then return ask(function() return random(2) == 1 end) end
  if kind == 10 then return ask(function(a, b) return contents { a } < contents { b } end) end
  if kind == 11 then return ask(function(a, b) return #asked > 9 and error("enough", 0) or a < b end) end
  return anything()
end

local by_key = { __lt = function(a, b) return a.key < b.key end }
local function with_ties()
  local key = random(5)
  return setmetatable({ key = key, text = key .. "/" .. random(1000000) }, by_key)
end

local SORTED = {
  function() return random(1, 10) end,
  function() return random(1, 1000000) end,
  function() return random() end,
  function() return text_of(LETTERS, 5) end,
  with_ties,
  with_ties,
  element,
}

local function sorted(list, f, asked)
  local outcome = changed(table.sort, list, f)
  return outcome, #asked, table.concat(asked, ";")
end

makers["table.sort"] = function()
  local asked, most = {}, one_of { 3, 10, 60, 99 }
  return spoiled_a_little(sorted, list_of(one_of(SORTED), most), comparator(asked), asked)
end

-- ---- texts ----

makers["string.rep"] = function()
  return spoiled_a_little(string.rep, subject(), one_of { 0, 1, 2, 3, 7, 50, -1, "3", 2.0, 1.5, math.mininteger }, one_of { nil, nil, "", ",", "--", 1 })
end
for _, name in ipairs { "lower", "upper", "reverse" } do
  makers["string." .. name] = function() return spoiled(string[name], subject()) end
end

local UTF8 = { "a", "\u{E4}", "\u{20AC}", "\u{1F600}", "\u{7FF}", "\u{800}", "\u{FFFF}", "\u{10FFFF}", "\0" }
local BAD_UTF8 = {
  "\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\u{7FFFFFFF}", "\u{200000}", "\xFE", "\xFF", "\xE2\x82", "\xF0\x9F", "\xC3",
}
local function utf8_text() return text_of(UTF8, 10) .. (random(3) == 1 and one_of(BAD_UTF8) .. text_of(UTF8, 3) or "") end

makers["utf8.len"] = function() return spoiled(utf8.len, utf8_text(), position(), position(), one_of { nil, true }) end
makers["utf8.offset"] = function() return spoiled(utf8.offset, utf8_text(), one_of { 0, 1, 2, 5, -1, -2, -9, math.mininteger, math.maxinteger }, position()) end

local CODE = { "return ", "1", "x", " + ", "'a'", "(", ")", "\n", "local a = 2 ", "--c\n", "end ", "if x then ", "[[\nlong]]", "\0", "...", "break ", "::a::", "\27Lua" }

-- Loads a text, calls what comes of it, and tells of both.
local function loaded(...)
  local f, message = load(...)
  if not f then return f, message end
  return "loaded", pcall(f, 5)
end

-- A reader function that returns the text in pieces.
local function in_pieces(text)
  local at, most = 0, random(6)
  return function()
    if at >= #text then return one_of { nil, "" } end
    local from = at + 1
    at = at + random(most)
    return text:sub(from, at)
  end
end

makers["load"] = function()
  local text = random(3) == 1 and "return x, ..., 1 " .. one_of(CODE) or text_of(CODE, 7)
  if random(4) == 1 then text = string.dump(load(one_of { "return x", "local a = 1 return a, ..." }), random(2) == 1):sub(1, one_of { -1, -1, -2, 20, 3 }) end
  local reader = one_of { text, text, in_pieces(text), function() return one_of { {}, false, print } end, function() error "reader" end }
  return spoiled(loaded, reader, one_of { nil, "=name", "@file", "text", "a\nb" }, one_of { nil, nil, "t", "b", "bt", "" }, one_of { nil, {}, { x = 7 } })
end

-- ---- the limits of patterns, and what is only found by who looks for it ----

local picked = {}
local function pick(f, ...) picked[#picked + 1] = table.pack(f, ...) end

for _, n in ipairs { 10, 31, 32, 33, 100, 198, 199, 200, 201, 1000 } do
  pick(string.find, ("a"):rep(n), (".?"):rep(n))
  pick(string.find, ("a"):rep(n), ("a*"):rep(n) .. "b?")
  pick(string.find, "a", ("(a"):rep(n))
  pick(string.find, "a", ("(a?)"):rep(n))
  pick(string.match, ("a"):rep(n), ("()"):rep(n))
  pick(string.gsub, ("a"):rep(n), ("-"):rep(n), "x")
  pick(string.gsub, ("ab"):rep(n), ("(.)"):rep(n), "%1")
  pick(string.find, ("a"):rep(n), ("a-"):rep(n) .. "$")
  pick(string.find, ("("):rep(n) .. (")"):rep(n), "%b()")
end
for _, pieces in ipairs { { "a", "^a*.?$" }, { "a", "^a*.?b$" }, { "a", "^a-.?$" }, { "a", "a-b" }, { "ab", "^(.-)%1$" }, { "x ", "%s*$" }, { "a.", "%f[.]" } } do
  pick(string.find, pieces[1]:rep(3000), pieces[2])
end
pick(string.find, ("ab"):rep(20000), ("ab"):rep(9000) .. "c", 1, true)
pick(string.find, ("a"):rep(20000), ("a"):rep(9000) .. "b", 1, true)
pick(string.find, ("a"):rep(20000) .. "b", ("a"):rep(9000) .. "b", 1, true)
for _, text in ipairs { "", "a", "\0", "%", "[", "]" } do
  for _, init in ipairs { -2, -1, 0, 1, 2, 3 } do
    pick(string.find, text, "", init)
    pick(string.find, text, "", init, true)
    pick(string.match, text, "()", init)
    pick(all_matches, text, "()", init)
    pick(string.find, text, "$", init)
    pick(string.find, text, "^", init)
  end
end
for _, name in ipairs { "find", "match", "gmatch", "gsub", "rep", "sub" } do
  pick(string[name])
  pick(string[name], {})
  pick(string[name], "a", {})
  pick(string[name], "a", "a", {})
  pick(string[name], 12, 1, "x")
  pick(string[name], "a", "a", "a", {})
  pick(function() return ("x")[name]("x", {}, {}) end)
  pick(function() return ("x")[name]() end)
  pick(function() return select(2, xpcall(string[name], debug.traceback, {})) end)
end
pick(function() return select(2, xpcall(string.gsub, debug.traceback, "x", ".", error)) end)
pick(function() return select(2, xpcall(string.gsub, debug.traceback, "x", "(", "")) end)
pick(function() return string.gsub == ("").gsub, debug.getinfo(string.find, "S").what, debug.getinfo(string.gmatch, "u").isvararg end)
pick(function()
  local next_match = string.gmatch("ab", "()(.)")
  return debug.getupvalue(next_match, 1), next_match(1, 2, 3), next_match(), next_match(), next_match()
end)
pick(function() return coroutine.wrap(function() return string.gsub("abc", ".", coroutine.yield) end)() end)
pick(function() return (string.gsub("abc", ".", function(c) return coroutine.wrap(function() coroutine.yield(c .. c) end)() end)) end)

for _, name in ipairs { "concat", "insert", "move", "remove", "sort", "unpack", "pack" } do
  local f = table[name]
  for _, args in ipairs { {}, { {} }, { 1 }, { "x" }, { {}, {} }, { {}, 1, {} }, { {}, 1, 2, {} }, { {}, 1, 2, 3, 4 }, { print, 1 }, { {}, "x", 1, 1 } } do
    pick(f, table.unpack(args))
  end
  pick(function() return select(2, xpcall(f, debug.traceback, 1, 2, 3)) end)
  if name ~= "remove" then pick(f, setmetatable({}, { __len = function() return math.maxinteger end }), 1, 1) end -- which would take years
  pick(f, setmetatable({}, { __len = function() return -5 end }))
  pick(f, setmetatable({}, { __len = function() return 1.5 end }))
  pick(f, setmetatable({}, { __len = error }))
  pick(f, { n = 1 }, 1, 1, math.maxinteger, {})
end
pick(table.unpack, {}, 1, 1e6)
pick(table.unpack, {}, 1, math.maxinteger)
pick(table.unpack, {}, math.mininteger, math.maxinteger)
pick(table.unpack, {}, math.maxinteger, math.maxinteger)
pick(table.unpack, {}, math.mininteger, math.mininteger + 1)
pick(table.concat, {}, "x", math.maxinteger, math.maxinteger)
pick(table.concat, { [math.maxinteger] = "last" }, "x", math.maxinteger, math.maxinteger)
pick(table.move, {}, math.mininteger, -1, 1)
pick(table.move, {}, 0, math.maxinteger, 1)
pick(table.move, { 1, 2, 3 }, 1, 3, math.maxinteger - 1)
pick(table.sort, setmetatable({}, { __len = function() return math.maxinteger end }))
pick(table.sort, setmetatable({}, { __len = function() return 2 ^ 31 | 0 end }))
pick(table.sort, { 1, "a", {} })
pick(table.sort, { 1, 2, 0 / 0, 3, 0 / 0, 1 })
for _, n in ipairs { 2, 3, 4, 50, 99, 100, 101, 102, 200, 300 } do -- uneven parts begin to be drawn at random beyond these
  local up, down, same, ties = {}, {}, {}, {}
  for i = 1, n do up[i], down[i], same[i], ties[i] = i, n - i, 1, { key = i * 7 % 10, text = i * 7 % 10 .. "/" .. i } end
  for _, list in ipairs { up, down, same } do pick(changed, table.sort, list) end
  pick(changed, table.sort, ties, function(a, b) return a.key < b.key end)
  pick(changed, table.sort, up, function() return true end)
end

for _, args in ipairs {
  { "x", 1 << 31 }, { "x", (1 << 31) - 1, "y" }, { "aa", 1 << 30 }, { "a", 1 << 30, "," }, { "x", math.maxinteger }, { "", 1000000 }, { "", 3, "" }, { "", 3, "x" },
  { "abc", 3, "" }, { "x", 0, "y" }, { "", 1 << 31, "x" },
} do pick(string.rep, table.unpack(args)) end
for _, n in ipairs { 1, 2, 4095, 4096, 1048575, 1048576, 1048577, 3000001 } do -- across the ends of pieces
  pick(function()
    local text, sum = ("aB\n"):rep(n // 3, ";") .. "\xC4z", 0
    for _, changed_text in ipairs { text, text:upper(), text:lower(), text:reverse(), text:rep(2, "+"), text:reverse():reverse() == text and "" or "?" } do
      for i = 1, #changed_text, 997 do sum = sum * 31 + changed_text:byte(i) & 0xFFFFFFFF end
      sum = sum + #changed_text
    end
    return sum, utf8.len(text, 1, -3), utf8.offset(text, n // 2), utf8.offset(text, -(n // 2))
  end)
end
for _, name in ipairs { "lower", "upper", "reverse", "rep" } do
  pick(string[name])
  pick(string[name], {})
  pick(function() return ("x")[name]({}, {}) end)
end
for _, name in ipairs { "len", "offset" } do
  for _, args in ipairs { {}, { {} }, { "", 1 }, { "", 2 }, { "", 0, 0 }, { "a", 1, 3 }, { "a", 3 }, { "a", "x" }, { "\x80", 1 }, { "\x80\x80a", 0, 2 }, { "abc", 0, 4 }, { "abc", 2, 4 }, { "abc", 1, 5 } } do
    pick(utf8[name], table.unpack(args))
  end
end
for _, args in ipairs { {}, { 1 }, { {} }, { "x", {} }, { "x", "n", {} }, { print }, { "return 1", nil, nil, nil }, { ("a = 1 "):rep(3000) .. "?" }, { "x = '" .. ("y"):rep(9000) } } do
  pick(load, table.unpack(args))
end
pick(function() return select(2, xpcall(load, debug.traceback, {})) end)
pick(function() return select(2, load(function() error(debug.traceback "in a reader", 0) end)) end)
pick(function() return #load("return [[" .. ("text\n"):rep(9000) .. "]]")() end)
pick(function() return coroutine.wrap(function() return load(coroutine.yield) end)() end)

-- ---- making the calls, and telling what came of them ----

local function shown(value)
  local kind = math.type(value) or type(value)
  if kind == "string" then return ("%q"):format(#value > 300 and #value .. value:sub(1, 300) or value):gsub("0x%x+", "0x"):gsub("\n", "n") .. "" end
  if kind == "integer" or kind == "float" then return ("%s %q"):format(kind, value) end
  return value == nil and "nil" or kind == "boolean" and tostring(value) or kind
end

local function tell(name, ...)
  local list = {}
  for i = 1, select("#", ...) do list[i] = shown((select(i, ...))) end
  print(name, table.concat(list, " "))
end

local function call(f, ...) return f(...) end -- a line of Lua, whose position is in the message

local function run(name, f, ...)
  if random(2) == 1 then tell(name, pcall(f, ...)) else tell(name, pcall(call, f, ...)) end
end

local names = {}
for name in pairs(makers) do names[#names + 1] = name end
table.sort(names)
if shaken then -- another task that makes garbage and keeps strings busy
  local task = require "green.task"
  task.spawn(function()
    for i = 1, math.huge do
      if names == nil then return end
      local _ = ("x"):rep(i % 100) .. i
      task.sleep(0)
    end
  end)
  require("green.debug").shake(seed + 1)
end
for i, row in ipairs(picked) do run("picked " .. i, table.unpack(row, 1, row.n)) end
for i = 1, count do
  local name = one_of(names)
  run(i .. " " .. name, makers[name]())
end
names = nil
