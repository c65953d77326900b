-- SPDX-License-Identifier: MIT
-- WebSockets for scripts: the C half does frames and waiting, this adds topics, JSON and the end of a socket.
local native = require "green.ws.native"
local hub = require "green.hub"
local json = require "green.json"

local ws = {}
local methods = native.methods

--- Send a value as JSON text. Waits as send does.
function methods:json(value) return self:send(json.encode(value)) end

--- From now on messages published to the topic are sent to this socket.
methods.subscribe = hub.join

methods.unsubscribe = hub.leave

-- A socket held in a <close> variable says goodbye on every way out, and so leaves its topics.
function native.metatable.__close(self, err)
  if self.open then self:shut(err == nil and 1000 or 1011) end
end

--- Answer the request by becoming a WebSocket. Raises an error with status 400, 403 or 426.
ws.accept = native.accept

return ws
