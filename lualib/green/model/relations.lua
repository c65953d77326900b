-- SPDX-License-Identifier: MIT
-- Internal.
-- Relations between models: methods of instances that ask for other rows, and what was asked for many instances at once (query:with), so
-- that a list of n costs one query more, and not n.
--
-- A relation is { name =, kind = "one" | "many", other = the model of the rows, own = the column of ours, theirs = the column of theirs
-- with the same value, check() = raises if we have no such column }; one that goes through a third table has `through` = { model =,
-- table =, own =, theirs = }, too: the columns there that have our key, and theirs.
local condition = require "green.model.condition"
local fault = require "green.error"

local quote = condition.quote

local M = {}

local MOST = 1000 -- values that are asked for in one query

-- What was preloaded: by instance, by the relation's name, { key = the value it was asked for, rows = a list }.
local loaded = setmetatable({}, { __mode = "k" })

function M.forget(instance) loaded[instance] = nil end

local function keep(instance, relation, rows)
  local all = loaded[instance] or {}
  loaded[instance] = all
  all[relation.name] = { key = instance[relation.own], rows = rows }
end

-- Returns the rows that were preloaded, unless the instance has another key since.
local function kept(instance, relation)
  local entry = (loaded[instance] or {})[relation.name]
  return entry and entry.key == instance[relation.own] and entry.rows
end

-- ---- of one instance ----

-- The rows of one instance, as a query.
local function rows_of(relation, instance)
  local key, through = instance[relation.own], relation.through
  if key == nil then return relation.other:where "1 = 0" end
  if not through then return relation.other:where { [relation.theirs] = key } end
  local sql = ("%s IN (SELECT %s FROM %s WHERE %s = $1)"):format(
    quote(relation.theirs), quote(through.theirs), quote(through.table), quote(through.own))
  return relation.other:where(sql, key)
end

-- Returns the row, or a query of the rows.
function M.fetch(relation, instance)
  relation.check()
  local rows = kept(instance, relation)
  if relation.kind == "one" then
    if rows then return rows[1] end
    return rows_of(relation, instance):first()
  end
  local query = rows_of(relation, instance)
  return rows and query:known(rows) or query
end

-- ---- of many ----

-- Calls fn(list) with at most MOST of the values at a time, each of which is there once.
local function in_portions(values, fn)
  local seen, portion = {}, {}
  for _, value in ipairs(values) do
    if not seen[value] then
      seen[value] = true
      portion[#portion + 1] = value
      if #portion == MOST then
        fn(portion)
        portion = {}
      end
    end
  end
  if #portion > 0 then fn(portion) end
end

local function values_of(list, name)
  local values = {}
  for _, each in ipairs(list) do
    local value = each[name]
    if value ~= nil then values[#values + 1] = value end
  end
  return values
end

-- Returns lists of rows by the value of a column.
local function grouped(model, name, values)
  local groups = {}
  in_portions(values, function(portion)
    for _, row in ipairs(model:where({ [name] = portion }):all()) do
      local group = groups[row[name]] or {}
      groups[row[name]] = group
      group[#group + 1] = row
    end
  end)
  return groups
end

-- Returns lists of rows by our key, in the order of theirs.
local function grouped_through(relation, keys)
  local through = relation.through
  local links = grouped(through.model, through.own, keys)
  local wanted = {}
  for _, list in pairs(links) do
    for _, link in ipairs(list) do wanted[#wanted + 1] = link[through.theirs] end
  end
  local rows, groups = grouped(relation.other, relation.theirs, wanted), {}
  for key, list in pairs(links) do
    local group, seen = {}, {}
    for _, link in ipairs(list) do
      local row = (rows[link[through.theirs]] or {})[1]
      if row and not seen[row] then
        seen[row] = true
        group[#group + 1] = row
      end
    end
    table.sort(group, function(a, b) return a[relation.theirs] < b[relation.theirs] end)
    groups[key] = group
  end
  return groups
end

-- Asks for the rows of all instances of a list.
function M.preload(relation, list)
  relation.check()
  local keys = values_of(list, relation.own)
  local groups = relation.through and grouped_through(relation, keys) or grouped(relation.other, relation.theirs, keys)
  for _, instance in ipairs(list) do
    local key = instance[relation.own]
    keep(instance, relation, key ~= nil and groups[key] or {})
  end
end

-- ---- declaring ----

-- Adds a relation to a class, whose `relations` are in its spec. `of_class` has the functions of the class itself, `of_rows` what its rows
-- have already: a relation may be called `order`, which is something else of a row than of the class.
function M.add(class, kept_in, relation, of_class, of_rows)
  local name = relation.name
  if type(name) ~= "string" then fault.misuse("a relation: its name expected, got %s", type(name)) end
  if rawget(class, name) ~= nil or of_rows[name] then fault.misuse("a relation '%s': the model has something of this name already", name) end
  kept_in[name] = relation
  class[name] = function(self, ...)
    if self == class and of_class[name] then return of_class[name](self, ...) end
    if type(self) ~= "table" or self == class then fault.misuse("use instance:%s(), of a row", name) end
    return M.fetch(relation, self)
  end
end

return M
