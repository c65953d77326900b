-- SPDX-License-Identifier: MIT
-- Models: a class for a table, whose instances are its rows. Order.total is the column; methods added to Order
-- are its own; an instance is a plain table of its columns, so returning one from a handler is JSON.
local condition = require "green.model.condition"
local fault = require "green.error"
local json = require "green.json"
local options = require "green.options"
local query = require "green.model.query"

local null, quote = json.null, condition.quote

local Model = { __name = "green.Model" }

-- What the database holds of each instance that is stored in it: save() writes only what differs, so that two
-- tasks that change different columns of a row do not undo each other.
local stored = setmetatable({}, { __mode = "k" })

-- What a class knows of its table: under no name, so that no column is hidden by it.
local SPEC = {}

-- Of a class, or of an instance by its class.
local function spec_of(self, method)
  local spec = type(self) == "table" and self[SPEC]
  if not spec then fault.misuse("use Model:%s(...), not Model.%s(...), whatever the model is called", method, method) end
  return spec
end

-- ---- columns: learned once from the database ----

local function learn(spec)
  local columns = {}
  for _, column in ipairs(spec.db:columns(spec.table)) do
    columns[#columns + 1] = column.name
    columns[column.name] = true
  end
  if #columns == 0 then fault.raise("db.model", "ENOENT", "there is no table '%s'", spec.table) end
  if not columns[spec.key] then fault.raise("db.model", "ENOENT", "table '%s' has no column '%s' to find rows by", spec.table, spec.key) end
  return columns
end

local function columns_of(spec)
  spec.columns = spec.columns or learn(spec)
  return spec.columns
end

local function check_fields(spec, fields)
  local columns = columns_of(spec)
  for name in pairs(fields) do
    if not columns[name] then
      fault.raise("db.model", "EINVAL", "table '%s' has no column '%s' (it has %s)", spec.table, tostring(name), table.concat(columns, ", "))
    end
  end
  return columns
end

-- ---- rows into instances ----

local function remember(instance)
  local copy = {}
  for name, value in pairs(instance) do copy[name] = value end
  stored[instance] = copy
  return instance
end

local function refresh(instance, row)
  for _, name in ipairs(columns_of(instance[SPEC])) do instance[name] = row[name] end
  return remember(instance)
end

local function adopt(class, row)
  return remember(setmetatable(row, class))
end

-- ---- queries ----

-- Returns the query of all rows.
local function all_of(self, method)
  local spec = spec_of(self, method)
  spec.query = spec.query or query {
    db = spec.db, table = spec.table, key = spec.key, check = function(columns) check_fields(spec, columns) end,
    adopt = function(row) return adopt(spec.class, row) end,
  }
  return spec.query
end

-- ---- class functions ----

function Model:new(fields)
  local spec = spec_of(self, "new")
  fields = options.argument("Model:new", "fields", fields or {}, "table")
  check_fields(spec, fields)
  local instance = setmetatable({}, self)
  for name, value in pairs(fields) do instance[name] = value end
  return instance
end

-- The same row, now in the database.
function Model:create(fields)
  spec_of(self, "create")
  return self:new(fields):save()
end

-- Steps of a query, from all rows on.
for _, name in ipairs { "where", "order", "limit", "offset", "all", "pluck" } do
  Model[name] = function(self, ...)
    local rows = all_of(self, name)
    return rows[name](rows, ...)
  end
end

-- Ends of a query, with its condition.
for _, name in ipairs { "each", "first", "count", "exists" } do
  Model[name] = function(self, ...)
    local rows = all_of(self, name):where(...)
    return rows[name](rows)
  end
end

function Model:find(key)
  local spec = spec_of(self, "find")
  if key == nil then fault.misuse("find: a key expected, got nil") end
  return self:first { [spec.key] = key }
end

-- ---- instances ----

local function insert(self, spec, columns)
  local names, places, values = {}, {}, {}
  for _, name in ipairs(columns) do
    local value = rawget(self, name)
    if value ~= nil then
      values[#values + 1] = value
      names[#names + 1] = quote(name)
      places[#places + 1] = "$" .. #values
    end
  end
  local what = #names == 0 and "DEFAULT VALUES" or ("(%s) VALUES (%s)"):format(table.concat(names, ", "), table.concat(places, ", "))
  return spec.db:one(("INSERT INTO %s %s RETURNING *"):format(quote(spec.table), what), table.unpack(values))
end

local function gone(spec, key)
  fault.raise("db.model", "ENOENT", "table '%s' has no row with %s = %s any more", spec.table, spec.key, tostring(key))
end

local function update(self, spec, columns, before)
  local sets, values = {}, { before[spec.key] }
  for _, name in ipairs(columns) do
    local value = rawget(self, name)
    if value ~= before[name] then
      if value == nil then value = null end
      values[#values + 1] = value
      sets[#sets + 1] = ("%s = $%d"):format(quote(name), #values)
    end
  end
  if #sets == 0 then return before end
  local sql = ("UPDATE %s SET %s WHERE %s = $1 RETURNING *"):format(quote(spec.table), table.concat(sets, ", "), quote(spec.key))
  return spec.db:one(sql, table.unpack(values)) or gone(spec, values[1])
end

-- INSERT, or UPDATE of what was loaded or saved before. Afterwards the instance has what the database has:
-- its id, its defaults.
function Model:save()
  local spec = spec_of(self, "save")
  local columns = check_fields(spec, self)
  local before = stored[self]
  return refresh(self, before and update(self, spec, columns, before) or insert(self, spec, columns))
end

local function key_of(self, spec)
  local before = stored[self]
  local key = before and before[spec.key] or rawget(self, spec.key)
  if key == nil then fault.raise("db.model", "EINVAL", "this row of '%s' was never saved", spec.table) end
  return key
end

-- Adds to a column in the database, so that nobody else's change is lost, and has what the row is afterwards.
function Model:increment(name, by)
  local spec = spec_of(self, "increment")
  by = options.argument("increment", "by", by == nil and 1 or by, "number")
  check_fields(spec, { [name == nil and "" or name] = true })
  local key, column = key_of(self, spec), quote(name)
  local sql = ("UPDATE %s SET %s = %s + $1 WHERE %s = $2 RETURNING *"):format(quote(spec.table), column, column, quote(spec.key))
  return refresh(self, spec.db:one(sql, by, key) or gone(spec, key))
end

-- Deletes the row. Returns false when it was gone already.
function Model:delete()
  local spec = spec_of(self, "delete")
  local affected = spec.db:exec(("DELETE FROM %s WHERE %s = $1"):format(quote(spec.table), quote(spec.key)), key_of(self, spec))
  stored[self] = nil
  return affected > 0
end

function Model:reload()
  local spec = spec_of(self, "reload")
  local key = key_of(self, spec)
  local row = spec.db:one(("SELECT * FROM %s WHERE %s = $1"):format(quote(spec.table), quote(spec.key)), key)
  return refresh(self, row or gone(spec, key))
end

-- model(db, "orders" [, { key = "order_id" }])
return function(db, name, opts)
  if type(db) ~= "table" or not db.query then fault.misuse("model: a database (of db.connect) expected, got %s", type(db)) end
  if type(name) ~= "string" then fault.misuse("model: the name of a table expected, got %s", type(name)) end
  local key = options.check("model", opts, { key = "string" }).key or "id"
  local class = setmetatable({ [SPEC] = { db = db, table = name, key = key } }, { __index = Model })
  class.__index = class
  class[SPEC].class = class
  db.models = db.models or {} -- by table, for the prompt of `greenlua db`
  db.models[name] = class
  return class
end
