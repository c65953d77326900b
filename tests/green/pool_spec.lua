-- SPDX-License-Identifier: MIT
-- green.pool: who gets a connection, in which order, and what becomes of one that comes back, however it was used.
require "helper"
local native = require "green.task.native"
local net = require "green.net"
local outcome = require "outcome"
local new_pool = require "green.pool"
local shell = require "shell"
local task = require "green.task"

local failure, waiting = outcome.failure, outcome.waiting
local WAIT = 60 -- seconds for what takes none

-- A pool of tables, { id = 1 }, { id = 2 } ..., which knows which of them are open.
local function fakes(options)
  local all = { open = {}, n = 0, most = 0 }
  options = options or {}
  local close = options.close
  function options.close(conn)
    if close then close(conn) end
    assert(all.open[conn], "closed twice")
    all.open[conn] = nil
  end
  options.wait = options.wait or WAIT
  all.pool = new_pool(function()
    all.n = all.n + 1
    local conn = { id = all.n }
    all.open[conn] = true
    local n = 0
    for _ in pairs(all.open) do n = n + 1 end
    all.most = math.max(all.most, n)
    return conn
  end, options)
  return all
end

-- Waits until it is so.
local function eventually(is_so)
  while not is_so() do task.sleep(0.001) end
end

local function all_back(pool) eventually(function() return pool:stats().lent == 0 end) end

-- The line that calls it.
local function here() return debug.getinfo(2, "l").currentline end

local function id_of(conn) return conn.id end

-- ---- what becomes of a connection ----

-- Each uses a connection of the pool and comes to its end, however. `state`: what the connection is in then.
local ENDINGS = {
  { "returns", state = "clean", function(pool) assert(pool:use(id_of) == 1) end },
  { "gives the lease back", state = "clean", function(pool) pool:take():give() end },
  { "lets a <close> lease go", state = "clean", function(pool) local _ <close> = pool:take() end },
  { "catches an error of its own", state = "clean", function(pool) pool:use(function() pcall(error, "x") end) end },
  { "waits, and gives up by a time-out of its own", state = "clean", function(pool)
    pool:use(function()
      local channel = task.channel()
      assert(failure(channel.receive, channel, 0.001).code == "ETIMEDOUT")
    end)
  end },
  { "raises", state = "dirty", function(pool) assert(failure(pool.use, pool, function() error("x", 0) end) == "x") end },
  { "raises nil", state = "dirty", function(pool) pcall(pool.use, pool, function() error(nil) end) end },
  { "is in a coroutine that is closed", state = "dirty", function(pool)
    local co = coroutine.create(pool.use)
    coroutine.resume(co, pool, coroutine.yield)
    coroutine.close(co)
  end },
  { "leaves the scope of a <close> lease by an error", state = "dirty", function(pool)
    pcall(function()
      local _ <close> = pool:take()
      error "x"
    end)
  end },
  { "is past its deadline", state = "broken", function(pool)
    assert(failure(task.deadline, 0.01, pool.use, pool, function() task.sleep(WAIT) end).code == "EDEADLINE")
  end },
  { "swallows that it is past a deadline", state = "broken", function(pool)
    assert(pool:use(function() return pcall(task.deadline, 0.001, task.sleep, WAIT) end) == false)
  end },
  { "is past its deadline while it computes", state = "broken", function(pool)
    pcall(task.deadline, 0.01, pool.use, pool, function() while true do end end)
  end },
  { "is cancelled", state = "broken", function(pool)
    local one = waiting(task.spawn(pool.use, pool, function() task.sleep(WAIT) end))
    one:cancel()
    assert(one:wait(WAIT) == "cancelled")
  end },
  { "is cancelled, and swallows that", state = "broken", function(pool)
    local one = waiting(task.spawn(pool.use, pool, function() pcall(task.sleep, WAIT) end))
    one:cancel()
    one:wait(WAIT)
  end },
  { "is a sibling of one that fails", state = "broken", function(pool)
    pcall(task.group, function(group)
      waiting(group:spawn(pool.use, pool, function() task.sleep(WAIT) end))
      error "x"
    end)
  end },
  { "is over its CPU limit", state = "broken", function(pool)
    local one = task.spawn(function()
      task.cpu_limit(0.02)
      pool:use(function() while true do end end)
    end)
    assert(one:wait(WAIT) == "failed")
  end },
  { "discards the lease", state = "broken", function(pool) pool:take():discard() end },
  { "abandons the lease", state = "broken", function(pool)
    task.spawn(function() pool:take() end):join()
    eventually(function()
      collectgarbage()
      return pool:stats().lent == 0
    end)
  end },
  { "abandons a coroutine that has it", state = "broken", function(pool)
    task.spawn(function() coroutine.wrap(function() pool:use(coroutine.yield) end)() end):join()
    eventually(function()
      collectgarbage()
      return pool:stats().lent == 0
    end)
  end },
  { "has another task give it back", state = "broken", function(pool)
    local lease = pool:take()
    task.spawn(lease.give, lease):join()
  end },
}

