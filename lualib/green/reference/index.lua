-- SPDX-License-Identifier: MIT
-- Internal.
-- An index holds every entry of the stubs and finds it by the names that people use: "green.http.get", "http.get", "green.Task:join",
-- "task:join", "Task:join", and also "join" where only one entry has that name.
local native = require "green.reference.native"
local parse = require "green.reference.parse"
local search = require "green.reference.search"
local stock = require "green.reference.stock"

-- ---- the stubs' text ----

-- Reads the stubs of the folder GREENLUA_LUALIB, which a developer edits; nil when the folder has none.
local function from_folder(dir)
  local fs = require "green.fs"
  local root = fs.join(dir, "meta")
  if not fs.exists(root) then return nil end
  local texts = {}
  for path, kind in fs.walk(root) do
    local name = kind == "file" and path:sub(#root + 2):match "^(.*)%.lua$"
    if name then texts[name:gsub("/", ".")] = fs.read(path) end
  end
  return texts
end

local function sorted_keys(map)
  local keys = {}
  for key in pairs(map) do table.insert(keys, key) end
  table.sort(keys)
  return keys
end

-- ---- names ----

local function short(name) return (name:gsub("^green%.", "")) end
local function last(name) return name:match "[^.:]*$" end

-- Returns the names of an entry in three lists, the better names first.
local function names_of(entry)
  local names = { { entry.name, short(entry.name) }, {}, { last(entry.name) } }
  if entry.kind == "method" or entry.kind == "field" then
    table.insert(names[2], last(entry.owner.name) .. "." .. entry.key)
    table.insert(names[2], short(entry.module) .. "." .. entry.key)
  end
  return names
end

local function put(names, name, entry)
  local list = names[name] or {}
  names[name] = list
  if list[#list] ~= entry then table.insert(list, entry) end
end

local Index = {}
Index.__index = Index

local function new_index(entries, modules)
  local index = setmetatable({ entries = entries, modules = modules, ranks = {} }, Index)
  for rank = 1, 3 do index.ranks[rank] = { exact = {}, lower = {} } end
  for _, entry in ipairs(entries) do
    for rank, names in ipairs(entry.private and {} or names_of(entry)) do
      for _, name in ipairs(names) do
        name = name:gsub(":", ".")
        put(index.ranks[rank].exact, name, entry)
        put(index.ranks[rank].lower, name:lower(), entry)
      end
    end
  end
  return index
end

local function add_stock(entries)
  for _, entry in ipairs(stock()) do table.insert(entries, entry) end
end

-- Returns the one entry that is meant, nil when several may be. A function or module is preferred to a class of the same name.
local function preferred(list)
  local kinds = {}
  for _, entry in ipairs(list) do kinds[entry.kind] = kinds[entry.kind] or entry end
  if #list == 2 and (kinds["function"] or kinds.module) and kinds.class then return kinds["function"] or kinds.module end
  return #list == 1 and list[1] or nil
end

-- Handlers usually call their arguments by these names.
local USUAL = { req = "request", res = "response" }

local function has_field(entry, name)
  for _, field in ipairs(entry and entry.fields or {}) do
    if field.name == name then return true end
  end
  return false
end

-- Returns the entry of this name, or the one that has a field of this name ("json.null"); else nil and the entries that may be meant.
function Index:find(name)
  name = name:gsub("%(%s*%)$", ""):gsub(":", "."):gsub("^%l+%f[.]", USUAL)
  local entry, several = self:find_named(name)
  if entry or several[1] then return entry, several end
  local dot = name:match "^.*()%."
  entry = dot and self:find_named(name:sub(1, dot - 1))
  return has_field(entry, dot and name:sub(dot + 1)) and entry or nil, {}
end

function Index:find_named(name)
  for _, rank in ipairs(self.ranks) do
    for _, list in ipairs { rank.exact[name] or false, rank.lower[name:lower()] or false } do
      if list then
        local entry = preferred(list)
        return entry, not entry and list or nil
      end
    end
  end
  return nil, {}
end

function Index:module(name)
  for _, module in ipairs(self.modules) do
    if module.name == name then return module end
  end
end

-- Returns the entries in which each of the words is found, the best first, at most `max`, and how many there are in all.
function Index:search(words, max) return search(self.entries, words, max) end

-- Returns the class or alias of this name.
function Index:type(name)
  for _, entry in ipairs(self.entries) do
    if (entry.kind == "class" or entry.kind == "alias") and entry.name == name then return entry end
  end
end

-- Returns the entries with a name like this one, the nearest first, at most `max`.
function Index:near(name, max)
  name = name:gsub(":", "."):lower()
  local found, seen = {}, {}
  for rank, names in ipairs(self.ranks) do
    for known, list in pairs(names.lower) do
      local mistakes = native.near(name, known)
      mistakes = mistakes and mistakes + rank / 10 -- of two names at the same distance the better one comes first
      for _, entry in ipairs(mistakes and list or {}) do
        if not seen[entry] or mistakes < seen[entry].mistakes then
          if not seen[entry] then table.insert(found, { entry = entry }) seen[entry] = found[#found] end
          seen[entry].mistakes = mistakes
        end
      end
    end
  end
  table.sort(found, function(a, b)
    if a.mistakes ~= b.mistakes then return a.mistakes < b.mistakes end
    return a.entry.name < b.entry.name
  end)
  local entries = {}
  for i = 1, math.min(max, #found) do entries[i] = found[i].entry end
  return entries
end

local index

-- Returns the index, which is made at the first call.
return function()
  if index then return index end
  local dir = os.getenv "GREENLUA_LUALIB"
  local texts = dir and from_folder(dir) or native.stubs()
  local entries, modules = {}, {}
  for _, name in ipairs(sorted_keys(texts)) do
    local of_module = parse(name, texts[name])
    table.insert(modules, of_module[1])
    for _, entry in ipairs(of_module) do table.insert(entries, entry) end
  end
  add_stock(entries)
  index = new_index(entries, modules)
  return index
end
