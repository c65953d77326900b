-- SPDX-License-Identifier: MIT
-- Models: a class for a table, whose instances are its rows. Order.total is the column; methods added to Order
-- are its own; an instance is a plain table of its columns, so returning one from a handler is JSON.
local condition = require "green.model.condition"
local fault = require "green.error"
local options = require "green.options"
local query = require "green.model.query"
local relations = require "green.model.relations"
local statement = require "green.model.statement"

local quote = condition.quote

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
  local function need(name, why)
    if name and not columns[name] then fault.raise("db.model", "ENOENT", "table '%s' has no column '%s' %s", spec.table, name, why) end
  end
  need(spec.key, "to find rows by")
  need(spec.version, "to count its changes in")
  need(spec.timestamps and "created_at", "for the timestamps")
  need(spec.timestamps and "updated_at", "for the timestamps")
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
    adopt = function(row) return adopt(spec.class, row) end, relations = spec.relations,
  }
  return spec.query
end

-- ---- statements ----

local function one(spec, sql, values) return spec.db:one(sql, table.unpack(values, 1, values.n)) end

local function copy_of(columns, fields)
  local copy = {}
  for _, name in ipairs(columns) do copy[name] = rawget(fields, name) end
  return copy
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
for _, name in ipairs { "where", "order", "limit", "offset", "with", "all", "pluck" } do
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

-- Rows of plain tables of columns, all or none; returns their number.
function Model:insert_all(list)
  local spec = spec_of(self, "insert_all")
  options.argument("Model:insert_all", "list", list, "table")
  local columns, rows = columns_of(spec), {}
  for i, fields in ipairs(list) do
    check_fields(spec, options.argument("Model:insert_all", "list[" .. i .. "]", fields, "table"))
    rows[i] = copy_of(columns, fields)
  end
  if #rows == 0 then return 0 end
  spec.db:transaction(function()
    for _, each in ipairs(statement.insert_all(spec, columns, rows)) do
      local sql, values = each[1], each[2]
      spec.db:exec(sql, table.unpack(values, 1, values.n))
    end
  end)
  return #rows
end

local UPSERT = { on = "string|table", update = "table" }

local function names_in(spec, what, list)
  for i, name in ipairs(list) do
    if type(name) ~= "string" then fault.misuse("Model:upsert: option '%s': [%d]: the name of a column expected", what, i) end
    check_fields(spec, { [name] = true })
  end
  return list
end

