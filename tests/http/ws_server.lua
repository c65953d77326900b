-- SPDX-License-Identifier: MIT
-- A server whose every request becomes a WebSocket, for specs.
local native = require "green.http.native"
local ws = require "green.ws"

local M = {}

local TIMEOUT = 20 -- seconds that its sockets may take to end

-- Listens; `opts` are those of ws.accept, `listening` those of the server.
function M.listen(handler, opts, address, listening)
  return native.listen(address or "127.0.0.1:0", function(req)
    local socket <close> = ws.accept(req, opts)
    return handler(socket, req)
  end, listening)
end

-- Runs test(address, server) with a server whose sockets go to the handler, and ends it cleanly.
function M.serve(handler, opts, test, address, listening)
  local server = M.listen(handler, opts, address, listening)
  local _ <close> = setmetatable({}, { __close = function() server:abort() end })
  test(server:address(), server)
  server:finish(TIMEOUT)
end

-- A handler that sends back what it gets.
function M.echo(socket)
  for message, kind in socket:messages() do
    if kind == "text" then socket:send(message) else socket:send_binary(message) end
  end
end

return M
