-- SPDX-License-Identifier: MIT
-- task.single: who asks for the same key meanwhile gets the same result.
local debug = require "green.debug"
local fault = require "green.error"
local task = require "green.task"

-- A fill that ends when it is told to. fill.runs counts how often it began.
local function held()
  local fill = { runs = 0, gate = task.semaphore(1) }
  fill.gate:acquire()
  function fill.run(...)
    fill.runs = fill.runs + 1
    fill.gate:acquire(60)
    fill.gate:release()
    return ...
  end
  function fill.open() fill.gate:release() end
  return fill
end

local function until_true(fn)
  while not fn() do task.sleep(0.001) end
end

task.single("loaded", function() end) -- what a call waits for from here on is the function

-- n tasks that call task.single(key, fn, ...), and all wait.
local function callers(n, ...)
  local list = {}
  for i = 1, n do
    list[i] = task.spawn(task.single, ...)
    until_true(function() return list[i]:status() == "waiting" end)
  end
  return list
end

local function code(fn, ...)
  local ok, err = pcall(fn, ...)
  return not ok and fault.is(err) and err.code or ok and "fine" or err
end

describe("task.single", function()
  it("runs once for all that ask meanwhile, and gives each of them all results", function()
    local fill = held()
    local list = callers(20, "menu", fill.run, 1, nil, 3, nil)
    fill.open()
    for _, one in ipairs(list) do assert.same({ 1, nil, 3, nil, n = 4 }, table.pack(one:join())) end
    assert.equal(1, fill.runs)
  end)

  it("gives no results, one, and many", function()
    assert.equal(0, select("#", task.single("none", function() end)))
    assert.same({ nil, n = 1 }, table.pack(task.single("one", function() return nil end)))
    local many = {}
    for i = 1, 200 do many[i] = i end
    assert.same(many, { task.single("many", table.unpack, many) })
  end)

  it("gives each of them the error, the same object", function()
    for _, thrown in ipairs { {}, "text", fault.new("menu", "ECLOSED", "closed") } do
      local fill = held()
      local list = callers(5, "menu", function() fill.run() error(thrown, 0) end)
      fill.open()
      for _, one in ipairs(list) do assert.equal(thrown, select(2, pcall(one.join, one))) end
      assert.equal(1, fill.runs)
    end
    assert.is_nil((select(2, pcall(task.single, "menu", error))))
  end)

  it("runs again for who asks later, after an error as well", function()
    local n = 0
    local function count() n = n + 1 return n end
    assert.same({ 1, 2 }, { task.single("n", count), task.single("n", count) })
    pcall(task.single, "n", error, "oops")
    assert.equal(3, task.single("n", count))
  end)

  it("tells keys of any value apart", function()
    local keys = { "1", 1, 1.5, true, false, {}, {}, print, coroutine.create(print) }
    local fill = held()
    local list = {}
    for i, key in ipairs(keys) do list[i] = callers(1, key, fill.run, i)[1] end
    list[#list + 1] = callers(1, 1.0, fill.run, "nobody's")[1] -- the number 1 again
    fill.open()
    for i in ipairs(keys) do assert.equal(i, list[i]:join()) end
    assert.equal(2, list[#list]:join())
    assert.equal(#keys, fill.runs)
  end)

  it("refuses what is no key, and what is no function", function()
    local function problem(...) return select(2, pcall(function(...) task.single(...) end, ...)) end
    assert.matches("single_spec.lua:%d+: task.single: a key expected, not nil", problem(nil, print))
    assert.matches("single_spec.lua:%d+: task.single: a key expected, not %-?nan", problem(0 / 0, print))
    assert.matches("single_spec.lua:%d+: task.single: a function expected, not nil", problem "key")
  end)
end)

describe("whoever waits in task.single", function()
  it("may be cancelled, or run out of time: the others get the result", function()
    local fill = held()
    local first = callers(1, "menu", fill.run, "soup")[1] -- the one that began it
    local rest = callers(2, "menu", fill.run, "soup")
    assert.equal("EDEADLINE", code(task.deadline, 0.001, task.single, "menu", fill.run, "soup"))
    first:cancel()
    rest[1]:cancel()
    assert.equal("cancelled", first:wait())
    assert.equal("cancelled", rest[1]:wait())
    fill.open()
    assert.equal("soup", rest[2]:join())
    assert.equal(1, fill.runs)
  end)

  it("has its deadline: the function that it began has not", function()
    local fill, hasty, seconds = held(), nil, 0.01
    repeat -- a slow machine needs more time to begin
      seconds = seconds * 2
      hasty = task.spawn(task.deadline, seconds, task.single, "menu", fill.run, "soup")
      until_true(function()
        local status = hasty:status()
        return status == "waiting" and fill.runs > 0 or status == "failed"
      end)
    until hasty:status() == "waiting"
    local patient = callers(1, "menu", fill.run, "soup")[1]
    assert.equal("EDEADLINE", code(hasty.join, hasty))
    assert.equal("waiting", patient:status())
    fill.open()
    assert.equal("soup", patient:join())
  end)

  it("ends it when the last one leaves, with its clean-up, and the next one begins anew", function()
    local ended = false
    local function fill()
      local _ <close> = setmetatable({}, { __close = function() ended = true end })
      task.sleep(1000)
    end
    local list = callers(3, "menu", fill)
    for i, one in ipairs(list) do
      assert.is_false(ended)
      one:cancel()
      one:wait()
      if i == 3 then until_true(function() return ended end) end
    end
    assert.equal("anew", task.single("menu", function() return "anew" end))
  end)

  it("does not get the end of one that everybody has left", function()
    local leaving = task.semaphore(1)
    leaving:acquire()
    local first = callers(1, "menu", function()
      local _ <close> = setmetatable({}, { __close = function() task.shield(60, leaving.acquire, leaving, 60) end })
      task.sleep(1000)
    end)[1]
    first:cancel()
    first:wait()
    assert.equal("new", task.single("menu", function() return "new" end)) -- the old one is in its clean-up
    leaving:release()
  end)

  it("is told when the function asks for its own key, wherever it does", function()
    local function again() return task.single("menu", print) end
    local ways = {
      again,
      function() return task.single("other", again) end,
      function() return task.spawn(again):join() end,
      function() return task.group(function(group) group:spawn(again) end) end,
      function() return task.map({ 1 }, again) end,
      function() return coroutine.wrap(again)() end,
      function() -- the child asks first, and then is joined
        local child = task.spawn(pcall, again)
        until_true(function() return child:status() == "waiting" end)
        return child:join()
      end,
    }
    for i, way in ipairs(ways) do assert.same({ i, "EDEADLK" }, { i, code(task.single, "menu", way) }) end
  end)

  it("may ask for other keys in it", function()
    assert.equal("ab", task.single("a", function() return "a" .. task.single("b", function() return "b" end) end))
  end)

  it("is refused in an atomic section, and nothing is left of it", function()
    assert.equal("EATOMIC", code(task.atomic, task.single, "menu", task.sleep, 1000))
    assert.equal("fine", task.single("menu", function() return "fine" end))
  end)

  it("sees nothing of the context of who began it", function()
    task.context.user = "ann"
    assert.is_nil((task.single("menu", function() return task.context.user end)))
    task.context.user = nil
  end)

  it("has the function limited as itself, by an account of its own", function()
    local function burn() while true do end end
    local one = task.spawn(function()
      task.cpu_limit(0.02)
      return code(task.single, "menu", burn), code(task.sleep, 0) -- its own is not used up
    end)
    assert.same({ "ECPULIMIT", "fine" }, { one:join() })
    local bomb = task.spawn(function()
      task.max_tasks(3)
      return code(task.single, "menu", function()
        for _ = 1, 3 do task.spawn(task.sleep, 1000) end
        task.sleep(1000)
      end)
    end)
    assert.equal("ETASKLIMIT", bomb:join())
  end)

  it("gives all back wherever memory runs out", function()
    local n, left = 0, nil
    repeat
      n = n + 1
      local one = task.spawn(function()
        debug.fail_alloc(n)
        local _ <close> = setmetatable({}, { __close = function() left = debug.fail_alloc(0) end })
        return task.single("menu", function() task.sleep(0) return "fine" end)
      end)
      local ok, result = pcall(one.join, one)
      assert.is_true(ok and result == "fine" or tostring(result):find "not enough memory" ~= nil, tostring(result))
      assert.equal("next", task.single("menu", function() return "next" end))
    until ok and left > 0
    assert.is_true(n > 3)
  end)

  it("finds all in order however tasks are switched", function()
    finally(function() debug.shake(0) end)
    for seed = 1, 20 do
      local running, runs = 0, 0
      local function fill(i)
        running, runs = running + 1, runs + 1
        assert(running == 1)
        if i % 3 == 0 then task.sleep(0) end
        running = running - 1
        return i
      end
      debug.shake(seed)
      task.map({ 1, 2, 3, 4, 5, 6, 7, 8 }, function(i)
        for _ = 1, 10 do
          local child = task.spawn(task.single, "menu", fill, i)
          if i == 4 then child:cancel() end
          child:wait()
        end
      end)
      debug.shake(0)
      assert.is_true(runs >= 10 and runs <= 80)
    end
  end)
end)
