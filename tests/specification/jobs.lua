-- SPDX-License-Identifier: MIT
-- Jobs: none is lost, each is done once and said to be done once, whatever ends a run halfway: jobs(_ENV, dialect), in a spec;
-- specification.dialects says what a dialect is. Time passes by changes in the table, where a worker's clock is that of the database.
local assert = require "luassert"
local connect = require "green.db".connect
local cron = require "green.jobs.cron"
local debug = require "green.debug"
local fault = require "green.error"
local green = require "green"
local jobs = require "green.jobs"
local native = require "green.task.native"
local new_store = require "green.jobs.store"
local new_worker = require "green.jobs.worker"
local outcome = require "outcome"
local place_of_jobs = require "green.jobs.place"
local schedule = require "green.jobs.schedule"
local task = require "green.task"

local failure, await = outcome.failure, outcome.eventually
local WAIT = 60 -- seconds, for what is bound to come

return function(spec, dialect)
  local describe, it, before_each, after_each = spec.describe, spec.it, spec.before_each, spec.after_each
  local place, db, said, log

  before_each(function()
    place = dialect.fresh()
    db = connect(place.url, { wait = WAIT })
    jobs.configure { db = db, concurrency = 10, poll = 0.02, lease = 60 }
    log, said = native.log, {}
    native.log = function(subject, message) table.insert(said, subject .. ": " .. tostring(message)) end -- luacheck: ignore 122
  end)

  after_each(function()
    native.log = log -- luacheck: ignore 122
    jobs.stop(0)
    db:close()
    place.close()
  end)

  local function row(id) return jobs.list({ id = id })[1] end
  local function state(id)
    local one = row(id)
    return one and one.state or "gone"
  end
  local function time_passes() db:exec "UPDATE green_jobs SET due = 0 WHERE state <> 'dead'" end
  local function other_worker(most) return new_worker(function() return most or 10 end) end

  -- Defines a job, and returns the list of what its runs got: { { args, job }, ... }; fn(args, job) is called in each, if given.
  local function define(name, options, fn)
    local runs = {}
    jobs.define(name, function(args, job)
      table.insert(runs, { args, job })
      if fn then return fn(args, job, #runs) end
    end, options)
    return runs
  end

  describe("are enqueued", function()
    it("and run once, with what JSON can say", function()
      local runs = define "send"
      jobs.configure { concurrency = 1 } -- in their order
      local values = { false, "x", "", 9007199254740993, 0.5, { a = { 1, 2 } }, { 1, 2 }, { n = green.null } }
      for _, value in ipairs(values) do jobs.enqueue("send", value) end
      local last = jobs.enqueue "send"
      assert.equal(#values + 1, jobs.drain())
      for i, value in ipairs(values) do assert.same(value, runs[i][1]) end
      assert.is_nil(runs[#runs][1])
      assert.equal(last, runs[#runs][2].id)
      assert.same({}, jobs.list())
      assert.equal(0, jobs.drain())
    end)

    it("with a number of their own, which no other job ever gets, and which the function is told", function()
      local runs = define "send"
      local first = jobs.enqueue "send"
      jobs.drain()
      local second = jobs.enqueue "send"
      jobs.drain()
      assert.is_true(second > first)
      local job = runs[2][2]
      assert.same({ second, "send", 1, 0, 20 }, { job.id, job.name, job.attempt, job.failures, job.retries })
      assert.equal(("job send %d, attempt 1"):format(second), tostring(job))
      assert.is_true(math.abs(job.enqueued - os.time()) < 3600)
    end)

    it("together with a transaction, or not at all", function()
      local runs = define "send"
      jobs.configure { concurrency = 1 }
      jobs.enqueue("send", "before") -- makes the tables
      assert.equal("out", failure(db.transaction, db, function()
        jobs.enqueue("send", "never")
        error("out", 0)
      end))
      db:transaction(function()
        jobs.enqueue("send", "outer")
        pcall(db.transaction, db, function()
          jobs.enqueue("send", "never")
          error "of the savepoint"
        end)
        assert.equal(0, #runs)
      end)
      jobs.drain()
      assert.same({ "before", "outer" }, { runs[1][1], runs[2][1] })
      assert.equal(2, #runs)
    end)

    it("and the tables, made in a transaction that was rolled back, are made once more", function()
      define "send"
      for _ = 1, 2 do
        pcall(db.transaction, db, function()
          jobs.enqueue "send"
          error "out"
        end)
      end
      assert.same({}, jobs.list())
      jobs.enqueue "send"
      assert.equal(1, jobs.drain())
    end)

    it("for later, and not run before", function()
      local runs = define "send"
      local at = jobs.enqueue("send", "at", { run_at = os.time() + 5000 })
      local delayed = jobs.enqueue("send", "delay", { delay = 1000 })
      jobs.enqueue("send", "past", { run_at = 0 })
      assert.equal(1, jobs.drain())
      assert.equal("past", runs[1][1])
      assert.same({ delayed, at }, { jobs.list()[1].id, jobs.list()[2].id })
      assert.is_true(math.abs(row(delayed).due - row(delayed).enqueued - 1000) < 0.1)
      time_passes()
      assert.equal(2, jobs.drain())
    end)

    it("in the order in which they are due", function()
      local runs = define "send"
      jobs.configure { concurrency = 1 }
      for i = 1, 5 do jobs.enqueue("send", i, { run_at = 100 - i }) end
      jobs.drain()
      for i = 1, 5 do assert.equal(6 - i, runs[i][1]) end
    end)

    it("once, while one with the same unique key waits or runs", function()
      local inside
      define("send", nil, function(args)
        if args == "first" then inside = { jobs.enqueue("send", "inner", { unique = "k" }) } end
      end)
      define "other"
      local id, is_new = jobs.enqueue("send", "first", { unique = "k" })
      assert.is_true(is_new)
      assert.same({ id, false }, { jobs.enqueue("send", "second", { unique = "k" }) })
      assert.is_true(select(2, jobs.enqueue("send", "beside", { unique = "k2" })))
      assert.is_true(select(2, jobs.enqueue("other", "first", { unique = "k" })))
      assert.is_true(select(2, jobs.enqueue("send", "free")))
      jobs.drain()
      assert.same({ id, false }, inside)
      assert.is_true(select(2, jobs.enqueue("send", "third", { unique = "k" })))
      assert.is_true(select(2, jobs.enqueue("send", { 1 }, { unique = true })))
      assert.is_false(select(2, jobs.enqueue("send", { 1 }, { unique = true })))
      assert.is_true(select(2, jobs.enqueue("send", { 2 }, { unique = true })))
    end)

    it("once, by many at once", function()
      local runs, tasks, new = define "send", {}, 0
      for i = 1, 50 do tasks[i] = task.spawn(jobs.enqueue, "send", i, { unique = "k" }) end
      for _, one in ipairs(tasks) do
        if select(2, one:join()) then new = new + 1 end
      end
      assert.equal(1, new)
      jobs.drain()
      assert.equal(1, #runs)
    end)

    it("by a task that is cancelled or out of time in any wait: wholly or not, and nothing is left behind", function()
      local runs, n, ended = define "send", 0, false
      jobs.enqueue "send"
      while not ended do
        n = n + 1
        local one = task.spawn(function()
          debug.cancel_at(n, n % 2 == 0 and "deadline" or nil)
          db:transaction(function() return jobs.enqueue("send", n, { unique = true }) end)
        end)
        ended = one:wait() == "done"
        db:transaction(function() end)
      end
      assert.is_true(n > 2)
      local known = #jobs.list()
      assert.equal(known, jobs.drain())
      assert.equal(known, #runs)
      assert.equal(db.writer.size, db.writer.permits:available())
    end)
  end)

  describe("that fail", function()
    it("run again later, and later each time, with the error kept and logged", function()
      local runs = define("send", { backoff = 100 }, function() error("no soup", 0) end)
      local id = jobs.enqueue("send", "x")
      for n = 1, 4 do
        time_passes()
        assert.equal(1, jobs.drain())
        local one, now = row(id), db:value("SELECT " .. require("green.jobs.dialect")[db.driver.name].now)
        assert.same({ "waiting", n, n }, { one.state, one.attempt, one.failures })
        assert.matches("^no soup\nstack traceback:\n", one.error)
        local pause = 100 * 2 ^ (n - 1)
        assert.is_true(one.due - now > 0.75 * pause - 30 and one.due - now < 1.25 * pause, one.due - now)
        assert.matches(("^job send %d, attempt %d: no soup; once more in %%d+ s$"):format(id, n), said[n])
        assert.same({ n, n - 1 }, { runs[n][2].attempt, runs[n][2].failures })
      end
    end)

    it("too often are dead, and are kept until somebody retries or drops them", function()
      local works = false
      define("send", { retries = 2 }, function() if not works then error "no" end end)
      local id = jobs.enqueue "send"
      for _ = 1, 3 do
        time_passes()
        jobs.drain()
      end
      assert.equal("dead", state(id))
      assert.matches("; it is dead, after 3 failures$", said[3])
      time_passes()
      assert.equal(0, jobs.drain())
      assert.same({ send = { dead = 1, running = 0, waiting = 0 } }, jobs.count())
      assert.equal(1, jobs.retry(id))
      assert.same({ "waiting", 0, 3 }, { state(id), row(id).failures, row(id).attempt })
      works = true
      assert.equal(1, jobs.drain())
      assert.equal("gone", state(id))
      works = false
      local never = define("once", { retries = 0 }, function() error "no" end)
      id = jobs.enqueue "once"
      jobs.drain()
      assert.same({ "dead", 1 }, { state(id), #never })
      assert.equal(1, jobs.drop(id))
      assert.equal("gone", state(id))
      assert.equal(0, jobs.drop(id))
    end)

    it("wait as long as a function says, and as usual if it fails itself", function()
      local answer = 7000
      define("send", { backoff = function(failures) return type(answer) == "number" and answer + failures or error(answer, 0) end },
        function() error "no" end)
      local id = jobs.enqueue "send"
      jobs.drain()
      local due = row(id).due
      assert.is_true(due > row(id).enqueued + 7000)
      for _, wrong in ipairs { "broken", -5, 0 / 0, 1 / 0 } do
        answer = wrong
        time_passes()
        jobs.drain()
        assert.equal("waiting", state(id))
        assert.is_true(row(id).due < due)
        assert.matches("^job send: its function 'backoff', at ", said[#said - 1])
      end
    end)

    it("have any error, also one that no database would take", function()
      local errors = {
        { nil, "^nil\n" }, { "a\0b\xff", "^a\\0b%?\n" }, { fault.new("soup", "ECOLD", "it is cold"), "^soup: it is cold\n" },
        { setmetatable({}, { __tostring = function() error "no" end }), "^an error whose __tostring fails\n" }, { ("x"):rep(100000), "^x+%.%.%.$" },
      }
      define("send", { retries = 0 }, function(n) error(errors[n][1], 0) end)
      for i, one in ipairs(errors) do
        local id = jobs.enqueue("send", i)
        jobs.drain()
        assert.equal("dead", state(id))
        assert.matches(one[2], row(id).error)
        assert.is_true(#row(id).error <= 8192)
      end
    end)

    it("do so by their time limit, too, or when somebody cancels their task", function()
      define("slow", { timeout = 0.02 }, function() task.sleep(WAIT) end)
      local id = jobs.enqueue "slow"
      jobs.drain()
      assert.equal("waiting", state(id))
      assert.matches("deadline", row(id).error)
      local loop = define("loop", { timeout = 0.02 }, function() while true do end end)
      id = jobs.enqueue "loop"
      jobs.drain()
      assert.same({ "waiting", 1 }, { state(id), #loop })
      local started = task.channel(1)
      define("stuck", nil, function()
        started:send(math.tointeger(native.current()))
        task.sleep(WAIT)
      end)
      id = jobs.enqueue "stuck"
      local draining = task.spawn(jobs.drain)
      local its_task = started:receive(WAIT)
      local names = {}
      for _, one in ipairs(debug.tasks()) do names[one.id] = one.name end
      assert.equal("job stuck " .. id, names[its_task])
      debug.cancel(its_task)
      draining:join(WAIT)
      assert.same({ "waiting", 1 }, { state(id), row(id).failures })
      assert.matches("was cancelled", row(id).error)
    end)

    it("in a transaction roll it back", function()
      db:exec "CREATE TABLE t (v INTEGER)"
      define("send", nil, function()
        db:transaction(function()
          db:exec "INSERT INTO t (v) VALUES (1)"
          error "no"
        end)
      end)
      jobs.enqueue "send"
      jobs.drain()
      assert.equal(0, db:value "SELECT count(*) FROM t")
    end)

    it("stay dead while another one has their unique key", function()
      define("send", { retries = 0 }, function() error "no" end)
      local first = jobs.enqueue("send", nil, { unique = "k" })
      jobs.drain()
      local second = jobs.enqueue("send", nil, { unique = "k" })
      assert.equal(0, jobs.retry(first))
      jobs.drain()
      assert.same({ "dead", "dead" }, { state(first), state(second) })
      assert.equal(1, jobs.retry { state = "dead" })
      assert.same({ "dead", "waiting" }, { state(first), state(second) })
    end)
  end)

  describe("that say themselves that they are done", function()
    before_each(function() db:exec "CREATE TABLE t (v INTEGER)" end)

    local function count() return db:value "SELECT count(*) FROM t" end

    it("are done with the transaction, whatever comes after it", function()
      local runs = define("send", nil, function(_, job)
        db:transaction(function()
          db:exec "INSERT INTO t (v) VALUES (1)"
          job:complete()
        end)
        error "too late"
      end)
      local id = jobs.enqueue "send"
      jobs.drain()
      assert.same({ "gone", 1, 1 }, { state(id), #runs, count() })
      assert.matches("too late; but it had said that it is done, and is not repeated$", said[1])
    end)

    it("are not when it is rolled back", function()
      define("send", nil, function(_, job)
        db:transaction(function()
          db:exec "INSERT INTO t (v) VALUES (1)"
          job:complete()
          error "out"
        end)
      end)
      local id = jobs.enqueue "send"
      jobs.drain()
      assert.same({ "waiting", 0 }, { state(id), count() })
    end)

    it("roll it back when another run has begun meanwhile", function()
      local err
      jobs.configure { poll = WAIT } -- it is the other worker's turn
      define("send", nil, function(_, job)
        if job.attempt == 2 then return db:exec "INSERT INTO t (v) VALUES (2)" end
        time_passes()
        assert.equal(1, other_worker():drain())
        err = failure(db.transaction, db, function()
          db:exec "INSERT INTO t (v) VALUES (1)"
          job:complete()
        end)
        error(err)
      end)
      local id = jobs.enqueue "send"
      jobs.drain()
      assert.same({ "gone", "ESTALE", 1 }, { state(id), err.code, count() })
      assert.matches("somebody else has taken it over, or dropped it, while it ran$", said[#said])
    end)
  end)

  describe("of a worker that is dead", function()
    local store

    before_each(function() store = place_of_jobs.store() end)

    local function die(name, n)
      local rows = store:claim("the dead one", { name }, 10, 1000)
      assert.equal(n or 1, #rows)
      return rows
    end

    it("are taken over when their lease is over, and not before", function()
      local runs = define "send"
      local id = jobs.enqueue("send", "x")
      die "send"
      assert.equal(0, jobs.drain())
      assert.equal("running", state(id))
      assert.equal("the dead one", row(id).worker)
      time_passes()
      assert.equal(1, jobs.drain())
      local job = runs[1][2]
      assert.same({ 2, 1 }, { job.attempt, job.failures })
    end)

    it("are dead when they have taken it with them too often", function()
      local runs = define("send", { retries = 2 })
      local id = jobs.enqueue("send", "x")
      for _ = 1, 3 do
        die "send"
        time_passes()
      end
      assert.equal(0, jobs.drain())
      assert.same({ "dead", 0 }, { state(id), #runs })
      assert.matches("^attempt 3 was not finished: its worker the dead one is gone, or lost the database", row(id).error)
      assert.matches("its worker the dead one is gone", said[1])
    end)

    it("are nothing that it can speak of any more", function()
      define("send", nil, function(_, job) if job.attempt == 2 then error "no" end end)
      local id = jobs.enqueue("send", "x")
      local old = die("send")[1]
      time_passes()
      jobs.drain() -- fails
      for _, method in ipairs { "finish", "fail", "release" } do assert.is_false(store[method](store, id, old.attempt, 1, "x")) end
      assert.same({ "waiting", 2 }, { state(id), row(id).failures })
      assert.same({}, store:renew("the dead one", { id }, 10))
    end)
  end)

  describe("that run", function()
    local gate, started

    before_each(function() gate, started = task.channel(), task.channel(20) end)

    local function define_gated(name, options)
      return define(name, options, function(args, job)
        started:send(job)
        return gate:receive(WAIT)
      end)
    end

    it("keep their lease, however slow they are", function()
      jobs.configure { lease = 3 }
      define_gated "send"
      local id = jobs.enqueue "send"
      jobs.start()
      started:receive(WAIT)
      local due = row(id).due
      await(function()
        local now = row(id).due
        if now - due > 1.5 then return true end -- renewed twice
        task.sleep(0.1)
      end)
      assert.equal(0, other_worker():drain())
      gate:send(true)
      await(function() return state(id) == "gone" end)
    end)

    if not dialect.serial then
      -- To renew the lease of a job that is done in a transaction which is not over was to wait for that, and the others' leases ended.
      it("keep their lease beside one that has said that it is done, and does not come to the end of its transaction", function()
        jobs.configure { lease = 3 }
        define_gated "slow"
        define("long", nil, function(_, job)
          db:transaction(function()
            job:complete()
            started:send(job)
            gate:receive(WAIT)
          end)
        end)
        local long = jobs.enqueue "long"
        jobs.start()
        started:receive(WAIT)
        local slow = jobs.enqueue "slow"
        started:receive(WAIT)
        local due = row(slow).due
        await(function()
          task.sleep(0.1)
          return row(slow).due - due > 1.5
        end)
        assert.equal(0, other_worker():drain())
        for _ = 1, 2 do gate:send(true, WAIT) end
        await(function() return state(long) == "gone" and state(slow) == "gone" end)
        assert.equal(0, #said)
      end)
    end

    it("are cancelled when they were dropped, or are another worker's", function()
      jobs.configure { lease = 0.3 }
      define_gated "send"
      local dropped = jobs.enqueue("send", 1)
      jobs.start()
      started:receive(WAIT)
      assert.equal(1, jobs.drop(dropped))
      await(function() return said[1] end)
      assert.matches("it was dropped, or taken over by another worker", said[1])
      local taken = jobs.enqueue("send", 2)
      started:receive(WAIT)
      db:exec("UPDATE green_jobs SET worker = 'another', attempt = attempt + 1, due = due + 1000 WHERE id = $1", taken)
      await(function() return said[2] end)
      assert.equal("running", state(taken))
    end)

    it("are at most so many at once", function()
      local now, most = 0, 0
      jobs.configure { concurrency = 3 }
      define("send", nil, function()
        task.atomic(function()
          now = now + 1
          most = math.max(most, now)
        end)
        task.sleep(0.001)
        task.atomic(function() now = now - 1 end)
      end)
      for i = 1, 20 do jobs.enqueue("send", i) end
      assert.equal(20, jobs.drain())
      assert.is_true(most > 1 and most <= 3)
    end)

    it("are run by one of several workers, each once", function()
      local count, workers = {}, {}
      define("send", nil, function(n) task.atomic(function() count[n] = (count[n] or 0) + 1 end) end)
      db:transaction(function() for i = 1, 200 do jobs.enqueue("send", i) end end)
      for i = 1, 4 do workers[i] = task.spawn(function() return other_worker(5):drain() end) end
      local sum = 0
      for _, one in ipairs(workers) do sum = sum + one:join(WAIT) end
      assert.equal(200, sum)
      for i = 1, 200 do assert.equal(1, count[i]) end
    end)

    it("may enqueue others, which begin at once", function()
      jobs.configure { poll = WAIT }
      local runs = define("send", nil, function(n) if n > 0 then jobs.enqueue("send", n - 1) end end)
      jobs.start()
      task.sleep(0)
      jobs.enqueue("send", 5)
      await(function() return #runs == 6 end)
    end)

    it("begin at once when a transaction is committed, and not before", function()
      local runs = define "send"
      jobs.configure { poll = WAIT }
      jobs.start()
      db:transaction(function()
        jobs.enqueue "send"
        for _ = 1, 10 do task.sleep(0) end
        assert.equal(0, #runs)
      end)
      await(function() return #runs == 1 end)
    end)

    it("begin when they are due, though nothing rings", function()
      local runs = define "send"
      jobs.start()
      jobs.enqueue("send", nil, { delay = 0.05 })
      await(function() return #runs == 1 end)
    end)

    it("are done when the worker stops in time", function()
      define_gated "send"
      local id = jobs.enqueue "send"
      jobs.start()
      started:receive(WAIT)
      local stopping = task.spawn(jobs.stop, WAIT)
      local late = jobs.enqueue "send"
      task.sleep(0.05)
      gate:send(true)
      stopping:join(WAIT)
      assert.same({ "gone", "waiting", 0 }, { state(id), state(late), row(late).attempt })
    end)

    it("are given back when it does not, for others to take at once, and that is no failure", function()
      define_gated "send"
      local id = jobs.enqueue "send"
      jobs.start()
      started:receive(WAIT)
      jobs.stop(0)
      assert.same({ "waiting", 0, 1 }, { state(id), row(id).failures, row(id).attempt })
      assert.equal(0, #said)
      local draining = task.spawn(jobs.drain)
      assert.equal(2, started:receive(WAIT).attempt)
      gate:send(true)
      assert.equal(1, draining:join(WAIT))
    end)

    it("are given back, too, if they will not end", function()
      define("send", nil, function()
        started:send(true)
        task.shield(5, gate.receive, gate, WAIT)
      end)
      local id = jobs.enqueue "send"
      jobs.start()
      started:receive(WAIT)
      jobs.stop(0)
      assert.equal("waiting", state(id))
      gate:send(true)
      await(function() return said[1] end)
    end)

    it("are given back when whoever runs them is cancelled or out of time, in any wait", function()
      local n, ended = 0, false
      define("send", nil, function() task.sleep(0) end)
      while not ended do
        n = n + 1
        jobs.enqueue("send", n)
        local one = task.spawn(function()
          debug.cancel_at(n, n % 2 == 0 and "deadline" or nil)
          jobs.drain()
        end)
        ended = one:wait() == "done"
        time_passes()
        jobs.drain()
        assert.same({}, jobs.list())
      end
      assert.is_true(n > 4)
    end)
  end)

  describe("of a clock", function()
    local clock, now, entry = os.time, nil, nil
    local other -- another process's database

    before_each(function()
      now = 1796071200 + 1234 -- 2026-11-30 21:00:34 UTC
      os.time = function(...) return ... and clock(...) or now end -- luacheck: ignore 122
      other = dialect.shared and connect(place.url) or nil
      entry = (entry or 0) + 1
    end)

    after_each(function()
      os.time = clock -- luacheck: ignore 122
      for _, one in ipairs(schedule.list()) do one.spec = cron.read "0 0 29 2 *" end -- no other test will find it due
      if other then other:close() end
    end)

    -- A job of its own for each test, hourly: what other tests have said of the clock goes on.
    local function hourly(options, fn)
      local name = ("hourly%s%d"):format(dialect.name:gsub("%W", ""), entry)
      local runs = define(name, nil, fn)
      jobs.cron("0 * * * *", name, { entry = entry }, options)
      return runs, name
    end
    local function look() schedule.look(place_of_jobs.store()) end
    local function waiting(name) return (jobs.count()[name] or { waiting = 0 }).waiting end

    it("are enqueued once each time, beginning with the next", function()
      local runs, name = hourly()
      place_of_jobs.store():prepare()
      look()
      assert.equal(0, waiting(name))
      now = now + 3600
      look()
      look()
      assert.equal(1, waiting(name))
      jobs.drain()
      assert.same({ entry = entry }, runs[1][1])
      look()
      now = now + 3600
      look()
      jobs.drain()
      assert.equal(2, #runs)
    end)

    it("that nobody looked at run once for all times that were missed", function()
      local runs, name = hourly()
      place_of_jobs.store():prepare()
      look()
      now = now + 36000
      look()
      assert.equal(1, waiting(name))
      jobs.drain()
      look()
      jobs.drain()
      assert.equal(1, #runs)
    end)

    it("are not enqueued while the one before waits or runs, unless that is wanted", function()
      local _, name = hourly()
      entry = entry + 1
      local _, overlapping = hourly { overlap = true }
      place_of_jobs.store():prepare()
      for _ = 1, 4 do
        look()
        now = now + 3600
      end
      assert.same({ 1, 3 }, { waiting(name), waiting(overlapping) })
    end)

    it("are found by a worker", function()
      local runs = hourly()
      jobs.start()
      await(function() return #jobs.list() == 0 and db:value "SELECT count(*) FROM green_jobs_cron" > 0 end) -- list makes the tables
      now = now + 3600
      await(function() return #runs == 1 end)
    end)

    if dialect.shared then
      it("are enqueued once by all processes that look at the same time", function()
        local runs, name = hourly { overlap = true }
        local stores, tasks = {}, {}
        for i = 1, 6 do
          stores[i] = new_store(i % 2 == 0 and other or db)
          stores[i]:prepare()
          schedule.look(stores[i])
        end
        now = now + 3600
        for i, store in ipairs(stores) do
          schedule.look(store) -- alone, and then all at once
          tasks[i] = task.spawn(function()
            schedule.look(store)
            now = now + (i == 1 and 3600 or 0)
            schedule.look(store)
          end)
        end
        for _, one in ipairs(tasks) do one:join(WAIT) end
        assert.equal(2, waiting(name))
        jobs.drain()
        assert.equal(2, #runs)
      end)
    end
  end)

  it("that another process defines are left to it", function()
    define "mine"
    jobs.enqueue "mine"
    db:exec "UPDATE green_jobs SET name = 'theirs'"
    assert.equal(0, jobs.drain())
    assert.same({ theirs = { dead = 0, running = 0, waiting = 1 } }, jobs.count())
  end)

  it("are listed by name and state", function()
    define("a", { retries = 0 }, function() error "no" end)
    define "b"
    local dead = jobs.enqueue("a", { n = 1 })
    jobs.drain()
    local waiting = jobs.enqueue("b", nil, { delay = 1000, unique = "k" })
    jobs.enqueue("a", nil, { delay = 2000 })
    assert.equal(3, #jobs.list())
    assert.equal(1, #jobs.list { limit = 1 })
    assert.same({ n = 1 }, row(dead).args)
    assert.equal("k", row(waiting).unique)
    assert.equal(dead, jobs.list({ state = "dead" })[1].id)
    assert.equal(waiting, jobs.list({ name = "b" })[1].id)
    assert.equal(0, #jobs.list { name = "b", state = "dead" })
    assert.equal(2, jobs.drop { name = "a" })
    assert.equal(1, #jobs.list())
  end)

  it("go on when the database has failed for a while, and that is said once", function()
    local runs = define "send"
    jobs.enqueue("send", 1)
    db:exec "ALTER TABLE green_jobs RENAME TO hidden"
    jobs.start()
    await(function() return said[1] end)
    db:exec "ALTER TABLE hidden RENAME TO green_jobs"
    await(function() return #runs == 1 and said[2] end)
    assert.equal(2, #said)
    assert.matches("^jobs: they wait: db: ", said[1])
    assert.matches("is back after", said[2])
  end)

  it("are said to be done once the database is there again, and not run twice", function()
    local runs = define("send", nil, function() db:exec "ALTER TABLE green_jobs RENAME TO hidden" end)
    local id = jobs.enqueue("send", 1)
    jobs.start()
    await(function() return table.concat(said, "\n"):find "the database is not told yet" end)
    db:exec "ALTER TABLE hidden RENAME TO green_jobs"
    await(function() return state(id) == "gone" end)
    assert.equal(1, #runs)
  end)
end
