-- SPDX-License-Identifier: MIT
-- Internal.
-- Statements of models that write rows. A spec has table, key, and if need be `timestamps` (created_at and updated_at are kept) and
-- `version` (a column that counts how often the row was changed). Each function returns SQL and its parameters, with their number in `n`.
local condition = require "green.model.condition"
local json = require "green.json"

local null, quote, bind = json.null, condition.quote, condition.bind

local M = {}

local function now() return os.date "!%Y-%m-%dT%H:%M:%SZ" end

-- Fills in what a new row has by itself.
local function complete(spec, row)
  if spec.timestamps then
    local time = now()
    if row.created_at == nil then row.created_at = time end
    if row.updated_at == nil then row.updated_at = time end
  end
  if spec.version and row[spec.version] == nil then row[spec.version] = 1 end
  return row
end

-- Returns the columns that a row has, in the order of the table's.
local function names_of(columns, row)
  local names = {}
  for _, name in ipairs(columns) do
    if row[name] ~= nil then names[#names + 1] = name end
  end
  return names
end

local function quoted(names)
  local list = {}
  for i, name in ipairs(names) do list[i] = quote(name) end
  return table.concat(list, ", ")
end

local function places(names, row, values)
  local list = {}
  for i, name in ipairs(names) do list[i] = bind(values, row[name]) end
  return "(" .. table.concat(list, ", ") .. ")"
end

-- Rows of the columns `names`, of which each row has all.
local function insert(spec, names, rows)
  local values, tuples = { n = 0 }, {}
  if #names == 0 then return ("INSERT INTO %s DEFAULT VALUES"):format(quote(spec.table)), values end
  for i, row in ipairs(rows) do tuples[i] = places(names, row, values) end
  return ("INSERT INTO %s (%s) VALUES %s"):format(quote(spec.table), quoted(names), table.concat(tuples, ", ")), values
end

-- One row. `fields` is a table of columns, and is filled in.
function M.insert(spec, columns, fields)
  local row = complete(spec, fields)
  local sql, values = insert(spec, names_of(columns, row), { row })
  return sql .. " RETURNING *", values
end

local MOST = 1000 -- parameters of a statement, which databases limit, the strictest to 32,766; more are not faster

-- Many rows: returns a list of { sql, values }. Rows one after the other that have the same columns go into one statement.
function M.insert_all(spec, columns, list)
  local statements, names, rows = {}, nil, {}
  local function flush()
    if #rows > 0 then statements[#statements + 1] = { insert(spec, names, rows) } end
    rows = {}
  end
  for _, row in ipairs(list) do
    local its = names_of(columns, complete(spec, row))
    local same = names and table.concat(its, "\0") == table.concat(names, "\0")
    if not same or #its == 0 or (#rows + 1) * #its > MOST then flush() end
    names = its
    rows[#rows + 1] = row
  end
  flush()
  return statements
end

-- A row that takes the place of one with the same values of `on`, of which only the columns `update` change.
function M.upsert(spec, columns, fields, on, update)
  local row = complete(spec, fields)
  local sql, values = insert(spec, names_of(columns, row), { row })
  local sets = {}
  for i, name in ipairs(update) do sets[i] = ("%s = excluded.%s"):format(quote(name), quote(name)) end
  if spec.timestamps then sets[#sets + 1] = '"updated_at" = excluded."updated_at"' end
  if spec.version then sets[#sets + 1] = ("%s = %s.%s + 1"):format(quote(spec.version), quote(spec.table), quote(spec.version)) end
  if #sets == 0 then sets[1] = ("%s = excluded.%s"):format(quote(on[1]), quote(on[1])) end -- DO NOTHING would return no row
  return ("%s ON CONFLICT (%s) DO UPDATE SET %s RETURNING *"):format(sql, quoted(on), table.concat(sets, ", ")), values
end

-- The columns in which an instance differs from what the database had; nil: it does not.
function M.update(spec, columns, instance, before)
  local sets, values = {}, { n = 0 }
  local changed = {}
  for _, name in ipairs(columns) do
    local value = rawget(instance, name)
    if value ~= before[name] then changed[name] = value == nil and null or value end
  end
  if next(changed) == nil then return nil end
  if spec.timestamps and changed.updated_at == nil then changed.updated_at = now() end
  if spec.version then changed[spec.version] = nil end
  for _, name in ipairs(columns) do
    if changed[name] ~= nil then sets[#sets + 1] = ("%s = %s"):format(quote(name), bind(values, changed[name])) end
  end
  local where = ("%s = %s"):format(quote(spec.key), bind(values, before[spec.key]))
  if spec.version then
    local column = quote(spec.version)
    sets[#sets + 1] = ("%s = %s + 1"):format(column, column)
    where = ("%s AND %s = %s"):format(where, column, bind(values, before[spec.version]))
  end
  return ("UPDATE %s SET %s WHERE %s RETURNING *"):format(quote(spec.table), table.concat(sets, ", "), where), values
end

return M
