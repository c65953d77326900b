-- SPDX-License-Identifier: MIT
-- WebSockets for scripts: the C half does frames and waiting, this adds topics, JSON and the end of a socket.
local native = require "green.ws.native"
local fault = require "green.error"
local hub = require "green.hub"
local json = require "green.json"
local options = require "green.options"

local ws = {}
local methods = native.methods
local is_socket = fault.receiver(native.metatable, "ws")

--- Send a value as JSON text. Waits as send does.
function methods:json(value)
  is_socket(self, "json")
  return self:send(json.encode(value))
end

--- From now on messages published to the topic are sent to this socket.
methods.subscribe = hub.join

methods.unsubscribe = hub.leave

-- A socket held in a <close> variable says goodbye on every way out, and so leaves its topics.
function native.metatable.__close(self, err)
  if self.open then self:shut(err == nil and 1000 or 1011) end
end

-- ---- accepting ----

local OPTIONS = {
  cancel_on_disconnect = "boolean", idle_timeout = "time", max_message = "count", max_pending = "count", origins = "string|table",
  ping_interval = "time", protocols = "table",
}

local TOKEN = "^[%w!#$%%&'*+.^_`|~-]+$"

local function check_list(where, name, list)
  for i, value in ipairs(type(list) == "table" and list or {}) do
    options.argument(where, ("option '%s'[%d]"):format(name, i), value, "string")
  end
end

--- The options themselves, or an empty table; `more` are others that `where` takes. Raises misuse.
function ws.check_options(where, given, more)
  local known = OPTIONS
  if more then
    known = {}
    for name, kind in pairs(OPTIONS) do known[name] = kind end
    for name, kind in pairs(more) do known[name] = kind end
  end
  given = options.check(where, given, known)
  check_list(where, "origins", given.origins)
  check_list(where, "protocols", given.protocols)
  for i, name in ipairs(given.protocols or {}) do
    if not name:find(TOKEN) then fault.misuse("%s: option 'protocols'[%d]: a name without blanks and commas expected, not '%s'", where, i, name) end
  end
  return given
end

--- What accept does, with options that were checked.
function ws.take(req, checked)
  if type(req) ~= "userdata" then -- of app:inject
    fault.status(426, "ws.accept", "EPROTO", "this address speaks WebSocket, which needs a connection")
  end
  return native.accept(req, checked)
end

--- Answer the request by becoming a WebSocket. Raises an error with status 400, 403 or 426.
function ws.accept(req, opts) return ws.take(req, ws.check_options("ws.accept", opts)) end

return ws
