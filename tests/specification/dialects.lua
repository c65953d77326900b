-- SPDX-License-Identifier: MIT
-- What the specification of green.db has to know of each database that it is run against:
--
--     fresh()          -> a place, { url =, close() }: an empty database of its own, as long as the place is not closed
--     alone            options of db.connect with which all that writes goes over one connection
--     shared           several connections, and several pools of one URL, see the same data
--     serial           transactions that write run one after the other, whatever they read
--     last_id          exec() and query() say the key of the row that was inserted last
--     key              of a column: a primary key of integers that the database counts up
--     endless          a query that ends only when it is stopped
--     numbers          a query of `i` from 1 to $1
--     untransacted     a statement that no transaction can hold
--     codes            of errors: unique, foreign_key, syntax, ended (the transaction was ended by hand),
--                      busy (a transaction that may be begun anew), read_only (one that only reads writes)
--     unique           the message about t.v, as a text
local fs = require "green.fs"

local NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) SELECT i FROM n"

local M = {}

local function sqlite(name, fields)
  local dialect = {
    name = name,
    alone = {},
    serial = true,
    last_id = true,
    key = "INTEGER PRIMARY KEY",
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    numbers = NUMBERS,
    untransacted = "VACUUM",
    codes = {
      unique = "SQLITE_CONSTRAINT_UNIQUE", foreign_key = "SQLITE_CONSTRAINT_FOREIGNKEY", syntax = "SQLITE_ERROR", ended = "SQLITE_ABORT",
      busy = "SQLITE_BUSY", read_only = "SQLITE_READONLY",
    },
    unique = "UNIQUE constraint failed: t.v",
  }
  for field, value in pairs(fields) do dialect[field] = value end
  return dialect
end

M.memory = sqlite("in memory", {
  shared = false,
  fresh = function() return { url = "sqlite::memory:", close = function() end } end,
})

M.file = sqlite("on a file", {
  shared = true,
  fresh = function()
    local dir = fs.temp_dir()
    return { url = "sqlite:" .. fs.join(dir.path, "a.db"), close = function() dir:close() end }
  end,
})

return M
