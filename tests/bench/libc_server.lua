-- SPDX-License-Identifier: MIT
-- A slow server, over HTTP and over TLS: answers after 0.2 s. Prints its two ports. arg[1], arg[2]: certificate and key.
local net = require "green.net"
local task = require "green.task"

local function answer(client)
  local connection <close>, head = client, ""
  while not head:find "\r\n\r\n" do
    local piece = connection:read(4096, 60)
    if not piece then return end
    head = head .. piece
  end
  task.sleep(0.2)
  connection:write "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
end

local function serve(options)
  local listener = net.listen("127.0.0.1:0", options)
  task.spawn(function()
    while true do task.spawn(pcall, answer, listener:accept(math.huge)) end
  end)
  return (listener:address():match ":(%d+)$")
end

print(serve(), serve { tls = { cert = arg[1], key = arg[2] } })
io.stdout:flush()
task.sleep(math.huge)
