-- SPDX-License-Identifier: MIT
-- Internal.
-- Queries of models: which rows, in which order, and how many. A query is a value: each step returns another one and leaves its own as it
-- is, so that a query can be kept and narrowed by many. Nothing is asked before a function that ends it.
--
-- The source of a query, which green.model gives, has db, table, key, relations, check(columns) and adopt(row) -> instance.
local condition = require "green.model.condition"
local fault = require "green.error"
local json = require "green.json"
local options = require "green.options"
local relations = require "green.model.relations"

local quote = condition.quote

local Query = { __name = "green.model.Query" }

-- What a query is made of, under no name: an instance of a model is a plain table, and a query is none.
local PARTS = {}

Query.__index = setmetatable(Query, { __index = function(_, name)
  if math.type(name) == "integer" then fault.misuse("a query is no list: query:all() returns one, query:each() goes over the rows") end
end })

function Query.__len() fault.misuse "a query has no length: query:count() counts the rows, query:all() returns a list" end
Query.__pairs = Query.__len

local function parts_of(self, method)
  local parts = type(self) == "table" and getmetatable(self) == Query and rawget(self, PARTS)
  if not parts then fault.misuse("use query:%s(...), not query.%s(...)", method, method) end
  return parts
end

-- Returns the same query with other parts.
local function with(parts, changes)
  local copy = {}
  for name, part in pairs(parts) do copy[name] = part end
  for name, part in pairs(changes) do copy[name] = part end
  return setmetatable({ [PARTS] = copy }, Query)
end

-- ---- steps ----

-- Returns the query's parameters, to which others are added for one statement or another query.
local function copy_of(values) return table.move(values, 1, values.n, 1, { n = values.n }) end

function Query:where(...)
  local parts = parts_of(self, "where")
  local values = copy_of(parts.values)
  local sql = condition.sql(parts.source.check, values, ...)
  if sql == "" then return self end
  return with(parts, { where = (parts.where == "" and " WHERE " or parts.where .. " AND ") .. sql, values = values, known = false })
end

