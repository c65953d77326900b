-- SPDX-License-Identifier: MIT
-- Databases. SQLite works on pool threads, whose CPU time counts as well.
local connect = require "green.db".connect

local function with_parameters(name, sql_of)
  return {
    name = name,
    start = 2000,
    prepare = function(n)
      local db = connect "sqlite::memory:"
      db:exec "CREATE TABLE t (v)"
      local values, sql = {}, sql_of(n)
      for i = 1, n do values[i] = i end
      return function() db:query(sql, table.unpack(values)) end, function() db:close() end
    end,
  }
end

local function list(n, format, numbered)
  local parts = {}
  for i = 1, n do parts[i] = format:format(numbered and numbered(i) or i) end
  return table.concat(parts, ", ")
end

return {
  with_parameters("db: a statement of n parameters", function(n) return "INSERT INTO t VALUES " .. list(n, "($%d)") end),
  with_parameters("db: n parameters, last first", function(n)
    return ("SELECT 1 WHERE 0 IN (%s)"):format(list(n, "$%d", function(i) return n + 1 - i end))
  end),
  with_parameters("db: n parameters, each twice", function(n)
    return ("SELECT 1 WHERE 0 IN (%s, %s)"):format(list(n, "$%d"), list(n, "$%d"))
  end),
  {
    name = "db: n times the first of n rows",
    start = 100,
    prepare = function(n)
      local db = connect "sqlite::memory:"
      db:exec "CREATE TABLE t (v)"
      db:exec("INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT $1) SELECT i FROM n", n)
      return function()
        for _ = 1, n do db:value "SELECT v FROM t" end
      end, function() db:close() end
    end,
  },
}
