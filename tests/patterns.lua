-- SPDX-License-Identifier: MIT
-- How long may a Lua pattern take? `judge` reads a pattern as lstrlib.c matches it and says whether its time is in proportion to the
-- text, whatever the text is; `calls` finds the patterns of a source file.
--
-- A repetition can give back what it took. If what follows may begin with a character that it repeats, each length is
-- tried, and what follows is looked at as often: one such repetition over what takes time by itself is quadratic. Unanchored
-- patterns are tried from each place in the text, so that a try that walks far and fails makes them quadratic, too.
local M = {}

-- ---- reading a pattern ----

local function set_of(class)
  local set = {}
  for byte = 0, 255 do
    local char = string.char(byte)
    if char:find("^" .. class) then set[char] = true end
  end
  return set
end

local function class_at(pattern, at)
  local char = pattern:sub(at, at)
  if char == "%" then return pattern:sub(at, at + 1) end
  if char ~= "[" then return char == "^" and "%^" or char == "$" and "%$" or char end
  local stop = at + 1
  if pattern:sub(stop, stop) == "^" then stop = stop + 1 end
  repeat
    if pattern:sub(stop, stop) == "%" then stop = stop + 1 end
    stop = stop + 1
  until pattern:sub(stop, stop) == "]"
  return pattern:sub(at, stop)
end

