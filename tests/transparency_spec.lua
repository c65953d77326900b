-- SPDX-License-Identifier: MIT
-- The promise of greenlua as a table: every place a function can be called from (contexts.lua) times every
-- function that waits (awaits.lua). One test each: the wait happens there, other tasks run meanwhile, the
-- value comes through, and so does an error, as the same object. Then the same interrupted: cancelled in one of the waits,
-- out of time in one, both also within one more coroutine.
local awaits = require "awaits"
local contexts = require "contexts"
local debug = setmetatable({ green = require "green.debug" }, { __index = debug })
local task = require "green.task"

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

-- The n-th wait is interrupted; the error is that of the interruption, and the task's every later wait raises it, too.
local function check_interrupted(context, await, n, how)
  local t = task.spawn(function()
    local raised
    local ok, err = pcall(context[3], function()
      debug.green.cancel_at(n, how)
      local fine, what = pcall(await)
      if not fine then
        raised = raised or what -- a message handler is called again for its own errors
        error(what, 0)
      end
    end)
    debug.green.cancel_at(0)
    local sticky, again = pcall(task.sleep, 0)
    assert(raised, "the wait was not interrupted")
    assert(raised.code == codes[how], ("the wait raised %s"):format(tostring(raised)))
    assert(context.errors == false or (not ok and rawequal(err, raised)), ("the error became %s"):format(tostring(err)))
    assert(not sticky and again.code == codes[how], "the interruption did not last")
  end)
  t:join()
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

for _, row in ipairs(awaits) do
  local name, await = row[1], row[2]

  describe(name, function()
    local waits
    setup(function() waits = task.spawn(count_waits, await):join() end)

    for i, context in ipairs(contexts) do
      it("in " .. context[1], function()
        check(context, await)
        check_value(in_coroutine(context), await)
        local n = (i - 1) % waits + 1
        check_interrupted(context, await, n, "cancel")
        check_interrupted(context, await, n, "deadline")
        check_interrupted(in_coroutine(context), await, n, i % 2 == 0 and "cancel" or "deadline")
      end)
    end

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
