-- SPDX-License-Identifier: MIT
local census = require "green.debug".census
local connect = require "green.db".connect
local green = require "green"
local outcome = require "outcome"
local task = require "green.task"

local failure, waiting = outcome.failure, outcome.waiting

local ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
local NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) SELECT i FROM n"

-- Runs fn in a task until it says it arrived, and leaves it there.
local function until_arrived(fn)
  local arrived = false
  local t = task.spawn(function()
    fn(function()
      arrived = true
      task.sleep(60)
    end)
  end)
  while not arrived do task.sleep(0) end
  return waiting(t)
end

local function shared_behaviour(new)
  local db

  before_each(function()
    db = new()
    db:exec "CREATE TABLE t (id INTEGER PRIMARY KEY, v UNIQUE)"
  end)

  after_each(function() db:close() end)

  local function count() return db:value "SELECT count(*) FROM t" end
  local function insert(v) return db:exec("INSERT INTO t (v) VALUES ($1)", v) end

  it("query, one, value and exec", function()
    assert.same({ 1, 1 }, { insert "a" })
    assert.same({ 1, 2 }, { insert(green.null) })
    local r = db:query "SELECT * FROM t ORDER BY id"
    assert.same({ { id = 1, v = "a" }, { id = 2 } }, { r[1], r[2] })
    assert.same({ "id", "v" }, r.columns)
    assert.same({ id = 1, v = "a" }, db:one("SELECT * FROM t WHERE v = $1", "a"))
    assert.is_nil(db:one "SELECT * FROM t WHERE 0")
    assert.equal("a", db:value "SELECT v, id FROM t WHERE id = 1")
    assert.is_nil(db:value "SELECT v FROM t WHERE id = 2")
    r = db:query "INSERT INTO t (v) VALUES ('b'), ('c') RETURNING id"
    assert.same({ 2, 4, 4 }, { r.affected, r.last_id, r[2].id })
    assert.equal(3, db:query("WITH w AS (SELECT 'd') DELETE FROM t WHERE id < $1", 4).affected)
    assert.equal(1, count())
  end)

  it("errors are objects, misuse is told", function()
    insert "a"
    local err = failure(insert, "a")
    assert.equal("SQLITE_CONSTRAINT_UNIQUE", err.code)
    assert.equal("db.exec: UNIQUE constraint failed: t.v, in: INSERT INTO t (v) VALUES ($1)", tostring(err))
    assert.matches("SQL text expected, got nil", failure(db.query, db))
    local result, tried = green.try(db.query, db, "nonsense")
    assert.same({ nil, "SQLITE_ERROR" }, { result, tried.code })
  end)

  it("a hundred tasks write at once, and each row is there once", function()
    local tasks = {}
    for i = 1, 100 do
      tasks[i] = task.spawn(function()
        if i % 2 == 0 then return insert(i) end
        db:transaction(function() insert(i) end)
      end)
    end
    for _, t in ipairs(tasks) do t:join() end
    assert.same({ n = 100, s = 5050 }, db:one "SELECT count(*) AS n, sum(v) AS s FROM t")
  end)

  describe("rows", function()
    it("streams, with statements of the same task in between", function()
      local sum = 0
      for row in db:rows(NUMBERS, 450) do
        sum = sum + row.i
        if row.i % 50 == 0 then insert(row.i) end
        if row.i % 150 == 0 then assert.equal(row.i // 50, count()) end
      end
      assert.same({ 101475, 9 }, { sum, count() })
    end)

    it("may be nested deeper than there are connections", function()
      local seen = 0
      local function nest(depth)
        for _ in db:rows(NUMBERS, 2) do
          seen = seen + 1
          if depth < 7 then nest(depth + 1) end
        end
      end
      nest(1)
      assert.equal(254, seen)
    end)

    it("gives its connection back when it ends, breaks, fails or was never begun", function()
      for _ = 1, 10 do
        for _ in db:rows(NUMBERS, 300) do end
        for _ in db:rows(NUMBERS, 300) do break end
        pcall(function() for _ in db:rows(NUMBERS, 300) do error "out" end end)
        pcall(function() for _ in db:rows "SELECT nope" do end end)
        pcall(function() for _ in db:rows(NUMBERS, 1, 2) do end end)
        pcall(function() for _ in db:rows(NUMBERS, {}) do end end)
        db:rows(NUMBERS, 300)
      end
      insert(1)
      assert.equal(db.readers.size, db.readers.permits:available())
    end)

    it("gives it back when its task is cancelled", function()
      local t = until_arrived(function(stay) for _ in db:rows(NUMBERS, 300) do stay() end end)
      t:cancel()
      assert.is_false((pcall(t.join, t)))
      insert(1)
      assert.equal(1, count())
    end)

    it("gives it back when a coroutine that held it is dropped", function()
      local co = coroutine.wrap(function() for row in db:rows(NUMBERS, 300) do coroutine.yield(row.i) end end)
      assert.same({ 1, 2 }, { co(), co() })
      co = nil
      while db.readers.permits:available() < db.readers.size do
        collectgarbage()
        task.sleep(0)
      end
      insert(1)
      assert.equal(1, count())
    end)

    it("runs what writes to its end before the first row", function()
      local ids = {}
      for row in db:rows "INSERT INTO t (v) VALUES (1), (2), (3) RETURNING id" do
        ids[#ids + 1] = row.id
        insert("beside" .. row.id)
        if row.id == 2 then break end
      end
      for row in db:rows "WITH x AS (SELECT 9) INSERT INTO t (v) SELECT * FROM x RETURNING id" do ids[#ids + 1] = row.id end
      assert.same({ { 1, 2, 6 }, 6 }, { ids, count() })
    end)
  end)

  describe("transaction", function()
    it("commits and returns what the function returns", function()
      assert.same({ n = 3, 1, nil, 3 }, table.pack(db:transaction(function(a)
        insert "a"
        return a, nil, 3
      end, 1)))
      assert.equal(1, count())
    end)

    it("rolls back on an error, and raises that very error", function()
      local thrown = { "mine" }
      local err = failure(db.transaction, db, function()
        insert "a"
        assert.equal(1, count())
        error(thrown)
      end)
      assert.equal(thrown, err)
      assert.equal(0, count())
    end)

    it("leaves the traceback of an error whole", function()
      local trace
      local function culprit() error "deep" end
      xpcall(db.transaction, function(e) trace = debug.traceback(e) end, db, function()
        insert "a"
        culprit()
      end)
      assert.matches("culprit", trace)
      assert.equal(0, count())
    end)

    it("rolls back when its task is cancelled, in a statement or between", function()
      for _, stop in ipairs { function(stay) stay() end, function() db:query(ENDLESS) end } do
        local t
        local began = false
        t = task.spawn(function()
          db:transaction(function()
            insert "never"
            began = true
            stop(function() task.sleep(60) end)
          end)
        end)
        while not began do task.sleep(0) end
        waiting(t):cancel()
        assert.equal("ECANCELED", failure(t.join, t).code)
        assert.same({ 1, 0 }, { (insert(began and count() + 1)), db:value "SELECT count(*) FROM t WHERE v = 'never'" })
        db:exec "DELETE FROM t"
      end
    end)

    it("is not kept alive by pcall once its task is cancelled", function()
      local t = until_arrived(function(stay)
        db:transaction(function()
          insert "never"
          pcall(stay)
          pcall(insert, "never either")
        end)
      end)
      t:cancel()
      assert.is_false((pcall(t.join, t)))
      assert.equal(0, count())
    end)

    it("is rolled back when a coroutine that held it is dropped", function()
      local co = coroutine.wrap(function()
        db:transaction(function()
          insert "never"
          coroutine.yield()
        end)
      end)
      co()
      co = nil
      while db.writer.permits:available() == 0 do
        collectgarbage()
        task.sleep(0)
      end
      assert.equal(0, count())
    end)

    it("nested is a savepoint", function()
      db:transaction(function()
        insert "a"
        pcall(db.transaction, db, function()
          insert "b"
          db:transaction(function() insert "c" end)
          assert.equal(3, count())
          error "inner"
        end)
        assert.equal(1, count())
        db:transaction(function() insert "d" end)
      end)
      assert.same({ { v = "a" }, { v = "d" } }, { table.unpack(db:query "SELECT v FROM t ORDER BY v") })
    end)

    it("works in a coroutine and in a callback of C", function()
      db:transaction(function()
        coroutine.wrap(function() insert "a" end)()
        ;("bc"):gsub(".", insert)
        assert.equal(3, count())
      end)
      assert.equal(3, count())
    end)

    it("whose commit fails is rolled back", function()
      db:exec "CREATE TABLE c (t INTEGER REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED)"
      local err = failure(db.transaction, db, function() db:exec "INSERT INTO c VALUES (99)" end)
      assert.same({ "SQLITE_CONSTRAINT_FOREIGNKEY", "db.commit" }, { err.code, err.op })
      assert.equal(0, db:value "SELECT count(*) FROM c")
      insert "works"
    end)

    it("cannot be begun or ended by hand", function()
      assert.matches("use db:transaction", failure(db.exec, db, "BEGIN").message)
      assert.matches("use db:transaction", failure(db.query, db, "SAVEPOINT a").message)
      assert.equal("SQLITE_ABORT", failure(db.transaction, db, function()
        db:exec "COMMIT"
        insert "outside?"
      end).code)
      assert.equal(0, count())
    end)

    it("streams rows, and may leave the loop early", function()
      db:transaction(function()
        for row in db:rows(NUMBERS, 300) do
          insert(row.i)
          if row.i == 150 then break end
        end
        assert.equal(150, count())
      end)
      assert.equal(150, count())
    end)

    it("may be begun inside a rows loop", function()
      for row in db:rows(NUMBERS, 150) do
        pcall(db.transaction, db, function()
          insert(row.i)
          if row.i > 140 then error "no" end
        end)
      end
      assert.equal(140, count())
    end)
  end)

  describe("waiting for a connection", function()
    it("is first come, first served", function()
      local order, tasks = {}, {}
      db:transaction(function()
        for i = 1, 5 do
          tasks[i] = waiting(task.spawn(function()
            insert(i)
            order[#order + 1] = i
          end))
        end
      end)
      for _, t in ipairs(tasks) do t:join() end
      assert.same({ 1, 2, 3, 4, 5 }, order)
    end)

    it("ends with the deadline, and names the pool", function()
      db.writer.wait = 0.01
      db:transaction(function()
        local t = task.spawn(insert, 1)
        local err = failure(t.join, t)
        assert.equal("ETIMEDOUT", err.code)
        assert.equal(("db: no connection to %s came free within 0.01 s (all 1 are in use)"):format(db.name), err.message)
      end)
      assert.equal(0, count())
    end)

    it("ends with the pool, whose connections close as they come back", function()
      local t
      db:transaction(function()
        insert "a"
        t = waiting(task.spawn(insert, "b"))
        db:close()
        insert "c"
      end)
      local err = failure(t.join, t)
      assert.same({ "ECLOSED", ("db: %s is closed"):format(db.name) }, { err.code, err.message })
      assert.equal("ECLOSED", failure(count).code)
    end)

    it("can be cancelled", function()
      db:transaction(function()
        local t = waiting(task.spawn(insert, "never"))
        t:cancel()
        assert.equal("ECANCELED", failure(t.join, t).code)
      end)
      insert "next"
      assert.equal(1, count())
    end)
  end)
end

describe("green.db in memory", function()
  shared_behaviour(function() return connect "sqlite::memory:" end)
end)

describe("green.db on a file", function()
  local path

  before_each(function() path = os.tmpname() end)
  after_each(function()
    for _, suffix in ipairs { "", "-wal", "-shm" } do os.remove(path .. suffix) end
  end)

  describe("", function()
    shared_behaviour(function() return connect("sqlite:" .. path) end)
  end)

  it("others do not see what is not committed", function()
    local db <close> = connect("sqlite:" .. path)
    db:exec "CREATE TABLE t (v)"
    db:transaction(function()
      db:exec "INSERT INTO t VALUES (1)"
      assert.equal(1, db:value "SELECT count(*) FROM t")
      assert.equal(0, task.spawn(db.value, db, "SELECT count(*) FROM t"):join())
    end)
    assert.equal(1, task.spawn(db.value, db, "SELECT count(*) FROM t"):join())
  end)

  it("readers go on beside a writer, and past a statement that never ends", function()
    local db <close> = connect("sqlite:" .. path)
    db:exec "CREATE TABLE t (v)"
    local t = waiting(task.spawn(db.query, db, ENDLESS))
    db:transaction(function()
      db:exec "INSERT INTO t VALUES (1)"
      for _ = 1, 20 do assert.equal(0, task.spawn(db.value, db, "SELECT count(*) FROM t"):join()) end
    end)
    assert.equal("waiting", t:status())
    t:cancel()
    assert.is_false((pcall(t.join, t)))
  end)

  it("two pools, as two processes, wait for each other", function()
    local a <close> = connect("sqlite:" .. path)
    local b <close> = connect("sqlite:" .. path)
    a:exec "CREATE TABLE t (v)"
    local tasks = {}
    for i = 1, 40 do
      local db = i % 2 == 0 and a or b
      tasks[i] = task.spawn(db.transaction, db, function()
        local n = db:value "SELECT count(*) FROM t"
        task.sleep(0)
        db:exec("INSERT INTO t VALUES ($1)", n)
      end)
    end
    for _, t in ipairs(tasks) do t:join() end
    assert.same({ n = 40, s = 780 }, b:one "SELECT count(*) AS n, sum(v) AS s FROM t")
  end)

  it("keeps its data, in WAL mode, with foreign keys", function()
    do
      local db <close> = connect("sqlite:" .. path)
      db:exec "CREATE TABLE t (v); INSERT INTO t VALUES (1)"
      assert.equal("wal", db:value "PRAGMA journal_mode")
      assert.equal(1, db:value "PRAGMA foreign_keys")
    end
    local db <close> = connect("sqlite://" .. path)
    assert.equal(1, db:value "SELECT v FROM t")
  end)
end)

describe("green.db", function()
  it("refuses what it does not know", function()
    local err = failure(connect, "postgres://localhost/x")
    assert.equal("EPROTONOSUPPORT", err.code)
    assert.matches("postgres", err.message)
    assert.equal("EPROTONOSUPPORT", failure(connect, "kitchen.db").code)
    assert.equal("EINVAL", failure(connect, "sqlite:").code)
    assert.matches("a database URL expected", failure(connect))
    assert.matches("unknown option 'poolsize'", failure(connect, "sqlite::memory:", { poolsize = 3 }))
    local db <close> = connect "sqlite:/proc/nowhere/at/all.db"
    assert.equal("SQLITE_CANTOPEN", failure(db.query, db, "SELECT 1").code)
    assert.equal("SQLITE_CANTOPEN", failure(db.query, db, "SELECT 1").code) -- and no connection is lost
    assert.equal(4, db.readers.permits:available())
  end)

  it("leaves nothing behind", function()
    collectgarbage()
    for _ = 1, 50 do task.sleep(0.001) end
    collectgarbage()
    local before = census()
    for _ = 1, 5 do
      local db <close> = connect "sqlite::memory:"
      db:exec "CREATE TABLE t (v)"
      local t = until_arrived(function(stay)
        db:transaction(function()
          db:exec "INSERT INTO t VALUES (1)"
          stay()
        end)
      end)
      t:cancel()
      assert.is_false((pcall(t.join, t)))
      for _ in db:rows(NUMBERS, 300) do break end
    end
    outcome.eventually(function()
      for name, count in pairs(census()) do
        if count > before[name] then return false end
      end
      return true
    end, "all is given back")
  end)
end)
