-- SPDX-License-Identifier: MIT
-- Scripts: several statements in one text; where each of them ends. And a connection that is pinned, in which rows are read while other statements run.
-- Needs: databases
local connect = require "green.db".connect
local outcome = require "outcome"
local postgres = require "peers.postgres"
local task = require "green.task"

local failure = outcome.failure
local pg, place, db

postgres.around(_ENV, { size = 2 }, function(...)
  pg, place, db = ...
  db:exec "CREATE TABLE t (v text)"
end)

-- Each text stands between two statements; the statement behind it runs by itself, and so the text was taken as a whole.
local WHOLE = {
  "INSERT INTO t VALUES (';'); -- ; '\n", "INSERT INTO t VALUES ('it''s;'); /* ; /* ; */ ' ; */", [[INSERT INTO t VALUES (E'\';')]],
  "INSERT INTO t VALUES ($$;'$$)", "INSERT INTO t VALUES ($a$ $$; $b$; $a$)", 'INSERT INTO t SELECT "x;" FROM (SELECT \'1\' AS "x;") AS q',
  "INSERT INTO t VALUES ('é;')", "DO $body$ BEGIN INSERT INTO t VALUES ('1'); END; $body$",
  "CREATE FUNCTION one() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 2 END; SELECT 1; END; INSERT INTO t VALUES (one())",
  "CREATE RULE twice AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2); DROP RULE twice ON t; INSERT INTO t VALUES ('r')",
  "INSERT INTO t SELECT 'x'||1::text WHERE 7/2 = 3 AND 1 - -1 = 2", ";; INSERT INTO t VALUES ('s');;",
}

describe("a script", function()
  for _, text in ipairs(WHOLE) do
    it("ends its statements where they end: " .. text:gsub("%c", " "), function()
      assert.equal(2, (db:exec("INSERT INTO t VALUES ('first'); " .. text .. "; CREATE TABLE u (v int); INSERT INTO u VALUES (1)")) - (text:find "^DO" and 0 or 1))
      assert.same({ 2, 1 }, { db:value "SELECT count(*) FROM t", db:value "SELECT count(*) FROM u" })
    end)
  end

  it("may be nothing, and need not end", function()
    for _, text in ipairs { "", " ; ", "-- nothing", "/* nothing", "SELECT 1; -- nothing", ";;;" } do assert.equal(0, (db:exec(text))) end
    for _, text in ipairs { "SELECT '", "SELECT $a$ ;", 'SELECT "', "SELECT (1; SELECT 2" } do assert.equal("42601", failure(db.exec, db, text).code) end
    assert.equal(1, db:value "SELECT 1")
  end)

  it("whose transaction ends in it runs nothing outside of that", function()
    local err = failure(db.transaction, db, function() db:exec "INSERT INTO t VALUES ('in'); COMMIT; INSERT INTO t VALUES ('out')" end)
    assert.equal("25P01", err.code)
    assert.equal(1, db:value "SELECT count(*) FROM t")
  end)

  it("that is stopped stays stopped", function()
    local hasty = db:with { timeout = 0.1 }
    assert.equal("ETIMEDOUT", failure(hasty.exec, hasty, "INSERT INTO t VALUES ('a'); SELECT pg_sleep(600); INSERT INTO t VALUES ('b')").code)
    pg:settled(place.name)
    assert.equal(1, db:value "SELECT count(*) FROM t")
  end)

  it("has lists in its parameters as what the statement wants", function()
    for _ = 1, 4 do
      assert.equal(3, db:value("SELECT cardinality($1::int[])", { 1, 2, 3 }))
      assert.equal(3, db:value("SELECT jsonb_array_length($1)", { 1, 2, 3 }))
    end
    local bare <close> = connect(place.url, { prepare = false })
    for _ = 1, 3 do assert.equal(2, bare:value("SELECT cardinality($1::text[])", { "a\n\"\\", "{,}" })) end
    assert.equal(0, bare:value "SELECT count(*) FROM pg_prepared_statements WHERE name <> ''")
  end)
end)

describe("a pinned connection", function()
  it("reads rows while other statements of the task run, and are kept", function()
    db:pin(function()
      db:exec "CREATE TEMP TABLE picked AS SELECT g FROM generate_series(1, 500) AS g"
      for row in db:rows "SELECT g FROM picked ORDER BY g" do
        db:exec("INSERT INTO picked VALUES ($1)", row.g + 1000)
        if row.g == 150 then break end
      end
      assert.equal(650, db:value "SELECT count(*) FROM picked")
      local seen = 0
      for _ in db:rows "SELECT g FROM picked LIMIT 200" do
        seen = seen + 1
        if seen % 100 == 0 then db:transaction(function() db:exec "INSERT INTO t VALUES ('tx')" end) end
      end
      assert.equal(200, seen)
    end)
    assert.equal(2, db:value "SELECT count(*) FROM t")
    assert.equal("42P01", failure(db.query, db, "SELECT * FROM picked").code)
    assert.equal(0, db:value "SELECT count(*) FROM pg_cursors WHERE name <> ''")
    pg:settled(place.name)
  end)

  it("whose task is cancelled leaves nothing in it", function()
    local one = outcome.waiting(task.spawn(db.pin, db, function()
      db:exec "CREATE TEMP TABLE secret (v int)"
      for _ in db:rows "SELECT 1 AS v FROM generate_series(1, 500)" do task.sleep(600) end
    end))
    one:cancel()
    assert.equal("ECANCELED", failure(one.join, one).code)
    for _ = 1, 5 do assert.equal("42P01", failure(db.query, db, "SELECT * FROM secret").code) end
    pg:settled(place.name)
  end)
end)
