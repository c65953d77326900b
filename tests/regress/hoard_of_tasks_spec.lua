-- SPDX-License-Identifier: MIT
-- A group that spawned until memory ran out: each of its thousands of tasks, cancelled, asked for the memory of its error
-- with a full collection, since those that had ended before still held theirs: a minute of CPU with 16 MB, while none of
-- the others ran.
local sh = require "shell"

describe("tasks without end, in a group", function()
  it("end as soon as with more memory", function()
    local files = { ["a.lua"] = [[
      local task = require "green.task"
      for _ = 1, 3 do
        local ok, err = pcall(task.group, function(group)
          while true do group:spawn(task.sleep, 1000) end
        end)
        assert(not ok and tostring(err):find "not enough memory", err)
      end
      print(os.clock())
    ]] }
    local function seconds(limit)
      local out, err, code = sh(("$lua --max-memory %s a.lua"):format(limit), files)
      assert.equal("", err)
      assert.equal(0, code)
      return tonumber(out)
    end
    assert.is_true(seconds "8M" < 2 * seconds "32M")
  end)
end)
