-- SPDX-License-Identifier: MIT
-- A few places where C runs out of memory in a request, other ones each time: malloc/run.lua tells more, and walks over all of them.
local build = require "build"
local walk = require "http.malloc.run"

describe("a request for which C has no memory", function()
  it("fails or is refused, and the next one is served", function()
    if build.sanitized then return end -- a sanitizer has a malloc of its own
    local seed = tonumber(os.getenv "SEED") or os.time()
    local code, said = walk(seed, 3)
    assert.is_true(code == 0 and said:find "\ndone\n$" ~= nil, ("greenlua tests/http/malloc/run.lua %d 3: exit code %s: %s"):format(seed, code, said:sub(-4000)))
  end)
end)
