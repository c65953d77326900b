-- SPDX-License-Identifier: MIT
-- CPU time and tasks of a request, or of a task with a limit: all that descends from it counts (host/core/budget.h). How long things
-- take is compared by CPU time, with limits of the same run, and generously.
local build = require "build"
local fs = require "green.fs"
local greendebug = require "green.debug"
local http = require "green.http"
local process = require "process"
local task = require "green.task"

local function hog() while true do end end

-- Ends with the code of what fn raises in a task of its own.
local function code_of(fn, ...)
  local t = task.spawn(fn, ...)
  local ok, err = pcall(t.join, t, 60)
  return not ok and (type(err) == "table" and err.code or err) or "no error"
end

-- CPU seconds of this process that fn takes.
local function cpu(fn, ...)
  local before = os.clock()
  fn(...)
  return os.clock() - before
end

-- The ways to use CPU time that a limit has to see.
local ways = {
  { "a loop", hog },
  { "waits that take no time", function() while true do task.sleep(0) end end },
  { "short bursts between waits", function()
    while true do
      for _ = 1, 20000 do end
      task.sleep(0)
    end
  end },
  { "a caught loop", function() while true do pcall(hog) end end },
  { "children", function()
    task.group(function(g) for _ = 1, 3 do g:spawn(hog) end end)
  end },
  { "ever new children", function()
    while true do task.spawn(function() for _ = 1, 20000 do end end):join() end
  end },
  { "grandchildren nobody waits for", function()
    task.spawn(function() task.spawn(hog) end)
    task.sleep(1000)
  end },
  { "a comparator", function() table.sort({ 1, 2, 3 }, hog) end },
  { "coroutines", function() while true do coroutine.wrap(function() for _ = 1, 20000 do end end)() end end },
}