-- "total", "total DESC": a column, and nothing else that SQL could be.
local function order_of(source, text)
  if type(text) ~= "string" then fault.misuse("query:order: columns expected, as 'total' or 'total DESC', got %s", type(text)) end
  local words = {}
  for word in text:gmatch "%S+" do words[#words + 1] = word end
  local name, direction = words[1], (words[2] or "ASC"):upper()
  if not name or words[3] or not (direction == "ASC" or direction == "DESC") then
    fault.misuse("query:order: a column, and ASC or DESC, expected, not '%s'", text)
  end
  source.check { [name] = true }
  return quote(name) .. (direction == "DESC" and " DESC" or "")
end

function Query:order(...)
  local parts = parts_of(self, "order")
  local orders = {}
  for i, text in ipairs { ... } do orders[i] = order_of(parts.source, text) end
  return with(parts, { orders = orders, known = false })
end

local function number(self, name, n)
  local parts = parts_of(self, name)
  options.argument("query:" .. name, "n", n, "whole")
  return with(parts, { [name] = math.tointeger(n), known = false })
end

function Query:limit(n) return number(self, "limit", n) end

function Query:offset(n) return number(self, "offset", n) end

-- Preloads relations: `all` and `first` ask for the rows of each for all instances at once.
function Query:with(...)
  local parts = parts_of(self, "with")
  local preloads = table.move(parts.preloads, 1, #parts.preloads, 1, {})
  for _, name in ipairs { ... } do
    local relation = parts.source.relations[name]
    if not relation then fault.misuse("query:with: the model has no relation '%s'", tostring(name)) end
    preloads[#preloads + 1] = relation
  end
  return with(parts, { preloads = preloads })
end

-- Internal: the same query, of which the rows are known already.
function Query:known(rows) return with(parts_of(self, "known"), { known = rows }) end

-- ---- SQL ----

local function order_sql(parts)
  if #parts.orders == 0 then return " ORDER BY " .. quote(parts.source.key) end
  return " ORDER BY " .. table.concat(parts.orders, ", ")
end

-- SQLite has no OFFSET without LIMIT.
local function window_sql(parts)
  if parts.offset then return (" LIMIT %d OFFSET %d"):format(parts.limit or math.maxinteger, parts.offset) end
  return parts.limit and " LIMIT " .. parts.limit or ""
end

local function select_sql(parts, what)
  return ("SELECT %s FROM %s%s%s%s"):format(what, quote(parts.source.table), parts.where, order_sql(parts), window_sql(parts))
end

local function run(parts, method, sql, values)
  local db = parts.source.db
  values = values or parts.values
  return db[method](db, sql, table.unpack(values, 1, values.n))
end

-- ---- ends that read ----

function Query:all()
  local parts = parts_of(self, "all")
  local list = json.array()
  if parts.known then
    table.move(parts.known, 1, #parts.known, 1, list)
  else
    for i, row in ipairs(run(parts, "query", select_sql(parts, "*"))) do list[i] = parts.source.adopt(row) end
  end
  for _, relation in ipairs(parts.preloads) do relations.preload(relation, list) end
  return list
end

function Query:each()
  local parts = parts_of(self, "each")
  if #parts.preloads > 0 then fault.misuse "query:each: it reads row by row, and preloads nothing: use query:all" end
  local next_row, rows, _, closing = run(parts, "rows", select_sql(parts, "*"))
  local function next_instance()
    local row = next_row(rows)
    return row and parts.source.adopt(row)
  end
  return next_instance, nil, nil, closing
end

function Query:first()
  local parts = parts_of(self, "first")
  if parts.limit == 0 then return nil end
  local instance = parts.known and parts.known[1]
  if not parts.known then
    local row = run(parts, "one", select_sql(rawget(with(parts, { limit = 1 }), PARTS), "*"))
    instance = row and parts.source.adopt(row)
  end
  for _, relation in ipairs(instance and parts.preloads or {}) do relations.preload(relation, { instance }) end
  return instance
end

-- The window counts, too: so that a query has as many rows as it says.
local function counted(parts, what) return run(parts, "value", what:format(select_sql(parts, "1 AS one"))) end

function Query:count()
  local parts = parts_of(self, "count")
  if parts.known then return #parts.known end
  if parts.limit or parts.offset then return counted(parts, "SELECT count(*) FROM (%s) AS counted") end
  return run(parts, "value", ("SELECT count(*) FROM %s%s"):format(quote(parts.source.table), parts.where))
end

function Query:exists()
  local parts = parts_of(self, "exists")
  return counted(parts, "SELECT count(*) FROM (SELECT 1 AS one FROM (%s) AS found LIMIT 1) AS counted") > 0
end

-- Returns a list of the values of a column, or of tables of several columns.
function Query:pluck(name, ...)
  local parts = parts_of(self, "pluck")
  local names, quoted = { name, ... }, {}
  if type(name) ~= "string" then fault.misuse("query:pluck: the name of a column expected, got %s", type(name)) end
  for i, each in ipairs(names) do
    parts.source.check { [each] = true }
    quoted[i] = quote(each)
  end
  local list = json.array()
  for i, row in ipairs(run(parts, "query", select_sql(parts, table.concat(quoted, ", ")))) do
    if #names > 1 then list[i] = row else list[i] = row[name] == nil and json.null or row[name] end
  end
  return list
end

-- ---- ends that write ----

-- Runs a statement that writes, which has no window of its own, on the rows, and returns how many there were.
local function write(parts, sql, values)
  local where = parts.where
  if parts.limit or parts.offset then
    local key = quote(parts.source.key)
    where = (" WHERE %s IN (%s)"):format(key, select_sql(parts, key))
  end
  return (run(parts, "exec", sql .. where, values))
end

-- Sets columns of all rows, and returns how many there were.
function Query:update(fields)
  local parts = parts_of(self, "update")
  parts.source.check(options.argument("query:update", "fields", fields, "table"))
  local names, sets, values = {}, {}, copy_of(parts.values)
  for name in pairs(fields) do names[#names + 1] = name end
  if #names == 0 then return 0 end
  table.sort(names)
  for i, name in ipairs(names) do sets[i] = ("%s = %s"):format(quote(name), condition.bind(values, fields[name])) end
  return write(parts, ("UPDATE %s SET %s"):format(quote(parts.source.table), table.concat(sets, ", ")), values)
end

-- Adds `by` to a column of all rows, in the database, so that nobody's change is lost; returns how many there were.
function Query:increment(name, by)
  local parts = parts_of(self, "increment")
  by = options.argument("query:increment", "by", by == nil and 1 or by, "number")
  if type(name) ~= "string" then fault.misuse("query:increment: the name of a column expected, got %s", type(name)) end
  parts.source.check { [name] = true }
  local column, values = quote(name), copy_of(parts.values)
  return write(parts, ("UPDATE %s SET %s = %s + %s"):format(quote(parts.source.table), column, column, condition.bind(values, by)), values)
end

function Query:delete()
  local parts = parts_of(self, "delete")
  return write(parts, "DELETE FROM " .. quote(parts.source.table))
end

-- Returns the query of all rows of a source.
return function(source) return with({ source = source, where = "", values = { n = 0 }, orders = {}, preloads = {}, known = false }, {}) end
