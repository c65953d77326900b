-- SPDX-License-Identifier: MIT
-- host/core/alloc.c by itself, in plain C, trimmed at random: see alloc_stress.c.
local process = require "green.process"

describe("small blocks", function()
  it("are each one's own, however they come and go, and are given back in the end", function()
    local program = os.tmpname()
    local built = process.capture({ "cc", "-std=gnu11", "-O1", "-Wall", "-D_GNU_SOURCE", "-I", "host", "tests/core/alloc_stress.c",
      "host/core/alloc.c", "-o", program }, { stderr = "stdout" })
    assert.same({ 0, "" }, { built.code, built.stdout })
    for seed = 1, 2 do
      local got = process.capture({ program, seed }, { timeout = 60, stderr = "stdout" })
      assert.same({ seed, "fine\n" }, { seed, got.stdout })
    end
    os.remove(program)
  end)
end)
