-- SPDX-License-Identifier: MIT
-- The watchdog took each of its looks for five milliseconds, though it is woken for some that follow one another at once: a script of
-- many short steps, none of them longer than a few milliseconds, was told again and again that it had stalled for a tenth of a second.
local shell = require "shell"

local SCRIPT = [[
  local fs = require "green.fs"
  local task = require "green.task"
  local seconds = task.now()
  local function work()
    local file <close> = fs.temp_file()
    file:write "text"
    local folder <close> = fs.temp_dir()
    fs.write(fs.join(folder.path, "f"), "text")
  end
  for round = 1, 5000 do
    local one = task.spawn(work)
    for _ = 1, round % 40 do task.sleep(0) end
    one:cancel()
    pcall(one.join, one)
  end
  print(task.now() - seconds)
]]

describe("the report of stalls", function()
  it("says no more of them than there was time for", function()
    local out, err, code = shell("$lua script.lua", { ["script.lua"] = SCRIPT }, true)
    assert.equal(0, code)
    local _, first = err:gsub("stalled for more than", "")
    local again = 0
    for times in err:gmatch "came (%d+) times more" do again = again + tonumber(times) end
    assert.is_true((first + again) * 0.1 <= tonumber(out), err .. out)
  end)
end)
