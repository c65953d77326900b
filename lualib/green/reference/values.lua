-- SPDX-License-Identifier: MIT
-- Internal.
-- This file finds the entry of a value: of functions and modules by what is loaded, of methods and objects by their metatables. A class has the
-- name of its metatable (__name, which is in messages: "green.socket expected, got nil"), except these.
local METATABLES = {
  ["green.Channel"] = "green.channel",
  ["green.File"] = "green.file",
  ["green.Process"] = "green.process",
  ["green.Response"] = "green.response",
  ["green.Semaphore"] = "green.semaphore",
  ["green.Server"] = "green.server",
  ["green.Task"] = "green.task",
  ["green.TempDir"] = "green.tempdir",
  ["green.db.sqlite.Connection"] = "green.db.sqlite.connection",
  ["green.db.sqlite.Cursor"] = "green.db.sqlite.cursor",
  ["green.net.listener"] = "green.listener",
  ["green.net.socket"] = "green.socket",
  ["green.net.udp"] = "green.udp",
  ["green.process.Reader"] = "green.pipe",
  ["green.process.Writer"] = "green.pipe",
  ["green.ws.socket"] = "green.ws",
}

local M = {}

-- ---- metatables ----

-- Returns the tables that hold a metatable's methods: its __index, or the tables among the upvalues of an __index function.
local function holders(metatable)
  local index = rawget(metatable, "__index")
  if index == nil then return { metatable } end
  if type(index) == "table" then return { index } end
  local list, i = {}, 1
  while true do
    local name, value = debug.getupvalue(index, i)
    if not name then return list end
    if type(value) == "table" and value ~= _G then table.insert(list, value) end
    i = i + 1
  end
end

local function functions_in(value, add)
  for _, each in next, value do
    if type(each) == "function" then add(each) end
  end
end

-- Calls add for what a value leads to: a function's upvalues, the functions of a class, and those one level deeper of a module. Tables of data
-- are not searched.
local function neighbours(value, is_module, add)
  local metatable = debug.getmetatable(value)
  if type(value) == "function" then
    for i = 1, 255 do
      local name, upvalue = debug.getupvalue(value, i)
      if not name then break end
      add(upvalue)
    end
  elseif metatable or is_module or rawget(value, "__name") or rawget(value, "__index") ~= nil then
    functions_in(value, add)
    for _, each in next, is_module and value or {} do
      if type(each) == "table" then
        add(each)
        functions_in(each, add)
      end
    end
    if metatable then add(metatable) end
  end
end

-- Calls visit(metatable) for the metatables that functions of the modules lead to, and for those in C's registry.
local function each_metatable(roots, visit)
  local seen, queue = { [_G] = true, [package.loaded] = true }, {}
  local function add(value)
    if type(value) ~= "function" and type(value) ~= "table" or seen[value] then return end
    seen[value] = true
    table.insert(queue, value)
  end
  for _, root in ipairs(roots) do add(root) end
  local modules, i = #queue, 1
  while queue[i] do
    if type(queue[i]) == "table" and rawget(queue[i], "__name") then visit(queue[i]) end
    neighbours(queue[i], i <= modules, add)
    i = i + 1
  end
  for key, value in next, debug.getregistry() do
    if type(key) == "string" and key:match "^green%." and type(value) == "table" then visit(value) end
  end
end

-- Returns { name of a metatable = { table that holds its methods } } of the loaded modules.
function M.methods()
  local found, roots = {}, {}
  for name, value in pairs(package.loaded) do
    if name:match "^green%f[.\0]" then table.insert(roots, value) end
  end
  each_metatable(roots, function(metatable)
    local name = rawget(metatable, "__name")
    if type(name) ~= "string" then return end
    found[name] = found[name] or {}
    for _, holder in ipairs(holders(metatable)) do table.insert(found[name], holder) end
  end)
  return found
end

-- Returns the name of a class's metatable.
function M.metatable_of(entry) return METATABLES[entry.name] or entry.name end

-- ---- looking up ----

local function stock_library(name)
  if name == "" then return _G end
  if name == "file" then return debug.getregistry()["FILE*"].__index end
  return package.loaded[name]
end

local function stock_value(entry)
  local library = stock_library(entry.library or entry.name)
  if not entry.head then return library end
  return type(library) == "table" and library[entry.key] or nil
end

local function value_of(entry, methods)
  if entry.kind == "stock" then return stock_value(entry) end
  if entry.kind == "module" then return package.loaded[entry.name] end
  if entry.kind == "function" then
    local module = package.loaded[entry.module]
    return entry.owner.kind == "module" and type(module) == "table" and module[entry.key] or nil
  end
  for _, holder in ipairs(entry.kind == "method" and methods[M.metatable_of(entry.owner)] or {}) do
    local method = rawget(holder, entry.key)
    if method then return method end
  end
end

local function class_called(name, index)
  for _, entry in ipairs(index.entries) do
    if entry.kind == "class" and M.metatable_of(entry) == name then return entry end
  end
  return index:module(name)
end

-- Returns the class of an object; for an instance of a model, the model's class.
local function class_of(value, index)
  local metatable = debug.getmetatable(value)
  for _ = 1, 8 do
    if type(metatable) ~= "table" then return nil end
    local name = rawget(metatable, "__name")
    local entry = type(name) == "string" and class_called(name, index)
    if entry then return entry end
    local parent = rawget(metatable, "__index")
    metatable = parent ~= metatable and type(parent) == "table" and parent or debug.getmetatable(metatable)
  end
end

-- Returns the entry of a function, a module or an object, nil for other values.
function M.find(index, value)
  local methods = M.methods()
  for _, entry in ipairs(index.entries) do
    if not entry.private and rawequal(value_of(entry, methods), value) then return entry end
  end
  if type(value) == "table" or type(value) == "userdata" then return class_of(value, index) end
end

return M
