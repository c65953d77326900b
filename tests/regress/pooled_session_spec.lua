-- SPDX-License-Identifier: MIT
-- A PRAGMA or ATTACH changed one connection of the pool, and stayed there for whoever came next; temporary tables,
-- last_insert_rowid() and changes() said something about any of the connections. What belongs to a session runs where its effect
-- can be seen, in a transaction or in a script, and is gone for the next user; elsewhere it is refused.
local connect = require "green.db".connect
local outcome = require "outcome"
local task = require "green.task"

local failure = outcome.failure

for _, kind in ipairs { "file", "memory" } do
  describe("the session of a pooled connection (" .. kind .. ")", function()
    local db, path

    before_each(function()
      path = os.tmpname()
      db = connect(kind == "file" and "sqlite:" .. path or "sqlite::memory:")
      db:exec "CREATE TABLE t (id INTEGER PRIMARY KEY, v)"
    end)

    after_each(function()
      db:close()
      for _, suffix in ipairs { "", "-wal", "-shm" } do os.remove(path .. suffix) end
    end)

    local changes = {
      ["PRAGMA cache_size"] = "PRAGMA cache_size = 77",
      ["PRAGMA query_only"] = "PRAGMA query_only = ON",
      ATTACH = "ATTACH ':memory:' AS other",
      ["the temporary table mine"] = "CREATE TEMP TABLE mine (a)",
      ["the temporary view mine"] = "CREATE TEMP VIEW mine AS SELECT 1",
      ["the temporary trigger mine"] = "CREATE TEMP TRIGGER mine AFTER INSERT ON t BEGIN DELETE FROM t; END",
    }

    local function session()
      local conn, lease = db:lease "writer"
      local _ <close> = lease
      local function value(sql) return conn:first(5, nil, sql)[1].v end
      return {
        cache = value "SELECT cache_size AS v FROM pragma_cache_size",
        foreign_keys = value "SELECT foreign_keys AS v FROM pragma_foreign_keys",
        query_only = value "SELECT query_only AS v FROM pragma_query_only",
        attached = value "SELECT count(*) AS v FROM pragma_database_list WHERE name NOT IN ('main', 'temp')",
        temporary = value "SELECT count(*) AS v FROM sqlite_temp_master",
      }
    end

    for name, sql in pairs(changes) do
      it("is not changed outside of a transaction: " .. sql, function()
        local before = session()
        for _, method in ipairs { "exec", "query", "one" } do
          local err = failure(db[method], db, sql)
          assert.equal("SQLITE_MISUSE", err.code)
          assert.is_truthy(err.message:find(name .. " would hold for one connection of a pool only", 1, true), err.message)
          assert.matches("db:transaction", err.message)
        end
        assert.same(before, session())
      end)

      it("is as it was after a transaction with " .. sql, function()
        local before = session()
        db:transaction(function() db:exec(sql) end)
        assert.same(before, session())
        pcall(db.transaction, db, function()
          db:exec(sql)
          error "out"
        end)
        assert.same(before, session())
        db:exec(("SELECT 1; %s; SELECT 2"):format(sql))
        assert.same(before, session())
        pcall(task.deadline, 0.02, db.transaction, db, function()
          db:exec(sql)
          task.sleep(60)
        end)
        assert.same(before, session())
        assert.equal(1, (db:exec "INSERT INTO t (v) VALUES (1)"))
        assert.equal(1, db:value "SELECT count(*) FROM t")
      end)
    end

    it("is what a script and a transaction see", function()
      db:exec [[
        CREATE TEMP TABLE mine AS SELECT 1 AS a UNION SELECT 2;
        INSERT INTO t (v) SELECT a FROM mine;
        INSERT INTO t (v) VALUES (last_insert_rowid() * 100);
      ]]
      assert.equal(200, db:value "SELECT max(v) FROM t")
      db:transaction(function()
        db:exec("INSERT INTO t (v) VALUES ($1)", "x")
        assert.equal(4, db:value "SELECT last_insert_rowid()")
        db:exec "UPDATE t SET v = 0"
        assert.equal(4, db:value "SELECT changes()")
        db:exec "CREATE TEMP TABLE mine (a)"
        db:exec("INSERT INTO mine VALUES ($1)", 5)
        assert.equal(5, db:value "SELECT a FROM mine")
      end)
      assert.matches("no such table: mine", failure(db.query, db, "SELECT * FROM mine").message)
    end)

    it("is not asked for outside of a transaction", function()
      for _, fn in ipairs { "last_insert_rowid()", "changes()", "total_changes()" } do
        local err = failure(db.value, db, "SELECT " .. fn)
        assert.equal("SQLITE_MISUSE", err.code)
        assert.is_truthy(err.message:find(fn .. " is about what the same connection did last", 1, true), err.message)
        assert.matches("db:transaction", err.message)
      end
      db:exec [[
        CREATE TABLE log (id);
        CREATE TRIGGER logs AFTER INSERT ON t BEGIN INSERT INTO log VALUES (last_insert_rowid()); END;
      ]]
      db:exec "INSERT INTO t (v) VALUES (1)"
      assert.equal(1, db:value "SELECT id FROM log")
    end)

    it("says when foreign keys stay as they are", function()
      local err = failure(db.transaction, db, function() db:exec "PRAGMA foreign_keys = OFF" end)
      assert.matches("PRAGMA foreign_keys does nothing in a transaction", err.message)
      db:exec "PRAGMA foreign_keys = OFF; SELECT 1"
      assert.equal(1, session().foreign_keys)
    end)

    it("leaves alone what asks, and what goes into the database", function()
      db:exec "PRAGMA user_version = 7"
      db:query "PRAGMA user_version = 8"
      assert.equal(8, db:value "PRAGMA user_version")
      assert.equal("id", db:query "PRAGMA table_info(t)"[1].name)
      assert.equal("ok", db:value "PRAGMA integrity_check(1)")
      db:exec "VACUUM"
      db:exec "PRAGMA optimize"
    end)
  end)
end

describe("init_sql", function()
  it("is for each connection, and again for one that is opened anew", function()
    local path = os.tmpname()
    finally(function()
      for _, suffix in ipairs { "", "-wal", "-shm" } do os.remove(path .. suffix) end
    end)
    local db <close> = connect("sqlite:" .. path, { init_sql = "PRAGMA cache_size = 77; ATTACH ':memory:' AS other" })
    local function look()
      assert.equal(77, db:value "PRAGMA cache_size")
      assert.equal(0, db:value "SELECT count(*) FROM other.sqlite_master")
    end
    db:exec "CREATE TABLE t (v)"
    look()
    db:transaction(look)
    db:transaction(function() db:exec "PRAGMA cache_size = 5" end)
    db:transaction(look)
    task.map({ 1, 2, 3, 4, 5, 6 }, look)
  end)

  it("that is wrong is told", function()
    local db <close> = connect("sqlite::memory:", { init_sql = "PRAGMA cache_size = 77; nonsense" })
    assert.matches("nonsense", failure(db.query, db, "SELECT 1").message)
    assert.matches("option 'init_sql'", failure(connect, "sqlite::memory:", { init_sql = 5 }))
  end)
end)
