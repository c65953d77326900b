-- SPDX-License-Identifier: MIT
-- The scopes (task.deadline, group, shield) of coroutines that had yielded stood in one list of the host, and each resume of
-- any coroutine went through it: with 65,536 of them a resume took 967 us. They are found by their coroutine now.
local task = require "green.task"

local function nothing() end

-- n coroutines that have yielded within what `enter` makes.
local function suspended(enter, n)
  local list = {}
  for i = 1, n do
    list[i] = coroutine.create(function() return enter(coroutine.yield) end)
    coroutine.resume(list[i])
  end
  return list
end

local kinds = {
  ["task.deadline"] = function(fn) return task.deadline(1000, fn) end,
  ["task.shield"] = function(fn) return task.shield(1000, fn) end,
  ["task.group"] = function(fn) return task.group(fn) end,
  ["three deadlines in each other"] = function(fn) return task.deadline(1000, task.deadline, 900, task.deadline, 800, fn) end,
}

local RESUMES = 20000

-- Seconds of CPU for a resume of a coroutine that is in no scope, and of one of n that are in one.
local function cost(enter, n)
  local list = suspended(enter, n)
  local plain = coroutine.wrap(function() while true do coroutine.yield() end end)
  local began = os.clock()
  for _ = 1, RESUMES do plain() end
  local others = (os.clock() - began) / RESUMES
  began = os.clock()
  for i = n, 1, -1 do coroutine.resume(list[i]) end
  return others, (os.clock() - began) / n
end

describe("resume beside coroutines suspended within", function()
  for name, enter in pairs(kinds) do
    it(name .. " costs the same however many there are", function()
      local few, many, few_own, many_own = math.huge, math.huge, math.huge, math.huge
      for _ = 1, 6 do
        local others, own = cost(enter, 1000)
        few, few_own = math.min(few, others), math.min(few_own, own)
        others, own = cost(enter, 16000)
        many, many_own = math.min(many, others), math.min(many_own, own)
        if many < 2 * few and many_own < 2 * few_own then break end -- to go through them all would be 16 times as much
      end
      assert.is_true(many < few * 8, ("%.0f ns beside 1000, %.0f beside 16000"):format(few * 1e9, many * 1e9))
      assert.is_true(many_own < few_own * 8, ("of its own: %.0f ns of 1000, %.0f of 16000"):format(few_own * 1e9, many_own * 1e9))
    end)
  end
end)

describe("a coroutine suspended within scopes", function()
  local function code(fn, ...)
    local ok, err = pcall(fn, ...)
    return not ok and err.code or nil
  end

  it("finds its own, in order, among many", function()
    local others = suspended(kinds["three deadlines in each other"], 500)
    local list = {}
    for i = 1, 200 do
      list[i] = coroutine.create(function()
        return code(task.deadline, 0, task.shield, 1000, function() -- the shield holds off what is outside of it
          coroutine.yield()
          task.sleep(0)
          local inner = code(task.deadline, 0, function() coroutine.yield() task.sleep(0) end)
          coroutine.yield()
          task.sleep(0)
          error { code = "inner " .. tostring(inner) }
        end)
      end)
      coroutine.resume(list[i])
    end
    for _ = 1, 2 do
      for i = 1, 200 do coroutine.resume(list[(i * 73) % 200 + 1]) end
      nothing(collectgarbage "step")
    end
    for i = 1, 200 do assert.same({ true, "inner EDEADLINE" }, { coroutine.resume(list[i]) }) end
    for _, co in ipairs(others) do assert.is_true(coroutine.close(co)) end
  end)

  it("may be closed or collected", function()
    for _ = 1, 3 do
      local list = suspended(kinds["three deadlines in each other"], 300)
      for i = 1, 300, 3 do coroutine.close(list[i]) end
      for i = 2, 300, 3 do list[i] = nil end
      collectgarbage()
      for i = 3, 300, 3 do assert.equal("dead", coroutine.resume(list[i]) and coroutine.status(list[i])) end
    end
    task.sleep(0) -- nothing of them is left around this task
  end)
end)
