-- SPDX-License-Identifier: MIT
-- What green.db does alike with every database: database(_ENV, dialect), in a spec; specification.dialects says what a dialect is.
local assert = require "luassert"
local census = require "green.debug".census
local connect = require "green.db".connect
local green = require "green"
local native = require "green.task.native"
local outcome = require "outcome"
local task = require "green.task"

local failure, waiting = outcome.failure, outcome.waiting

-- Runs fn in a task until it says it arrived, and leaves it there.
local function until_arrived(fn)
  local arrived = task.channel(1)
  local t = task.spawn(function()
    local _ <close> = setmetatable({}, { __close = function() arrived:close() end })
    fn(function()
      arrived:send(true)
      task.sleep(60)
    end)
  end)
  if not arrived:receive() then t:join() end
  return waiting(t)
end

return function(spec, dialect)
  local describe, it, before_each, after_each = spec.describe, spec.it, spec.before_each, spec.after_each
  local NUMBERS, ENDLESS, codes = dialect.numbers, dialect.endless, dialect.codes
  local TABLE = ("CREATE TABLE t (id %s, v TEXT UNIQUE, n INTEGER)"):format(dialect.key)
  local place, db

  before_each(function()
    place = dialect.fresh()
    db = connect(place.url)
    db:exec(TABLE)
  end)

  after_each(function()
    db:close()
    place.close()
  end)

  -- All that writes goes over one connection from here on.
  local function be_alone()
    if not next(dialect.alone) then return end
    db:close()
    db = connect(place.url, dialect.alone)
  end

  local function count() return db:value "SELECT count(*) FROM t" end
  local function insert(v) return (db:exec("INSERT INTO t (v) VALUES ($1)", v)) end
  local function insert_number(n) return (db:exec("INSERT INTO t (n) VALUES ($1)", n)) end

  it("query, one, value and exec", function()
    assert.equal(1, insert "a")
    assert.equal(1, insert(green.null))
    local r = db:query "SELECT id, v FROM t ORDER BY id"
    assert.same({ { id = 1, v = "a" }, { id = 2 } }, { r[1], r[2] })
    assert.same({ "id", "v" }, r.columns)
    assert.same({ id = 1, v = "a" }, db:one("SELECT * FROM t WHERE v = $1", "a"))
    assert.is_nil(db:one "SELECT * FROM t WHERE 1 = 0")
    assert.equal("a", db:value "SELECT v, id FROM t WHERE id = 1")
    assert.is_nil(db:value "SELECT v FROM t WHERE id = 2")
    r = db:query "INSERT INTO t (v) VALUES ('b'), ('c') RETURNING id"
    assert.same({ 2, 4 }, { r.affected, r[2].id })
    assert.equal(3, db:query("WITH w AS (SELECT 'd') DELETE FROM t WHERE id < $1", 4).affected)
    assert.equal(1, count())
    assert.equal(0, db:exec "DELETE FROM t WHERE v = 'nobody'")
  end)

  if dialect.last_id then
    it("exec and query say the key of what was inserted last", function()
      assert.same({ 1, 1 }, { db:exec "INSERT INTO t (v) VALUES ('a')" })
      assert.same({ 2, 3 }, { db:exec "INSERT INTO t (v) VALUES ('b'), ('c')" })
      assert.equal(5, db:query("INSERT INTO t (v) VALUES ('d'), ('e') RETURNING id").last_id)
    end)
  end

  it("errors are objects, misuse is told", function()
    insert "a"
    local err = failure(insert, "a")
    assert.equal(codes.unique, err.code)
    assert.equal(("db.exec: %s, in: INSERT INTO t (v) VALUES ($1)"):format(dialect.unique), tostring(err))
    assert.matches("SQL text expected, got nil", failure(db.query, db))
    local result, tried = green.try(db.query, db, "nonsense")
    assert.same({ nil, codes.syntax, "nonsense" }, { result, tried.code, tried.sql })
  end)

  it("a statement that failed keeps no connection, and the next one works", function()
    for _ = 1, 10 do
      assert.is_false((pcall(db.query, db, "nonsense")))
      assert.is_false((pcall(db.exec, db, "INSERT INTO t (v) VALUES ($1, $2)", "a")))
    end
    assert.equal(0, count())
    assert.equal(db.writer.size, db.writer.permits:available())
    assert.equal(db.readers.size, db.readers.permits:available())
  end)

  it("a script runs to its end; when a statement fails those before it stay done, and the error says where it stopped", function()
    db:exec "INSERT INTO t (v) VALUES ('a'); INSERT INTO t (v) VALUES (';'); -- ; a comment\n INSERT INTO t (v) VALUES ('c')"
    assert.equal(3, count())
    local err = failure(db.exec, db, "INSERT INTO t (v) VALUES ('d'); INSERT INTO nowhere VALUES (1); INSERT INTO t (v) VALUES ('e')")
    assert.matches("nowhere", err.message)
    assert.matches("^%s*INSERT INTO nowhere", err.sql)
    assert.same({ 1, 0 }, { db:value "SELECT count(*) FROM t WHERE v = 'd'", db:value "SELECT count(*) FROM t WHERE v = 'e'" })
  end)

  it("a hundred tasks write at once, and each row is there once", function()
    local tasks = {}
    for i = 1, 100 do
      tasks[i] = task.spawn(function()
        if i % 2 == 0 then return insert_number(i) end
        db:transaction(function() insert_number(i) end)
      end)
    end
    for _, t in ipairs(tasks) do t:join() end
    assert.same({ n = 100, s = 5050 }, db:one "SELECT count(*) AS n, sum(n) AS s FROM t")
  end)

  describe("rows", function()
    it("streams, with statements of the same task in between", function()
      local sum = 0
      for row in db:rows(NUMBERS, 450) do
        sum = sum + row.i
        if row.i % 50 == 0 then insert_number(row.i) end
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
      insert "a"
      assert.equal(db.readers.size, db.readers.permits:available())
    end)

    it("gives it back when its task is cancelled", function()
      local t = until_arrived(function(stay) for _ in db:rows(NUMBERS, 300) do stay() end end)
      t:cancel()
      assert.is_false((pcall(t.join, t)))
      insert "a"
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
      insert "a"
      assert.equal(1, count())
    end)

    it("runs what writes to its end before the first row", function()
      local ids = {}
      for row in db:rows "INSERT INTO t (v) VALUES ('1'), ('2'), ('3') RETURNING id" do
        ids[#ids + 1] = row.id
        insert("beside" .. row.id)
        if row.id == 2 then break end
      end
      for row in db:rows "WITH x AS (SELECT '9') INSERT INTO t (v) SELECT * FROM x RETURNING id" do ids[#ids + 1] = row.id end
      assert.same({ { 1, 2, 6 }, 6 }, { ids, count() })
    end)
  end)

  describe("transaction", function()
    it("commits and returns what the function returns", function()
      assert.same({ n = 3, 1, nil, 3 }, table.pack(db:transaction(function(...)
        assert.equal(0, select("#", ...))
        insert "a"
        return 1, nil, 3
      end)))
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
      for _, stop in ipairs { task.sleep, function() db:query(ENDLESS) end } do
        local began = task.channel(1)
        local t = task.spawn(function()
          local _ <close> = setmetatable({}, { __close = function() began:close() end })
          db:transaction(function()
            insert "never"
            began:send(true)
            stop(60)
          end)
        end)
        if not began:receive() then t:join() end
        waiting(t):cancel()
        assert.equal("ECANCELED", failure(t.join, t).code)
        assert.same({ 1, 0 }, { insert("next" .. count()), db:value "SELECT count(*) FROM t WHERE v = 'never'" })
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
      while db.writer.permits:available() < db.writer.size do
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

    it("goes on after a savepoint in which a statement failed", function()
      db:transaction(function()
        insert "a"
        assert.equal(codes.unique, failure(db.transaction, db, function() insert("a") end).code)
        insert "b"
      end)
      assert.equal(2, count())
    end)

    it("works in a coroutine and in a callback of C", function()
      db:transaction(function()
        coroutine.wrap(function() insert "a" end)()
        ;("bc"):gsub(".", function(v) insert(v) end)
        assert.equal(3, count())
      end)
      assert.equal(3, count())
    end)

    it("whose commit fails is rolled back", function()
      db:exec "CREATE TABLE c (t INTEGER REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED)"
      local err = failure(db.transaction, db, function() db:exec "INSERT INTO c VALUES (99)" end)
      assert.same({ codes.foreign_key, "db.commit" }, { err.code, err.op })
      assert.equal(0, db:value "SELECT count(*) FROM c")
      insert "works"
    end)

    it("cannot be begun or ended by hand", function()
      assert.matches("use db:transaction", failure(db.exec, db, "BEGIN").message)
      assert.matches(dialect.by_hand, failure(db.query, db, "SAVEPOINT a").message)
      assert.equal(codes.ended, failure(db.transaction, db, function()
        db:exec "COMMIT"
        insert "outside?"
      end).code)
      assert.equal(0, count())
    end)

    it("that only reads refuses to write", function()
      insert "a"
      local function refused(fn, ...)
        local arguments = table.pack(...)
        local err = failure(db.transaction, db, function()
          assert.equal(1, count())
          fn(db, table.unpack(arguments, 1, arguments.n))
        end, { read_only = true })
        assert.same({ dialect.codes.read_only, true }, { err.code, err.op == "db.exec" or err.op == "db.query" })
      end
      refused(db.exec, "INSERT INTO t (v) VALUES ($1)", "b")
      refused(db.query, "INSERT INTO t (v) VALUES ('b') RETURNING id")
      refused(db.exec, "SELECT 1; DELETE FROM t")
      db:transaction(function() db:transaction(function() assert.equal(1, count()) end) end, { read_only = true })
      insert "c"
      assert.equal(2, count())
    end)

    it("sees one state, if it is to be repeatable, while others write", function()
      insert "a"
      db:transaction(function()
        assert.equal(1, count())
        if dialect.shared then task.spawn(insert, "beside"):join() end
        assert.equal(1, count())
      end, { read_only = true, isolation = "repeatable read" })
      assert.equal(dialect.shared and 2 or 1, count())
    end)

    it("takes options, and refuses those that it cannot heed", function()
      for _, level in ipairs { "read committed", "repeatable read", "serializable" } do
        assert.equal(1, db:transaction(function() return (insert(level)) end, { isolation = level, deferrable = true, read_only = false }))
      end
      assert.matches("db:transaction: option 'isolation': .*'serializable' expected, not 'chaos'", failure(db.transaction, db, count, { isolation = "chaos" }))
      assert.matches("did you mean 'retries'", failure(db.transaction, db, count, { retrys = 1 }))
      assert.matches("a table expected, not 1", failure(db.transaction, db, count, 1))
      db:transaction(function()
        for option, value in pairs { isolation = "serializable", read_only = true, deferrable = true } do
          local err = failure(db.transaction, db, count, { [option] = value })
          assert.equal("EINVAL", err.code)
          assert.matches(option, err.message)
        end
        db:transaction(count, { retries = 3, read_only = false })
      end)
      assert.equal(3, count())
    end)

    it("is begun anew when others were in its way, as often as it says", function()
      local calls = 0
      local function busy_until(n)
        calls = 0
        return function()
          calls = calls + 1
          insert(("try %d of %d"):format(calls, n))
          if calls < n then error { code = dialect.codes.busy } end
          return calls
        end
      end
      assert.equal(3, db:transaction(busy_until(3), { retries = 2 }))
      assert.same({ 3, 1 }, { calls, count() })
      local thrown = failure(db.transaction, db, busy_until(9), { retries = 2 })
      assert.same({ dialect.codes.busy, 3 }, { thrown.code, calls })
      failure(db.transaction, db, busy_until(9))
      assert.equal(1, calls)
      assert.equal("mine", failure(db.transaction, db, function()
        calls = calls + 1
        error("mine", 0)
      end, { retries = 5 }))
      assert.same({ 2, 1 }, { calls, count() })
    end)

    it("ends its tries with its task", function()
      local calls = 0
      local t = task.spawn(db.transaction, db, function()
        calls = calls + 1
        error { code = dialect.codes.busy }
      end, { retries = 1 << 40 })
      while calls < 2 do task.sleep(0) end
      t:cancel()
      assert.equal("ECANCELED", failure(t.join, t).code)
      insert "next"
    end)

    describe("after_commit", function()
      local seen

      before_each(function() seen = {} end)

      local function later(what) db:after_commit(function() seen[#seen + 1] = what end) end

      it("is called in order, when others see what is committed and the connection is back", function()
        local result = db:transaction(function()
          db:transaction(function()
            insert "a"
            later "first"
          end)
          db:after_commit(function() seen[#seen + 1] = task.spawn(count):join() end)
          db:after_commit(function() db:transaction(function() insert "b" end) end)
          later "last"
          return #seen
        end)
        assert.same({ 0, { "first", 1, "last" }, 2 }, { result, seen, count() })
      end)

      it("is forgotten with a rollback, of a savepoint as well", function()
        failure(db.transaction, db, function()
          later "never"
          error "out"
        end)
        db:transaction(function()
          later "kept"
          pcall(db.transaction, db, function()
            later "never"
            error "out"
          end)
          later "too"
        end)
        assert.same({ "kept", "too" }, seen)
      end)

      it("is called at once without a transaction, and raises then", function()
        later "now"
        assert.same({ "now" }, seen)
        assert.equal("mine", failure(db.after_commit, db, function() error("mine", 0) end))
        assert.matches("a function expected, got nil", failure(db.after_commit, db))
      end)

      it("has errors of its own, which are logged", function()
        assert.equal("result", db:transaction(function()
          insert "a"
          db:after_commit(function() error "broken hook" end)
          later "next"
          return "result"
        end))
        assert.same({ { "next" }, 1 }, { seen, count() })
      end)
    end)

    it("streams rows, and may leave the loop early", function()
      db:transaction(function()
        for row in db:rows(NUMBERS, 300) do
          insert_number(row.i)
          if row.i == 150 then break end
        end
        assert.equal(150, count())
      end)
      assert.equal(150, count())
    end)

    it("may be begun inside a rows loop", function()
      for row in db:rows(NUMBERS, 150) do
        pcall(db.transaction, db, function()
          insert_number(row.i)
          if row.i > 140 then error "no" end
        end)
      end
      assert.equal(140, count())
    end)
  end)

  describe("pin", function()
    before_each(be_alone)

    local function temporary() db:exec "CREATE TEMPORARY TABLE mine (a INTEGER)" end

    it("keeps one connection, with its session, and returns what the function returns", function()
      assert.same({ n = 3, 2, nil, 3 }, table.pack(db:pin(function()
        temporary()
        db:exec("INSERT INTO mine VALUES ($1)", 1)
        for row in db:rows "SELECT a FROM mine" do insert("v" .. row.a) end
        db:transaction(function() db:exec "INSERT INTO mine VALUES (2)" end)
        pcall(db.transaction, db, function()
          db:exec "INSERT INTO mine VALUES (3)"
          error "out"
        end)
        db:pin(function() assert.equal(2, db:value "SELECT count(*) FROM mine") end)
        return db:value "SELECT count(*) FROM mine", nil, 3
      end)))
      assert.equal(1, count())
    end)

    it("leaves nothing to whoever comes next, however it ends", function()
      db:pin(temporary)
      failure(db.pin, db, function()
        temporary()
        error "out"
      end)
      local t = until_arrived(function(stay)
        db:pin(function()
          temporary()
          stay()
        end)
      end)
      t:cancel()
      assert.equal("ECANCELED", failure(t.join, t).code)
      pcall(task.deadline, 0.05, db.pin, db, function()
        temporary()
        db:query(dialect.endless)
      end)
      if dialect.shared then
        assert.is_false((pcall(db.query, db, "SELECT * FROM mine")))
        db:pin(temporary)
      end
      assert.same({ 1, 1 }, { db:stats().writer.max, (insert "next") })
    end)

    it("is not shared with other tasks, which wait", function()
      local order = {}
      db:pin(function()
        local t = waiting(task.spawn(function()
          insert "b"
          order[#order + 1] = "b"
        end))
        insert "a"
        order[#order + 1] = "a"
        assert.equal("waiting", t:status())
      end)
      outcome.eventually(function() return order[2] end, "the other task had its turn")
      assert.same({ "a", "b" }, order)
      assert.matches("a function expected, got nil", failure(db.pin, db))
    end)
  end)

  describe("waiting for a connection", function()
    before_each(be_alone)

    it("is first come, first served", function()
      local order, tasks = {}, {}
      db:transaction(function()
        for i = 1, 5 do
          tasks[i] = waiting(task.spawn(function()
            insert("v" .. i)
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
        local t = task.spawn(insert, "a")
        local err = failure(t.join, t)
        assert.equal("ETIMEDOUT", err.code)
        assert.matches(("db: no connection to %s came free within 0.01 s (all 1 are in use: task"):format(db.name), err.message, 1, true)
        assert.matches("has one for [%d.e-]+ s, taken at [^:]*database.lua:%d+: ", err.message)
      end)
      assert.equal(0, count())
    end)

    it("is logged beforehand, when a task keeps a connection for longer than leak_after", function()
      local log, said = native.log, {}
      local _ <close> = setmetatable({}, { __close = function() native.log = log end }) -- luacheck: ignore 122
      native.log = function(subject, message) table.insert(said, subject .. ": " .. message) end -- luacheck: ignore 122
      local watched <close> = connect(place.url, { leak_after = 0.01 })
      local function kept()
        for _, text in ipairs(said) do
          if text:find(("db: a connection to %s is kept: task "):format(watched.name), 1, true) then return text end
        end
      end
      for _, method in ipairs { "transaction", "pin" } do
        said = {}
        watched[method](watched, function() outcome.eventually(kept, method) end)
        assert.matches("has one for [%d.e-]+ s, taken at [^:]*database.lua:%d+: .*, at ", kept())
      end
      said = {}
      for _ in watched:rows "SELECT 1 AS n UNION ALL SELECT 2" do
        outcome.eventually(kept, "rows")
        break
      end
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

    it("is counted, and told by stats", function()
      db:transaction(function()
        local t = waiting(task.spawn(insert, "next"))
        local stats = db:stats().writer
        assert.same({ 1, 1, 0, 1 }, { stats.max, stats.lent, stats.idle, stats.waiting })
        t:cancel()
      end)
      outcome.eventually(function() return db:stats().writer.waiting == 0 end, "nobody waits")
      local stats = db:stats().writer
      assert.same({ 0, 1, 1 }, { stats.lent, stats.idle, stats.waits })
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

  it("columns are told in order, with their places in the key", function()
    assert.same({ { name = "id", key = 1 }, { name = "v", key = 0 }, { name = "n", key = 0 } }, { table.unpack(db:columns "t") })
    db:exec 'CREATE TABLE "Two ""words""" (b INTEGER, a TEXT, PRIMARY KEY (a, b))'
    assert.same({ { name = "b", key = 2 }, { name = "a", key = 1 } }, { table.unpack(db:columns 'Two "words"') })
    assert.same({}, { table.unpack(db:columns "nothing") })
  end)

  if dialect.shared then
    it("others do not see what is not committed", function()
      db:transaction(function()
        insert "a"
        assert.equal(1, count())
        assert.equal(0, task.spawn(count):join())
      end)
      assert.equal(1, task.spawn(count):join())
    end)

    it("readers go on beside a writer, and past a statement that never ends", function()
      local t = waiting(task.spawn(db.query, db, ENDLESS))
      db:transaction(function()
        insert "a"
        for _ = 1, 20 do assert.equal(0, task.spawn(count):join()) end
      end)
      assert.equal("waiting", t:status())
      t:cancel()
      assert.is_false((pcall(t.join, t)))
    end)

    it("keeps its data", function()
      insert "a"
      db:close()
      db = connect(place.url)
      assert.equal("a", db:value "SELECT v FROM t")
    end)
  end

  if dialect.shared and dialect.serial then
    it("two pools, as two processes, wait for each other", function()
      local other <close> = connect(place.url)
      local tasks = {}
      for i = 1, 40 do
        local one = i % 2 == 0 and db or other
        tasks[i] = task.spawn(one.transaction, one, function()
          local n = one:value "SELECT count(*) FROM t"
          task.sleep(0)
          one:exec("INSERT INTO t (n) VALUES ($1)", n)
        end)
      end
      for _, t in ipairs(tasks) do t:join() end
      assert.same({ n = 40, s = 780 }, other:one "SELECT count(*) AS n, sum(n) AS s FROM t")
    end)
  end

  it("leaves nothing behind", function()
    collectgarbage()
    for _ = 1, 50 do task.sleep(0.001) end
    collectgarbage()
    local before = census()
    for i = 1, 5 do
      local one <close> = connect(place.url)
      local name = "u" .. i
      one:exec(("CREATE TABLE %s (v INTEGER)"):format(name))
      local t = until_arrived(function(stay)
        one:transaction(function()
          one:exec(("INSERT INTO %s VALUES (1)"):format(name))
          stay()
        end)
      end)
      t:cancel()
      assert.is_false((pcall(t.join, t)))
      for _ in one:rows(NUMBERS, 300) do break end
    end
    outcome.eventually(function()
      for name, now in pairs(census()) do
        if now > before[name] then return false end
      end
      return true
    end, "all is given back")
  end)
end
