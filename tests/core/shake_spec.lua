-- SPDX-License-Identifier: MIT
-- Schedule fuzzing: tasks are switched at random, by a seed, also where C has called Lua.
local debug = require "green.debug"
local shell = require "shell"
local task = require "green.task"

-- What `fn` returns while it is shaken.
local function shaken(seed, fn)
  local _ <close> = setmetatable({}, { __close = function() debug.shake(0) end })
  debug.shake(seed)
  return fn()
end

-- Four tasks count to 100 together, without a lock.
local function count(seed, add)
  return shaken(seed, function()
    local n = 0
    local function get() return n end
    local function set(to) n = to end
    task.map({ 1, 2, 3, 4 }, function()
      for _ = 1, 100 do add(get, set) end
    end)
    return n
  end)
end

local function careless(get, set) set(get() + 1) end

describe("shaking", function()
  it("finds a lost update", function()
    for seed = 1, 5 do assert.is_true(count(seed, careless) < 400) end
    assert.equal(400, count(0, careless))
  end)

  -- A machine that is busy with others may end a slice within a count, which is a switch that no seed has chosen.
  it("goes the same way with the same seed, and others with others", function()
    local function same(seed)
      for _ = 1, 10 do
        local n = count(seed, careless)
        if n == count(seed, careless) then return n end
      end
      error("seed " .. seed .. " goes different ways")
    end
    local seen, different = {}, 0
    for seed = 1, 5 do
      local n = same(seed)
      if not seen[n] then different = different + 1 end
      seen[n] = true
    end
    assert.is_true(different > 1)
  end)

  it("leaves atomic sections alone", function()
    for seed = 1, 5 do
      assert.equal(400, count(seed, function(get, set) task.atomic(careless, get, set) end))
    end
  end)

  for place, call in pairs {
    comparator = function(fn) table.sort({ 2, 1 }, function(a, b) fn() return a < b end) end,
    metamethod = function(fn) tostring(setmetatable({}, { __tostring = function() fn() return "" end })) end,
    gsub = function(fn) string.gsub("x", "x", fn) end,
    coroutine = function(fn) coroutine.wrap(fn)() end,
  } do
    it("switches when C calls Lua: " .. place, function()
      local switched = 0
      shaken(3, function()
        for _ = 1, 100 do
          local ran = false
          local other = task.spawn(function() ran = true end)
          call(function() if ran then switched = switched + 1 end end) -- nothing here but the call
          other:join()
        end
      end)
      assert.is_true(switched > 10, switched)
    end)
  end

  it("keeps what a task sees of itself", function()
    shaken(5, function()
      local sums = task.map({ 1, 2, 3, 4, 5, 6, 7, 8 }, function(i)
        local sum = 0
        for value in coroutine.wrap(function() for k = 1, 50 do coroutine.yield(k) end end) do sum = sum + value * i end
        local list = {}
        for k = 1, 30 do list[k] = (k * 7 * i) % 31 end
        table.sort(list, function(a, b) return a > b end)
        for k = 2, 30 do assert(list[k - 1] >= list[k]) end
        return sum
      end)
      for i = 1, 8 do assert.equal(1275 * i, sums[i]) end
    end)
  end)

  it("lets loops end that must: cancelled, late, or over their limit", function()
    local function burn() while true do end end
    shaken(4, function()
      local cancelled = task.spawn(burn)
      task.sleep(0)
      cancelled:cancel()
      assert.equal("cancelled", cancelled:wait())
      assert.equal("EDEADLINE", select(2, pcall(task.deadline, 0.01, burn)).code)
      local limited = task.spawn(function()
        task.cpu_limit(0.02)
        burn()
      end)
      assert.equal("ECPULIMIT", select(2, pcall(limited.join, limited)).code)
    end)
  end)

  -- "happens without <close> too" of http/websocket_spec.lua: a socket was collected by a step that the shaking made.
  it("collects nothing where the script has stopped the collector", function()
    local collected, made = 0, 0
    local mark = { __gc = function() collected = collected + 1 end }
    collectgarbage "stop"
    finally(function() collectgarbage "restart" end)
    shaken(1, function()
      for _ = 1, 2000 do
        made = made + 1
        setmetatable({}, mark)
      end
    end)
    assert.equal(0, collected)
    assert.is_false(collectgarbage "isrunning")
    assert.equal(2000, made)
  end)

  it("gives way to a hook of the script's own", function()
    shaken(2, function()
      local lines = 0
      local hook = _G.debug.sethook
      hook(function() lines = lines + 1 end, "l")
      local x = 1
      x = x + 1
      hook()
      assert.equal(2, x)
      assert.is_true(lines >= 2)
      assert.is_nil(_G.debug.gethook())
    end)
  end)
end)

