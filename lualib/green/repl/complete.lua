-- SPDX-License-Identifier: MIT
-- Internal.
-- This file finds what may follow at the cursor. Tables are read raw, and __index is followed only where it is a table, so that no code of
-- the script's runs and nothing waits.
local names = require "green.repl.names"
local tokens = require "green.repl.tokens"

local M = {}

local MOST = 300

local function starts_with(text, prefix) return text:sub(1, #prefix) == prefix end

local function sorted(set)
  local list = {}
  for name in pairs(set) do
    if #list < MOST then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

-- ---- values, without running anything ----

-- Returns the table in which a value's missing fields are looked up, nil when a function does that.
local function index_of(value)
  local meta = debug.getmetatable(value)
  local index = type(meta) == "table" and rawget(meta, "__index")
  return type(index) == "table" and index or nil
end

local function raw_field(value, name)
  for _ = 1, 10 do
    if type(value) == "table" then
      local found = rawget(value, name)
      if found ~= nil then return found end
    end
    value = index_of(value)
    if value == nil then return nil end
  end
end

local function add_fields(set, value, prefix, only_functions)
  for _ = 1, 10 do
    if type(value) == "table" then
      for key, field in next, value do
        if type(key) == "string" and key:find "^[%a_][%w_]*$" and starts_with(key, prefix)
          and (not only_functions or type(field) == "function") then set[key] = true end
      end
    end
    value = index_of(value)
    if value == nil then return end
  end
end

local function variable(session, name)
  local cell = session.locals[name]
  if cell then
    local _, value = debug.getupvalue(cell.fn, cell.index)
    return value
  end
  local value = rawget(session.values, name)
  if value == nil then value = rawget(_G, name) end
  if value == nil and names.modules[name] then value = names.module(name) end
  return value
end

-- ---- kinds of completions ----

local function variables(session, prefix)
  local set = {}
  for _, source in ipairs { session.locals, session.values, _G, names.modules, tokens.keywords } do
    for name in next, source do
      if type(name) == "string" and name:find "^[%a_]" and starts_with(name, prefix) then set[name] = true end
    end
  end
  return sorted(set)
end

local function fields(session, path, prefix, is_method)
  local value
  for name in path:gmatch "[%w_]+" do
    if value == nil then value = variable(session, name) else value = raw_field(value, name) end
    if value == nil then return {} end
  end
  local set = {}
  add_fields(set, value, prefix, is_method)
  return sorted(set)
end

local function modules(prefix)
  local set = {}
  for name in pairs(names.public) do set[name] = true end
  for _, loaded in ipairs { package.loaded, package.preload } do
    for name in next, loaded do -- modules of ours that are not public are left out
      if type(name) == "string" and not starts_with(name, "green.") then set[name] = true end
    end
  end
  for name in pairs(set) do
    if not starts_with(name, prefix) then set[name] = nil end
  end
  return sorted(set)
end

local function files(prefix)
  local folder, start = prefix:match "^(.*/)([^/]*)$"
  local ok, list = pcall(require("green.fs").list, folder or ".")
  local set = {}
  for _, entry in ipairs(ok and list or {}) do
    local name = entry.name
    local hidden = name:sub(1, 1) == "." and not starts_with(start or prefix, ".")
    if starts_with(name, start or prefix) and not hidden then
      set[(folder or "") .. name .. (entry.type == "directory" and "/" or "")] = true
    end
  end
  return sorted(set)
end

-- Completes in a string that is not closed yet: modules behind `require`, files elsewhere.
local function in_string(list, text)
  local last = list[#list]
  local prefix = text:sub(last.from + 1)
  local before = list[#list - 1]
  if before and before.text == "(" then before = list[#list - 2] end
  if before and before.text == "require" then return last.from + 1, modules(prefix) end
  return last.from + 1, files(prefix)
end

-- Returns the path at the end of a text: "x = a.b " gives "a.b".
local function path_at_end(text)
  text = text:match "^(.*%S)" or ""
  return (text:match "^.*[^%w_%.]([%w_%.]*)$" or text):match "[%a_].*"
end

--- Returns, for the text before the cursor, where the word to be completed begins, and the list of words that it may become.
function M.at(session, text)
  local command, from = text:match "^%s*(%.%a*)()$"
  if command then return from - #command, require("green.repl.commands").matching(command) end
  local argument, start = text:match "^%s*%.load%s+()(.*)$"
  if argument then return argument, files(start) end
  if text:find "^%s*%.time%s" then text = text:gsub("^%s*%.time", function(all) return (" "):rep(#all) end) end
  local list = tokens.list(text)
  local last = list[#list]
  if last and last.open and last.kind == "comment" then return #text + 1, {} end
  if last and last.open and last.kind == "string" then return in_string(list, text) end
  local front, word = text:match "^(.*[^%w_])([%w_]*)$"
  front, word = front or "", word or text
  local owner, sign = (front:match "^(.*%S)" or ""):match "^(.*)([.:])$"
  local path = owner and path_at_end(owner)
  if path and front:sub(-1) == sign and owner:sub(-1) ~= "." then return #text - #word + 1, fields(session, path, word, sign == ":") end
  local prefix = word:match "[%a_].*"
  if owner or not prefix then return #text + 1, {} end
  return #text - #prefix + 1, variables(session, prefix)
end

return M