-- { { set =, many = "*", "+", "-", "?" or nil }, ... , anchored =, ends = }
local function items_of(pattern)
  local items, at = {}, 1
  if pattern:sub(1, 1) == "^" then items.anchored, at = true, 2 end
  while at <= #pattern do
    local two = pattern:sub(at, at + 1)
    local char = two:sub(1, 1)
    if char == "(" or char == ")" then
      at = at + 1
    elseif char == "$" and at == #pattern then
      items.ends, at = true, at + 1
    elseif two == "%b" then
      items[#items + 1] = { set = set_of(pattern:sub(at + 2, at + 2):gsub("%W", "%%%0")), balanced = true }
      at = at + 4
    elseif two == "%f" then
      at = at + 2 + #class_at(pattern, at + 2)
    else
      assert(not two:find "^%%%d", "back references are not understood")
      local class = class_at(pattern, at)
      at = at + #class - (class == "%^" and char == "^" and 1 or class == "%$" and char == "$" and 1 or 0)
      local many = pattern:match("^[*+?-]", at)
      items[#items + 1] = { set = set_of(class), many = many }
      at = at + (many and 1 or 0)
    end
  end
  return items
end

-- ---- how often a text is walked over ----

local function is_nullable(item) return item.many == "*" or item.many == "-" or item.many == "?" end

local function size_of(set)
  local size = 0
  for _ in pairs(set) do size = size + 1 end
  return size
end

local function is_any(item, many) return item ~= nil and item.many == many and size_of(item.set) == 256 end

-- Can what begins at item i not fail?
local function always_matches(items, i)
  if items.ends and not (i <= #items and is_any(items[#items], "*")) then return false end
  for k = i, #items do
    if not is_nullable(items[k]) then return false end
  end
  return true
end

-- Does what begins at item i fail at once, or not at all?
local function fails_at_once(items, i)
  while items[i] and not items[i].many and not items[i].balanced do i = i + 1 end
  return always_matches(items, i) or i > #items
end

-- "/[^/]*$" and the like: behind a repetition of anything, which tries the last place first, it matches there or nowhere.
local function is_last_of_all(items, i)
  local mark, rest = items[i], items[i + 1]
  if not mark or mark.many or not rest or rest.many ~= "*" or not items.ends or #items > i + 1 then return false end
  for byte = 0, 255 do
    local char = string.char(byte)
    if not mark.set[char] and not rest.set[char] then return false end
  end
  return true
end

-- May what begins at item i begin with a character of the set?
local function may_begin_with(items, i, set)
  for k = i, #items do
    for char in pairs(items[k].set) do
      if set[char] then return true end
    end
    if not is_nullable(items[k]) then return false end
  end
  return false
end

-- The power of the length that one try from one place may take.
local function degree(items, i)
  local item = items[i]
  if not item then return 0 end
  local rest = degree(items, i + 1)
  if item.balanced then return math.max(1, rest) end
  if item.many ~= "*" and item.many ~= "+" and item.many ~= "-" then return rest end
  if item.many ~= "-" and always_matches(items, i + 1) or fails_at_once(items, i + 1) then return math.max(1, rest) end
  if is_any(item, "*") and is_last_of_all(items, i + 1) then return 1 end
  return may_begin_with(items, i + 1, item.set) and 1 + rest or math.max(1, rest)
end

-- Do tries that begin with the first item, one character, walk over no other such character?
local function is_fenced(items)
  local fence = items[1] and not items[1].many and items[1].set
  if not fence then return false end
  for i = 2, #items do
    local item = items[i]
    for char in pairs(item.many and item.many ~= "?" and item.set or item.balanced and fence or {}) do
      if fence[char] then return false end
    end
  end
  return true
end

-- Does every try that walks succeed, and so is never walked again?
local function walks_in_vain(items)
  for i, item in ipairs(items) do
    if item.balanced then return true end
    if item.many and item.many ~= "?" then return not always_matches(items, i + 1) end
  end
  return false
end

--- Is the pattern's time in proportion to the text? Returns false and why when it is not.
function M.judge(pattern)
  local items = items_of(pattern)
  local power = degree(items, 1)
  if power > 1 then return false, "one try can take the " .. power .. "th power of the text" end
  if items.anchored or power == 0 or is_fenced(items) or not walks_in_vain(items) then return true end
  return false, "a try from each place can walk far in vain"
end

-- ---- finding them ----

-- Tokens: { kind = "name", "string", "other", text =, line = }. Comments are left out.
local function tokens_of(source)
  local tokens, at, line = {}, 1, 1
  local function add(kind, text, stop)
    tokens[#tokens + 1] = { kind = kind, text = text, line = line }
    line = line + select(2, source:sub(at, stop):gsub("\n", ""))
    at = stop + 1
  end
  while at <= #source do
    local level = source:match("^%[(=*)%[", at)
    local comment = source:sub(at, at + 1) == "--"
    local long = comment and source:match("^%-%-%[(=*)%[", at) or not comment and level
    if long then
      local _, stop = source:find("]" .. long .. "]", at, true)
      local text = source:sub(at, stop)
      if comment then
        line = line + select(2, text:gsub("\n", ""))
        at = stop + 1
      else
        add("string", load("return " .. text)(), stop)
      end
    elseif comment then
      at = source:find("\n", at, true) or #source + 1
    elseif source:find("^[\"']", at) then
      local quote, stop = source:sub(at, at), at + 1
      while source:sub(stop, stop) ~= quote do stop = stop + (source:sub(stop, stop) == "\\" and 2 or 1) end
      add("string", load("return " .. source:sub(at, stop))(), stop)
    else
      local _, stop = source:find("^[%w_]+", at)
      if stop then
        add("name", source:sub(at, stop), stop)
      elseif source:find("^%s", at) then
        line = line + select(2, source:match("^%s+", at):gsub("\n", ""))
        at = source:find("%S", at) or #source + 1
      else
        add("other", source:sub(at, at), at)
      end
    end
  end
  return tokens
end

local OPEN, CLOSE = { ["("] = true, ["["] = true, ["{"] = true }, { [")"] = true, ["]"] = true, ["}"] = true }

-- The arguments of a call whose parenthesis is token i, each a list of tokens.
local function arguments_of(tokens, i)
  local arguments, depth = { {} }, 0
  repeat
    local token = tokens[i]
    local text = token.kind == "other" and token.text
    if OPEN[text] then depth = depth + 1 elseif CLOSE[text] then depth = depth - 1 end
    if text == "," and depth == 1 then arguments[#arguments + 1] = {}
    elseif depth > 1 or depth == 1 and text ~= "(" or depth == 1 and #arguments[#arguments] > 0 then table.insert(arguments[#arguments], token) end
    i = i + 1
  until depth == 0
  return arguments
end

local FUNCTIONS = { find = true, match = true, gmatch = true, gsub = true }

local function text_of(list)
  local texts = {}
  for i, token in ipairs(list or {}) do texts[i] = token.kind == "string" and ("%q"):format(token.text) or token.text end
  return table.concat(texts, " ")
end

-- local NAME = "text"
local function constants_of(tokens)
  local constants = {}
  for i, token in ipairs(tokens) do
    local is_constant = token.text == "local" and tokens[i + 3] and tokens[i + 2].text == "=" and tokens[i + 3].kind == "string"
    if is_constant then constants[tokens[i + 1].text] = tokens[i + 3].text end
  end
  return constants
end

--- The calls of string functions that take patterns: { name =, pattern = or nil, text = what is written there, line = }.
function M.calls(source)
  local tokens, calls = tokens_of(source), {}
  local constants = constants_of(tokens)
  for i, token in ipairs(tokens) do
    local before, after = tokens[i - 1], tokens[i + 1]
    local called = token.kind == "name" and FUNCTIONS[token.text] and before and (before.text == ":" or before.text == ".") and before.kind == "other"
    local defined = tokens[i - 3] and tokens[i - 3].text == "function"
    if called and not defined and after and (after.kind == "string" or after.text == "(") then
      local arguments = after.kind == "string" and { { after } } or arguments_of(tokens, i + 1)
      local own = tokens[i - 2].text == "string" and before.text == "."
      local argument, plain = arguments[own and 2 or 1], arguments[own and 4 or 3]
      if not (token.text == "find" and text_of(plain) == "true") then
        local only = argument and #argument == 1 and argument[1] or {}
        local pattern = only.kind == "string" and only.text or only.kind == "name" and constants[only.text] or nil
        calls[#calls + 1] = { name = token.text, pattern = pattern, text = text_of(argument), line = token.line }
      end
    end
  end
  return calls
end

return M