describe("--shake", function()
  local LOSES = { ["x.lua"] = [[
    local task = require "green.task"
    local n = 0
    task.map({ 1, 2, 3, 4 }, function() for _ = 1, 50 do n = n + 1 end end)
    print(n)
    if n < 200 then error "lost" end]] }

  -- A cache that many want at once, of which the filling does not even wait. $LOOK is how they look it up.
  local FILLS = { ["x.lua"] = [[
    local task = require "green.task"
    local cache, fills = {}, 0
    local function fill()
      if cache.soup then return end
      fills = fills + 1
      cache.soup = table.concat({ "to", "ma", "to" })
    end
    local ways = { careless = fill, single = function() if not cache.soup then task.single("soup", fill) end end }
    task.map({ 1, 2, 3, 4 }, function() ways[os.getenv "LOOK"]() end)
    if fills > 1 then error "filled twice" end]] }

  -- The first seed with which the command fails, and what it says; nil, "": none of 100.
  local function first_wrong(command, files, last)
    local seed, out, err = 0, nil, nil
    repeat
      seed = seed + 1
      out, err = shell(command:format(seed), files)
    until err ~= "" or seed == last
    return err ~= "" and seed or nil, err, out
  end

  it("finds a cache that is filled twice within 100 seeds, and nothing with task.single", function()
    local seed, err = first_wrong("LOOK=careless $lua --shake=%d x.lua", FILLS, 100)
    assert.is_number(seed)
    assert.matches("x.lua:10: filled twice", err, 1, true)
    assert.equal("", select(2, shell("LOOK=careless $lua x.lua", FILLS)))
    assert.is_nil(first_wrong("LOOK=single $lua --shake=%d x.lua", FILLS, 10))
    assert.equal("", select(2, shell("LOOK=single $lua --shake=" .. seed .. " x.lua", FILLS)))
  end)

  it("finds a lost update within 100 seeds, and says with which", function()
    local seed, err, out = first_wrong("$lua --shake=%d x.lua", LOSES, 100)
    assert.matches("x.lua:5: lost", err, 1, true)
    assert.matches("\ngreenlua: %-%-shake=" .. seed .. " goes the same way again", err)
    assert.is_true(tonumber(out) < 200)
  end)

  it("draws a seed, and says so before anything can crash", function()
    local _, err = shell "$lua --shake -e 'os.exit(7)'"
    local seed, again = err:match "^%S*: %-%-shake=(%d+)\ngreenlua: %-%-shake=(%d+) goes the same way again"
    assert.is_truthy(seed, err)
    assert.equal(seed, again)
  end)

  it("is told of with each error that is logged", function()
    local _, err = shell("$lua --shake=12 x.lua", { ["x.lua"] = [[
      local task = require "green.task"
      task.spawn(error, "oops")]] })
    assert.matches("error: task %d+ spawned at x.lua:2 failed: oops\n.*\n\t%(%-%-shake=12%)\n", err)
  end)

  it("is silent when all goes well", function()
    local out, err = shell "$lua --shake=5 -e 'print \"fine\"'"
    assert.same({ "fine\n", "" }, { out, err })
  end)

  it("shakes from the first line on, and leaves atomic sections alone", function()
    assert.equal("200\n", (shell("$lua --shake=3 x.lua", { ["x.lua"] = [[
      local task = require "green.task"
      local n = 0
      local function add() n = n + 1 end
      task.map({ 1, 2, 3, 4 }, function() for _ = 1, 50 do task.atomic(add) end end)
      print(n)]] })))
  end)

  it("refuses what is no seed", function()
    for _, text in ipairs { "", "0", "x", "-1", "1x", "99999999999999999999" } do
      local _, err = shell("$lua --shake=" .. text .. " -e 1")
      assert.matches("^%S*: %-%-shake: '" .. text:gsub("%p", "%%%0") .. "' is not a seed, an integer from 1 on\n", err)
    end
  end)
end)
