-- SPDX-License-Identifier: MIT
-- The watchdog could miss the beat that was to wake it, when a step began while it was falling asleep: its count went up after
-- the look whether it slept. From then on nothing was preempted. pulse_stress.c drives that handshake alone, in two threads.
local process = require "green.process"

local function stress(rounds, ...)
  local program = os.tmpname()
  local built = process.capture({ "cc", "-std=gnu11", "-O1", "-g", "-I", "host", "-pthread", ..., "tests/core/pulse_stress.c", "-o", program },
    { stderr = "stdout" })
  assert.same({ 0, "" }, { built.code, built.stdout })
  local got = process.capture({ program, rounds }, { timeout = 100, stderr = "stdout" })
  os.remove(program)
  assert.same({ 0, "slept now and then\n" }, { got.code, got.stdout })
end

describe("the watchdog's sleep", function()
  it("misses no beat", function() stress(100000, "-Wall") end)
  it("is in order, for ThreadSanitizer", function() stress(20000, "-fsanitize=thread") end)
end)
