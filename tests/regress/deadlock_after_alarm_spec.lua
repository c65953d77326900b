-- SPDX-License-Identifier: MIT
-- "Nothing is left that could wake a task" was decided by counting the loop's active handles, of which one was taken to be
-- the alarm. After it had fired the alarm was no longer active, and the one handle left was what the last task waited
-- for: a script that slept once and then waited for a signal was ended as a deadlock.
local shell = require "shell"

describe("a task that waits for a handle after the last timer fired", function()
  it("is no deadlock", function()
    local out, err, code = shell("$lua main.lua", { ["main.lua"] = [[
      require "green.debug".report_stalls(false) -- starting a process takes long on a busy machine
      local task, signal = require "green.task", require "green.signal"
      task.after(0.2, os.execute, "kill -USR2 $PPID")
      print(signal.wait "USR2")]] })
    assert.same({ "USR2\n", "", 0 }, { out, err, code })
  end)
end)
