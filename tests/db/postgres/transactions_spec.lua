-- SPDX-License-Identifier: MIT
-- Transactions on PostgreSQL, and whatever is interrupted in any of its waits: the connection is back, nothing is open on the server.
-- Needs: databases
local connect = require "green.db".connect
local debug = require "green.debug"
local outcome = require "outcome"
local postgres = require "peers.postgres"
local task = require "green.task"

local failure, waiting, await = outcome.failure, outcome.waiting, outcome.eventually
local MANY = 500 -- more waits than anything here has
local pg, place, db

postgres.around(_ENV, { size = 2 }, function(...)
  pg, place, db = ...
  db:exec "CREATE TABLE t (v int UNIQUE DEFERRABLE INITIALLY DEFERRED); CREATE TABLE u (v int PRIMARY KEY); INSERT INTO u VALUES (1), (2)"
end)

local function insert(v) return (db:exec("INSERT INTO t VALUES ($1)", v)) end
local function count() return db:value "SELECT count(*) FROM t" end

-- Every connection is back, and the server has nothing open.
local function check_settled()
  await(function() return db.writer.permits:available() == db.writer.size end, "all connections are back")
  pg:settled(place.name)
end

describe("a transaction", function()
  it("in which a statement failed is not said to be committed", function()
    local err = failure(db.transaction, db, function()
      insert(1)
      pcall(db.exec, db, "nonsense")
    end)
    assert.is_string(err.code)
    assert.equal(0, count())
    check_settled()
  end)

  it("in which a statement failed refuses what follows", function()
    local err = failure(db.transaction, db, function()
      insert(1)
      pcall(db.exec, db, "nonsense")
      insert(2)
    end)
    assert.equal("25P02", err.code)
    assert.equal(0, count())
  end)

  it("whose commit fails is rolled back, and the connection is idle", function()
    for _ = 1, 5 do
      local err = failure(db.transaction, db, function()
        insert(1)
        insert(1)
      end)
      assert.same({ "23505", "db.commit" }, { err.code, err.op })
      check_settled()
    end
    assert.equal(0, count())
  end)

  it("nested deep is savepoints, of which each may fail by itself", function()
    local function nest(depth)
      insert(depth)
      if depth == 8 then return end
      pcall(db.transaction, db, function()
        nest(depth + 1)
        if depth % 2 == 0 then db:exec "nonsense" end
      end)
    end
    db:transaction(function() nest(1) end)
    local kept = {}
    for row in db:rows "SELECT v FROM t ORDER BY v" do kept[#kept + 1] = row.v end
    assert.same({ 1, 2 }, kept) -- 3 was in the savepoint of 2, which failed
  end)

  it("that ended a savepoint by hand is no longer one", function()
    local ok = pcall(db.transaction, db, function()
      insert(1)
      db:transaction(function()
        insert(2)
        db:exec "ROLLBACK"
      end)
      insert(3)
    end)
    assert.is_false(ok)
    assert.equal(0, count())
    check_settled()
  end)

  it("that was ended and begun again by hand does not commit what came after", function()
    local ok = pcall(db.transaction, db, function()
      insert(1)
      db:exec "ROLLBACK"
      pcall(db.exec, db, "BEGIN")
      insert(2)
    end)
    if ok then assert.equal(1, count()) else assert.equal(0, count()) end
    assert.equal(0, db:value "SELECT count(*) FROM t WHERE v = 1")
    check_settled()
  end)

  it("in a deadlock fails with 40P01, and the other one goes on", function()
    local met = task.channel(2)
    local function lock(first, second)
      return db:transaction(function()
        db:exec "SET LOCAL deadlock_timeout = '10ms'"
        db:exec("UPDATE u SET v = v WHERE v = $1", first)
        met:send(true)
        while db.met ~= true do task.sleep(0) end
        db:exec("UPDATE u SET v = v WHERE v = $1", second)
        return "done"
      end)
    end
    local a, b = task.spawn(lock, 1, 2), task.spawn(lock, 2, 1)
    met:receive()
    met:receive()
    db.met = true
    local results = { { pcall(a.join, a) }, { pcall(b.join, b) } }
    table.sort(results, function(x) return x[1] end)
    assert.equal("done", results[1][2])
    assert.same({ false, "40P01" }, { results[2][1], results[2][2].code })
    check_settled()
  end)

  it("does not include what the task's children do", function()
    db:transaction(function()
      insert(1)
      assert.equal(0, task.spawn(count):join())
    end)
    assert.equal(1, count())
  end)

  it("whose session the server ends fails, and does not go on elsewhere", function()
    local err = failure(db.transaction, db, function()
      insert(1)
      pg:ask(("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = '%s'"):format(place.name))
      await(function() return pg:sessions(place.name) == 0 end)
      local first = failure(insert, 2)
      assert.is_string(first.code)
      assert.is_string(failure(insert, 3).code)
      assert.is_string(failure(db.transaction, db, function() end).code)
    end)
    assert.is_string(err.code)
    assert.equal(0, count())
    insert(4)
    assert.equal(1, count())
    check_settled()
  end)

  it("whose session ends before the commit is not said to be committed", function()
    local err = failure(db.transaction, db, function()
      insert(1)
      pg:ask(("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = '%s'"):format(place.name))
      await(function() return pg:sessions(place.name) == 0 end)
    end)
    assert.is_string(err.code)
    assert.equal(0, count())
  end)

  it("that C ends with an error is rolled back", function()
    assert.is_false((pcall(db.transaction, db, function()
      insert(1)
      string.rep("x", 1 << 62)
    end)))
    assert.equal(0, count())
    check_settled()
  end)
end)

-- What is interrupted: { name, a function of a number that no other attempt has }. Each does all or nothing to the sums: t has pairs of
-- v and -v, u keeps its rows.
local function pair(v)
  insert(v)
  insert(-v)
end

local STEPS = {
  { "a query", function(v) assert.equal(2 * v, db:value("SELECT 2 * $1::int", v)) end },
  { "a query that takes time", function(v) assert.equal(v, db:value("SELECT $1::int FROM pg_sleep(0.002)", v)) end },
  { "an exec", function(v) assert.equal(2, (db:exec("INSERT INTO t VALUES ($1), (-$1)", v))) end },
  { "a script", function() db:exec "SELECT 1; SELECT pg_sleep(0.001); UPDATE u SET v = v" end },
  { "a large result", function() assert.equal(20000, #db:query "SELECT repeat('x', 50) AS x FROM generate_series(1, 20000)") end },
  { "rows", function()
    local sum = 0
    for row in db:rows "SELECT i, repeat('x', 100) AS x FROM generate_series(1, 5000) AS s (i)" do sum = sum + row.i end
    assert.equal(12502500, sum)
  end },
  { "rows that are left early", function()
    for row in db:rows "SELECT i, repeat('x', 100) AS x FROM generate_series(1, 100000) AS s (i)" do
      if row.i == 700 then break end
    end
  end },
  { "a transaction", function(v) db:transaction(function() pair(v) end) end },
  { "a transaction with a savepoint", function(v)
    db:transaction(function()
      db:transaction(function() pair(v) end)
      pcall(db.transaction, db, function()
        insert(v + 100000)
        error "no"
      end)
    end)
  end },
  { "a transaction that fails", function(v)
    pcall(db.transaction, db, function()
      insert(v)
      db:exec "nonsense"
    end)
    db:value "SELECT 1"
  end },
  { "a transaction whose commit fails", function(v)
    pcall(db.transaction, db, function()
      insert(v)
      insert(v)
    end)
    db:value "SELECT 1"
  end },
  { "rows in a transaction", function(v)
    db:transaction(function()
      for row in db:rows "SELECT i, repeat('x', 100) AS x FROM generate_series(1, 3000) AS s (i)" do
        if row.i == 2500 then pair(v) end
      end
    end)
  end },
}

-- Runs the step with its n-th wait interrupted, and returns whether it has no more waits than that.
local function interrupt(step, n, how, v)
  local left
  local one = task.spawn(function()
    debug.cancel_at(n, how)
    local ok, err = pcall(step, v)
    left = debug.cancel_at(0)
    if not ok then error(err, 0) end
  end)
  local ok, err = pcall(one.join, one)
  if not ok then assert.equal(how == "cancel" and "ECANCELED" or "EDEADLINE", type(err) == "table" and err.code or err) end
  return ok and left > 0
end

for _, how in ipairs { "cancel", "deadline" } do
  describe("interrupted in each of its waits (" .. how .. "),", function()
    for _, step in ipairs(STEPS) do
      it(step[1] .. " gives its connection back, idle", function()
        local v = 0
        for _, warm in ipairs { true, false } do
          for n = 1, MANY do
            v = v + 1
            if not warm then
              db:close()
              db = place.connect { size = 2 }
            end
            local ended = interrupt(step[2], n, how, v)
            check_settled()
            assert.equal(v + 7, db:value("SELECT $1::int + 7", v)) -- and no answer of another
            assert.same({ 0, 3 }, { db:value "SELECT coalesce(sum(v), 0)::int FROM t", db:value "SELECT sum(v)::int FROM u" })
            if ended then break end
          end
        end
        assert.is_true(v > 3 and v < MANY) -- each way has one wait at least
      end)
    end
  end)
end

describe("a statement that is stopped", function()
  local function active() return pg:sessions(place.name, "state = 'active'") end

  it("by its timeout is stopped on the server, too", function()
    local hasty = db:with { timeout = 0.05 }
    local stops = {
      function() hasty:query "SELECT pg_sleep(600)" end,
      function() hasty:exec "SELECT pg_sleep(600)" end,
      function() hasty:exec "SELECT 1; SELECT pg_sleep(600); SELECT 2" end,
      function() for _ in hasty:rows "SELECT pg_sleep(600)" do end end,
      function() hasty:query "SELECT count(*) FROM generate_series(1, 100000) AS a (i), generate_series(1, 100000) AS b (i)" end,
    }
    for i, stop in ipairs(stops) do
      local err = failure(stop)
      assert.equal("ETIMEDOUT", err.code, "stop " .. i)
      assert.equal(i, hasty:value("SELECT $1::int", i))
      await(function() return active() == 0 end, "statement " .. i .. " has ended on the server")
      check_settled()
    end
  end)

  it("by a cancel or a deadline is stopped on the server, too", function()
    for _ = 1, 3 do
      local one = waiting(task.spawn(db.query, db, "SELECT pg_sleep(600)"))
      await(function() return active() == 1 end, "it runs")
      one:cancel()
      assert.equal("ECANCELED", failure(one.join, one).code)
      await(function() return active() == 0 end, "it has ended")
      assert.equal("EDEADLINE", failure(task.deadline, 0.05, db.query, db, "SELECT pg_sleep(600)").code)
      await(function() return active() == 0 end, "it has ended")
    end
    check_settled()
  end)

  it("while it waits for a lock waits no longer", function()
    db:transaction(function()
      db:exec "UPDATE u SET v = v WHERE v = 1"
      local function update() return db:exec "UPDATE u SET v = 10 WHERE v = 1" end
      local one = task.spawn(update)
      await(function() return pg:sessions(place.name, "wait_event_type = 'Lock'") == 1 end, "it waits for the lock")
      one:cancel()
      assert.equal("ECANCELED", failure(one.join, one).code)
      await(function() return pg:sessions(place.name, "wait_event_type = 'Lock'") == 0 end, "it waits no longer")
      local hasty = db:with { timeout = 0.05 }
      assert.equal("ETIMEDOUT", failure(function() task.spawn(hasty.exec, hasty, "UPDATE u SET v = 10 WHERE v = 1"):join() end).code)
    end)
    assert.equal(1, db:value "SELECT count(*) FROM u WHERE v = 1")
    check_settled()
  end)

  it("dooms the transaction it is in", function()
    local hasty = db:with { timeout = 0.05 }
    local err = failure(db.transaction, db, function()
      insert(1)
      assert.equal("ETIMEDOUT", failure(hasty.query, hasty, "SELECT pg_sleep(600)").code)
      assert.is_false((pcall(insert, 2)))
    end)
    assert.is_string(err.code)
    assert.equal(0, count())
    check_settled()
  end)

  it("in a savepoint dooms only that", function()
    local hasty = db:with { timeout = 0.05 }
    db:transaction(function()
      insert(1)
      assert.is_false((pcall(db.transaction, db, function()
        insert(2)
        hasty:query "SELECT pg_sleep(600)"
      end)))
      insert(3)
    end)
    assert.same({ { v = 1 }, { v = 3 } }, { table.unpack(db:query "SELECT v FROM t ORDER BY v") })
  end)

  it("does not stop the next one on its connection", function()
    local one <close> = connect(place.url, { size = 1 })
    for i = 1, 100 do
      local doomed = waiting(task.spawn(one.query, one, "SELECT pg_sleep(600)"))
      if i % 2 == 0 then task.sleep(0.001) end
      doomed:cancel()
      assert.equal(i, one:value("SELECT $1::int FROM pg_sleep(0.002)", i))
      pcall(doomed.join, doomed)
    end
  end)

  it("among fifty others stops no other", function()
    local five <close> = connect(place.url, { size = 5, wait = 60 })
    local tasks = {}
    for i = 1, 50 do
      tasks[i] = task.spawn(function()
        if i % 3 == 0 then return task.deadline(0.005, five.query, five, "SELECT pg_sleep(600)") end
        for k = 1, 5 do assert.equal(i * 100 + k, five:value("SELECT $1::int FROM pg_sleep(0.001)", i * 100 + k)) end
        return "done"
      end)
    end
    for i, one in ipairs(tasks) do
      local ok, result = pcall(one.join, one)
      if i % 3 == 0 then assert.equal("EDEADLINE", result.code) else assert.same({ true, "done" }, { ok, result }) end
    end
    await(function() return five.writer.permits:available() == 5 end, "all connections are back")
  end)
end)
