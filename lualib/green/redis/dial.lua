-- SPDX-License-Identifier: MIT
-- Internal.
-- A connection that can be used: dialled, greeted, authenticated, in its database.
local fault = require "green.error"
local native = require "green.redis.native"
local net = require "green.net"
local task = require "green.task"

local FIRST_PAUSE, LONGEST_PAUSE = 0.02, 1 -- seconds between two attempts

-- Worth another attempt: the server may be back. Not so: what the server said, or a name that means nothing.
local TEMPORARY = {}
for code in ([[ECONNREFUSED ECONNRESET ECONNABORTED EPIPE ENOENT ETIMEDOUT ENETUNREACH EHOSTUNREACH ECLOSED EAI_AGAIN
  LOADING MASTERDOWN READONLY]]):gmatch "%S+" do
  TEMPORARY[code] = true
end

local M = {}

local function tls_of(place, host)
  if not place.tls then return nil end
  local tls = {}
  for name, value in pairs(place.tls == true and {} or place.tls) do tls[name] = value end
  tls.server_name = tls.server_name or host
  return tls
end

local function open(place, host, port)
  local to = place.path and { path = place.path } or { host = host, port = port }
  to.timeout, to.tls = place.connect_timeout, tls_of(place, host)
  local socket = net.connect(to)
  local ok, conn = pcall(native.take, socket, place.max_reply)
  if ok then return conn end
  socket:close()
  error(conn, 0)
end

-- Redis 6 and newer speak RESP3 when greeted; what does not know the greeting goes on with RESP2.
local function greet(conn, place)
  local hello = { "HELLO", "3" }
  if place.password then table.move({ "AUTH", place.user or "default", place.password }, 1, 3, 3, hello) end
  if place.name then table.move({ "SETNAME", place.name }, 1, 2, #hello + 1, hello) end
  local timeout = place.connect_timeout
  local ok, answer = pcall(conn.call, conn, timeout, table.unpack(hello))
  if ok then return 3 end
  if not (type(answer) == "table" and (answer.code == "ERR" or answer.code == "NOPROTO")) then error(answer, 0) end
  if place.password and place.user then conn:call(timeout, "AUTH", place.user, place.password)
  elseif place.password then conn:call(timeout, "AUTH", place.password) end
  if place.name then conn:call(timeout, "CLIENT", "SETNAME", place.name) end
  return 2
end

local function ready(conn, place)
  local protocol = greet(conn, place)
  if place.db ~= 0 then conn:call(place.connect_timeout, "SELECT", place.db) end
  return protocol
end

-- Runs fn(conn) on a new connection, which is closed when that fails.
local function with(conn, fn, ...)
  local ok, result = pcall(fn, conn, ...)
  if ok then return result end
  conn:close()
  error(result, 0)
end

local function ask_sentinel(conn, place)
  local address = conn:call(place.connect_timeout, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", place.master)
  conn:close()
  if not address then fault.raise("redis.connect", "ENOTFOUND", "%s: the sentinels know no master '%s'", place.shown, place.master) end
  return address
end

-- Asks one sentinel after the other. The one that answers comes first from then on.
local function find_master(place)
  local last
  for i, at in ipairs(place.sentinels) do
    local ok, address = pcall(function() return with(open(place, at.host, at.port), ask_sentinel, place) end)
    if ok then
      table.insert(place.sentinels, 1, table.remove(place.sentinels, i))
      return address[1], math.tointeger(tonumber(address[2]))
    end
    last = address
  end
  error(last, 0)
end

local function check_master(conn, place)
  local role = conn:call(place.connect_timeout, "ROLE")
  if role[1] ~= "master" then fault.raise("redis.connect", "READONLY", "%s: what the sentinels name is a %s yet", place.shown, role[1]) end
end

--- Connects. Returns the connection and the version of the protocol, 2 or 3. Waits. Raises what connecting, and the server, say.
function M.dial(place)
  local host, port = place.host, place.port
  if place.sentinels then host, port = find_master(place) end
  local conn = open(place, host, port)
  local protocol = with(conn, ready, place)
  if place.sentinels then with(conn, check_master, place) end
  return conn, protocol
end

--- One of several attempts to connect, for which there are `left` seconds. Returns what M.dial does; or nil after a pause, which is longer each time
--- (state.pause). Raises what trying again does not mend, and when the time is over why the last attempt has failed.
function M.try(place, state, left)
  local ok, conn, protocol = pcall(M.dial, place)
  if ok then
    state.pause = nil
    return conn, protocol
  end
  if not (fault.is(conn) and TEMPORARY[conn.code]) or left <= 0 then error(conn, 0) end
  local pause = state.pause or FIRST_PAUSE
  task.sleep(math.min(left, pause * (0.5 + math.random())))
  state.pause = math.min(2 * pause, LONGEST_PAUSE)
end

return M
