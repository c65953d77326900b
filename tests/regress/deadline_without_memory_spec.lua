-- SPDX-License-Identifier: MIT
-- A task whose deadline passed while there was no memory ended the whole process ("unprotected error: not enough memory"): the
-- first such error tries out how Lua keeps its frames, by a call on a new coroutine, where an error had nobody to catch it.
local shell = require "shell"

local script = [[
local debug, task = require "green.debug", require "green.task"
local ok, err = pcall(task.deadline, 0.02, function()
  debug.fail_alloc(%d)
  while true do end
end)
io.write(tostring(ok), " ", tostring(err.code or err), "\n")
]]

describe("a deadline that passes without memory", function()
  it("ends the task, and not the process", function()
    local files, lines = {}, {}
    for n = 1, 30 do -- each allocation of the trial, which a process makes once
      files[n .. ".lua"] = script:format(n)
      lines[n] = "false EDEADLINE\n"
    end
    local out, err = shell("for n in $(seq 30); do $lua $n.lua; done", files)
    assert.equal("", err)
    assert.equal(table.concat(lines), out)
  end)
end)
