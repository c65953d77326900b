-- SPDX-License-Identifier: MIT
-- A request with cancel_on_disconnect whose client closed in the usual way (FIN, not RST) was logged as an error of
-- the script, "the task was cancelled" with a traceback: every closed browser tab a fault.
local http = require "green.http"
local serve = require "process"

describe("a request cancelled because its client left", function()
  it("is no error in the log", function()
    local path = os.tmpname()
    finally(function() os.remove(path) end)
    local file <close> = assert(io.open(path, "w"))
    file:write [[
      local task = require "green.task"
      local app = require "green.app".new()
      local left = false
      app:get("/slow", function()
        local _ <close> = setmetatable({}, { __close = function() left = true end })
        task.sleep(60)
      end, { cancel_on_disconnect = true })
      app:get("/left", function() return tostring(left) end)
      return app
    ]]
    file:close()
    local app <close> = serve(path)
    assert.equal("ETIMEDOUT", select(2, pcall(http.get, app.url .. "/slow", { timeout = 0.05 })).code)
    repeat until http.get(app.url .. "/left").body == "true"
    assert.same({ 0, "greenlua: stopping (SIGTERM)\n" }, { app:stop() })
  end)
end)