-- Returns the columns that a row's values of which may be there already, and those that change then.
local function upsert_columns(spec, columns, fields, set)
  local on = type(set.on) == "string" and { set.on } or set.on or { spec.key }
  if #on == 0 then fault.misuse "Model:upsert: option 'on': columns expected" end
  local fixed = { created_at = spec.timestamps, updated_at = spec.timestamps }
  if spec.version then fixed[spec.version] = true end
  for _, name in ipairs(names_in(spec, "on", on)) do fixed[name] = true end
  if set.update then return on, names_in(spec, "update", set.update) end
  local update = {}
  for _, name in ipairs(columns) do
    if fields[name] ~= nil and not fixed[name] then update[#update + 1] = name end
  end
  return on, update
end

-- Inserts a row, or changes the one that is there with the same key.
function Model:upsert(fields, how)
  local spec = spec_of(self, "upsert")
  local set = options.check("Model:upsert", how, UPSERT)
  local columns = check_fields(spec, options.argument("Model:upsert", "fields", fields, "table"))
  local row = copy_of(columns, fields)
  local on, changes = upsert_columns(spec, columns, row, set)
  return adopt(spec.class, one(spec, statement.upsert(spec, columns, row, on, changes)))
end

function Model:find(key)
  local spec = spec_of(self, "find")
  if key == nil then fault.misuse("find: a key expected, got nil") end
  return self:first { [spec.key] = key }
end

-- ---- relations ----

local OF_ROWS = { save = true, delete = true, reload = true, increment = true }

local function relate(class, spec, relation)
  function relation.check() check_fields(spec, { [relation.own] = true }) end
  relations.add(class, spec.relations, relation, Model, OF_ROWS)
end

-- Returns what a model knows of its table.
local function other_spec(where, other)
  local spec = type(other) == "table" and other[SPEC]
  if not spec or other ~= spec.class then fault.misuse("%s: a model expected, got %s", where, type(other)) end
  return spec
end

-- Each row has one of another model, whose key it has in a column.
function Model:belongs_to(name, other, how)
  local spec, theirs = spec_of(self, "belongs_to"), other_spec("Model:belongs_to", other)
  local set = options.check("Model:belongs_to", how, { key = "string" })
  relate(self, spec, { name = name, kind = "one", other = other, own = set.key or tostring(name) .. "_id", theirs = theirs.key })
end

local MANY = { key = "string", through = "table", other_key = "string" }

-- Each row has those of another model that have its key in a column; or whose keys stand beside it in the rows of a third.
function Model:has_many(name, other, how)
  local spec, theirs = spec_of(self, "has_many"), other_spec("Model:has_many", other)
  local set = options.check("Model:has_many", how, MANY)
  local relation = { name = name, kind = "many", other = other, own = spec.key, theirs = set.key }
  if not set.key then fault.misuse "Model:has_many: option 'key': the column with the key of ours expected" end
  if (set.through == nil) ~= (set.other_key == nil) then fault.misuse "Model:has_many: options 'through' and 'other_key' go together" end
  if set.through then
    local third = other_spec("Model:has_many: option 'through'", set.through)
    relation.theirs = theirs.key
    relation.through = { model = set.through, table = third.table, own = set.key, theirs = set.other_key }
  end
  relate(self, spec, relation)
end

-- ---- instances ----

local function insert(self, spec, columns) return one(spec, statement.insert(spec, columns, copy_of(columns, self))) end

local function gone(spec, key)
  fault.raise("db.model", "ENOENT", "table '%s' has no row with %s = %s any more", spec.table, spec.key, tostring(key))
end

local function stale(spec, key)
  local there = spec.version and spec.db:one(("SELECT 1 AS there FROM %s WHERE %s = $1"):format(quote(spec.table), quote(spec.key)), key)
  if not there then gone(spec, key) end
  fault.raise("db.model", "ESTALE", "the row of '%s' with %s = %s was changed by somebody else since it was read: reload it",
    spec.table, spec.key, tostring(key))
end

local function update(self, spec, columns, before)
  local sql, values = statement.update(spec, columns, self, before)
  if not sql then return before end
  return one(spec, sql, values) or stale(spec, before[spec.key])
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
  local version = spec.version and (", %s = %s + 1"):format(quote(spec.version), quote(spec.version)) or ""
  local sql = ("UPDATE %s SET %s = %s + $1%s WHERE %s = $2 RETURNING *"):format(quote(spec.table), column, column, version, quote(spec.key))
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
  relations.forget(self)
  local row = spec.db:one(("SELECT * FROM %s WHERE %s = $1"):format(quote(spec.table), quote(spec.key)), key)
  return refresh(self, row or gone(spec, key))
end

local KNOWN = { key = "string", timestamps = "boolean", version = "string" }

-- model(db, "orders" [, { key = "order_id" }])
return function(db, name, opts)
  if type(db) ~= "table" or not db.query then fault.misuse("model: a database (of db.connect) expected, got %s", type(db)) end
  if type(name) ~= "string" then fault.misuse("model: the name of a table expected, got %s", type(name)) end
  local set = options.check("model", opts, KNOWN)
  local spec = { db = db, table = name, key = set.key or "id", timestamps = set.timestamps or false, version = set.version or false, relations = {} }
  local class = setmetatable({ [SPEC] = spec }, { __index = Model })
  class.__index = class
  spec.class = class
  db.models = db.models or {} -- by table, for the prompt of `greenlua db`
  db.models[name] = class
  return class
end
