-- SPDX-License-Identifier: MIT
-- A busy loop wherever it stands: the others go on, and it ends when it is told to. Orders and steps are compared, not times.
local greendebug = require "green.debug"
local http = require "green.http"
local shell = require "shell"
local task = require "green.task"

local function hog() while true do end end

local hogs = {
  { "plain Lua", hog },
  { "a pcall", function() while true do pcall(hog) end end },
  { "pcalls in pcalls", function() while true do pcall(function() while true do pcall(hog) end end) end end },
  { "a coroutine.wrap", function() coroutine.wrap(hog)() end },
  { "coroutines in coroutines", function() coroutine.wrap(function() coroutine.wrap(hog)() end)() end },
  { "ever new coroutines", function() while true do pcall(coroutine.wrap(hog)) end end },
  { "resume of pcall", function()
    while true do coroutine.resume(coroutine.create(function() while true do pcall(hog) end end)) end
  end },
  { "a sort comparator", function() table.sort({ 1, 2, 3 }, hog) end },
  { "a sort comparator in a pcall", function() while true do pcall(table.sort, { 1, 2, 3 }, hog) end end },
  { "a gsub callback", function() return (("x"):gsub(".", hog)) end },
  { "a metamethod", function() return setmetatable({}, { __index = hog }).x end },
  { "an iterator", function() for _ in hog do end end },
  { "a <close>", function() local _ <close> = setmetatable({}, { __close = hog }) end },
  { "goto", function() ::again:: goto again end },
  { "string building", function()
    local s = ""
    while true do s = #s > 1000 and "" or s .. "x" end
  end },
}

-- Steps of another task while fn runs.
local function beside(fn)
  local steps, over = 0, false
  local counter = task.spawn(function()
    repeat
      steps = steps + 1
      task.sleep(0)
    until over
  end)
  local ok, err = pcall(fn, function() return steps end)
  over = true
  counter:join()
  return ok, err, steps
end

local function until_steps(steps, n)
  local goal = steps() + n
  while steps() < goal do task.sleep(0) end
end

describe("an endless loop in", function()
  for _, row in ipairs(hogs) do
    it(row[1] .. " lets others run, and ends with a cancel", function()
      local ok, err, steps = beside(function(steps)
        local t = task.spawn(row[2])
        until_steps(steps, 5)
        t:cancel()
        t:join(20)
      end)
      assert.is_false(ok)
      assert.equal("ECANCELED", err.code)
      assert.is_true(steps >= 5)
    end)
  end

  for _, row in ipairs(hogs) do
    it(row[1] .. " ends with its deadline, and with its CPU limit", function()
      local late = task.spawn(task.deadline, 0.02, row[2])
      local spent = task.spawn(function()
        task.cpu_limit(0.025)
        row[2]()
      end)
      assert.equal("EDEADLINE", select(2, pcall(late.join, late, 20)).code)
      local err = select(2, pcall(spent.join, spent, 20))
      assert.equal("ECPULIMIT", err.code)
      assert.matches("its limit of 0.025 s$", err.message) -- as it was given, whatever a slice is
    end)
  end
end)

