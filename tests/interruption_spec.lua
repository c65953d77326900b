-- SPDX-License-Identifier: MIT
-- The matrix of transparency_spec.lua, interrupted: every function that waits (awaits.lua), in some of the places it can be
-- called from (contexts.lua), is
--
--   cancelled in its 1st, 2nd, ... last wait,
--   out of time in each of these,
--   refused its 1st, 2nd, ... allocation.
--
-- The error comes through, or the function came to its end; and all that the host counts, and the open file descriptors,
-- are back where they were. How often a function waits may vary: a child process may have ended before anybody waited.
local awaits = require "awaits"
local contexts = require "contexts"
local debug = require "green.debug"
local fs = require "green.fs"
local task = require "green.task"

-- MATRIX=2/6: the second sixth of the rows. SAMPLE=3: each row in a third of the places, for slow builds.
local part, parts = (os.getenv "MATRIX" or "1/1"):match "^(%d+)/(%d+)$"
local sample = tonumber(os.getenv "SAMPLE" or 1)

local TURNS = 2000   -- connections take some until they are closed
local MANY = 200     -- more waits than any row has
local EACH = 50      -- allocations that are refused one by one; then fewer and fewer of them
local TIMEOUT = 60

local PLACES = {
  "plain", "pcall", "xpcall handler", "__index", "__close at the end of a block", "generic for", "table.sort comparator",
  "string.gsub function", "require of package.preload", "coroutine.wrap, 3 deep", "coroutine.resume, 20 deep",
  "a generator that waits between yields", "sort in a generator in sort", "pcall in sort in resume in gsub in resume",
}

local function places(row, of)
  local by_name, chosen = {}, {}
  for _, context in ipairs(contexts) do by_name[context[1]] = context end
  for i, name in ipairs(of) do
    assert(by_name[name], name)
    if (i + row) % sample == 0 then chosen[#chosen + 1] = by_name[name] end
  end
  return chosen
end

-- ---- the audit ----

local function descriptors() return #fs.list "/proc/self/fd" end

-- The host's own descriptor for what is waited for is there from now on.
assert(task.spawn(function() return io.popen("sleep 0.01; echo x"):read "a" end):join() == "x\n")

local function counted()
  local all = debug.census()
  all.descriptors = descriptors()
  return all
end

local function difference(before)
  for name, count in pairs(counted()) do
    if count > before[name] then return ("%s %d -> %d"):format(name, before[name], count) end
  end
end

local function check_restored(before, what)
  local left
  for turn = 1, TURNS do
    left = difference(before)
    if not left then return end
    if turn % 4 == 0 then collectgarbage() end
    task.sleep(turn < 20 and 0 or 0.001)
  end
  error(("%s: left behind: %s"):format(what, left), 0)
end

-- ---- one attempt ----

-- Runs the function in the place with a fault ordered by arm(). Returns what was seen: `raised` by the function, what came
-- out of the place (`ok`, `err`), whether the fault happened, and whether the task could wait again.
local function attempt(context, await, arm, disarm)
  local seen = {}
  local t = task.spawn(function()
    seen.ok, seen.err = pcall(context[3], function()
      if seen.armed then return "value" end -- a place may call more than once
      seen.armed = true
      arm()
      local fine, what = pcall(await)
      seen.happened = disarm() == 0
      if fine then return "value" end
      seen.raised = what
      if context.errors ~= false then error(what, 0) end -- a message handler would be called for its own error, 200 deep
      return "value"
    end)
    if seen.happened == nil then seen.happened = disarm() == 0 end -- right before the function
    task.sleep(0)
    seen.went_on = true
  end)
  local ok, err = pcall(t.join, t, TIMEOUT)
  if not ok then seen.last = err end
  return seen
end

local function check_passed(context, seen, is_it)
  assert(seen.ok or is_it(seen.err), ("the error became %s"):format(tostring(seen.err)))
  if not seen.raised or context.errors == false then return end
  assert(not seen.ok, "the error did not leave the place")
end

-- ---- interrupted waits ----

local codes = { cancel = "ECANCELED", deadline = "EDEADLINE" }

-- False: it came to its end before its n-th wait.
local function interrupt(context, await, n, how)
  local function is_it(err) return type(err) == "table" and err.code == codes[how] end
  local seen = attempt(context, await, function() debug.cancel_at(n, how) end, function() return debug.cancel_at(0) end)
  if not seen.happened then
    assert(seen.ok and not seen.raised, ("it failed: %s"):format(tostring(seen.raised or seen.err)))
    return false
  end
  assert(not seen.raised or is_it(seen.raised), ("the wait raised %s"):format(tostring(seen.raised)))
  assert(is_it(seen.last) and not seen.went_on, ("the interruption did not last: %s"):format(tostring(seen.last)))
  -- On a slow machine the task has used up a slice by now, and is told once more, outside of the place.
  if seen.ok ~= nil then check_passed(context, seen, is_it) end
  return true
end

local function test_interrupted(row, name, await, how)
  it(("%s (%s)"):format(name, how), function()
    task.spawn(await):join() -- what is made once is made
    local most, tries = 0, 0
    repeat -- a child that ended before anybody waited for it: once more
      tries = tries + 1
      for _, context in ipairs(places(row, PLACES)) do
        local before, n = counted(), 0
        repeat
          n = n + 1
          local what = ("wait %d in %s"):format(n, context[1])
          local ok, more = pcall(interrupt, context, await, n, how)
          assert(ok, ("%s: %s"):format(what, tostring(more)))
          check_restored(before, what)
        until not more or n > MANY
        most = math.max(most, n - 1)
      end
    until most > 0 or tries > MANY
    assert.is_true(most > 0 and most < MANY)
  end)
end

-- ---- refused allocations ----

local ALLOCATING = {
  "plain", "__close at the end of a block", "table.sort comparator", "string.gsub function", "coroutine.wrap, 3 deep",
  "sort in a generator in sort",
}

-- A C function whose stack cannot grow says, as in stock Lua, that it overflows.
local function is_refusal(err)
  local message = tostring(type(err) == "table" and err.message or err)
  return message:find("not enough memory", 1, true) ~= nil or message:find("stack overflow (", 1, true) ~= nil
end

local function refuse(context, await, n)
  local seen = attempt(context, await, function() debug.fail_alloc(n) end, function() return debug.fail_alloc(0) end)
  assert(seen.went_on, ("the task did not go on: %s"):format(tostring(seen.last)))
  if seen.raised then
    assert(seen.happened and is_refusal(seen.raised), ("it failed: %s"):format(tostring(seen.raised)))
  end
  check_passed(context, seen, is_refusal)
  return seen.happened
end

local function test_refused(row, name, await)
  it(name .. " (memory)", function()
    task.spawn(await):join()
    for i, context in ipairs(places(row, ALLOCATING)) do
      local before, n = counted(), 0
      repeat
        n = n < EACH and n + 1 or n + n // EACH + (i - 1) % 2 -- others in other places
        local what = ("allocation %d in %s"):format(n, context[1])
        local ok, more = pcall(refuse, context, await, n)
        assert(ok, ("%s: %s"):format(what, tostring(more)))
        check_restored(before, what)
      until not more
    end
  end)
end

describe("interrupted:", function()
  for row, entry in ipairs(awaits) do
    if row % tonumber(parts) == tonumber(part) % tonumber(parts) then
      for _, how in ipairs { "cancel", "deadline" } do test_interrupted(row, entry[1], entry[2], how) end
      test_refused(row, entry[1], entry[2])
    end
  end
end)