-- Each is a `reset`, and what becomes by it of a connection in these states: is it lent again?
local RESETS = {
  { "no reset", nil, clean = true, dirty = false },
  { "a reset", function() return true end, clean = true, dirty = true },
  { "a reset that waits", function() task.sleep(0.001) return true end, clean = true, dirty = true },
  { "a reset that says no", function() return false end, clean = false, dirty = false },
  { "a reset that says nil and a message", function() return nil, "gone" end, clean = false, dirty = false },
  { "a reset that raises", function() error "x" end, clean = false, dirty = false },
}

for _, closing in ipairs { { "closes at once" }, { "waits as it closes", function() task.sleep(0.001) end }, { "raises as it closes", function() error "x" end } } do
  for _, reset in ipairs(closing[1] == "closes at once" and RESETS or { RESETS[1], RESETS[2] }) do
    describe(("a pool that has %s and %s"):format(reset[1], closing[1]), function()
      for _, ending in ipairs(ENDINGS) do
        it("knows what state a connection is in whose user " .. ending[1], function()
          local opened, closed = 0, 0
          local pool = new_pool(function()
            opened = opened + 1
            return { id = opened }
          end, {
            max = 1, wait = WAIT, reset = reset[2],
            close = function()
              closed = closed + 1
              if closing[2] then closing[2]() end
            end,
          })
          ending[2](pool)
          all_back(pool)
          local again = ending.state ~= "broken" and reset[ending.state] or false
          assert.equal(again and 1 or 2, pool:use(id_of))
          local stats = pool:stats()
          pool:close(WAIT)
          assert.equal(opened, closed)
          assert.equal(opened, pool:stats().closed)
          assert.equal(reset.clean and 1 or 0, stats.idle)
        end)
      end
    end)
  end
end

-- ---- who gets one ----

