-- SPDX-License-Identifier: MIT
-- What PostgreSQL says when it refuses something, as error objects; and statements that are prepared behind the scenes.
-- Needs: databases
local connect = require "green.db".connect
local green = require "green"
local outcome = require "outcome"
local postgres = require "peers.postgres"
local task = require "green.task"

local failure, await = outcome.failure, outcome.eventually
local pg, place, db

postgres.around(_ENV, nil, function(...) pg, place, db = ... end)

describe("an error", function()
  it("has the code of SQL, and what the server knows of it", function()
    db:exec "CREATE TABLE t (id int PRIMARY KEY, n int CONSTRAINT positive CHECK (n > 0) NOT NULL)"
    db:exec "INSERT INTO t VALUES (1, 1)"
    local err = failure(db.exec, db, "INSERT INTO t VALUES ($1, $2)", 1, 2)
    assert.same({ "23505", "t_pkey", "Key (id)=(1) already exists.", "db.exec" }, { err.code, err.constraint, err.detail, err.op })
    assert.equal("INSERT INTO t VALUES ($1, $2)", err.sql)
    err = failure(db.query, db, "INSERT INTO t VALUES ($1, $2)", 2, 0)
    assert.same({ "23514", "positive", "db.query" }, { err.code, err.constraint, err.op })
    assert.equal("23502", failure(db.exec, db, "INSERT INTO t VALUES (3, NULL)").code)
  end)

  it("has a hint, and the place in the statement", function()
    local err = failure(db.query, db, "SELECT 'é' || now(), nonsens FROM pg_class")
    assert.same({ "42703", 22 }, { err.code, err.position }) -- in characters, from 1
    assert.matches('column "nonsens" does not exist', err.message)
    err = failure(db.query, db, "SELECT nowhere(1)")
    assert.equal("42883", err.code)
    assert.matches("might need to add explicit type casts", err.hint)
  end)

  it("does not have what the server did not say", function()
    local err = failure(db.query, db, "SELECT 1 / 0")
    assert.same({ "22012" }, { err.code, err.detail, err.hint, err.constraint, err.position })
  end)

  it("comes in any position of a result, and leaves the connection good", function()
    for _, n in ipairs { 1, 2, 1000, 100000 } do
      local sql = ("SELECT 1 / (%d - i) FROM generate_series(1, 200000) AS s (i)"):format(n)
      assert.equal("22012", failure(db.query, db, sql).code)
      local seen = 0
      assert.equal("22012", failure(function() for _ in db:rows(sql) do seen = seen + 1 end end).code)
      assert.is_true(seen < n)
      assert.equal(1, db:value "SELECT 1")
    end
  end)

  it("of a very long statement is told in short", function()
    local err = failure(db.query, db, "SELECT nonsense FROM pg_class WHERE relname <> '" .. ("x"):rep(1000000) .. "'")
    assert.equal("42703", err.code)
    assert.is_true(#tostring(err) < 10000)
  end)

  it("of a function in the database has the code it chose", function()
    db:exec [[CREATE FUNCTION refuse() RETURNS void LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'not %', 'today' USING ERRCODE = 'GL001', DETAIL = 'd', HINT = 'h', CONSTRAINT = 'c'; END $$]]
    local err = failure(db.query, db, "SELECT refuse()")
    assert.same({ "GL001", "d", "h", "c" }, { err.code, err.detail, err.hint, err.constraint })
    assert.matches("not today", err.message)
  end)

  it("of connecting says what is wrong, and no connection is lost", function()
    local nobody <close> = connect((place.url:gsub("green@", "nobody@")))
    for _ = 1, 10 do assert.equal("28000", failure(nobody.query, nobody, "SELECT 1").code) end
    assert.equal(nobody.writer.size, nobody.writer.permits:available())
    local nowhere <close> = connect((place.url:gsub("/postgres%?", "/nowhere?")))
    local err = failure(nowhere.query, nowhere, "SELECT 1")
    assert.equal("3D000", err.code)
    assert.matches('"nowhere" does not exist', err.message)
  end)

  it("of a URL that says nothing sensible comes at once", function()
    for _, url in ipairs { "postgres://127.0.0.1:port/x", "postgres://h/x?nonsense=1", "postgres://[::1/x", "postgres://a%zz/x" } do
      local ok, err = pcall(connect, url)
      assert.is_false(ok, url)
      assert.equal("EINVAL", err.code)
    end
  end)

  it("of nobody who listens is told as such", function()
    local closed = require "green.net".listen "127.0.0.1:0"
    local port = closed:address():match ":(%d+)$"
    closed:close()
    local db2 <close> = connect(("postgres://green@127.0.0.1:%s/postgres"):format(port))
    assert.equal("ECONNREFUSED", failure(db2.query, db2, "SELECT 1").code)
  end)
end)

describe("notices", function()
  it("are not errors, and many of them do not get in the way", function()
    db:transaction(function()
      db:exec "SET LOCAL client_min_messages = notice"
      db:exec "DO $$ BEGIN FOR i IN 1 .. 20 LOOP RAISE NOTICE 'number %', i; END LOOP; END $$"
      assert.equal(1, db:value "SELECT 1")
    end)
  end)
end)

describe("a statement that was prepared", function()
  it("survives that its table changes", function()
    local one <close> = connect(place.url, { size = 1 })
    one:exec "CREATE TABLE t (a int); INSERT INTO t VALUES (1)"
    for _ = 1, 10 do assert.same({ a = 1 }, one:one "SELECT * FROM t") end
    one:exec "ALTER TABLE t ADD COLUMN b text DEFAULT 'x'"
    assert.same({ a = 1, b = "x" }, one:one "SELECT * FROM t")
    one:exec "ALTER TABLE t ALTER COLUMN a TYPE text"
    assert.same({ a = "1", b = "x" }, one:one "SELECT * FROM t")
    assert.equal(1, (one:exec("UPDATE t SET a = $1", "7")))
    one:exec "ALTER TABLE t ALTER COLUMN a TYPE int USING a::int"
    assert.equal(1, (one:exec("UPDATE t SET a = $1", 8)))
    assert.same({ a = 8, b = "x" }, one:one "SELECT * FROM t")
    one:exec "DROP TABLE t"
    assert.equal("42P01", failure(one.query, one, "SELECT * FROM t").code)
    one:exec "CREATE TABLE t (z bool); INSERT INTO t VALUES (true)"
    assert.same({ z = true }, one:one "SELECT * FROM t")
  end)

  it("survives it on every connection of the pool, as another session changes the table", function()
    db:exec "CREATE TABLE t (a int); INSERT INTO t VALUES (1)"
    local function all() return task.map({ 1, 2, 3, 4, 5, 6, 7, 8 }, function() return db:one "SELECT *, pg_sleep(0.01)::text AS s FROM t" end) end
    for _ = 1, 3 do all() end
    pg:ask(("ALTER TABLE %s.t ADD COLUMN b int DEFAULT 2"):format(place.name))
    for _, row in ipairs(all()) do assert.same({ 1, 2 }, { row.a, row.b }) end
  end)

  it("that is outdated within a transaction is a clear error, or works: never another answer", function()
    local one <close> = connect(place.url, { size = 1 })
    one:exec "CREATE TABLE t (a int); INSERT INTO t VALUES (1)"
    for _ = 1, 10 do one:one "SELECT * FROM t" end
    local row
    local ok, err = pcall(one.transaction, one, function()
      one:exec "ALTER TABLE t ADD COLUMN b int DEFAULT 2"
      row = one:one "SELECT * FROM t"
    end)
    if ok then assert.same({ a = 1, b = 2 }, row) else assert.equal("0A000", err.code) end
    assert.same(ok and { a = 1, b = 2 } or { a = 1 }, one:one "SELECT * FROM t")
  end)

  it("may be one of thousands: the server does not fill up", function()
    local one <close> = connect(place.url, { size = 1 })
    for i = 1, 2000 do assert.equal(i, one:value(("SELECT %d + $1::int"):format(i), 0)) end
    assert.is_true(one:value "SELECT count(*) FROM pg_prepared_statements" < 1000)
  end)

  it("is forgotten when somebody deallocates it", function()
    local one <close> = connect(place.url, { size = 1 })
    for _ = 1, 3 do assert.equal(7, one:value("SELECT $1::int", 7)) end
    pcall(one.exec, one, "DEALLOCATE ALL")
    for _ = 1, 3 do assert.equal(7, one:value("SELECT $1::int", 7)) end
    pcall(one.exec, one, "DISCARD ALL")
    for _ = 1, 3 do assert.equal(7, one:value("SELECT $1::int", 7)) end
  end)

  it("that does not parse is not kept", function()
    local one <close> = connect(place.url, { size = 1 })
    for _ = 1, 3 do assert.equal("42P01", failure(one.query, one, "SELECT * FROM later").code) end
    one:exec "CREATE TABLE later (a int)"
    assert.equal(0, #one:query "SELECT * FROM later")
  end)
end)

describe("the session", function()
  it("has nothing of what another task set in it", function()
    local one <close> = connect(place.url, { size = 1 })
    pcall(one.exec, one, "SET search_path = pg_catalog")
    pcall(one.exec, one, "CREATE TEMPORARY TABLE secret (v int)")
    pcall(one.query, one, "SELECT pg_advisory_lock(4711)")
    one:exec "CREATE TABLE t (v int)" -- in the place's schema, where it is looked for
    assert.equal("1", pg:ask(("SELECT count(*) FROM pg_tables WHERE schemaname = '%s'"):format(place.name)))
    assert.equal("42P01", failure(one.query, one, "SELECT * FROM secret").code)
    await(function() return pg:ask "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'" == "0" end, "no advisory lock is left")
  end)

  it("has nothing of it after a transaction in which it was set, committed or not", function()
    local one <close> = connect(place.url, { size = 1 })
    for _, fails in ipairs { false, true } do
      pcall(one.transaction, one, function()
        one:exec "SET search_path = pg_catalog"
        one:query "SELECT pg_advisory_lock(4711)"
        if fails then error "no" end
      end)
      assert.equal(place.name, one:value "SHOW search_path")
      await(function() return pg:ask "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'" == "0" end, "no advisory lock is left")
    end
  end)

  it("has what init_sql says, on each connection and after each reset", function()
    local one <close> = connect(place.url, { size = 2, init_sql = "SET statement_timeout = '77s'" })
    pcall(one.transaction, one, function()
      one:exec "SET statement_timeout = 0"
      error "no"
    end)
    for _ = 1, 2 do
      for _, shown in ipairs(task.map({ 1, 2, 3, 4 }, function()
        return one:transaction(function() return one:value "SELECT current_setting('statement_timeout') FROM pg_sleep(0.01)" end)
      end)) do assert.equal("77s", shown) end
    end
  end)

  it("green.try gives the error object as it is", function()
    local result, err = green.try(db.query, db, "SELECT 1 / 0")
    assert.same({ nil, "22012" }, { result, err.code })
  end)
end)
