-- SPDX-License-Identifier: MIT
-- Internal.
-- What the statements of jobs say differently to SQLite and to PostgreSQL. Times are seconds since 1970, of the database's clock: the machines
-- that share a database need not agree on theirs. Lists travel as JSON, so that a statement has one text, however long they are.
--
--     now              this moment
--     key              of a column: integers that are counted up and never used again, even when their rows are gone
--     peeks            a look beforehand, whether anything is due, is worth it: it keeps a writer from waiting for nothing
--     skip             behind a SELECT: rows that another transaction has locked are passed over
--     lock             a statement before the tables are made: others who would make them wait; nil: they do so anyway
--     any(select)      the set of what a subquery selects, which runs once
--     texts(p), ids(p) the sets in a list that is bound as `p`
local M = {}

M.sqlite = {
  now = "((julianday('now') - 2440587.5) * 86400.0)",
  key = "INTEGER PRIMARY KEY AUTOINCREMENT",
  peeks = true,
  skip = "",
  any = function(select) return ("IN (%s)"):format(select) end,
  texts = function(p) return ("IN (SELECT value FROM json_each(%s))"):format(p) end,
}
M.sqlite.ids = M.sqlite.texts

M.postgres = {
  now = "extract(epoch FROM statement_timestamp())::double precision", -- of clock_timestamp() no index knows
  key = "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
  peeks = false,
  skip = "FOR UPDATE SKIP LOCKED",
  lock = "SELECT pg_advisory_xact_lock(hashtext('green_jobs'))",
  any = function(select) return ("= ANY (ARRAY(%s))"):format(select) end,
  texts = function(p) return ("= ANY (ARRAY(SELECT jsonb_array_elements_text(%s::jsonb)))"):format(p) end,
  ids = function(p) return ("= ANY (ARRAY(SELECT jsonb_array_elements_text(%s::jsonb)::bigint))"):format(p) end,
}

return M
