-- SPDX-License-Identifier: MIT
-- The promise of greenlua as a table: every place a function can be called from (contexts.lua) times every
-- function that waits (awaits.lua). One test each: the wait happens there, other tasks run meanwhile, the
-- value comes through, and so does an error, as the same object.
local awaits = require "awaits"

-- MATRIX=2/6: the second sixth of the rows, for builds that get slower the more one process has tested.
local part, parts = (os.getenv "MATRIX" or "1/1"):match "^(%d+)/(%d+)$"
local function is_chosen(i) return i % tonumber(parts) == tonumber(part) % tonumber(parts) end
-- AT_ONCE=16: of the tasks that run side by side; where each wait collects garbage, it looks at all their stacks.
local AT_ONCE = tonumber(os.getenv "AT_ONCE" or math.maxinteger)
local contexts = require "contexts"
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

local TRIES = 50 -- where what it would wait for is there already, once more: a child may have ended, on a busy machine

local function check_value(context, await)
  local run, log, value
  for _ = 1, TRIES do
    run, log = probe(await, context[2])
    value = context[3](run)
    assert(log.ran > 0, "the function did not run")
    if log.waited then break end
  end
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

local function check(context, await)
  check_value(context, await)
  if context.errors ~= false then check_error(context, await) end
end

local function test_row(row)
  local name, await = row[1], row[2]
  describe(name, function()
    for _, context in ipairs(contexts) do
      it("in " .. context[1], function() check(context, await) end)
    end

    it("in all of these at once, each in a task", function()
      local tasks, first = {}, 1
      for i, context in ipairs(contexts) do
        tasks[i] = task.spawn(check, context, await)
        if i - first >= AT_ONCE then
          tasks[first]:wait()
          first = first + 1
        end
      end
      for i, one in ipairs(tasks) do
        local ok, err = pcall(one.join, one)
        assert(ok, contexts[i][1] .. ": " .. tostring(err))
      end
      assert.is_true(#tasks >= 50)
    end)

    it(row.finalizer and "works in a finalizer" or "is refused in a finalizer, with a clear error", function()
      local ok, err
      setmetatable({}, { __gc = function() ok, err = pcall(await) end })
      collectgarbage()
      if row.finalizer then return assert(ok, err) end
      assert.is_false(ok)
      assert.equal("EFINALIZER", err.code)
      assert.matches("finalizer", tostring(err))
    end)
  end)
end

for number, row in ipairs(awaits) do
  if is_chosen(number) then test_row(row) end
end
