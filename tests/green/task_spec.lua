-- SPDX-License-Identifier: MIT
-- lualib/green/task.lua, each function in success, failure, cancel, deadline, and nested.
local debug = require "green.debug"
local outcome = require "outcome"
local shell = require "shell"
local task = require "green.task"

local failure, waiting = outcome.failure, outcome.waiting

-- Runs fn in a task and cancels that once it waits. Returns what it raised.
local function cancelled(fn)
  local t = waiting(task.spawn(fn))
  t:cancel()
  return select(2, pcall(t.join, t))
end

local function code(fn, ...)
  local err = failure(fn, ...)
  return type(err) == "table" and err.code or err
end

local function nap() task.sleep(0.001) end
local function forever() task.sleep(1000) end

describe("task.spawn", function()
  it("gives arguments and results through, nil included", function()
    local t = task.spawn(function(...) nap() return select("#", ...), ... end, nil, 2, nil)
    assert.same({ 3, nil, 2, nil, n = 4 }, table.pack(t:join()))
    assert.same({ 3, nil, 2, nil, n = 4 }, table.pack(t:join())) -- as often as one likes
    assert.equal("done", t:status())
  end)

  it("gives the very error to each who joins", function()
    local thrown = {}
    local t = task.spawn(function() nap() error(thrown) end)
    for _ = 1, 2 do assert.equal(thrown, failure(t.join, t)) end
    assert.equal("failed", t:status())
  end)

  it("starts in another turn", function()
    local started = false
    local t = task.spawn(function() started = true end)
    assert.is_false(started)
    assert.equal("ready", t:status())
    t:join()
    assert.is_true(started)
  end)

  it("runs in coroutines of the user, and joins there", function()
    local value = coroutine.wrap(function() return task.spawn(function() nap() return 7 end):join() end)()
    assert.equal(7, value)
  end)

  it("wants a function", function()
    assert.matches("bad argument #1 to '[%w.]*spawn' %(function expected", failure(task.spawn))
    assert.matches("bad argument #1 to '[%w.]*spawn' %(function expected", failure(task.spawn, "x"))
  end)
end)

describe("handle:join", function()
  it("times out, and the task lives on", function()
    local go = task.channel()
    local t = waiting(task.spawn(function() return go:receive() end))
    assert.equal("ETIMEDOUT", code(t.join, t, 0))
    assert.equal("waiting", t:status())
    go:send "late"
    assert.equal("late", t:join())
  end)

  it("refuses the task itself and the main task's circle", function()
    local t
    t = task.spawn(function() return failure(t.join, t) end)
    assert.matches("cannot join itself", t:join())
  end)

  it("is left by a cancel of the one that joins only", function()
    local inner = waiting(task.spawn(forever))
    assert.equal("ECANCELED", cancelled(function() inner:join() end).code)
    assert.equal("waiting", inner:status())
    inner:cancel()
    assert.equal("cancelled", inner:wait())
  end)

  it("wakes all who join", function()
    local go, joined = task.channel(), 0
    local t = task.spawn(function() go:receive() end)
    local tasks = {}
    for i = 1, 10 do tasks[i] = waiting(task.spawn(function() t:join() joined = joined + 1 end)) end
    go:send(1)
    for _, one in ipairs(tasks) do one:join() end
    assert.equal(10, joined)
  end)
end)

describe("handle:wait", function()
  it("says how the task ended and raises nothing of it", function()
    assert.equal("done", task.spawn(nap):wait())
    assert.equal("failed", task.spawn(error, "x"):wait())
    local t = waiting(task.spawn(forever))
    t:cancel()
    assert.equal("cancelled", t:wait())
    assert.equal("cancelled", t:wait())
  end)
  it("raises what is the waiting task's own", function()
    local t = waiting(task.spawn(forever))
    assert.equal("ETIMEDOUT", code(t.wait, t, 0))
    assert.equal("EDEADLINE", code(task.deadline, 0.001, t.wait, t))
    t:cancel()
    t:wait()
  end)
end)

