-- SPDX-License-Identifier: MIT
-- A group that spawned until memory ran out: each of its thousands of tasks, cancelled, asked for the memory of its error
-- with a full collection, since those that had ended before still held theirs: a minute of CPU with 16 MB, while none of
-- the others ran.
-- Later a group whose body had used up the memory did not end its children, as to look who is told to cancel asked for some
-- more: they lived on, and so the memory stayed used up.
local build = require "build"
local sh = require "shell"

describe("tasks without end, in a group", function()
  it("cost about what as many cost that end before memory does", function()
    local out, err, code = sh("$lua --max-memory 4M a.lua", { ["a.lua"] = [[
      local task = require "green.task"
      local function seconds(most)
        local begun, spawned = os.clock(), 0
        local ok, err = pcall(task.group, function(group)
          while spawned < most do
            group:spawn(task.sleep, 1000)
            spawned = spawned + 1
          end
          error "enough"
        end)
        assert(not ok and tostring(err):find(most == math.huge and "not enough memory" or "enough"), err)
        return os.clock() - begun, spawned
      end
      local hoard, few = 0, 0
      for _ = 1, 5 do
        local took, spawned = seconds(math.huge)
        hoard, few = hoard + took, few + seconds(spawned // 2) + seconds(spawned // 2)
      end
      print(hoard / few)
    ]] })
    assert.equal("", err)
    assert.equal(0, code)
    assert.is_true(build.stressed or tonumber(out) < 20, out) -- under stress each of them collects them all
  end)
end)
