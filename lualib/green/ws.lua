-- SPDX-License-Identifier: MIT
-- WebSockets for scripts. The C half does frames and waiting; this half adds topics, JSON, options and the closing by <close>.
local native = require "green.ws.native"
local fault = require "green.error"
local fields = require "green.http.fields"
local hub = require "green.hub"
local json = require "green.json"
local options = require "green.options"

local ws = {}
local methods = native.methods
local is_socket = fault.receiver(native.metatable, "ws")

--- Sends a value as JSON text. Waits as `send` does.
function methods:json(value)
  is_socket(self, "json")
  return self:send(json.encode(value))
end

--- Subscribes this socket to the messages that are published to the topic from now on.
methods.subscribe = hub.join

methods.unsubscribe = hub.leave

-- Shuts a socket held in a <close> variable on every way out, which also ends its subscriptions.
function native.metatable.__close(self, err)
  if self.open then self:shut(err == nil and 1000 or 1011) end
end

-- ---- accepting ----

local OPTIONS = {
  cancel_on_disconnect = "boolean", compression = "boolean|table", idle_timeout = "time", max_message = "count", max_pending = "count",
  origins = "string|table", ping_interval = "time", protocols = "table",
}

local COMPRESSION = { context_takeover = "boolean", threshold = "count", window_bits = { 8, 9, 10, 11, 12, 13, 14, 15 } }

local function check_compression(where, given)
  if type(given) == "table" then options.check(where .. ": compression", given, COMPRESSION) end
end

local function check_list(where, name, list)
  for i, value in ipairs(type(list) == "table" and list or {}) do
    options.argument(where, ("option '%s'[%d]"):format(name, i), value, "string")
  end
end

local function check_protocols(where, list)
  check_list(where, "protocols", list)
  for i, name in ipairs(list or {}) do
    if not fields.is_token(name) then fault.misuse("%s: option 'protocols'[%d]: a name without blanks and commas expected, not '%s'", where, i, name) end
  end
end

--- Checks options and returns them, or an empty table for none; `more` holds further ones that `where` takes. Raises misuse.
function ws.check_options(where, given, more)
  local known = OPTIONS
  if more then
    known = {}
    for name, kind in pairs(OPTIONS) do known[name] = kind end
    for name, kind in pairs(more) do known[name] = kind end
  end
  given = options.check(where, given, known)
  check_compression(where, given.compression)
  check_list(where, "origins", given.origins)
  check_protocols(where, given.protocols)
  return given
end

--- Accepts as ws.accept does, with options that were checked before.
function ws.take(req, checked)
  if type(req) ~= "userdata" then -- the request is a table of app:inject
    fault.status(426, "ws.accept", "EPROTO", "this address speaks WebSocket, which needs a connection")
  end
  local socket, protocol = native.accept(req, checked)
  if protocol then socket.protocol = protocol end
  return socket
end

--- Answers the request by making its connection a WebSocket. Raises an error with status 400, 403 or 426.
function ws.accept(req, opts) return ws.take(req, ws.check_options("ws.accept", opts)) end

-- ---- connecting ----

local function check_connect(where, given, known)
  given = options.check(where, given, known)
  check_compression(where, given.compression)
  check_protocols(where, given.protocols)
  return given
end

--- Connects to a server.
function ws.connect(url, opts)
  local connect = require "green.ws.connect" -- a server needs none of it
  return connect.connect(url, check_connect("ws.connect", opts, connect.OPTIONS))
end

--- Connects again and again: the values of a generic for.
function ws.reconnect(url, opts)
  local connect = require "green.ws.connect"
  return connect.reconnect(url, check_connect("ws.reconnect", opts, connect.RECONNECT_OPTIONS))
end

return ws