describe("cancel", function()
  it("is sticky: a pcall loop does not outlive it", function()
    local turns = 0
    local t = waiting(task.spawn(function()
      for _ = 1, 5 do
        pcall(forever)
        turns = turns + 1
      end
      nap()
    end))
    t:cancel()
    assert.equal("ECANCELED", code(t.join, t))
    assert.equal(5, turns)
  end)

  it("reaches a task before its first step, at its first wait", function()
    local began, waited = false, false
    local t = task.spawn(function() began = true nap() waited = true end)
    t:cancel()
    assert.equal("cancelled", t:wait())
    assert.same({ true, false }, { began, waited })
  end)

  it("does nothing to a task that has ended, and may be said twice", function()
    local t = task.spawn(function() return 1 end)
    t:join()
    t:cancel()
    assert.equal(1, t:join())
    assert.equal("done", t:status())
    local u = waiting(task.spawn(forever))
    u:cancel()
    u:cancel()
    assert.equal("cancelled", u:wait())
  end)

  it("of itself takes effect at the next wait", function()
    local t, after
    t = task.spawn(function() t:cancel() after = true nap() after = false end)
    assert.equal("ECANCELED", code(t.join, t))
    assert.is_true(after)
  end)

  it("is an error object with the name of the wait", function()
    local err = cancelled(forever)
    assert.same({ "ECANCELED", "task.sleep", "task.sleep: the task was cancelled" }, { err.code, err.op, tostring(err) })
  end)

  it("unwinds parked frames and coroutines, closing variables from the inside out", function()
    local log = {}
    local function noting(name) return setmetatable({}, { __close = function() log[#log + 1] = name end }) end
    cancelled(function()
      local _ <close> = noting "task"
      table.sort({ 1, 2 }, function()
        local _ <close> = noting "sort"
        coroutine.wrap(function()
          local _ <close> = noting "coroutine"
          forever()
        end)()
      end)
    end)
    assert.same({ "coroutine", "sort", "task" }, log)
  end)

  it("lets <close> wait within a shield only", function()
    local bare, shielded
    cancelled(function()
      local _ <close> = setmetatable({}, { __close = function()
        bare = code(nap)
        shielded = task.shield(1, function() nap() return "done" end)
      end })
      forever()
    end)
    assert.same({ "ECANCELED", "done" }, { bare, shielded })
  end)

  it("waits for a shield to end", function()
    local go, log = task.channel(), {}
    local t = waiting(task.spawn(function()
      task.shield(5, function() log[#log + 1] = go:receive() end)
      nap()
      log[#log + 1] = "never"
    end))
    t:cancel()
    task.sleep(0)
    assert.equal("waiting", t:status())
    go:send "shielded"
    assert.equal("cancelled", t:wait())
    assert.same({ "shielded" }, log)
  end)
end)

describe("task.deadline", function()
  it("passes results and errors through when there was time", function()
    assert.same({ 1, nil, 3, n = 3 }, table.pack(task.deadline(5, function(...) nap() return ... end, 1, nil, 3)))
    local thrown = {}
    assert.equal(thrown, failure(task.deadline, 5, error, thrown))
    task.sleep(0)
  end)

  it("ends the await, and each later one, and nothing after it", function()
    local again
    assert.equal("EDEADLINE", code(task.deadline, 0.02, function()
      again = { code(forever), code(nap) }
      nap()
    end))
    assert.same({ "EDEADLINE", "EDEADLINE" }, again)
    nap()
  end)

  it("the nearest wins, whichever it is", function()
    local log = {}
    local function nest(outer, inner)
      local ok = pcall(task.deadline, outer, function()
        log[#log + 1] = code(task.deadline, inner, forever)
        nap()
        log[#log + 1] = "went on"
      end)
      log[#log + 1] = ok
    end
    nest(5, 0.001)
    nest(0.001, 5)
    assert.same({ "EDEADLINE", "went on", true, "EDEADLINE", false }, log)
  end)

  it("does not extend an await's own timeout, nor does that extend the deadline", function()
    local s = task.semaphore(1)
    s:acquire()
    assert.equal("ETIMEDOUT", code(task.deadline, 5, s.acquire, s, 0.001))
    assert.equal("EDEADLINE", code(task.deadline, 0.001, s.acquire, s, 5))
  end)

  it("is inherited by children, theirs, and what they call", function()
    local codes = {}
    task.deadline(0.3, function()
      local t = task.spawn(function()
        local inner = task.spawn(function() codes[1] = code(forever) end)
        codes[2] = code(task.deadline, 5, forever)
        pcall(inner.wait, inner)
      end)
      pcall(t.wait, t)
      task.shield(5, t.wait, t)
    end)
    assert.same({ "EDEADLINE", "EDEADLINE" }, codes)
  end)

  it("is not inherited from inside a shield", function()
    local t
    task.deadline(5, function()
      task.shield(1000, function() t = task.spawn(function() nap() return "fine" end) end)
    end)
    assert.equal("fine", t:join())
  end)

  it("reaches waits in comparators, callbacks and coroutines", function()
    assert.equal("EDEADLINE", code(task.deadline, 0.001, table.sort, { 1, 2 }, forever))
    assert.equal("EDEADLINE", code(task.deadline, 0.001, string.gsub, "x", ".", forever))
    assert.equal("EDEADLINE", code(task.deadline, 0.001, coroutine.wrap(forever)))
  end)

  it("in a coroutine stays there while that is suspended", function()
    local step = coroutine.wrap(function()
      return code(task.deadline, 0.002, function()
        coroutine.yield "suspended"
        forever()
      end)
    end)
    assert.equal("suspended", step())
    task.sleep(0.004) -- past the coroutine's deadline, which is not ours
    local outside = task.spawn(nap)
    outside:join()
    assert.equal("EDEADLINE", step())
    nap()
  end)

  it("goes with its coroutine from task to task", function()
    local step = coroutine.wrap(function()
      return code(task.deadline, 0.002, function()
        coroutine.yield()
        forever()
      end)
    end)
    step()
    assert.equal("EDEADLINE", task.spawn(step):join())
    nap()
  end)

  it("nests with those of coroutines in any order of leaving", function()
    local function sheltered()
      return coroutine.wrap(function() return task.deadline(0.001, function() coroutine.yield() return code(forever) end) end)
    end
    local first, second = sheltered(), sheltered()
    first()
    second()
    task.deadline(5, function()
      assert.equal("EDEADLINE", first())
      nap()
      assert.equal("EDEADLINE", second())
      nap()
    end)
    nap()
  end)

  it("of a coroutine that is closed, fails or is forgotten is over", function()
    local function entered(after)
      local co = coroutine.create(function() task.deadline(0.001, function() coroutine.yield() after() end) end)
      coroutine.resume(co)
      return co
    end
    coroutine.close(entered(nap))
    assert.is_false(coroutine.resume(entered(function() error "x" end)))
    entered(nap)
    collectgarbage()
    task.sleep(0.003)
  end)

  it("of 0 ends at once; the next deadline is another", function()
    assert.equal("EDEADLINE", code(task.deadline, 0, nap))
    assert.equal(1, task.deadline(1, function() nap() return 1 end))
  end)

  it("names the argument that is wrong, at the caller's line", function()
    assert.matches("task_spec%.lua:%d+: task%.deadline: a number of seconds >= 0 expected, not nil", failure(function() task.deadline() end))
    assert.matches("task%.deadline: a number of seconds >= 0 expected, not %-1", failure(task.deadline, -1, nap))
    assert.matches("task%.deadline: a number of seconds >= 0 expected, not %-?nan", failure(task.deadline, 0 / 0, nap))
    assert.matches("task%.deadline: a function expected, not nil", failure(task.deadline, 1))
  end)
end)

describe("task.atomic", function()
  local function spin(seconds) -- of CPU; by default several slices, and less than a section may take
    local until_when = os.clock() + (seconds or 0.04)
    repeat until os.clock() >= until_when
  end

  -- What another task did while fn ran, although its slices ended meanwhile.
  local function beside(fn)
    local steps = 0
    local counter = task.spawn(function()
      while true do
        steps = steps + 1
        task.sleep(0)
      end
    end)
    task.sleep(0)
    local before, during = steps, nil
    local ok, err = pcall(fn, function() during = steps - before end)
    counter:cancel()
    return during, ok, err
  end

  it("gives arguments, results and errors through", function()
    assert.same({ 2, 1, nil, n = 3 }, table.pack(task.atomic(function(...) return select("#", ...), ... end, 1, nil)))
    local thrown = {}
    assert.equal(thrown, failure(task.atomic, error, thrown))
    assert.matches("task_spec.lua:%d+: task.atomic: a function expected, not nil", failure(function() task.atomic() end))
  end)

  it("lets nobody else run", function()
    assert.equal(0, (beside(function(note) task.atomic(function() spin() note() end) end)))
    assert.is_true(beside(function(note) spin() note() end) > 0) -- the same without it
  end)

  it("holds where Lua cannot yield, in coroutines, and in sections in each other", function()
    local places = {
      function(f) table.sort({ 1, 2 }, function() f() end) end,
      function(f) coroutine.wrap(f)() end,
      function(f) task.atomic(spin, 0) f() end,
      function(f) pcall(task.atomic, error) f() end,
      function(f) pcall(task.sleep, 0) f() end,
      function(f) -- a hook of the user's, and its own instruction count
        _G.debug.sethook(function() end, "", 100)
        f()
        _G.debug.sethook()
      end,
    }
    for i, place in ipairs(places) do
      local during, _, err = beside(function(note) task.atomic(place, function() spin() note() end) end)
      assert.same({ i, 0 }, { i, during or err })
    end
  end)

  it("ends the slice when it is left", function()
    assert.is_true(beside(function(note)
      task.atomic(spin)
      spin(0)
      note()
    end) > 0)
    assert.is_true(beside(function(note)
      for _ = 1, 100 do task.atomic(spin, 0.001) end -- always in a section when the watchdog looks
      note()
    end) > 0)
  end)

  it("refuses to wait, by the operation's name", function()
    local err = failure(task.atomic, nap)
    assert.equal("EATOMIC", err.code)
    assert.equal("task.sleep: cannot wait within task.atomic", tostring(err))
    assert.equal("channel.receive: cannot wait within task.atomic", tostring(failure(task.atomic, task.channel().receive, task.channel())))
    assert.equal("EATOMIC", code(task.atomic, function() coroutine.wrap(nap)() end))
    assert.equal("EATOMIC", code(task.atomic, task.atomic, nap))
    task.atomic(function()
      local full = task.channel(1)
      full:send "does not wait"
      assert.equal("does not wait", full:receive())
      assert.equal("EATOMIC", code(nap))
    end)
    nap()
  end)

  it("ends on every way out", function()
    local function after(fn)
      pcall(fn)
      nap() -- raised EATOMIC otherwise
    end
    after(function() task.atomic(error) end)
    after(function() task.atomic(nap) end)
    after(function() task.atomic(task.atomic, error) end)
    after(function() coroutine.resume(coroutine.create(function() task.atomic(error) end)) end)
    after(function() coroutine.wrap(function() task.atomic(task.atomic, error) end)() end)
    after(function() task.atomic(coroutine.wrap(function() task.atomic(error) end)) end)
    local t = task.spawn(task.atomic, error)
    pcall(t.join, t)
    after(function() task.spawn(nap):join() end)
  end)

  it("is not left by a yield", function()
    local co = coroutine.create(function()
      local got = { code(task.atomic, coroutine.yield, 1), code(task.atomic, task.atomic, coroutine.yield, 1) }
      nap()
      coroutine.yield(got)
      return "end"
    end)
    assert.same({ true, { "EATOMIC", "EATOMIC" } }, { coroutine.resume(co) })
    assert.same({ true, "end" }, { coroutine.resume(co) })
    assert.equal("coroutine.yield: cannot yield out of task.atomic",
      select(2, coroutine.resume(coroutine.create(function() task.atomic(coroutine.yield) end))).op .. ": cannot yield out of task.atomic")
  end)

  it("may be yielded in", function()
    local sum = task.atomic(function()
      local n = 0
      for i in coroutine.wrap(function() for i = 1, 10 do coroutine.yield(i) end end) do n = n + i end
      return n
    end)
    assert.equal(55, sum)
  end)

  it("does not hold for children", function()
    assert.equal("fine", task.atomic(task.spawn, function() nap() return "fine" end):join())
  end)

  it("is no refuge: a loop in it is told of, once, and ends with its limits", function()
    local out, err = shell("$lua x.lua", { ["x.lua"] = [[
      local task = require "green.task"
      local function code(fn, ...) return select(2, pcall(fn, ...)).code end
      local function hog() while true do end end
      local ticks = 0
      task.spawn(function() while true do ticks = ticks + 1 task.sleep(0) end end)
      print(code(task.deadline, 0.01, task.atomic, hog))
      print(ticks > 0)
      local t = task.spawn(task.atomic, hog)
      task.sleep(0)
      t:cancel()
      print(code(t.join, t))
      task.cpu_limit(0.02)
      print(code(task.atomic, hog))
      os.exit(0)]] }, true)
    assert.equal("EDEADLINE\ntrue\nECANCELED\nECPULIMIT\n", out)
    local _, reports = err:gsub("greenlua: task.atomic holds everybody up for more than 100 ms", "")
    assert.equal(1, reports) -- of one place, which is then told of by a number
    assert.matches("greenlua: the stall at x.lua:3 came 2 times more\n", err)
    assert.matches("\n\tx.lua:3: in [^\n]*", err)
  end)

  it("needs no task", function()
    assert.equal("closed\n", (shell("$lua x.lua", { ["x.lua"] = [[
      local task = require "green.task"
      setmetatable({}, { __gc = function() print(task.atomic(function() return "closed" end)) end })]] })))
  end)
end)

describe("task.shield", function()
  it("keeps deadlines and cancels of outside away, and has its own end", function()
    assert.equal("fine", task.deadline(0, function() return task.shield(5, function() nap() return "fine" end) end))
    assert.equal("EDEADLINE", code(task.shield, 0.001, forever))
    nap()
  end)
  it("lets the outside in again after it", function()
    assert.equal("EDEADLINE", code(task.deadline, 0, function() task.shield(5, nap) nap() end))
  end)
  it("inside has deadlines of its own", function()
    assert.equal("EDEADLINE", task.deadline(0, function()
      return task.shield(5, function() return code(task.deadline, 0.001, forever) end)
    end))
  end)
  it("names the argument that is wrong", function()
    assert.matches("task_spec%.lua:%d+: task%.shield: a number of seconds >= 0 expected, not string", failure(function() task.shield("x", nap) end))
    assert.matches("task%.shield: a function expected, not nil", failure(task.shield, 1))
  end)
end)

describe("task.group", function()
  local function alive(group_task) -- how many children still run when it ended
    local before = debug.census().tasks
    group_task()
    return debug.census().tasks - before
  end

  it("returns the body's results after its children ended", function()
    local log = {}
    local results = table.pack(task.group(function(g)
      for i = 1, 3 do g:spawn(function() nap() log[#log + 1] = i end) end
      return "a", nil, "c", nil
    end))
    assert.same({ "a", nil, "c", nil, n = 4 }, results)
    assert.equal(3, #log)
  end)

  it("waits for children of children", function()
    local log = 0
    task.group(function(g)
      g:spawn(function()
        nap()
        g:spawn(function()
          nap()
          g:spawn(function() nap() log = log + 1 end)
        end)
      end)
    end)
    assert.equal(1, log)
  end)

  it("gives handles that can be joined", function()
    assert.equal(5, task.group(function(g) return g:spawn(function() nap() return 5 end):join() end))
  end)

  it("raises the first failure after the siblings were cancelled", function()
    local thrown, ends = {}, {}
    assert.equal(0, alive(function()
      local err = failure(task.group, function(g)
        for i = 1, 3 do
          g:spawn(function()
            local _ <close> = setmetatable({}, { __close = function(_, e) ends[i] = e.code end })
            forever()
          end)
        end
        g:spawn(function() nap() error(thrown) end)
        g:spawn(function() nap() error "a second one" end)
        forever()
      end)
      assert.equal(thrown, err)
    end))
    assert.same({ "ECANCELED", "ECANCELED", "ECANCELED" }, ends)
  end)

  it("raises a failure even if the body caught its own cancel", function()
    local thrown = {}
    assert.equal(thrown, failure(task.group, function(g)
      g:spawn(function() nap() error(thrown) end)
      pcall(forever)
      return "fine"
    end))
  end)

  it("cancels the children when the body fails, and raises that", function()
    local thrown, child = {}, nil
    assert.equal(thrown, failure(task.group, function(g)
      child = waiting(g:spawn(forever))
      error(thrown)
    end))
    assert.equal("cancelled", child:status())
  end)

  it("cancelled in its body or while it waits for children, ends those first", function()
    for _, body_waits in ipairs { true, false } do
      local child, cleaned
      local err = cancelled(function()
        task.group(function(g)
          child = g:spawn(function()
            local _ <close> = setmetatable({}, { __close = function() task.shield(1, nap) cleaned = true end })
            forever()
          end)
          if body_waits then forever() end
        end)
      end)
      assert.equal("ECANCELED", err.code)
      assert.same({ "cancelled", true }, { child:status(), cleaned })
    end
  end)

  it("past its deadline, in its body or while it waits, ends the children first", function()
    for _, body_waits in ipairs { true, false } do
      local child
      assert.equal("EDEADLINE", code(task.deadline, 0.002, task.group, function(g)
        task.shield(1000, function() child = g:spawn(forever) end) -- it has no deadline of its own
        if body_waits then forever() end
      end))
      assert.equal("cancelled", child:status())
    end
  end)

  it("cancels what is spawned while it ends", function()
    local late
    failure(task.group, function(g)
      waiting(g:spawn(function()
        local _ <close> = setmetatable({}, { __close = function() late = g:spawn(forever) end })
        forever()
      end))
      error "x"
    end)
    assert.equal("cancelled", late:status())
  end)

  it("may be cancelled by its body, which is no failure", function()
    assert.equal("fine", task.group(function(g)
      g:spawn(forever)
      nap()
      g:cancel()
      return "fine"
    end))
  end)

  it("nests: an inner failure passes outward", function()
    local thrown, sibling = {}, nil
    assert.equal(thrown, failure(task.group, function(outer)
      sibling = outer:spawn(forever)
      outer:spawn(function()
        task.group(function(inner)
          inner:spawn(forever)
          inner:spawn(function() nap() error(thrown) end)
        end)
      end)
    end))
    assert.equal("cancelled", sibling:status())
  end)

  it("works in a coroutine, also one that is closed", function()
    local child
    local co = coroutine.create(function()
      task.group(function(g)
        child = g:spawn(forever)
        coroutine.yield()
      end)
    end)
    coroutine.resume(co)
    nap()
    assert.is_true(coroutine.close(co))
    assert.equal("cancelled", child:status())
  end)

  it("forgets the children that ended", function()
    task.group(function(g)
      for _ = 1, 500 do g:spawn(nap):join() end
      assert.is_true(#g.children < 100)
    end)
  end)

  it("does not outlive itself", function()
    local g = task.group(function(group) return group end)
    assert.matches("group:spawn: the group has ended", failure(g.spawn, g, nap))
  end)

  it("names the argument that is wrong", function()
    assert.matches("task_spec%.lua:%d+: task%.group: a function expected, not nil", failure(function() task.group() end))
    assert.matches("group:spawn: a function expected, not table", failure(task.group, function(g) g:spawn {} end))
  end)
end)

describe("task.map", function()
  it("keeps the order whatever ends first", function()
    local results = task.map({ 3, 1, 2 }, function(v, i) task.sleep(v / 1000) return v * 10 + i end)
    assert.same({ 31, 12, 23 }, results)
    assert.same({}, task.map({}, error))
  end)
  it("runs max at once, no more and no fewer", function()
    local list, running, most = {}, 0, 0
    for i = 1, 20 do list[i] = i end
    task.map(list, function()
      running = running + 1
      most = math.max(most, running)
      nap()
      running = running - 1
    end, { max = 3 })
    assert.equal(3, most)
  end)
  it("stops at the first failure", function()
    local started, thrown = 0, {}
    assert.equal(thrown, failure(task.map, { 1, 2, 3, 4, 5, 6, 7, 8 }, function(v)
      started = started + 1
      nap()
      if v == 2 then error(thrown) end
      forever()
    end, { max = 2 }))
    assert.equal(2, started)
  end)
  it("is cancelled and timed out with all it runs", function()
    local before = debug.census().tasks
    assert.equal("EDEADLINE", code(task.deadline, 0.002, task.map, { 1, 2, 3 }, forever, { max = 2 }))
    assert.equal("ECANCELED", cancelled(function() task.map({ 1, 2, 3 }, forever) end).code)
    assert.equal(before, debug.census().tasks)
  end)
  it("names the argument that is wrong", function()
    assert.matches("task_spec%.lua:%d+: task%.map: a table expected, not nil", failure(function() task.map() end))
    assert.matches("task%.map: a function expected, not nil", failure(task.map, {}))
    assert.matches("task%.map: option 'max': an integer >= 1 expected, not 0", failure(task.map, {}, nap, { max = 0 }))
  end)
end)

describe("task.all", function()
  it("gives results under the same keys", function()
    assert.same({ a = 1, [2] = "two" }, task.all { a = function() nap() return 1 end, [2] = function() return "two" end })
  end)
  it("raises the first failure", function()
    local thrown = {}
    assert.equal(thrown, failure(task.all, { forever, function() nap() error(thrown) end }))
  end)
  it("names what is wrong", function()
    assert.matches("task_spec%.lua:%d+: task%.all: b: a function expected, not number", failure(function() task.all { b = 1 } end))
  end)
end)

describe("task.race", function()
  it("gives the first one's results and cancels the others", function()
    local lost
    local results = table.pack(task.race {
      function()
        local _ <close> = setmetatable({}, { __close = function(_, e) lost = e.code end })
        forever()
      end,
      function() nap() return 1, nil end,
    })
    assert.same({ 1, nil, n = 2 }, results)
    assert.equal("ECANCELED", lost)
  end)
  it("is lost by all when one fails first", function()
    local thrown = {}
    assert.equal(thrown, failure(task.race, { forever, function() nap() error(thrown) end }))
  end)
  it("is cancelled and timed out as a whole", function()
    assert.equal("ECANCELED", cancelled(function() task.race { forever, forever } end).code)
    assert.equal("EDEADLINE", code(task.deadline, 0.001, task.race, { forever, forever }))
  end)
  it("names what is wrong", function()
    assert.matches("task%.race: nobody runs", failure(task.race, {}))
    assert.matches("task%.race: 2: a function expected, not string", failure(task.race, { nap, "x" }))
  end)
end)

describe("task.after and task.every", function()
  it("run once, and again and again", function()
    assert.equal("ab", task.after(0.001, function(a, b) return a .. b end, "a", "b"):join())
    local ticks, done = 0, task.channel(1)
    local t = task.every(0.001, function()
      ticks = ticks + 1
      if ticks == 3 then done:send(true) end
    end)
    done:receive()
    t:cancel()
    assert.equal("cancelled", t:wait())
    assert.is_true(ticks >= 3)
  end)
  it("can be cancelled before, and end with a failure", function()
    local ran = false
    local t = task.after(1000, function() ran = true end)
    t:cancel()
    assert.equal("cancelled", t:wait())
    assert.is_false(ran)
    local thrown = {}
    local e = task.every(0.001, error, thrown)
    assert.equal(thrown, failure(e.join, e))
  end)
  it("go on after an error, when told so, and say it", function()
    local sh = require "shell"
    local out, err = sh("$lua main.lua", { ["main.lua"] = [[
      local task = require "green.task"
      local runs = 0
      local clock
      clock = task.every(0.001, function(arg)
        runs = runs + 1
        if runs == 3 then clock:cancel() end
        error(arg .. runs)
      end, { on_error = "continue" }, "oops ")
      print(clock:wait(), runs)
    ]] })
    assert.equal("cancelled\t3\n", out)
    assert.matches("task%.every goes on after this error: main%.lua:7: oops 1\n", err)
    assert.matches("\n[^\n]*task%.every goes on after this error: main%.lua:7: oops 2\n", err)
  end)
  it("say that they do not run again", function()
    local _, err = require "shell"([[$lua -e 'require "green.task".every(0.001, function() error "oops" end)']])
    assert.matches("task%.every at %(command line%):1 failed, and does not run again %({ on_error = \"continue\" } would%)", err)
  end)
  it("leave out runs that would overlap", function()
    local running, runs, done = 0, 0, task.channel(1)
    local t = task.every(0.0005, function()
      running = running + 1
      assert(running == 1)
      task.sleep(0.002)
      running, runs = running - 1, runs + 1
      if runs == 3 then done:send(true) end
    end)
    done:receive()
    t:cancel()
    t:wait()
  end)
  it("name the argument that is wrong", function()
    assert.matches("task%.after: a number of seconds >= 0 expected, not nil", failure(task.after))
    assert.matches("task%.after: a function expected, not nil", failure(task.after, 1))
    assert.matches("task%.every: a number of seconds > 0 expected", failure(task.every, 0, nap))
    assert.matches("task%.every: a function expected, not nil", failure(task.every, 1))
    assert.matches("unknown option 'on_eror'; did you mean 'on_error'%?", failure(task.every, 1, nap, { on_eror = "continue" }))
    assert.matches("option 'on_error': 'stop' or 'continue' expected, not 'go'", failure(task.every, 1, nap, { on_error = "go" }))
  end)
end)

describe("task.context", function()
  it("follows into children as it was, and changes there stay there", function()
    task.spawn(function()
      task.context.user = "ann"
      local seen = task.spawn(function()
        local before = task.context.user
        task.context.user = "bob"
        return before, task.spawn(function() return task.context.user end):join()
      end)
      task.context.user = "eve" -- after the spawn: not for that child
      assert.same({ "ann", "bob" }, { seen:join() })
      assert.equal("eve", task.context.user)
      local all = {}
      for k, v in pairs(task.context) do all[k] = v end
      assert.same({ user = "eve" }, all)
    end):join()
    assert.is_nil(task.context.user)
  end)
  it("is the task's in each of its coroutines", function()
    task.spawn(function()
      task.context.n = 1
      local step = coroutine.wrap(function()
        task.context.n = task.context.n + 1
        coroutine.yield()
        return task.context.n
      end)
      step()
      assert.equal(2, task.context.n)
      assert.is_nil(task.spawn(function() task.context.n = nil return step() end):join()) -- another task resumes it
      assert.equal(2, task.context.n)
    end):join()
  end)
  it("reaches group children, map and race", function()
    task.spawn(function()
      task.context.id = 9
      assert.same({ 9, 9 }, task.map({ 1, 2 }, function() nap() return task.context.id end))
      assert.equal(9, task.race { function() return task.context.id end })
    end):join()
  end)
end)

describe("task.channel", function()
  it("of no capacity hands over: the sender waits until it was received", function()
    local c, log = task.channel(), {}
    local t = waiting(task.spawn(function()
      c:send "a"
      log[#log + 1] = "sent"
    end))
    assert.same({}, log)
    assert.equal("a", c:receive())
    t:join()
    assert.same({ "sent" }, log)
  end)

  it("of a capacity lets so many in, then waits", function()
    local c = task.channel(2)
    c:send(1)
    c:send(2)
    assert.equal(2, #c)
    assert.equal("ETIMEDOUT", code(c.send, c, 3, 0))
    assert.equal(2, #c)
    assert.is_false(c:try_send(3))
    assert.equal(1, c:receive())
    assert.is_true(c:try_send(4))
    assert.same({ 2, 4 }, { c:receive(), c:receive() })
    assert.equal("ETIMEDOUT", code(c.receive, c, 0))
    assert.is_false(c:try_receive())
  end)

  it("carries nil and false, and tells nil from the end", function()
    local c = task.channel(3)
    c:send(nil)
    c:send(false)
    c:send "x"
    assert.same({ true, nil }, { c:try_receive() })
    assert.is_false(c:receive())
    c:close()
    assert.equal("x", c:receive())
    assert.is_nil(c:receive())
    assert.is_false(c:try_receive())
  end)

  it("is first in, first out, on both sides", function()
    local c, got, receivers = task.channel(), {}, {}
    for i = 1, 5 do receivers[i] = waiting(task.spawn(function() got[i] = c:receive() end)) end
    for i = 1, 5 do c:send(i) end
    for _, t in ipairs(receivers) do t:join() end
    assert.same({ 1, 2, 3, 4, 5 }, got)
    local senders = {}
    for i = 1, 5 do senders[i] = waiting(task.spawn(c.send, c, i)) end
    for i = 1, 5 do assert.equal(i, c:receive()) end
    for _, t in ipairs(senders) do t:join() end
  end)

  it("is an iterator until it is closed", function()
    local c, got = task.channel(), {}
    task.spawn(function()
      for i = 1, 3 do c:send(i) end
      c:close()
    end)
    for v in c do got[#got + 1] = v end
    assert.same({ 1, 2, 3 }, got)
  end)

  it("closed refuses senders and wakes receivers", function()
    local c = task.channel()
    local t = waiting(task.spawn(function() return "end", c:receive() end))
    do local _ <close> = c end
    assert.same({ "end", nil }, { t:join() })
    assert.equal("ECLOSED", code(c.send, c, 1))
    assert.is_false(c:try_send(1))
    c:close()
  end)

  it("closed still gives what waiting senders brought", function()
    local c = task.channel()
    local t = waiting(task.spawn(c.send, c, "last"))
    c:close()
    assert.equal("last", c:receive())
    t:join()
    assert.is_nil(c:receive())
  end)

  it("loses and doubles nothing when senders and receivers are cancelled", function()
    for _, capacity in ipairs { 0, 1, 3 } do
      local c, sent, got = task.channel(capacity), {}, {}
      local senders, receivers = {}, {}
      for i = 1, 60 do
        senders[i] = task.spawn(function() c:send(i) sent[i] = true end)
        if i % 3 == 0 then receivers[#receivers + 1] = task.spawn(function()
          local v = c:receive()
          got[v] = (got[v] or 0) + 1
        end) end
        if i % 4 == 0 then senders[i // 2]:cancel() end
        if i % 5 == 0 and receivers[1] then receivers[math.random(#receivers)]:cancel() end
        if i % 7 == 0 then task.sleep(0) end
      end
      for _ = 1, 3 do task.sleep(0) end
      for _, t in ipairs(receivers) do t:cancel() end
      for _, t in ipairs(receivers) do t:wait() end
      while true do
        local ok, v = c:try_receive()
        if not ok then break end
        got[v] = (got[v] or 0) + 1
      end
      for _, t in ipairs(senders) do t:wait() end
      for i = 1, 60 do assert.equal(sent[i] and 1 or nil, got[i], ("capacity %d, value %d"):format(capacity, i)) end
    end
  end)

  it("serves a thousand tasks", function()
    local c, sum, tasks = task.channel(10), 0, {}
    for i = 1, 500 do tasks[i] = task.spawn(function() for _ = 1, 4 do c:send(i) end end) end
    for i = 501, 1000 do tasks[i] = task.spawn(function() for _ = 1, 4 do local v = c:receive() sum = sum + v end end) end
    for _, t in ipairs(tasks) do t:join() end
    assert.equal(4 * 500 * 501 // 2, sum)
    assert.equal(0, #c)
  end)

  it("times out with the deadline around it", function()
    local c = task.channel()
    assert.equal("EDEADLINE", code(task.deadline, 0.001, c.receive, c))
    assert.equal("EDEADLINE", code(task.deadline, 0.001, c.send, c, 1))
    assert.equal(0, #c)
  end)

  it("names the argument that is wrong", function()
    assert.matches("bad argument #1 to '[%w.]+' %(a number of values >= 0 expected", failure(function() task.channel(-1) end))
    assert.matches("bad argument #1 to '[%w.]+' %(number expected, got string", failure(function() task.channel "x" end))
    local c = task.channel(1)
    assert.matches("timeout", failure(c.receive, c, -1))
    assert.matches("bad argument", failure(c.send, {}, 1))
  end)
end)

describe("task.mutex", function()
  it("lets one in at a time, in the order they came", function()
    local m, log, tasks = task.mutex(), {}, {}
    m:lock()
    for i = 1, 4 do
      tasks[i] = waiting(task.spawn(function()
        local _ <close> = m:lock()
        log[#log + 1] = i
        nap()
        log[#log + 1] = i
      end))
    end
    m:unlock()
    for _, t in ipairs(tasks) do t:join() end
    assert.same({ 1, 1, 2, 2, 3, 3, 4, 4 }, log)
  end)
  it("belongs to its task", function()
    local m = task.mutex()
    m:lock()
    assert.matches("locked already", failure(m.lock, m))
    local other = task.spawn(m.unlock, m)
    assert.matches("has not locked it", failure(other.join, other))
    assert.equal("ETIMEDOUT", task.spawn(function() return code(m.lock, m, 0) end):join())
    m:unlock()
    assert.matches("has not locked it", failure(m.unlock, m))
    task.spawn(function() local _ <close> = m:lock() end):join()
  end)
  it("is given back on every way out", function()
    local m = task.mutex()
    local function hold(fn)
      local _ <close> = m:lock()
      fn()
    end
    pcall(hold, error)
    cancelled(function() hold(forever) end)
    pcall(task.deadline, 0.001, hold, forever)
    m:lock(0)
    assert.equal("ECANCELED", cancelled(function() m:lock() end).code) -- while it waits
    m:unlock()
    m:lock(0)
    m:unlock()
  end)
  it("is not lost on a task that is cancelled when it has just got it", function()
    local m = task.mutex()
    m:lock()
    local t = waiting(task.spawn(function()
      local _ <close> = m:lock()
      nap()
    end))
    m:unlock()
    t:cancel()
    assert.equal("cancelled", t:wait())
    m:lock(0)
    m:unlock()
  end)
end)

describe("a failure nobody joins", function()
  local function run(script) return select(2, shell("$lua main.lua", { ["main.lua"] = 'local task = require "green.task"\n' .. script })) end

  it("is logged with traceback and spawn site", function()
    local err = run "local function inner() error 'boom' end\ntask.spawn(function() inner() end)\ntask.sleep(0.01)"
    assert.matches("task %d+ spawned at main%.lua:3 failed: main%.lua:2: boom", err)
    assert.matches("stack traceback:.*main%.lua:2: in .-inner", err)
  end)
  it("is logged at the exit when its handle is kept", function()
    assert.matches("task %d+ spawned at main%.lua:2 failed: main%.lua:2: boom", run "H = task.spawn(function() error 'boom' end)")
  end)
  it("is logged once", function()
    local _, n = run("for _ = 1, 3 do task.spawn(error, 'boom') task.sleep(0) collectgarbage() end"):gsub("boom", "")
    assert.equal(3, n)
  end)
  it("shows error objects by what they say", function()
    assert.matches("failed: task%.sleep: the deadline passed", run "task.spawn(task.deadline, 0, task.sleep, 1) task.sleep(0.01)")
  end)
  it("is silent once joined, waited for, part of a group, or cancelled", function()
    assert.equal("", run [[
      local t = task.spawn(error, "boom")
      pcall(t.join, t)
      task.spawn(error, "boom"):wait()
      pcall(task.group, function(g) g:spawn(error, "boom") end)
      pcall(task.map, { 1, 2, 3 }, error)
      local c = task.spawn(task.sleep, 9)
      task.sleep(0)
      c:cancel()
      task.sleep(0)
      t, c = nil
      collectgarbage()]])
  end)
end)

describe("a deadlock", function()
  it("is told with who waits where, ends all tasks and the process with 1", function()
    local _, err, code_ = shell("$lua main.lua", { ["main.lua"] = [[
      local task = require "green.task"
      local c = task.channel()
      task.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() io.stderr:write "closed\n" end })
        c:receive()
      end)
      c:receive()]] })
    assert.equal(1, code_)
    assert.matches("deadlock: all tasks wait for each other", err)
    assert.matches("waiting for channel%.receive since [%d.]+ s at main%.lua:7", err)
    assert.matches("main%.lua:5, spawned at main%.lua:3", err)
    assert.matches("closed", err)
  end)
end)

describe("SIGUSR1", function()
  it("lists the tasks and changes nothing", function()
    local out, err, code_ = shell("$lua main.lua", { ["main.lua"] = [[
      local task = require "green.task"
      local go = task.channel()
      local t = task.spawn(function() return go:receive() end)
      os.execute "kill -USR1 $PPID"
      task.sleep(0.05)
      go:send "fine"
      print(t:join())]] })
    assert.same({ "fine\n", 0 }, { out, code_ })
    assert.matches("greenlua: 2 tasks; ready: 0, long work: 0, background: 0\n", err)
    assert.matches("task %d+, [%d.]+ s old, waiting for channel%.receive since [%d.]+ s at main%.lua:3, spawned at main%.lua:3", err)
    assert.matches("task 1, .* at main%.lua:[45]", err) -- still in os.execute, or asleep
  end)
  it("says how many tasks are ready, by queue, and since when the first of them", function()
    local _, err = shell("$lua main.lua", { ["main.lua"] = [[
      local task = require "green.task"
      local function hog() while true do end end
      for _ = 1, 2 do task.spawn(hog) end
      task.spawn(task.background, hog)
      local function cut()
        for _, one in ipairs(require "green.debug".tasks()) do
          if one.id > 1 and one.cuts == 0 then return false end
        end
        return true
      end
      while not cut() do task.sleep(0.001) end
      os.execute "kill -USR1 $PPID; sleep 0.05"
      os.exit(true, false)]] })
    assert.matches("greenlua: 4 tasks; ready: 0, long work: %d for [%d.]+ s, background: 1 for [%d.]+ s\n", err)
    assert.matches("task 2, .*, [%d.]+ s of CPU, cut %d+ times\n", err)
  end)
  it("is the script's when it waits for it", function()
    local out, err = shell("$lua main.lua", { ["main.lua"] = [[
      local task, signal = require "green.task", require "green.signal"
      local function is_awaited()
        for _, one in ipairs(require "green.debug".tasks()) do
          if one.waits_for and one.waits_for:find "signal.wait" then return true end
        end
      end
      task.spawn(function()
        local late = task.now() + 60 -- then it ends by the signal
        while not is_awaited() and task.now() < late do task.sleep(0.001) end
        os.execute "kill -USR1 $PPID"
      end)
      print(signal.wait "USR1")]] })
    assert.same({ "USR1\n", "" }, { out, err })
  end)
end)
