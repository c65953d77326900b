-- SPDX-License-Identifier: MIT
-- When a handler failed, its stack was gone before the connection was told, and with it the request, which was still
-- looked at: for the log ("GET /path") and to tell it that its connection is over. A collection in between, which a
-- server short of memory is sure to have, and memory that was freed was read and written.
local http = require "green.http"
local serve = require "process"

describe("the request of a handler that failed", function()
  it("lives until the failure was logged", function()
    local path = os.tmpname()
    finally(function() os.remove(path) end)
    local file <close> = assert(io.open(path, "w"))
    file:write [[
      local collected = "no"
      return function(req)
        req.mark = setmetatable({}, { __gc = function() collected = "yes" end })
        error(setmetatable({}, { __tostring = function()
          collectgarbage()
          collectgarbage()
          return "collected: " .. collected
        end }))
      end
    ]]
    file:close()
    local app <close> = serve(path)
    assert.equal(500, http.get(app.url .. "/here").status)
    local _, said = app:stop()
    assert.matches("^%S+Z error: GET /here %[%x+%]: collected: no\n", said)
  end)
end)
