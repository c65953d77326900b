-- SPDX-License-Identifier: MIT
-- Streams of HTTP/2: what one costs does not depend on how many there are, or were, on the connection.
package.path = arg[0]:match "^(.*)/[^/]*$" .. "/../../?.lua;" .. package.path

local h2 = require "http.h2"
local native = require "green.http.native"
local task = require "green.task"

-- use(client, n): with a client of a server that answers requests for "/late" once `gate` is closed, and others at once.
local function served(use)
  return function(n)
    local gate = task.channel()
    local server = native.listen("127.0.0.1:0", function(req)
      if req.path == "/late" then gate:receive() end
      return "x"
    end, { max_streams = 10000 })
    local client = h2.connect(server:address(), { stingy = true })
    client:send(h2.window(0, 1 << 30))
    client:settle()
    return function() use(client, n, gate) end, function()
      client:close()
      server:abort()
    end
  end
end

return {
  { name = "h2: n requests, one after the other", start = 100, prepare = served(function(client, n)
    for i = 1, 2 * n - 1, 2 do
      client:send(h2.get(i, "/"))
      client:answer(i)
    end
  end) },
  { name = "h2: n streams at once", start = 100, prepare = served(function(client, n, gate)
    for i = 1, 2 * n - 1, 2 do client:send(h2.get(i, "/late")) end
    client:settle()
    gate:close()
    for i = 1, 2 * n - 1, 2 do client:answer(i) end
  end) },
  { name = "h2: n bytes of a body, each in a frame", start = 1000, prepare = served(function(client, n)
    client:send(h2.headers(1, h2.fields("POST", "/")))
    for _ = 1, n, 500 do client:send(h2.frame(h2.DATA, 0, 1, "b"):rep(500)) end
    client:settle()
  end) },
}