describe("a pool", function()
  it("serves first come, first served, and never has more than its limit", function()
    local all = fakes { max = 2 }
    local a, b = all.pool:take(), all.pool:take()
    local order, tasks = {}, {}
    for i = 1, 6 do
      tasks[i] = waiting(task.spawn(function()
        all.pool:use(function()
          order[#order + 1] = i
          task.sleep(0)
        end)
      end))
    end
    assert.equal(6, all.pool:stats().waiting)
    a:give()
    b:give()
    for i = 1, 6 do tasks[i]:join(WAIT) end
    assert.same({ 1, 2, 3, 4, 5, 6 }, order)
    assert.equal(2, all.most)
    local stats = all.pool:stats()
    assert.same({ 6, 0, 0 }, { stats.waits, stats.waiting, stats.timeouts })
    assert.is_true(stats.wait_time >= 0)
    all.pool:close()
  end)

  it("lends what was used last, and keeps as many as it is told", function()
    local all = fakes { max = 3, max_idle = 1 }
    local a, b = all.pool:take(), all.pool:take()
    a:give()
    b:give()
    assert.equal(1, all.pool:stats().idle)
    assert.equal(1, all.pool:use(id_of))
    all.pool:close()
    assert.is_nil((next(all.open)))
  end)

  it("says who has the connections, and where they stand", function()
    local all = fakes { max = 5, wait = 0.01 }
    local holders, arrived = {}, 0
    local function hold()
      all.pool:use(function()
        arrived = arrived + 1
        task.sleep(60) -- here it stands
      end)
    end
    for i = 1, 5 do holders[i] = task.spawn(hold) end
    outcome.eventually(function() return arrived == 5 end, "all hold one")
    local message = task.spawn(failure, all.pool.take, all.pool):join(WAIT).message
    for i = 1, 3 do
      local id = tostring(holders[i]):match "%d+"
      assert.matches(("task %s has one for [%%d.e-]+ s, taken at .*pool_spec.lua:%%d+: spawned at .*pool_spec.lua:%%d+, at .*pool_spec.lua:%%d+, waiting for task.sleep"):format(id), message)
    end
    assert.matches("; and 2 more%)$", message)
    for _, each in ipairs(holders) do
      each:cancel()
      each:wait(WAIT)
    end
  end)

  it("says that the task which has a connection has ended", function()
    local all = fakes { max = 1, wait = 0.01 }
    local lease = task.spawn(function()
      local taken = all.pool:take() -- a tail call would leave no line
      return taken
    end):join(WAIT)
    assert.matches("all 1 are in use: task %d+ has one for [%d.e-]+ s, taken at .*pool_spec.lua:%d+, and has ended%)$", task.spawn(failure, all.pool.take, all.pool):join(WAIT).message)
    lease:give()
  end)

  describe("logs who keeps a connection", function()
    local log, said

    before_each(function()
      log, said = native.log, {}
      native.log = function(subject, message) table.insert(said, subject .. ": " .. tostring(message)) end -- luacheck: ignore 122
    end)

    after_each(function() native.log = log end) -- luacheck: ignore 122

    -- What was logged about a lease that this line has taken; the name of a file may be cut.
    local function kept(line, rest)
      return ("^pool: a connection to the bar is kept: task %%d+ has one for [%%d.e-]+ s, taken at .*pool_spec.lua:%d%s"):format(line, rest)
    end

    it("once for each lease, with the line that took it", function()
      local all = fakes { name = "the bar", max = 3, leak_after = 0.01 }
      local lease, line = all.pool:take(), here()
      outcome.eventually(function() return #said == 1 end, "it is logged")
      assert.matches(kept(line, ": .*, at .*outcome"), said[1])
      local abandoned
      task.spawn(function() abandoned = all.pool:take() end):join(WAIT)
      outcome.eventually(function() return #said == 2 end, "the other is logged, and the first not again")
      assert.matches(kept(line + 4, ", and has ended$"), said[2])
      lease:give()
      lease, line = all.pool:take(), here()
      outcome.eventually(function() return #said == 3 end, "the same connection, taken again")
      assert.matches(kept(line, ": "), said[3])
      lease:give()
      abandoned:give()
      all.pool:close()
    end)

    it("and nobody who gives it back in time, or when it was not asked to", function()
      local all, unasked = fakes { name = "the bar", max = 3, leak_after = 0.05 }, fakes { name = "unasked" }
      local lease = unasked.pool:take()
      local last
      for _ = 1, 50 do
        all.pool:use(id_of)
        task.sleep(0)
      end
      last = all.pool:take()
      outcome.eventually(function() return #said > 0 end, "the last is logged")
      assert.equal(1, #said)
      last:give()
      lease:give()
      all.pool:close()
    end)

    it("and does not keep the pool alive for that", function()
      local all = fakes { leak_after = 600 }
      all.pool:use(id_of)
      local weak = setmetatable({ all.pool }, { __mode = "v" })
      all = nil
      outcome.eventually(function()
        collectgarbage()
        return not weak[1]
      end, "it is collected")
    end)
  end)

  it("has a time limit for the wait, and another for one take", function()
    local all = fakes { name = "the bar", max = 1, wait = 0.01 }
    local lease = all.pool:take()
    local err = task.spawn(failure, all.pool.take, all.pool):join(WAIT)
    assert.equal("ETIMEDOUT", err.code)
    assert.matches("^pool: no connection to the bar came free within 0.01 s %(all 1 are in use: task %d+ has one for ", err.message)
    err = task.spawn(failure, all.pool.take, all.pool, 0.001):join(WAIT)
    assert.matches("^pool: no connection to the bar came free within 0.001 s %(all 1 are in use: ", err.message)
    assert.equal(2, all.pool:stats().timeouts)
    lease:give()
    all.pool:close()
  end)

  it("forgets who left the line, by whatever way", function()
    local all = fakes { max = 1 }
    local lease = all.pool:take()
    local cancelled = waiting(task.spawn(all.pool.take, all.pool))
    local late = task.spawn(function() return failure(task.deadline, 0.001, all.pool.take, all.pool) end)
    local patient = task.spawn(all.pool.use, all.pool, id_of)
    cancelled:cancel()
    assert.equal("cancelled", cancelled:wait(WAIT))
    assert.equal("EDEADLINE", late:join(WAIT).code)
    eventually(function() return all.pool:stats().waiting == 1 end)
    lease:give()
    assert.equal(1, patient:join(WAIT))
    assert.equal(0, all.pool:stats().lent)
    all.pool:close()
  end)

  it("says so at once when a task would wait for itself", function()
    local all = fakes { max = 2 }
    local a <close> = all.pool:take()
    local b <close> = all.pool:take()
    local err = failure(all.pool.take, all.pool)
    assert.same({ "EDEADLK", "pool: the task waits for itself: it has all 2 connections to the pool" }, { err.code, err.message })
    assert.is_true(a.conn ~= b.conn)
  end)

  it("gives a place back when a connection cannot be made", function()
    local how = { function() error("refused", 0) end, function() return nil, "refused" end, function() return false end, function() task.sleep(WAIT) end }
    local turn = 0
    local pool = new_pool(function()
      turn = turn + 1
      return (how[turn] or function() return { id = turn } end)()
    end, { max = 1, wait = WAIT, name = "x" })
    assert.equal("refused", failure(pool.take, pool))
    local err = failure(pool.take, pool)
    assert.same({ "ENOTCONN", "pool: no connection to x: refused" }, { err.code, err.message })
    assert.equal("ENOTCONN", failure(pool.take, pool).code)
    assert.equal("EDEADLINE", failure(task.deadline, 0.01, pool.take, pool).code)
    assert.equal(5, pool:use(id_of))
    assert.equal(1, pool:stats().opened)
    pool:close()
  end)

  it("takes any value for a connection, and closes by its method", function()
    local closed = 0
    local made = { 7, "x", print, setmetatable({}, { __index = function() error "no fields" end }), { close = function() closed = closed + 1 end } }
    for _, conn in ipairs(made) do
      local pool = new_pool(function() return conn end)
      assert.is_true(rawequal(conn, pool:use(function(c) return c end)))
      pool:close()
    end
    assert.equal(1, closed)
  end)

  it("passes arguments, results and nils", function()
    local all = fakes()
    assert.same({ n = 4, 1, nil, 3 }, table.pack(all.pool:use(function(conn, ...) return conn.id, ... end, nil, 3, nil)))
    all.pool:close()
  end)

  it("may be given back twice, and says nothing of the connection then", function()
    local all = fakes()
    local lease = all.pool:take()
    lease:give()
    lease:give()
    lease:discard()
    assert.is_nil(lease.conn)
    assert.equal(1, all.pool:stats().idle)
    all.pool:close()
  end)
end)

-- ---- whether one that was idle is fit ----

describe("a check", function()
  local function fit_or_not(check, options)
    options = options or {}
    options.check, options.check_after, options.max = check, options.check_after or 0, 1
    local all = fakes(options)
    assert.equal(1, all.pool:use(id_of))
    return all
  end

  it("decides whether a connection is lent again", function()
    for _, case in ipairs { { 1, function() return true end }, { 2, function() return false end }, { 2, function() end }, { 2, function() error "x" end },
                            { 1, function() task.sleep(0) return "yes" end } } do
      local all = fit_or_not(case[2])
      assert.equal(case[1], all.pool:use(id_of))
      assert.equal(case[1] - 1, all.pool:stats().broken)
      all.pool:close()
      assert.is_nil((next(all.open)))
    end
  end)

  it("is not made of what was just used", function()
    local all = fit_or_not(error, { check_after = math.huge })
    assert.equal(1, all.pool:use(id_of))
    all.pool:close()
  end)

  for _, how in ipairs { "cancelled", "late" } do
    it("that is " .. how .. " loses its connection, and no place", function()
      local checks = 0
      local all = fit_or_not(function()
        checks = checks + 1
        task.sleep(WAIT)
      end)
      if how == "late" then
        assert.equal("EDEADLINE", failure(task.deadline, 0.01, all.pool.take, all.pool).code)
      else
        local one = waiting(task.spawn(all.pool.take, all.pool))
        one:cancel()
        assert.equal("cancelled", one:wait(WAIT))
      end
      all_back(all.pool)
      assert.equal(1, checks)
      assert.equal(2, all.pool:use(id_of))
      all.pool:close()
      assert.is_nil((next(all.open)))
    end)
  end
end)

-- ---- how many there are ----

describe("the least number of connections", function()
  it("is open once the first was needed, and again when some were lost", function()
    local all = fakes { max = 4, min = 3 }
    assert.equal(0, all.pool:stats().open)
    all.pool:use(id_of)
    eventually(function() return all.pool:stats().idle == 3 end)
    for _ = 1, 3 do pcall(all.pool.use, all.pool, error, "x") end
    eventually(function() return all.pool:stats().idle == 3 and all.pool:stats().lent == 0 end)
    assert.same({ 3, 3 }, { all.pool:stats().open, all.pool:stats().broken })
    assert.is_true(all.most <= 4)
    all.pool:close()
    assert.is_nil((next(all.open)))
  end)

  it("is never more than there may be, with however many tasks", function()
    local all = fakes { max = 3, min = 3 }
    task.map({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, function(i)
      for k = 1, 20 do pcall(all.pool.use, all.pool, function() task.sleep(0) if (i + k) % 3 == 0 then error "x" end end) end
    end)
    eventually(function() return all.pool:stats().idle == 3 end)
    assert.is_true(all.most <= 4) -- one of them is being closed
    all.pool:close()
    eventually(function() return not next(all.open) end)
  end)

  it("that cannot be made is tried again when the next is taken, and an open pool of none closes", function()
    local fails, n = true, 0
    local pool = new_pool(function()
      n = n + 1
      if fails and n > 1 then error("no", 0) end
      return {}
    end, { min = 2, wait = WAIT })
    pool:use(function() task.sleep(0) end)
    eventually(function() return n == 2 and pool:stats().lent == 0 end)
    assert.equal(1, pool:stats().open)
    fails = false
    pool:use(function() task.sleep(0) end)
    eventually(function() return pool:stats().idle == 2 end)
    pool:close()
    assert.equal(0, pool:stats().open)
  end)

  it("is not made in a pool that is closed meanwhile", function()
    local opening, go = task.channel(0), task.channel(0)
    local n, open = 0, 0
    local pool = new_pool(function()
      n = n + 1
      if n == 2 then
        opening:send(true)
        go:receive()
      end
      open = open + 1
      return { close = function() open = open - 1 end }
    end, { min = 2, wait = WAIT })
    pool:use(id_of)
    opening:receive()
    local closer = waiting(task.spawn(pool.close, pool, WAIT))
    go:send(true)
    closer:join()
    assert.equal(0, open)
  end)
end)

-- ---- for how long one is kept ----

describe("an idle connection", function()
  it("is closed after a while, though nobody comes", function()
    local all = fakes { idle = 0.01 }
    assert.equal(1, all.pool:use(id_of))
    eventually(function() return not next(all.open) end)
    local stats = all.pool:stats()
    assert.same({ 0, 1, 1 }, { stats.open, stats.expired, stats.closed })
    assert.equal(2, all.pool:use(id_of))
    all.pool:close()
  end)

  it("is closed when it is old, the oldest first", function()
    local all = fakes { max_age = 0.05, max = 2 }
    local a, b = all.pool:take(), all.pool:take()
    a:give()
    b:give()
    eventually(function() return not next(all.open) end)
    assert.equal(2, all.pool:stats().expired)
    all.pool:close()
  end)

  it("is not lent when it is old", function()
    local all = fakes { max_age = 1e-9 }
    assert.equal(1, all.pool:use(id_of))
    assert.equal(2, all.pool:use(id_of))
    all.pool:close()
    assert.is_nil((next(all.open)))
  end)

  it("of those that stay open is closed only when it is old, and another one is made", function()
    local all = fakes { max = 3, min = 2, idle = 0.01 }
    local leases = {}
    for i = 1, 3 do leases[i] = all.pool:take() end
    for i = 1, 3 do leases[i]:give() end
    eventually(function() return all.pool:stats().open == 2 end)
    task.sleep(0.05)
    assert.same({ 2, 1, 3 }, { all.pool:stats().open, all.pool:stats().expired, all.n })
    all.pool:close()
    assert.is_nil((next(all.open)))
    local short = fakes { max = 3, min = 2, max_age = 0.01 }
    short.pool:use(id_of)
    eventually(function() return short.n > 6 and short.pool:stats().open == 2 end)
    assert.is_true(short.most <= 3)
    short.pool:close()
    eventually(function() return not next(short.open) end)
  end)

  it("is not closed in the same moment as all others that were opened with it", function()
    local all = fakes { max = 50, max_age = 10 }
    local leases, ends = {}, {}
    for i = 1, 50 do leases[i] = all.pool:take() end
    for i = 1, 50 do
      ends[i] = leases[i].entry.dies
      leases[i]:give()
    end
    table.sort(ends)
    assert.is_true(ends[50] - ends[1] > 0.2 and ends[50] - ends[1] < 2)
    all.pool:close()
  end)

  it("keeps neither the program nor the pool", function()
    local out, err, code = shell("$lua x.lua", { ["x.lua"] = [[
      local weak = setmetatable({}, { __mode = "k" })
      do
        local pool = require "green.pool"(function() return {} end, { idle = 100000 })
        pool:use(print)
        weak[pool] = true
      end
      collectgarbage() collectgarbage()
      print(next(weak))
      local pool = require "green.pool"(function() return {} end, { idle = 100000 })
      pool:use(function() end)]] })
    assert.matches("^table: [^\n]*\nnil\n$", out)
    assert.same({ "", 0 }, { err, code })
  end)
end)

-- ---- the end ----

describe("closing a pool", function()
  it("refuses who waits and who comes, and waits for those in use", function()
    local all = fakes { max = 1, name = "x" }
    local go = task.channel()
    local user = waiting(task.spawn(all.pool.use, all.pool, function() go:receive(WAIT) end))
    local waiter = waiting(task.spawn(failure, all.pool.take, all.pool))
    local closer = waiting(task.spawn(all.pool.close, all.pool, WAIT))
    local err = waiter:join(WAIT)
    assert.same({ "ECLOSED", "pool: x is closed" }, { err.code, err.message })
    assert.equal("ECLOSED", failure(all.pool.take, all.pool).code)
    assert.equal("waiting", closer:status())
    go:send(true)
    closer:join(WAIT)
    user:join(WAIT)
    assert.is_nil((next(all.open)))
    all.pool:close()
  end)

  it("gives up after a while, and what is in use is closed later", function()
    local all = fakes { max = 3, name = "x" }
    local lease
    task.spawn(function() lease = all.pool:take() end):join()
    local err = failure(all.pool.close, all.pool, 0.01)
    assert.same({ "ETIMEDOUT", "pool: 1 connections to x are still in use after 0.01 s" }, { err.code, err.message })
    lease:give()
    all_back(all.pool)
    assert.is_nil((next(all.open)))
  end)

  it("does not wait for the task itself", function()
    local all = fakes()
    local lease = all.pool:take()
    assert.equal("EDEADLK", failure(all.pool.close, all.pool).code)
    lease:give()
    assert.is_nil((next(all.open)))
    all.pool:close()
  end)

  it("can be cancelled, and is late", function()
    local all = fakes()
    local lease
    task.spawn(function() lease = all.pool:take() end):join()
    local one = waiting(task.spawn(all.pool.close, all.pool, WAIT))
    one:cancel()
    assert.equal("cancelled", one:wait(WAIT))
    assert.equal("EDEADLINE", failure(task.deadline, 0.001, all.pool.close, all.pool, WAIT).code)
    lease:discard()
    eventually(function() return not next(all.open) end)
  end)

  it("is what the end of its scope does, without a wait for those in use", function()
    local all, lease = fakes(), nil
    do
      local pool <close> = all.pool
      pool:use(id_of)
      task.spawn(function() lease = pool:take() end):join()
    end
    assert.equal("ECLOSED", failure(all.pool.take, all.pool).code)
    lease:discard()
    eventually(function() return not next(all.open) end)
  end)
end)

-- ---- all at once ----

describe("a pool of connections to a server", function()
  -- The server answers each line with itself, some time later.
  local function serve()
    local listener = net.listen "127.0.0.1:0"
    local serving = task.spawn(function()
      while true do
        local ok, peer = pcall(listener.accept, listener, WAIT)
        if not ok then return end
        task.spawn(pcall, function()
          local _ <close> = peer
          for line in function() return peer:read(nil, WAIT) end do
            task.sleep(math.random() * 0.004)
            peer:write(line)
          end
        end)
      end
    end)
    return listener, serving
  end

  for seed = 1, 4 do
    it("never gives an answer to another's question (seed " .. seed .. ")", function()
      math.randomseed(seed)
      local listener, serving = serve()
      local pool = new_pool(function() return net.connect(listener:address()) end, { max = 4, wait = WAIT })
      local right, wrong, users = 0, 0, {}
      local function ask(conn, question)
        conn:write(question)
        return conn:read(nil, WAIT)
      end
      for u = 1, 20 do
        users[u] = task.spawn(function()
          for q = 1, 10 do
            local question = ("%d of %d"):format(q, u)
            local ok, answer = pcall(task.deadline, math.random(3) == 1 and 0.002 or WAIT, pool.use, pool, ask, question)
            if ok and answer == question then right = right + 1 elseif ok then wrong = wrong + 1 end
          end
        end)
      end
      for u = 1, 20 do
        if u % 5 == 0 then
          task.sleep(0.001)
          users[u]:cancel()
        end
      end
      for _, user in ipairs(users) do user:wait(WAIT) end
      assert.equal(0, wrong)
      assert.is_true(right > 0)
      pool:close(WAIT)
      local stats = pool:stats()
      assert.same({ 0, 0, stats.opened }, { stats.open, stats.waiting, stats.closed })
      listener:close()
      serving:wait(WAIT)
    end)
  end
end)
