-- SPDX-License-Identifier: MIT
-- A request with cancel_on_disconnect whose client closed in the usual way (FIN, not RST) was logged as an error of
-- the script, "the task was cancelled" with a traceback: every closed browser tab a fault.
local http = require "green.http"
local task = require "green.task"
local serve = require "process"
local failure = require "outcome".failure

describe("a request cancelled because its client left", function()
  it("is no error in the log", function()
    local path = os.tmpname()
    finally(function() os.remove(path) end)
    local file <close> = assert(io.open(path, "w"))
    file:write [[
      local task = require "green.task"
      local app = require "green.app".new()
      local began, left = false, false
      app:get("/slow", function()
        local _ <close> = setmetatable({}, { __close = function() left = true end })
        began = true
        task.sleep(60)
      end, { cancel_on_disconnect = true })
      app:get("/began", function() return tostring(began) end)
      app:get("/left", function() return tostring(left) end)
      return app
    ]]
    file:close()
    local app <close> = serve(path)
    local client = task.spawn(http.get, app.url .. "/slow")
    repeat until http.get(app.url .. "/began").body == "true"
    client:cancel()
    assert.equal("ECANCELED", failure(client.join, client).code)
    repeat until http.get(app.url .. "/left").body == "true"
    assert.same({ 0, "greenlua: stopping (SIGTERM)\n" }, { app:stop() })
  end)
end)
