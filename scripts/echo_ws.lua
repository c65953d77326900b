-- SPDX-License-Identifier: MIT
-- WebSockets: the handler is a loop over what comes in, in a task of its own per connection. The loop ends when the
-- page is closed; the connection ends with the handler. Open http://localhost:8080/ in a browser.
local app = require "green.app".new()
local response = require "green.response"

app:ws("/echo", function(ws, req)
  ws:send("Hello " .. req.remote)
  for message, kind in ws:messages() do
    if message == "bye" then return end
    if kind == "text" then ws:send(message:upper()) else ws:send_binary(message:reverse()) end
  end
end)

app:get("/", function()
  return response.html [[
    <!doctype html><title>Echo</title>
    <form id="form"><input id="text" autofocus> <button>Send</button></form> <pre id="log"></pre>
    <script>
      const socket = new WebSocket(location.href.replace("http", "ws") + "echo")
      socket.onmessage = event => log.append(event.data + "\n")
      socket.onclose = () => log.append("(closed)\n")
      form.onsubmit = () => { socket.send(text.value); form.reset(); return false }
    </script>
  ]]
end)

return app
