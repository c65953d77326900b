-- SPDX-License-Identifier: MIT
-- One statement with n parameters cost n squared, since SQLite looks each name up in a list of all: 20,000 took 2.9 s. Where
-- there are many they are numbered before SQLite sees them; what is in quotes and comments is not.
local connect = require "green.db".connect
local outcome = require "outcome"

local failure = outcome.failure

local function names(from, to, step)
  local list = {}
  for i = from, to, step or 1 do list[#list + 1] = "($" .. i .. ")" end
  return table.concat(list, ", ")
end

local function numbers(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end

describe("a statement of many parameters", function()
  local db

  before_each(function() db = connect "sqlite::memory:" end)
  after_each(function() db:close() end)

  it("has each in its place, in whatever order, as often as it appears", function()
    local sql = ("SELECT json_group_array(column1) FROM (VALUES %s, %s, ($7), ($150), ($1))"):format(names(1, 100), names(150, 101, -1))
    local expected = {}
    for i = 1, 100 do expected[#expected + 1] = i end
    for i = 150, 101, -1 do expected[#expected + 1] = i end
    for _, i in ipairs { 7, 150, 1 } do expected[#expected + 1] = i end
    for _ = 1, 2 do -- prepared, and from the cache
      assert.equal("[" .. table.concat(expected, ",") .. "]", db:value(sql, table.unpack(numbers(150))))
    end
  end)

  it("leaves quotes and comments alone", function()
    local sql = ([[
      SELECT '$1 it''s $2' AS a, "$3" AS b, `$4` AS c, [$5] AS d, /* $6 ' */ x'24' AS e, -- $7 "
        $1 AS "$1", a$1, (SELECT count(*) FROM (VALUES %s)) AS f
      FROM (SELECT 3 AS "$3", 4 AS "$4", 5 AS "$5", 6 AS a$1)
    ]]):format(names(1, 200))
    local row = db:one(sql, table.unpack(numbers(200)))
    assert.same({ a = "$1 it's $2", b = 3, c = 4, d = 5, e = "$", ["$1"] = 1, ["a$1"] = 6, f = 200 }, row)
  end)

  it("refuses what is no parameter, and the wrong number of them", function()
    for _, wrong in ipairs { "?", "?3", ":a", "@a", "$a", "$0", "$1x", "$9999999" } do
      local message = failure(db.query, db, ("VALUES %s, (%s)"):format(names(1, 150), wrong), table.unpack(numbers(150))).message
      assert.is_truthy(message:find(("parameters are written $1, $2, ...: not %s"):format(wrong), 1, true), message)
    end
    local sql = "SELECT count(*) FROM (VALUES " .. names(1, 150) .. ")"
    assert.matches("has 150 parameters, 149 given", failure(db.query, db, sql, table.unpack(numbers(149))).message)
    assert.matches("one statement at a time", failure(db.query, db, sql .. "; " .. sql, table.unpack(numbers(150))).message)
    assert.matches("one statement at a time", failure(db.query, db, sql .. "; SELECT $1", table.unpack(numbers(150))).message)
    assert.equal(150, db:value(sql .. "; -- $1 '", table.unpack(numbers(150))))
    assert.matches("syntax error", failure(db.query, db, sql .. " $5", table.unpack(numbers(150))).message)
    assert.same({ n = 150 }, db:one(sql:gsub("count%(%*%)", "%0 AS n") .. "/* $1", table.unpack(numbers(150))))
    for _, open in ipairs { "'", '"', "`", "[" } do
      assert.equal("table", type(failure(db.query, db, sql .. open, table.unpack(numbers(150)))))
    end
  end)
end)
