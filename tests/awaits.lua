-- SPDX-License-Identifier: MIT
-- Every waiting function of greenlua, for the transparency matrix: { name, function }. The function sets up
-- what it needs, waits at least once (another task must get to run) and asserts its result. It may be called
-- from fifty tasks at once, and in any of the contexts.
local signal = require "green.signal"
local task = require "green.task"

return {
  { "signal.wait", function() -- a signal that is ignored when it comes too late
    task.spawn(os.execute, "kill -WINCH $PPID")
    assert(signal.wait("USR1", "WINCH") == "WINCH")
  end },
  { "task.join", function()
    local first, second = task.spawn(function(...) return ... end, "a", nil):join()
    assert(first == "a" and second == nil)
  end },
  { "task.sleep", function()
    local before = task.now()
    task.sleep(0.0005)
    assert(task.now() - before >= 0.0005)
  end },
}
