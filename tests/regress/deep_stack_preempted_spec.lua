-- SPDX-License-Identifier: MIT
-- Setting a hook visits every frame of the coroutine. With some 200,000 frames (a recursion without an end) that took
-- as long as the watchdog's tick, and as each tick set the hook again, the script never got to run: a stack overflow
-- that takes lua 0.2 s did not come.
local sh = require "shell"

describe("a recursion without an end", function()
  it("overflows its stack while it is preempted", function()
    local out, _, code = sh("timeout 100 $lua a.lua", { ["a.lua"] = [[
      local function deep() return 1 + deep() end
      for _ = 1, 3 do print(pcall(deep)) end
    ]] })
    assert.equal(("false\ta.lua:1: stack overflow\n"):rep(3), (out:gsub(" %(message[^\n]*", "")))
    assert.equal(0, code)
  end)
end)
