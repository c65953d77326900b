-- SPDX-License-Identifier: MIT
-- A PostgreSQL that is killed, started again, frozen, or whose connections are cut at every byte: a clear error, never a wrong answer,
-- and work resumes by itself. CUTS=all cuts at every byte, else at every seventh, other ones each time.
-- Needs: databases
local connect = require "green.db".connect
local cutter = require "peers.cutter"
local outcome = require "outcome"
local postgres = require "peers.postgres"
local task = require "green.task"

local failure, await = outcome.failure, outcome.eventually
local STEP = os.getenv "CUTS" == "all" and 1 or 7
local pg, place, db

postgres.around(_ENV, { size = 5, wait = 60 }, function(...)
  pg, place, db = ...
  db:exec "CREATE TABLE t (v int PRIMARY KEY)"
end)

local function insert(v) return (db:exec("INSERT INTO t VALUES ($1)", v)) end
local function all_back() await(function() return db.writer.permits:available() == db.writer.size end, "all connections are back") end

-- Twenty tasks that do something all the time, until stop(): of each value that was acknowledged, { value = true }.
local function busy()
  local self = { acked = {}, errors = {} }
  local going, tasks, last = true, {}, 0
  for i = 1, 20 do
    tasks[i] = task.spawn(function()
      while going do
        last = last + 1
        local v = last
        local ok, err = pcall(function()
          if v % 3 == 0 then assert(db:value("SELECT $1::int", v) == v, "the answer of another") end
          if v % 3 == 1 then return insert(v) end
          db:transaction(function()
            insert(v)
            assert(db:value("SELECT v FROM t WHERE v = $1", v) == v)
          end)
        end)
        if ok and v % 3 ~= 0 then self.acked[v] = true end
        if not ok then
          self.errors[#self.errors + 1] = err
          task.sleep(0.01)
        end
      end
    end)
  end
  function self.stop()
    going = false
    for _, one in ipairs(tasks) do one:join(60) end
  end
  return self
end

local function check_acknowledged(work)
  local there, count = {}, 0
  for row in db:rows "SELECT v FROM t" do there[row.v] = true end
  for v in pairs(work.acked) do
    assert.is_true(there[v], "acknowledged and lost: " .. v)
    count = count + 1
  end
  assert.is_true(count > 20)
  for _, err in ipairs(work.errors) do
    assert.is_string(type(err) == "table" and err.code or nil, tostring(err))
  end
end

describe("a server", function()
  it("that is killed gives clear errors; started again, work resumes by itself", function()
    local work = busy()
    await(function() return next(work.acked) end)
    for _ = 1, 2 do
      local before = #work.errors
      pg:kill()
      await(function() return #work.errors >= before + 20 end, "errors")
      pg:restart()
      local some = {}
      for v in pairs(work.acked) do some[v] = true end
      await(function()
        local new = 0
        for v in pairs(work.acked) do new = new + (some[v] and 0 or 1) end
        return new > 50
      end, "work resumes")
    end
    work.stop()
    check_acknowledged(work)
    all_back()
  end)

  it("that is away says so, at once", function()
    insert(1)
    pg:kill()
    for _ = 1, 20 do
      local err = failure(insert, 2)
      assert.is_string(err.code)
    end
    assert.equal("ECONNREFUSED", failure(insert, 2).code)
    all_back()
    pg:restart()
    insert(3)
    assert.equal(2, db:value "SELECT count(*) FROM t")
  end)

  it("that shuts down fast ends what runs; its kept connections are not used again", function()
    local one = task.spawn(db.query, db, "SELECT pg_sleep(600)")
    await(function() return pg:sessions(place.name, "state = 'active'") == 1 end)
    pg.server.child:kill "INT"
    local err = failure(one.join, one, 60)
    assert.equal("57P01", err.code)
    pg:kill()
    pg:restart()
    insert(1)
    all_back()
  end)

  it("that is frozen gives time-outs, to those in the queue, too; thawed, work resumes by itself", function()
    for i = 1, 5 do insert(i) end
    local hasty = db:with { timeout = 0.2 }
    pg:freeze()
    local tasks = {}
    for i = 1, 20 do
      tasks[i] = task.spawn(function()
        if i % 4 == 0 then return hasty:transaction(function() hasty:exec("INSERT INTO t VALUES ($1)", 100 + i) end) end
        if i % 4 == 1 then return task.deadline(0.2, hasty.value, hasty, "SELECT 1") end
        return hasty:value "SELECT 1"
      end)
    end
    for _, one in ipairs(tasks) do
      local err = failure(one.join, one, 60)
      assert.is_true(err.code == "ETIMEDOUT" or err.code == "EDEADLINE", tostring(err))
    end
    pg:thaw()
    await(function() return (pcall(insert, 200)) or db:value "SELECT count(*) FROM t WHERE v = 200" == 1 end, "work resumes")
    for i = 1, 10 do assert.equal(i, db:value("SELECT $1::int", i)) end
    all_back()
    pg:settled(place.name)
    assert.equal(0, db:value "SELECT count(*) FROM t WHERE v BETWEEN 101 AND 199")
  end)

  it("that is frozen lets a cancelled task go at once, and a pool be closed", function()
    local other = connect(place.url, { size = 2 })
    assert.equal(1, other:value "SELECT 1")
    pg:freeze()
    local running = outcome.waiting(task.spawn(other.value, other, "SELECT 1"))
    local connecting = outcome.waiting(task.spawn(other.value, other, "SELECT 1"))
    local queueing = outcome.waiting(task.spawn(other.value, other, "SELECT 1"))
    for _, one in ipairs { running, connecting, queueing } do
      one:cancel()
      assert.equal("ECANCELED", failure(one.join, one, 60).code)
    end
    other:close()
    pg:thaw()
    assert.equal(1, db:value "SELECT 1")
  end)
end)

describe("kept connections that the server ended", function()
  it("are not given to anybody", function()
    task.map({ 1, 2, 3, 4, 5 }, function() return db:value "SELECT 1 FROM pg_sleep(0.01)" end)
    for _ = 1, 3 do
      pg:ask(("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = '%s'"):format(place.name))
      await(function() return pg:sessions(place.name) == 0 end, "they are ended")
      local numbers = task.map({ 1, 2, 3, 4, 5, 6, 7, 8 }, function(i) return db:value("SELECT $1::int FROM pg_sleep(0.001)", i) end)
      assert.same({ 1, 2, 3, 4, 5, 6, 7, 8 }, numbers)
    end
    all_back()
  end)

  it("while in use end their statements, and no other", function()
    local one = task.spawn(db.query, db, "SELECT pg_sleep(600)")
    await(function() return pg:sessions(place.name, "state = 'active'") == 1 end)
    pg:ask(("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = '%s' AND state = 'active'"):format(place.name))
    assert.equal("57P01", failure(one.join, one).code)
    assert.equal(1, db:value "SELECT 1")
    all_back()
  end)
end)

describe("a connection that is cut", function()
  local proxy

  before_each(function() proxy = cutter(pg.port) end)
  after_each(function() proxy:close() end)

  local function proxied(parameters)
    return connect((place.url:gsub(":%d+/", (":%d/"):format(proxy.port))) .. "&sslmode=disable&gssencmode=disable",
      { size = 1, timeout = 30, wait = 60 } , parameters)
  end

  -- What is done over each connection: two rows or none, and a query.
  local function session(one, n)
    local acked, err = pcall(one.transaction, one, function()
      one:exec("INSERT INTO t VALUES ($1)", 2 * n)
      one:exec("INSERT INTO t VALUES ($1)", 2 * n + 1)
    end)
    local answered, answer = pcall(one.value, one, "SELECT $1::int * 3", n)
    return acked, err, answered, answer
  end

  local function check_error(ok, err, where)
    if ok then return end
    assert.is_string(type(err) == "table" and err.code or nil, where .. ": " .. tostring(err))
    assert.is_true(err.code ~= "ETIMEDOUT", where .. ": it was not noticed")
  end

  -- The proxy passes everything. A connection that the pool has kept is cut at its byte still, or stands still; those after it are not.
  local function check_works(one, number, where)
    proxy:pass()
    await(function()
      local ok, answer = pcall(one.value, one, "SELECT $1::int", number)
      if ok then assert.equal(number, answer, where) end
      return ok
    end, "it works again, " .. where)
  end

  local function check_cut(direction, n, number)
    local where = ("%s %d"):format(direction, n)
    proxy:cut(direction, n)
    local one <close> = proxied()
    local acked, err, answered, answer = session(one, number)
    check_error(acked, err, where)
    check_error(answered, answer, where)
    if answered then assert.equal(number * 3, answer, where) end
    check_works(one, number, where)
    await(function() return pg:sessions(place.name, "state <> 'idle'") == 0 end, "the server has noticed")
    local rows = db:value("SELECT count(*) FROM t WHERE v / 2 = $1", number)
    assert.is_true(rows == 0 or rows == 2, where .. ": half of a transaction")
    if acked then assert.equal(2, rows, where .. ": acknowledged and lost") end
    if not acked and rows == 2 then assert.equal("db.commit", err.op, where .. ": committed, and an error said otherwise") end
    return acked and answered
  end

  -- Returns the bytes of a whole session.
  local function whole()
    proxy:pass()
    proxy.first = nil
    local one <close> = proxied()
    local acked, _, answered = session(one, 0)
    assert.same({ true, true }, { acked, answered })
    return proxy.first
  end

  for _, direction in ipairs { "up", "down" } do
    it(("at any byte (%s) is a clear error, never a wrong answer, and no half of a transaction"):format(direction), function()
      local bytes, ended, number = whole()[direction], 0, 0
      for n = math.random(0, STEP - 1), bytes + 8, STEP do
        number = number + 1
        if check_cut(direction, n, number) then ended = ended + 1 end
      end
      assert.is_true(number > 10)
      assert.is_true(ended <= 60, "more went well than were behind the end")
    end)

    it(("in rows, at any byte (%s), never ends them early"):format(direction), function()
      proxy:pass()
      local bytes
      do
        local one <close> = proxied()
        for _ in one:rows "SELECT i, repeat('x', 50) AS x FROM generate_series(1, 40) AS s (i)" do end
        bytes = proxy.first[direction]
      end
      for n = math.random(0, STEP - 1), bytes, STEP do
        proxy:cut(direction, n)
        local one <close> = proxied()
        local seen = 0
        local ok, err = pcall(function()
          for row in one:rows "SELECT i, repeat('x', 50) AS x FROM generate_series(1, 40) AS s (i)" do
            seen = seen + 1
            assert(row.i == seen and #row.x == 50, "a wrong row")
          end
        end)
        check_error(ok, err, n)
        if ok then assert.equal(40, seen, n) end
      end
    end)

    it(("that stands still at any byte (%s) ends in time"):format(direction), function()
      local bytes, number = whole()[direction], 1000
      for n = math.random(0, 40), bytes, 41 do
        number = number + 1
        proxy:cut(direction, n, true)
        local one <close> = connect((place.url:gsub(":%d+/", (":%d/"):format(proxy.port))) .. "&sslmode=disable&gssencmode=disable",
          { size = 1, timeout = 0.1, wait = 5 })
        local acked, err, answered, answer = session(one, number)
        if not acked then assert.equal("ETIMEDOUT", err.code, ("%s %d: %s"):format(direction, n, err)) end
        if answered then assert.equal(number * 3, answer) else assert.equal("ETIMEDOUT", answer.code, ("%s %d: %s"):format(direction, n, answer)) end
        check_works(one:with { timeout = 1 }, number, n)
      end
    end)
  end
end)
