-- SPDX-License-Identifier: MIT
-- What one may rely on between two lines (greenlua doc task): what is wrong without care is found by switching tasks at random, within 100
-- seeds; with task.atomic, task.single or a mutex no seed finds anything.
local debug = require "green.debug"
local task = require "green.task"

local SEEDS = 100 -- until a race shows
local SOUND = 30  -- that show none

-- Returns the first seed, up to `last`, under which run() is not what was expected; nil: there is none.
local function first_wrong(expected, run, last)
  local _ <close> = setmetatable({}, { __close = function() debug.shake(0) end })
  for seed = 1, last do
    debug.shake(seed)
    local got = run()
    debug.shake(0)
    if got ~= expected then return seed end
  end
end

local function at_once(n, fn)
  local list = {}
  for i = 1, n do list[i] = i end
  task.map(list, fn)
end

local function found(expected, run) assert.is_number(first_wrong(expected, run, SEEDS)) end
local function sound(expected, run) assert.is_nil(first_wrong(expected, run, SOUND)) end

describe("a lost update", function()
  -- Two requests take what is left: sold must be 3.
  local function shop(take)
    local stock, sold = { soup = 3 }, 0
    at_once(5, function()
      for _ = 1, 3 do
        if take(stock) then task.atomic(function() sold = sold + 1 end) end
      end
    end)
    return sold
  end

  local function take(stock)
    if stock.soup == 0 then return false end
    stock.soup = stock.soup - 1
    return true
  end

  it("is found", function() found(3, function() return shop(take) end) end)

  it("does not happen in task.atomic", function()
    sound(3, function() return shop(function(stock) return task.atomic(take, stock) end) end)
  end)

  it("does not happen under a mutex, where something waits", function()
    local function slow_take(stock)
      local left = stock.soup
      task.sleep(0)
      if left == 0 then return false end
      stock.soup = left - 1
      return true
    end
    found(3, function() return shop(slow_take) end)
    sound(3, function()
      local mutex = task.mutex()
      return shop(function(stock)
        local _ <close> = mutex:lock()
        return slow_take(stock)
      end)
    end)
  end)

  it("is found in count = count + 1", function()
    local function run(add)
      local count = 0
      at_once(4, function() for _ = 1, 20 do count = add(count) or count + 1 end end)
      return count
    end
    found(80, function() return run(function() end) end)
  end)
end)

describe("a cache that is filled once", function()
  local function kitchen(look_up)
    local cache, cooked = {}, 0
    at_once(20, function()
      look_up(cache, function()
        cooked = cooked + 1
        task.sleep(0)
        cache.soup = "tomato"
      end)
      assert(cache.soup == "tomato")
    end)
    return cooked
  end

  local function careless(cache, fill) if not cache.soup then fill() end end

  it("is filled more than once by those who only look", function()
    assert.is_true(kitchen(careless) > 1)
    found(1, function() return kitchen(careless) end)
  end)

  it("is filled once by task.single", function()
    local function once(cache, fill)
      -- Who comes when it is over has looked before: so the function looks again.
      if not cache.soup then task.single(cache, careless, cache, fill) end
    end
    assert.equal(1, kitchen(once))
    sound(1, function() return kitchen(once) end)
  end)
end)

describe("one operation", function()
  it("is atomic: to set a field, to append, to take the last one", function()
    sound(0, function()
      local list, rest = {}, 100
      at_once(4, function(n)
        for i = 1, 25 do
          list[n * 1000 + i] = true
          table.insert(list, i)
        end
      end)
      for n = 1, 4 do
        for i = 1, 25 do assert(list[n * 1000 + i]) end
      end
      for _ = 1, 100 do rest = rest - (table.remove(list) and 1 or 0) end
      return rest
    end)
  end)
end)