describe("a hog that is ended", function()
  it("may catch that and go on after its deadline", function()
    local t = task.spawn(function()
      local ok, err = pcall(task.deadline, 0.01, function() while true do pcall(hog) end end)
      task.sleep(0)
      local n = 0
      for i = 1, 3e6 do n = n + i end
      return ok, err.code, n
    end)
    assert.same({ false, "EDEADLINE", 4500001500000 }, { t:join() })
  end)

  it("closes its variables", function()
    local closed = {}
    local function noting(name) return setmetatable({}, { __close = function()
      task.shield(5, task.sleep, 0)
      closed[#closed + 1] = name
    end }) end
    local t = task.spawn(function()
      local _ <close> = noting "outer"
      coroutine.wrap(function()
        local _ <close> = noting "inner"
        hog()
      end)()
    end)
    task.sleep(0)
    t:cancel()
    pcall(t.join, t, 20)
    assert.same({ "inner", "outer" }, closed)
  end)

  it("closes the outermost even if it caught all errors before", function()
    local closed = 0
    local t = task.spawn(function()
      local _ <close> = setmetatable({}, { __close = function()
        local n = 0
        for i = 1, 1e6 do n = n + i end
        closed = n
      end })
      while true do pcall(function() while true do pcall(hog) end end) end
    end)
    task.sleep(0)
    t:cancel()
    pcall(t.join, t, 20)
    assert.equal(500000500000, closed)
  end)

  it("is not ended within its shield", function()
    local done = false
    local t = task.spawn(function()
      task.shield(20, function()
        local before = greendebug.preempted()
        while greendebug.preempted() < before + 5 do end
        done = true
      end)
      hog()
    end)
    task.sleep(0)
    t:cancel()
    assert.equal("ECANCELED", select(2, pcall(t.join, t, 20)).code)
    assert.is_true(done)
  end)
end)

describe("under preemption", function()
  local function checksum(seed)
    local a, b, t = seed, 1, {}
    for i = 1, 1600000 do -- several slices, on a fast machine, too
      a = (a * 1103515245 + 12345) & 0x7fffffff
      b = (b + a // 7) % 65521
      t[i & 63] = a ~ b
    end
    local s = 0
    for i = 0, 63 do s = s ~ t[i] end
    return s, b
  end

  it("results are right, in twenty tasks at once", function()
    local want, got, before = table.pack(checksum(42)), {}, greendebug.preempted()
    local tasks = {}
    for i = 1, 20 do tasks[i] = task.spawn(checksum, 42) end
    for i, t in ipairs(tasks) do got[i] = table.pack(t:join()) end
    for i = 1, 20 do assert.same(want, got[i]) end
    assert.is_true(greendebug.preempted() > before)
  end)

  it("generators give each value once, in order", function()
    local function generator()
      return coroutine.wrap(function()
        for i = 1, 60 do
          local x = 0
          for j = 1, 20000 do x = x + j end
          coroutine.yield(i, x, nil, "z")
        end
      end)
    end
    local function consume()
      local i = 0
      for n, x, none, z in generator() do
        i = i + 1
        assert(n == i and x == 200010000 and none == nil and z == "z")
      end
      return i
    end
    local tasks = {}
    for i = 1, 5 do tasks[i] = task.spawn(consume) end
    for _, t in ipairs(tasks) do assert.equal(60, t:join()) end
  end)

  it("sort sorts and gsub replaces", function()
    local function busy(v)
      for _ = 1, 200 do v = v + 1 - 1 end
      return v
    end
    local function work()
      local list = {}
      for i = 1, 2000 do list[i] = (i * 7919) % 2003 end
      table.sort(list, function(a, b) return busy(a) < busy(b) end)
      for i = 2, #list do assert(list[i - 1] <= list[i]) end
      return (("ab"):rep(500):gsub("a", function(c) busy(1) return c:upper() end))
    end
    local tasks = {}
    for i = 1, 4 do tasks[i] = task.spawn(work) end
    for _, t in ipairs(tasks) do assert.equal(("Ab"):rep(500), t:join()) end
  end)
end)

describe("a user's debug.sethook", function()
  -- Prints what each kind of hook saw of the same program, which takes many slices.
  local program = [[
    local function work()
      local s, f = 0, function(x) return x + 1 end
      for i = 1, 40000 do
        s = f(s)
        if i % 10 == 0 then s = math.floor(s) end
      end
      local step = coroutine.wrap(function() for i = 1, 100 do coroutine.yield(i) end end)
      for i = 1, 100 do s = s + step() end
      return s
    end
    local function count(mask, n)
      local seen, sum = {}, 0
      debug.sethook(function(event, line)
        seen[event] = (seen[event] or 0) + 1
        sum = (sum * 31 + (line or 0)) % 1000003
      end, mask, n)
      local result = work()
      local hook, m, c = debug.gethook()
      debug.sethook()
      local names = {}
      for event, k in pairs(seen) do names[#names + 1] = event .. "=" .. k end
      table.sort(names)
      print(mask, n, result, sum, type(hook), m, c, table.concat(names, " "))
    end
    for _, row in ipairs { { "", 1 }, { "", 7 }, { "", 1000 }, { "", 12345 }, { "", 100000 }, { "l" }, { "c" }, { "r" }, { "crl", 3 } } do
      count(row[1], row[2])
    end
    print(debug.gethook())
    local co = coroutine.create(function() local x = 1 coroutine.yield() x = 2 end)
    local n = 0
    debug.sethook(co, function() n = n + 1 end, "l")
    coroutine.resume(co) coroutine.resume(co)
    print(n, select(2, debug.gethook(co)), debug.gethook())
  ]]
  it("sees the very events it sees in lua5.4", function()
    local stock = shell("lua5.4 main.lua", { ["main.lua"] = program })
    assert.matches("count=", stock)
    local alone = shell("$lua main.lua", { ["main.lua"] = program })
    assert.equal(stock, alone)
    local crowded = shell("$lua main.lua", { ["main.lua"] = -- in the first line: line numbers are compared
      "local others = {} for i = 1, 2 do others[i] = require 'green.task'.spawn(function() while true do end end) end " .. program .. [[
      for _, t in ipairs(others) do t:cancel() end]] })
    assert.equal(stock, crowded)
  end)

  it("that counts far fires nevertheless, and can end the loop", function()
    local t = task.spawn(function()
      debug.sethook(function() error "enough" end, "", 20000000)
      hog()
    end)
    assert.matches("enough", select(2, pcall(t.join, t, 60)))
  end)

  it("that hooks calls or lines does not keep a hog from making way", function()
    for _, how in ipairs { { "c" }, { "l" }, { "", 1e9 }, { "crl", 3 } } do
      local ok, err = beside(function(steps)
        local t = task.spawn(function()
          debug.sethook(function() coroutine.wrap(function() coroutine.yield() end)() end, table.unpack(how))
          hog()
        end)
        until_steps(steps, 3)
        t:cancel()
        t:join(20)
      end)
      assert.is_false(ok)
      assert.equal("ECANCELED", err.code)
    end
  end)

  it("is all debug.gethook shows", function()
    local before = greendebug.preempted()
    while greendebug.preempted() < before + 5 do assert(debug.gethook() == nil) end
    local co = coroutine.create(function() end)
    assert.is_nil((debug.gethook(co)))
  end)
end)

describe("a C function that holds the loop", function()
  it("is reported with its name and the line that called it", function()
    local _, err = shell("$lua main.lua", { ["main.lua"] = [[
      local s = ("a"):rep(40000000)
      local function slow() return #(s.format("%q", s)) end
      require "green.task".spawn(function() end) -- somebody who is held up
      print(slow())]] }, true)
    assert.matches("stalled for more than 100 ms in C:\n\t%[C%]: in format\n\tmain%.lua:2: in slow\n.*\n\t%(%.%.%.task 1%)\n", err)
    assert.matches("\n\tThis is work: ", err)
    assert.equal(1, select(2, err:gsub("stalled", "")))
  end)

  it("is not reported when it holds up nobody", function()
    local _, err = shell("$lua main.lua", { ["main.lua"] = [[print(#("%q"):format(("a"):rep(40000000)))]] }, true)
    assert.equal("", err)
  end)
end)

describe("a served app", function()
  local app = [[
    local app = require "green.app".new { cpu_limit = 0.5 }
    local task = require "green.task"
    local function hog() while true do pcall(function() while true do end end) end end
    app:get("/ping", function() return "pong" end)
    app:get("/hog", hog, { cpu_limit = 0.05 })
    app:get("/default", hog)
    app:get("/sort", function() table.sort({ 1, 2 }, hog) end, { cpu_limit = 0.05 })
    app:get("/late", function() task.deadline(0.01, task.sleep, 9) end)
    app:get("/busy/:n", function() task.deadline(0.02, hog) end)
    app:script("/script", arg[1])
    return app]]

  local function serving(fn)
    local path, script = os.tmpname(), os.tmpname()
    local function put(name, text)
      local file <close> = assert(io.open(name, "w"))
      file:write(text)
    end
    put(path, app)
    put(script, "while true do end")
    local process <close> = require "process"(path .. " " .. script .. " 2>/dev/null")
    os.remove(path)
    fn(process.url)
    process:stop "KILL"
    os.remove(script)
  end

  it("answers others beside hogs in a handler, a comparator and a script, and 503 for those", function()
    serving(function(url)
      local answers = {}
      local names = { "/hog", "/sort", "/script", "/default", "/late", "/busy/1" }
      local order = {}
      local tasks = {}
      for i, name in ipairs(names) do
        tasks[i] = task.spawn(function()
          answers[i] = http.get(url .. name)
          order[#order + 1] = name
        end)
      end
      for _ = 1, 20 do assert.equal("pong", http.get(url .. "/ping").body) end
      order[#order + 1] = "pings"
      for _, t in ipairs(tasks) do t:join() end
      for i, name in ipairs(names) do
        assert.equal(503, answers[i].status, name)
        assert.same({ error = "the request took too long" }, answers[i]:json())
      end
    end)
  end)

  it("refuses a wrong limit by name", function()
    local new = require "green.app".new
    assert.has_error(function() new():get("/", hog, { cpu_limit = "x" }) end)
    local ok, err = pcall(function() new():get("/", hog, { cpu_limit = -1 }) end)
    assert.is_false(ok)
    assert.matches("cpu_limit", err)
    ok, err = pcall(function() new { cpu_limit = 0 }:listen "127.0.0.1:0" end)
    assert.is_false(ok)
    assert.matches("cpu_limit", tostring(err))
  end)

  it("injected requests get the same 503", function()
    local a = require "green.app".new()
    a:get("/", function() task.deadline(0, task.sleep, 1) end)
    assert.equal(503, a:inject("/").status)
  end)
end)