describe("a CPU limit", function()
  for _, way in ipairs(ways) do
    it("ends " .. way[1], function()
      local code
      local used = cpu(function()
        code = code_of(function()
          task.cpu_limit(0.1)
          way[2]()
        end)
      end)
      assert.equal("ECPULIMIT", code)
      assert.is_true(used > 0.05, used) -- and not much too early
    end)
  end

  it("is one for all: ten children use no more than one does", function()
    local function spend(children)
      return cpu(code_of, function()
        task.cpu_limit(0.3)
        task.group(function(g) for _ = 1, children do g:spawn(hog) end end)
      end)
    end
    local one, ten = spend(1), spend(10)
    assert.is_true(ten < one * 3, ("%g s and %g s"):format(one, ten)) -- each for itself would be ten times as much
  end)

  it("counts CPU time, not slices: long C calls, too", function()
    local text = ("a"):rep(1 << 20)
    local calls = 0
    assert.equal("ECPULIMIT", code_of(function()
      task.cpu_limit(0.2)
      while true do
        text:rep(20)
        calls = calls + 1
      end
    end))
    local all = calls
    local used = cpu(function() for _ = 1, all do text:rep(20) end end)
    assert.is_true(used < 2, used) -- as much as that many calls take, and no tenfold
  end)

  it("is not begun anew by waits, and says its limit as it was given", function()
    local t = task.spawn(function()
      task.cpu_limit(0.05)
      while true do
        for _ = 1, 1000 do end
        task.sleep(0)
      end
    end)
    local err = select(2, pcall(t.join, t, 60))
    assert.equal("ECPULIMIT", err.code)
    assert.matches("its limit of 0.05 s$", err.message)
  end)

  it("ends the whole tree, also those who wait, and lets each clean up", function()
    local closed, codes = 0, {}
    local function waiter()
      local _ <close> = setmetatable({}, { __close = function()
        task.shield(5, task.sleep, 0)
        closed = closed + 1
      end })
      local ok, err = pcall(task.sleep, 1000)
      codes[#codes + 1] = not ok and err.code
      task.sleep(1000) -- and again
    end
    local t = task.spawn(function()
      task.cpu_limit(0.05)
      for _ = 1, 5 do task.spawn(waiter) end
      task.sleep(0)
      hog()
    end)
    assert.equal("ECPULIMIT", select(2, pcall(t.join, t, 60)).code)
    local census
    repeat
      task.sleep(0.001)
      census = closed == 5
    until census
    assert.same({ "ECPULIMIT", "ECPULIMIT", "ECPULIMIT", "ECPULIMIT", "ECPULIMIT" }, codes)
  end)

  it("within another counts for both, and ends only what it is for", function()
    local inner
    assert.equal("ECPULIMIT", code_of(function()
      task.cpu_limit(0.3)
      inner = code_of(function()
        task.cpu_limit(0.05)
        hog()
      end)
      hog()
    end))
    assert.equal("ECPULIMIT", inner)
    assert.equal("no error", code_of(function()
      task.cpu_limit(20)
      inner = code_of(function()
        task.cpu_limit(0.05)
        hog()
      end)
      task.sleep(0)
    end))
    assert.equal("ECPULIMIT", inner)
  end)

  it("nests to some depth", function()
    local deepest = 0
    local function deeper(n)
      deepest = n
      task.cpu_limit(100)
      task.spawn(deeper, n + 1):join()
    end
    local t = task.spawn(deeper, 1)
    assert.matches("too many limits", tostring(select(2, pcall(t.join, t, 60))))
    assert.is_true(deepest > 10)
  end)

  it("of a task says nothing to others", function()
    local other = task.spawn(function()
      local before = greendebug.preempted()
      while greendebug.preempted() < before + 20 do end
      return "went on"
    end)
    assert.equal("ECPULIMIT", code_of(function()
      task.cpu_limit(0.02)
      hog()
    end))
    assert.equal("went on", other:join(60))
  end)
end)

describe("a limit of tasks", function()
  it("refuses the next one, and ends the tree", function()
    local ended = 0
    local t = task.spawn(function()
      task.max_tasks(10)
      for _ = 1, 20 do
        task.spawn(function()
          local _ <close> = setmetatable({}, { __close = function() ended = ended + 1 end })
          task.sleep(1000)
        end)
      end
    end)
    local err = select(2, pcall(t.join, t, 60))
    assert.equal("ETASKLIMIT", err.code)
    assert.matches("more than 10 tasks", err.message)
    while ended < 9 do task.sleep(0.001) end
  end)

  it("counts those that live, not those that lived", function()
    assert.equal("no error", code_of(function()
      task.max_tasks(3)
      for _ = 1, 50 do task.spawn(function() end):join() end
    end))
  end)

  it("ends a fork bomb", function()
    assert.equal("ETASKLIMIT", code_of(function()
      task.max_tasks(100)
      local function bomb()
        task.spawn(bomb)
        task.spawn(bomb)
        task.sleep(1000)
      end
      bomb()
    end))
  end)

  it("refuses nonsense", function()
    for _, wrong in ipairs { 0, -1, 1.5, "x" } do assert.is_false((pcall(task.max_tasks, wrong))) end
  end)
end)

-- The story: what a task beyond its limit spawned in a shield had no limit but the shield's time. A fork bomb in there made 100,000 tasks
-- in 3 s, and a loop around task.single had ten more seconds in each round.
describe("the clean-up of a task beyond its limit", function()
  -- Runs fn in a shield, in a task that is beyond its limit, until nothing of it is left. -> CPU seconds, beginning there; fn's error
  local function beyond(fn, limit)
    local tasks, began, err = greendebug.census().tasks, nil, nil
    local t = task.spawn(function()
      (limit or task.cpu_limit)(limit and 3 or 0.05)
      local _ <close> = setmetatable({}, { __close = function()
        began = os.clock()
        err = select(2, pcall(task.shield, 60, fn))
      end })
      if limit then
        for _ = 1, 3 do task.spawn(task.sleep, 1000) end
      end
      hog()
    end)
    assert.equal("failed", t:wait(60))
    while greendebug.census().tasks > tasks do task.sleep(0.001) end
    return os.clock() - began, err
  end

  local MOST = build.sanitized and 2 or 0.5 -- seconds

  local n
  before_each(function() n = 0 end)

  local function bomb()
    n = n + 1
    for _ = 1, 2 do task.spawn(task.shield, 60, bomb) end
    task.sleep(0.1)
  end

  local bombs = {
    ["a fork bomb"] = bomb,
    ["a fork bomb that catches"] = function()
      local function go()
        n = n + 1
        while true do pcall(task.spawn, go) end
      end
      go()
    end,
    ["children that compute"] = function()
      while true do
        n = n + 1
        pcall(function() task.spawn(hog):join() end)
      end
    end,
    ["children with a limit of their own"] = function()
      while true do
        n = n + 1
        pcall(function()
          task.spawn(function()
            task.cpu_limit(10)
            hog()
          end):join()
        end)
      end
    end,
    ["flights of task.single"] = function()
      while true do
        n = n + 1
        pcall(task.single, {}, hog)
      end
    end,
    ["flights of its children"] = function()
      while true do
        pcall(function()
          task.spawn(function()
            n = n + 1
            task.single({}, hog)
          end):join()
        end)
      end
    end,
  }
  for what, fn in pairs(bombs) do
    it("ends soon, with " .. what, function()
      local used
      for _ = 1, 5 do -- a busy machine may be late
        used = beyond(fn)
        if used < MOST then break end
      end
      assert.is_true(used < MOST, used)
      assert.is_true(n > 0)
    end)
  end

  it("ends soon, also beyond a limit of tasks", function()
    beyond(bomb, task.max_tasks)
    assert.is_true(n > 0)
  end)

  it("may spawn tasks, also many one after the other, and ECPULIMIT says when there is no time left", function()
    local done = 0
    local _, err = beyond(function()
      for _ = 1, 100 do task.spawn(function() done = done + 1 end):join() end
      local list = setmetatable({}, { __close = function(list)
        for _, one in ipairs(list) do one:cancel() end
      end })
      local _ <close> = list
      while true do list[#list + 1] = task.spawn(task.sleep, 1000) end
    end)
    assert.equal(100, done)
    assert.same({ "ECPULIMIT", "task.spawn" }, { err.code, err.op })
    assert.matches("no time left for the tasks of its clean%-up$", err.message)
  end)
end)

describe("a request", function()
  local app = [[
    local app = require "green.app".new { cpu_limit = 20, max_tasks = 200 }
    local task = require "green.task"
    local function hog() while true do end end
    app:get("/ping", function() return "pong" end)
    app:get("/children", function() task.group(function(g) for _ = 1, 3 do g:spawn(hog) end end) end, { cpu_limit = 0.1 })
    app:get("/waits", function() while true do task.sleep(0) end end, { cpu_limit = 0.1 })
    app:get("/bomb", function()
      local function bomb() task.spawn(bomb) task.spawn(bomb) task.sleep(1000) end
      bomb()
    end)
    app:get("/few", function() for _ = 1, 9 do task.spawn(task.sleep, 1000) end end, { max_tasks = 5 })
    app:get("/tasks", function() return { n = require "green.debug".census().tasks } end)
    return app]]

  it("ends with all its tasks, and 503", function()
    local path = os.tmpname()
    do
      local file <close> = assert(io.open(path, "w"))
      file:write(app)
    end
    local server <close> = process(path .. " 2>/dev/null")
    os.remove(path)
    local function tasks() return http.get(server.url .. "/tasks"):json().n end
    local before = tasks()
    for _, name in ipairs { "/children", "/waits", "/bomb", "/few" } do
      assert.equal(503, http.get(server.url .. name, { timeout = 100 }).status, name)
      assert.equal("pong", http.get(server.url .. "/ping").body)
    end
    while tasks() > before do task.sleep(0.01) end
    server:stop "KILL"
  end)
end)

-- How much CPU is used once a limit is reached: a slice, a tenth of the limit, and what this machine needs on top. The story: a loop that
-- caught its ECPULIMIT went on for 0.1 s more, each of its children that did so as well; each child had a slice more, 500 of them 5 s,
-- and a loop around task.shield never ended. It is weighed by the clock of the loop's thread, which other threads and programs have no
-- part in; but a watchdog that gets no CPU is late, so that the best of a few tries counts.
--
--     LIMITS="0.1 1 3" tests/run core/budget_spec "ends in time"       prints what was measured
describe("a limit ends in time", function()
  local measured = os.getenv "LIMITS"

  local function children(n, fn)
    return function()
      task.group(function(g) for _ = 1, n do g:spawn(fn) end end)
    end
  end

  local function catcher() while true do pcall(hog) end end

  local text = ("a"):rep(1 << 16)

  local more = {
    { "ten children", children(10, hog) },
    { "ten children that catch", children(10, catcher) },
    { "children that have not begun", function()
      for _ = 1, 300 do task.spawn(hog) end
      hog()
    end },
    { "a nest of catchers", function()
      local function nest(n) while true do pcall(n > 0 and nest or hog, n - 1) end end
      nest(5)
    end },
    { "a catcher in coroutines", function() while true do pcall(coroutine.wrap(hog)) end end },
    { "a message handler", function() while true do xpcall(hog, hog) end end },
    { "a loop in a shield", function() while true do pcall(task.shield, 1, hog) end end, 0.1 }, -- as what closes variables
    { "bursts between waits in shields", function()
      while true do
        pcall(task.shield, 1, task.sleep, 0)
        for _ = 1, 20000 do end
      end
    end, 0.1 },
    { "C calls", function() while true do text:rep(8):reverse():find("b", 1, true) end end },
    { "sorting", function()
      while true do
        local list = {}
        for i = 1, 20000 do list[i] = i * 7919 % 20011 end
        table.sort(list)
      end
    end },
    { "bursts between sleeps", function()
      while true do
        for _ = 1, 100000 do end
        task.sleep(0.001)
      end
    end },
  }

  -- CPU seconds of the thread that the loop runs on: the wait for the file has it asleep, and so accounted for.
  local function thread_cpu()
    local pid <close> = assert(io.open "/proc/self/stat")
    local file <close> = assert(io.open(("/proc/self/task/%d/schedstat"):format(pid:read "n")))
    return file:read "n" / 1e9
  end

  local function used_with(limit, fn)
    local before = thread_cpu()
    local code = code_of(function()
      task.cpu_limit(limit)
      fn()
    end)
    assert.equal("ECPULIMIT", code)
    return thread_cpu() - before
  end

  for limit in (measured or "0.1 0.3"):gmatch "%S+" do
    limit = tonumber(limit)
    for _, list in ipairs { ways, more } do
      for _, way in ipairs(list) do
        it(("of %g s: %s"):format(limit, way[1]), function()
          if not fs.exists "/proc/self/schedstat" then return pending "the kernel does not tell the CPU time of a thread" end
          local most, tries = (limit * 1.1 + 0.03 + (way[3] or 0)) * (build.sanitized and 2 or 1), {}
          repeat tries[#tries + 1] = used_with(limit, way[2]) until tries[#tries] < most or #tries == 5
          if measured then print(("%g s, %s: %.3f s"):format(limit, way[1], tries[#tries])) end
          assert.is_true(tries[#tries] < most, table.concat(tries, " s, ") .. " s")
          assert.is_true(tries[#tries] > limit * 0.9, tries[#tries])
        end)
      end
    end
  end
end)
