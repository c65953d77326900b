-- SPDX-License-Identifier: MIT
-- Internal.
-- This file splits Lua source into tokens, for questions that a prompt has before a line can be parsed: which names the line declares, and what
-- stands before the cursor. It never fails: characters that are no Lua are tokens, too.

local M = {}

local KEYWORDS = {}
for word in ("and break do else elseif end false for function goto if in local nil not or repeat return then true until while")
  :gmatch "%a+" do KEYWORDS[word] = true end

-- Returns where the long brackets that open at `from` end, and whether their closing ones are missing; nil when none open there.
local function long_end(text, from)
  local level = text:match("^%[(=*)%[", from)
  if not level then return nil end
  local _, stop = text:find("]" .. level .. "]", from + #level + 2, true)
  return stop or #text, stop == nil
end

local function quoted_end(text, from)
  local quote, at = text:sub(from, from), from + 1
  while at <= #text do
    local char = text:sub(at, at)
    if char == quote then return at, false end
    if char == "\n" then return at - 1, true end
    at = at + (char == "\\" and 2 or 1)
  end
  return #text, true
end

-- Returns the kind of the token at `from`, its last byte, and whether its end is missing.
local function scan(text, from)
  local char = text:sub(from, from)
  if char:find "[%a_]" then
    local _, stop = text:find("^[%w_]+", from)
    return KEYWORDS[text:sub(from, stop)] and "keyword" or "name", stop
  elseif char:find "%d" or text:find("^%.%d", from) then
    local _, stop = text:find("^[%w.]+", from)
    return "number", stop
  elseif char == '"' or char == "'" then
    return "string", quoted_end(text, from)
  elseif text:find("^%-%-", from) then
    local stop, open = long_end(text, from + 2)
    if stop then return "comment", stop, open end
    stop = (text:find("\n", from, true) or #text + 1) - 1
    return "comment", stop, stop == #text
  elseif char == "[" and long_end(text, from) then
    return "string", long_end(text, from)
  end
  local _, stop = text:find("^%.%.%.?", from)
  if not stop then _, stop = text:find("^::", from) end
  return "sign", stop or from
end

--- Returns the tokens: { { kind = "name", text = "x", from = 1, to = 1, open = nil }, ... }.
function M.list(text)
  local list, at = {}, 1
  while true do
    at = text:find("%S", at)
    if not at then return list end
    local kind, stop, open = scan(text, at)
    list[#list + 1] = { kind = kind, text = text:sub(at, stop), from = at, to = stop, open = open }
    at = stop + 1
  end
end

local DEEPER = { ["do"] = 1, ["if"] = 1, ["function"] = 1, ["repeat"] = 1, ["end"] = -1, ["until"] = -1 }

-- Adds the names that a `local` just before list[i] declares to `names`. Returns the index at which to go on.
local function declare(list, i, names)
  if list[i] and list[i].text == "function" then
    local name = list[i + 1]
    if name and name.kind == "name" then names[#names + 1] = { name = name.text } end
    return i
  end
  while list[i] and list[i].kind == "name" do
    local declared = { name = list[i].text }
    names[#names + 1] = declared
    i = i + 1
    if list[i] and list[i].text == "<" and list[i + 1] then
      declared.attribute = list[i + 1].text
      i = i + 3
    end
    if not (list[i] and list[i].text == ",") then break end
    i = i + 1
  end
  return i
end

--- Returns the local variables of the outermost block, only the last one of each name: { { name =, attribute = }, ... }.
function M.locals(list)
  local names, depth, i = {}, 0, 1
  while list[i] do
    local token = list[i]
    i = i + 1
    if token.kind == "keyword" then
      if token.text == "local" and depth == 0 then i = declare(list, i, names) end
      depth = depth + (DEEPER[token.text] or 0)
    end
  end
  local last, seen = {}, {}
  for at = #names, 1, -1 do
    if not seen[names[at].name] then table.insert(last, 1, names[at]) end
    seen[names[at].name] = true
  end
  return last
end

--- Returns the set of all names in a list of tokens.
function M.names(list)
  local set = {}
  for _, token in ipairs(list) do
    if token.kind == "name" then set[token.text] = true end
  end
  return set
end

M.keywords = KEYWORDS

return M
