-- SPDX-License-Identifier: MIT
-- The functions of the standard library that greenlua has its own of, beside lua5.4: nanoseconds of CPU a call, the best of some rounds
-- that take turns, and the ratio. The rows run in processes of their own, in plain Lua:
--
--   tests/bench/stdlib.lua [NAME]      all rows, or those whose name contains NAME
--   lua5.4 tests/bench/stdlib.lua - [NAME [CALLS]]    one round, a line for each row; with so many calls, for a profiler
local rows = {} -- { name, calls, function(calls) }

local function row(name, calls, fn) rows[#rows + 1] = { name, calls, fn } end

-- Calls a method of `text` again and again.
local function on(text, method, ...)
  local args = table.pack(...)
  local f = string[method]
  return function(calls)
    local a, b = args[1], args[2]
    for _ = 1, calls do f(text, a, b) end
  end
end

local function each_match(text, pattern)
  return function(calls)
    for _ = 1, calls do
      for _ in text:gmatch(pattern) do end
    end
  end
end

local million = ("x"):rep(1000000)

row("find: a word", 100000, on("the quick brown fox jumps", "find", "jumps"))
row("find: a letter in three", 100000, on("abc", "find", "b"))
row("find: %s, far away", 100000, on("abcdefghijklmnopqrstuvwxyz x", "find", "%s"))
row("match: ^.", 100000, on("abc", "match", "^."))
row("match: a date", 50000, on("2024-12-31 23:59:58", "match", "^(%d+)-(%d+)-(%d+) (%d+):(%d+):(%d+)$"))
row("match: key=value", 50000, on("content-type=text/html", "match", "^([%w_-]+)=(.*)$"))
row("match: trim", 50000, on("   abc def   ", "match", "^%s*(.-)%s*$"))
row("match: a run of 1e6", 10, on(million, "match", "^[%w_]*$"))
row("gmatch: words", 20000, each_match("the quick brown fox jumps over the lazy dog", "%a+"))
row("gmatch: list", 20000, each_match("a,b,c,d,e,f,g,h", "([^,]*),?"))
row("gsub: a letter", 50000, on("hello world from lua", "gsub", "o", "0"))
row("gsub: escapes", 50000, on("a < b & c < d plain text follows here", "gsub", "[<&>\"]", { ["<"] = "&lt;", ["&"] = "&amp;" }))
row("gsub: function", 50000, on("hello world from lua", "gsub", "%w+", function(word) return word end))
row("gsub: captures", 50000, on("hello world from lua", "gsub", "(%w+) (%w+)", "%2 %1"))
row("gsub: 1e5 letters", 3, on(("ab"):rep(50000), "gsub", "%w", "%0%0"))

local function list_of(n)
  local list = {}
  for i = 1, n do list[i] = i * 7919 % 1000003 end
  return list
end

-- Sorts copies, which table.move makes.
local function sorting(n, comparator)
  local list = list_of(n)
  return function(calls)
    for _ = 1, calls do table.sort(table.move(list, 1, n, 1, {}), comparator) end
  end
end

local function falls(a, b) return a > b end

row("sort: 10", 20000, sorting(10))
row("sort: 1,000", 100, sorting(1000))
row("sort: 1e6", 1, sorting(1000000))
row("sort: 1,000, comparator", 50, sorting(1000, falls))

local words = {}
for i = 1, 1000 do words[i] = "word" .. i end

row("concat: 3", 100000, function(calls)
  local list = { "a", "b", "c" }
  for _ = 1, calls do table.concat(list, ",") end
end)
row("concat: 1,000", 500, function(calls)
  for _ = 1, calls do table.concat(words, ",") end
end)
row("insert: at the end", 200000, function(calls)
  local list = {}
  for i = 1, calls do table.insert(list, i) end
end)
row("insert, remove: in front of 100", 10000, function(calls)
  local list = list_of(100)
  for i = 1, calls do
    table.insert(list, 1, i)
    table.remove(list, 1)
  end
end)
row("remove: at the end", 200000, function(calls)
  local list = list_of(calls)
  for _ = 1, calls do table.remove(list) end
end)
row("move: 1,000", 2000, function(calls)
  for _ = 1, calls do table.move(words, 1, 1000, 1, {}) end
end)
row("unpack: 3", 200000, function(calls)
  local list = { 1, 2, 3 }
  for _ = 1, calls do table.unpack(list) end
end)

row("rep: 1 by 100", 100000, on("x", "rep", 100))
row("rep: 5 by 3, separator", 100000, on("hello", "rep", 3, ", "))
row("rep: 100 by 10,000", 100, on(("x"):rep(100), "rep", 10000))
row("reverse: 20", 200000, on("the quick brown fox ", "reverse"))
row("reverse: 1e6", 50, on(million, "reverse"))
row("upper: 20", 200000, on("the quick brown fox ", "upper"))
row("lower: 20", 200000, on("The Quick Brown Fox ", "lower"))
row("upper: 1e6", 20, on(million, "upper"))

local line = "local a, b = ...; return a + b * 2"
local source = (line:gsub("return", "b =") .. "\n"):rep(100)

row("load: a line", 20000, function(calls)
  for _ = 1, calls do load(line, "=line", "t") end
end)
row("load: 100 lines", 200, function(calls)
  for _ = 1, calls do load(source) end
end)
row("load: 100 lines, by a reader", 200, function(calls)
  for _ = 1, calls do
    local at = 1
    load(function()
      at = at + 100
      return source:sub(at - 100, at - 1)
    end)
  end
end)

local text = "Grüße aus Köln, und noch etwas mehr"

row("utf8.len: 35", 200000, function(calls)
  for _ = 1, calls do utf8.len(text) end
end)
row("utf8.offset: 20", 200000, function(calls)
  for _ = 1, calls do utf8.offset(text, 20) end
end)
row("utf8.len: 1e6", 20, function(calls)
  for _ = 1, calls do utf8.len(million) end
end)

local function is_wanted(r, name) return r[1]:find(name or "", 1, true) end

local function measure(name, calls)
  for _, r in ipairs(rows) do
    if is_wanted(r, name) then
      local n = tonumber(calls) or r[2]
      local began = os.clock()
      r[3](n)
      print(r[1], (os.clock() - began) / n * 1e9)
    end
  end
end

local function best_of(program, into)
  local pipe = assert(io.popen(("'%s' '%s' - '%s'"):format(program, arg[0], arg[1] or "")))
  for line in pipe:lines() do
    local name, ns = line:match "^(.*)\t(.*)$"
    into[name] = math.min(into[name] or math.huge, tonumber(ns))
  end
  assert(pipe:close())
end

if arg[1] == "-" then return measure(arg[2], arg[3]) end
local ROUNDS = 15
local stock, ours = {}, {}
for _ = 1, ROUNDS do
  best_of("lua5.4", stock)
  best_of(arg[-1], ours)
end
print(("%-28s %14s %14s %8s"):format("", "lua5.4", "greenlua", "ratio"))
for _, r in ipairs(rows) do
  local name = r[1]
  if is_wanted(r, arg[1]) then
    print(("%-28s %11.1f ns %11.1f ns %8.2f"):format(name, stock[name], ours[name], ours[name] / stock[name]))
  end
end
