-- SPDX-License-Identifier: MIT
-- Internal.
-- Conditions of models: SQL with its own $1, $2, ..., or a table of columns, become the SQL of a statement that has other parameters, too.
local fault = require "green.error"
local json = require "green.json"

local null = json.null

local M = {}

function M.quote(name) return '"' .. name:gsub('"', '""') .. '"' end

local OPERATORS = {
  ["="] = "=", ["~="] = "<>", ["!="] = "<>", ["<>"] = "<>", ["<"] = "<", ["<="] = "<=", [">"] = ">", [">="] = ">=", like = "LIKE",
}

-- Adds a parameter, and returns its place.
local function bind(values, value)
  local n = values.n + 1
  values.n, values[n] = n, value
  return "$" .. n
end

M.bind = bind

-- One of a list, or none of it.
local function in_list(column, operator, list, values)
  local places = {}
  for i, value in ipairs(list) do
    if value == null then fault.misuse("a condition on %s: a list cannot hold null, with which nothing compares: ask for it by itself", column) end
    places[i] = bind(values, value)
  end
  if #places == 0 then return operator == "=" and "1 = 0" or "1 = 1" end
  return ("%s %s (%s)"):format(column, operator == "=" and "IN" or "NOT IN", table.concat(places, ", "))
end

local function compare(column, operator, value, values)
  local sql = OPERATORS[operator]
  local equality = sql == "=" or sql == "<>"
  if not sql then
    fault.misuse("a condition on %s: '%s' is no operator: =, ~=, <, <=, >, >= or like expected", column, tostring(operator))
  elseif value == null then
    if not equality then fault.misuse("a condition on %s: nothing is %s null", column, operator) end
    return column .. (sql == "=" and " IS NULL" or " IS NOT NULL")
  elseif type(value) == "table" then
    if not equality then fault.misuse("a condition on %s: a list is compared by = or ~=, not by %s", column, operator) end
    return in_list(column, sql, value, values)
  end
  return ("%s %s %s"):format(column, sql, bind(values, value))
end

local function sorted_keys(map)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  return keys
end

local function is_list(value) return next(value) == nil or value[1] ~= nil end

-- The names are sorted, so that the same condition is the same statement.
local function of_columns(columns, values)
  local parts = {}
  for _, name in ipairs(sorted_keys(columns)) do
    local column, value = M.quote(name), columns[name]
    if type(value) == "table" and not is_list(value) then
      for _, operator in ipairs(sorted_keys(value)) do parts[#parts + 1] = compare(column, operator, value[operator], values) end
    else
      parts[#parts + 1] = compare(column, "=", value, values)
    end
  end
  return table.concat(parts, " AND ")
end

-- Moves $1, $2, ... behind the parameters that are there, but for what is quoted.
local function renumbered(sql, base)
  local out, at = {}, 1
  while true do
    local from = sql:find("['\"$]", at)
    if not from then break end
    local to
    if sql:sub(from, from) == "$" then
      local digits = sql:match("^%d+", from + 1)
      to = from + (digits and #digits or 0)
      out[#out + 1] = sql:sub(at, from - 1) .. (digits and "$" .. tonumber(digits) + base or "$")
    else
      to = sql:find(sql:sub(from, from), from + 1, true) or #sql
      out[#out + 1] = sql:sub(at, to)
    end
    at = to + 1
  end
  return table.concat(out) .. sql:sub(at)
end

local function of_sql(sql, values, ...)
  local base = values.n
  for i = 1, select("#", ...) do bind(values, (select(i, ...))) end
  return "(" .. (base > 0 and renumbered(sql, base) or sql) .. ")"
end

-- Returns the SQL of a condition ("": there is none), and adds its parameters to `values`, a list with its length in `n`. check(columns)
-- raises for a name that is no column.
function M.sql(check, values, condition, ...)
  if condition == nil then return "" end
  if type(condition) == "string" then return of_sql(condition, values, ...) end
  if type(condition) ~= "table" then fault.misuse("a table of columns or an SQL condition expected, got %s", type(condition)) end
  check(condition)
  return of_columns(condition, values)
end

return M
