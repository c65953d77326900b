-- SPDX-License-Identifier: MIT
-- Server-sent events: a clock. The handler's loop is the connection; sending waits while the client is slow, and
-- raises once it is gone, which ends the loop. Open http://localhost:8080/ or: curl -N localhost:8080/clock
local app = require "green.app".new()
local response = require "green.response"
local task = require "green.task"

app:get("/clock", function(req)
  local every = tonumber(req.query.every) or 1
  return response.events(function(events)
    for tick = 1, math.huge do
      events:send { id = tick, event = "tick", data = { time = os.date "%H:%M:%S", tick = tick } }
      task.sleep(math.max(every, 0.01))
    end
  end)
end, { cancel_on_disconnect = true })

app:get("/", function()
  return response.html [[
    <!doctype html><title>Clock</title>
    <h1 id="clock">...</h1>
    <script>
      new EventSource("clock").addEventListener("tick", event => clock.textContent = JSON.parse(event.data).time)
    </script>
  ]]
end)

return app
