-- SPDX-License-Identifier: MIT
-- The promise of greenlua as a table: every place a function can be called from (contexts.lua) times every
-- function that waits (awaits.lua). One test each: the wait happens there, other tasks run meanwhile, the
-- value comes through, and so does an error, as the same object. Then the same interrupted: cancelled in one of the waits,
-- out of time in one, both also within one more coroutine.
local awaits = require "awaits"

-- MATRIX=2/6: the second sixth of the rows, for builds that get slower the more one process has tested.
local part, parts = (os.getenv "MATRIX" or "1/1"):match "^(%d+)/(%d+)$"
local function is_chosen(i) return i % tonumber(parts) == tonumber(part) % tonumber(parts) end
local contexts = require "contexts"
local debug = setmetatable({ green = require "green.debug" }, { __index = debug })
local task = require "green.task"

local EVERY = 3 -- each row is interrupted in every third context, in others than its neighbours

local tokens = 0

local function on_stack(seen)
  local level = 3
  while true do
    local info = debug.getinfo(level, "fn")
    if not info then return false end
    if info.func == seen or info.name == seen or info.namewhat == seen then return true end
    level = level + 1
  end
end

-- A function to be run in the context: it waits, lets another task run, and returns a fresh string. The second
-- result tells what was seen: how often it ran, and from where.
local function probe(await, seen)
  tokens = tokens + 1
  local token = "token" .. tokens
  local log = { token = token, ran = 0 }
  local function look()
    if seen and not on_stack(seen) then log.elsewhere = debug.traceback("", 2) end
  end
  return function()
    local others = false
    task.spawn(function() others = true end)
    look()
    await()
    look()
    log.ran = log.ran + 1
    log.waited = others
    return token
  end, log
end

local function check_value(context, await)
  local run, log = probe(await, context[2])
  local value = context[3](run)
  assert(log.ran > 0, "the function did not run")
  assert(log.waited, "no other task ran while it waited")
  assert(not log.elsewhere, "ran somewhere else: " .. tostring(log.elsewhere))
  assert(value == log.token, ("returned %s instead of %s"):format(value, log.token))
end

local function check_error(context, await)
  local run, log = probe(await, context[2])
  local thrown = setmetatable({}, { __name = "thrown" })
  local ok, err = pcall(context[3], function()
    run()
    error(thrown)
  end)
  assert(log.ran > 0, "the function did not run")
  assert(not ok and rawequal(err, thrown), ("the error became %s"):format(tostring(err)))
end

-- How often the function waits in the task that calls it: as many places to be interrupted in.
local function count_waits(await)
  local many = 1000000
  debug.green.cancel_at(many)
  await()
  return many - debug.green.cancel_at(0)
end

local codes = { cancel = "ECANCELED", deadline = "EDEADLINE" }

-- Interrupts the n-th wait: what was raised there, what came out of the context, and whether the task could wait again.
local function interrupt(context, await, n, how)
  local seen = {}
  local t = task.spawn(function()
    seen.ok, seen.err = pcall(context[3], function()
      debug.green.cancel_at(n, how)
      local fine, what = pcall(await)
      if fine then return end
      seen.raised = what
      if context.errors ~= false then error(what, 0) end -- a message handler would be called again for its own error, 200 deep
    end)
    debug.green.cancel_at(0)
    task.sleep(0)
    seen.went_on = true
  end)
  seen.last = select(2, pcall(t.join, t))
  return seen
end

-- The error of the interruption comes through, and the task's every later wait raises it, too. In a slow build a task may
-- be raised at beside its waits, as one that hogs ("preempt"): that is the same error again. False: it did not wait.
local function check_interrupted(context, await, n, how)
  local seen = interrupt(context, await, n, how)
  if not seen.raised then seen = interrupt(context, await, 1, how) end -- fewer waits than when they were counted
  if not seen.raised then return false end -- none: what it waits for was there already
  local function is_it(err) return type(err) == "table" and err.code == codes[how] end
  assert(is_it(seen.raised), ("the wait raised %s"):format(tostring(seen.raised)))
  assert(is_it(seen.last) and not seen.went_on, ("the interruption did not last: %s"):format(tostring(seen.last)))
  if context.errors == false or seen.ok == nil then return true end
  local same = rawequal(seen.err, seen.raised) or (is_it(seen.err) and seen.err.op == "preempt")
  assert(not seen.ok and same, ("the error became %s"):format(tostring(seen.err)))
  return true
end

local function in_coroutine(context)
  return { context[1], context[2], function(run)
    local ok, value = coroutine.resume(coroutine.create(context[3]), run)
    if not ok then error(value, 0) end
    return value
  end, errors = context.errors }
end

local function check(context, await)
  check_value(context, await)
  if context.errors ~= false then check_error(context, await) end
end

local function test_row(number, name, await)
  describe(name, function()
    local waits, interrupted, places = 1, 0, 0
    setup(function() waits = math.max(1, task.spawn(count_waits, await):join()) end)

    for i, context in ipairs(contexts) do
      it("in " .. context[1], function() check(context, await) end)

      if (i + number) % EVERY ~= 0 then goto next end
      places = places + 1
      it("in a coroutine, and interrupted, in " .. context[1], function()
        check_value(in_coroutine(context), await)
        local n = i % waits + 1
        for _, how in ipairs { "cancel", "deadline" } do
          if check_interrupted(context, await, n, how) then interrupted = interrupted + 1 end
        end
        check_interrupted(in_coroutine(context), await, n, i % 2 == 0 and "cancel" or "deadline")
      end)
      ::next::
    end

    it("is interrupted in most of these", function() assert.is_true(interrupted > places) end)

    it("in all of these at once, each in a task", function()
      local tasks = {}
      for i, context in ipairs(contexts) do tasks[i] = task.spawn(check, context, await) end
      for i, one in ipairs(tasks) do
        local ok, err = pcall(one.join, one)
        assert(ok, contexts[i][1] .. ": " .. tostring(err))
      end
      assert.is_true(#tasks >= 50)
    end)

    it("is refused in a finalizer, with a clear error", function()
      local ok, err
      setmetatable({}, { __gc = function() ok, err = pcall(await) end })
      collectgarbage()
      assert.is_false(ok)
      assert.equal("EFINALIZER", err.code)
      assert.matches("finalizer", tostring(err))
    end)
  end)
end

for number, row in ipairs(awaits) do
  if is_chosen(number) then test_row(number, row[1], row[2]) end
end
