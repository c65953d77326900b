-- SPDX-License-Identifier: MIT
-- Lua marks a call that yields in a hook, and drops that call's next event for it. A preempted script yields in ours,
-- which was gone when it went on: the event that was dropped was the first one of the hook the script set next.
local sh = require "shell"

describe("a hook set after having been preempted", function()
  it("sees its first event", function()
    local files = { ["a.lua"] = [[
      local clock, sethook = os.clock, debug.sethook
      for _, how in ipairs { { "l", 0 }, { "", 1 }, { "", 3 }, { "l", 2 } } do
        local seen = {}
        local begun = clock()
        while clock() - begun < 0.05 do end
        sethook(function(event, line) seen[#seen + 1] = event .. tostring(line) end, how[1], how[2])
        local x = 1
        x = x + 1
        x = x + 1
        sethook()
        print(table.concat(seen, " "))
      end
    ]] }
    assert.equal(sh("lua5.4 a.lua", files), (sh("$lua a.lua", files)))
  end)
end)
