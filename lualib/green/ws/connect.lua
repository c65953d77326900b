-- SPDX-License-Identifier: MIT
-- Internal.
-- The client's side of a WebSocket: where the server is, the opening handshake (RFC 6455, 4.1), and coming back after a connection has ended.
--
--     connect: net.connect -> [CONNECT to a proxy] -> [TLS] -> GET, Upgrade -> 101, checked -> native.take: a socket as a server has them
local auths = require "green.http.auth"
local fault = require "green.error"
local fields = require "green.http.fields"
local native = require "green.ws.native"
local net = require "green.net"
local options = require "green.options"
local proxies = require "green.http.proxy"
local targets = require "green.http.target"
local task = require "green.task"
local url = require "green.url"

local M = {}

local OP = "ws.connect"
local MAX_HEAD = 16384 -- bytes of the head of an answer
local TIMEOUT = 30

M.OPTIONS = {
  auth = "table", ca = "string", compression = "boolean|table", headers = "table", idle_timeout = "time", max_message = "count", max_pending = "count",
  ping_interval = "time", protocols = "table", proxy = "string|boolean", timeout = "time", tls = "table", unix = "string", verify = "boolean",
}

local TLS = { cert = "string", key = "string", server_name = "string" }

local SCHEMES = { ws = "http", http = "http", wss = "https", https = "https" }
local PORTS = { http = 80, https = 443 }

-- ---- where ----

-- Takes the URL apart, as one of http or https.
local function place_of(text)
  local parts = url.parse(options.argument(OP, "url", text, "string"))
  parts.scheme = SCHEMES[parts.scheme] or fault.raise(OP, "EINVAL", "'%s': a URL with ws:// or wss:// expected", text)
  if not parts.host or parts.host == "" then fault.raise(OP, "EINVAL", "'%s': the URL has no host", text) end
  if parts.fragment then fault.raise(OP, "EINVAL", "'%s': the URL of a WebSocket has no '#'", text) end -- RFC 6455, 3
  return parts, parts.port or PORTS[parts.scheme]
end

local function bare(host) return host:match "^%[(.*)%]$" or host end

-- ---- heads ----

local BLANK = { [9] = true, [32] = true }

local function trim(text)
  local first, last = 1, #text
  while BLANK[text:byte(first)] do first = first + 1 end
  while last > first and BLANK[text:byte(last)] do last = last - 1 end
  return text:sub(first, last)
end

-- A head in lines: the first one, and the fields by their names in lower case, those with the same name in one list (RFC 9110, 5.3). nil:
-- it is none.
local function parse(head)
  local first, found, at = nil, {}, 1
  while true do
    local last = head:find("\r\n", at, true)
    local line = head:sub(at, last - 1)
    at = last + 2
    if line == "" then return first, found end
    local colon = first and line:find(":", 1, true)
    local name = colon and line:sub(1, colon - 1)
    if first and not (name and fields.is_token(name)) then return nil end
    if first then
      local value = trim(line:sub(colon + 1))
      name = name:lower()
      found[name] = found[name] and found[name] .. ", " .. value or value
    end
    first = first or line
  end
end

-- Reads a head. Returns its status, its fields, the bytes behind it, and the reason.
local function read_head(socket, late, whose)
  local head, from = "", 1
  while true do
    local at = head:find("\r\n\r\n", from, true)
    if at then
      local first, found = parse(head:sub(1, at + 3))
      local status = first and first:match "^HTTP/1%.[01] (%d%d%d)"
      if not status then fault.raise(OP, "EPROTO", "%s: no answer of HTTP/1", whose) end
      return tonumber(status), found, head:sub(at + 4), first:sub(14)
    end
    if #head > MAX_HEAD then fault.raise(OP, "EPROTO", "%s: an answer whose head has more than %d bytes", whose, MAX_HEAD) end
    from = math.max(1, #head - 2)
    local bytes = socket:read(65536, late())
    if not bytes then fault.raise(OP, "ECONNRESET", "%s: the connection ended before an answer", whose) end
    head = head .. bytes
  end
end

local OURS = { upgrade = true, connection = true, ["content-length"] = true, ["transfer-encoding"] = true }

-- Returns the headers of the options as a flat list of names and values, and the host if it is one of them.
local function header_list(headers)
  local list, host = {}, nil
  for name, value in pairs(headers or {}) do
    local lower = tostring(name):lower()
    local to = lower == "host" and {} or list
    for _, each in ipairs(type(value) == "table" and value or { value }) do fields.add(to, OP, name, each) end
    if lower == "host" then host = to[2] end
    if OURS[lower] or lower:find "^sec%-websocket%-" then fault.misuse("%s: header '%s': the handshake has it already", OP, name) end
  end
  return list, host
end

-- ---- the handshake ----

local function request(parts, port, given, key, offer)
  local host = parts.host .. (port ~= PORTS[parts.scheme] and ":" .. port or "")
  local list, own = header_list(given.headers)
  local lines = {
    ("GET %s HTTP/1.1"):format(targets.line(parts)), "Host: " .. (own or host), "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: " .. key,
  }
  if given.protocols and #given.protocols > 0 then lines[#lines + 1] = "Sec-WebSocket-Protocol: " .. table.concat(given.protocols, ", ") end
  if offer then lines[#lines + 1] = "Sec-WebSocket-Extensions: " .. offer end
  local auth = given.auth or parts.user and { parts.user, parts.password }
  if auth then lines[#lines + 1] = "Authorization: " .. auths.field(auth) end
  for i = 1, #list, 2 do lines[#lines + 1] = list[i] .. ": " .. list[i + 1] end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

-- Raises what was answered instead. It is no `status` of the error, which a server would answer with.
local function refuse(code, status, headers, format, ...)
  local e = fault.new(OP, code, format, ...)
  e.response = { status = status, headers = headers }
  error(e, 0)
end

local function lists(field, word)
  return ("," .. (field or ""):lower():gsub("[ \t]", "") .. ","):find("," .. word .. ",", 1, true) ~= nil
end

-- Checks a 101 (RFC 6455, 4.1). Returns the subprotocol, or nil.
local function check(whose, headers, accept, protocols)
  local function wrong(why) fault.raise(OP, "EPROTO", "%s: %s", whose, why) end
  if (headers.upgrade or ""):lower() ~= "websocket" or not lists(headers.connection, "upgrade") then wrong "the server changed to no WebSocket" end
  if headers["sec-websocket-accept"] ~= accept then wrong "the server's answer belongs to another request" end
  local chosen = headers["sec-websocket-protocol"]
  if not chosen then return nil end
  for _, one in ipairs(protocols or {}) do
    if one == chosen then return chosen end
  end
  wrong(("the server chose the protocol '%s', which was not offered"):format(chosen))
end

-- ---- the connection ----

local function tls_of(parts, given)
  local own = given.tls or {}
  return {
    alpn = "http/1.1", ca = given.ca, cert = own.cert, key = own.key, server_name = own.server_name or bare(parts.host), verify = given.verify,
  }
end

-- Asks the proxy for a way to the server.
local function tunnel(socket, through, parts, port, late)
  local to = ("%s:%d"):format(parts.host, port)
  local lines = { ("CONNECT %s HTTP/1.1"):format(to), "Host: " .. to }
  if through.authorization then lines[3] = "Proxy-Authorization: " .. through.authorization end
  socket:write(table.concat(lines, "\r\n") .. "\r\n\r\n", late())
  local whose = ("the proxy %s:%d"):format(through.host, through.port)
  local status, headers, rest = read_head(socket, late, whose)
  if status < 200 or status > 299 or rest ~= "" then refuse("EPROXY", status, headers, "%s answered %d", whose, status) end
end

-- A connection to the server, over a proxy and with TLS where that is needed.
local function dial(parts, port, given, late)
  local through = not given.unix and proxies.select(OP, given.proxy, parts, port) or nil
  local tls = parts.scheme == "https" and tls_of(parts, given) or nil
  local to = given.unix and { path = given.unix } or through and { host = through.host, port = through.port } or { host = bare(parts.host), port = port }
  to.timeout = late()
  if not through then to.tls = tls end
  local socket = net.connect(to)
  if not through then return socket end
  local ok, e = pcall(function()
    tunnel(socket, through, parts, port, late)
    if not tls then return end
    tls.timeout = late()
    socket:start_tls(tls)
  end)
  if ok then return socket end
  socket:close()
  error(e, 0)
end

-- Has the WebSocket take the connection over, with all that has come behind the handshake.
local function take(socket, rest, extensions, given, late)
  while true do
    local taken = native.take(socket, rest, extensions, given)
    if taken then return taken end
    rest = rest .. (socket:read(1 << 20, late()) or "")
  end
end

local function open(socket, parts, port, given, late)
  local key, accept, offer = native.opening(given)
  local whose = ("%s:%d"):format(parts.host, port)
  socket:write(request(parts, port, given, key, offer), late())
  local status, headers, rest, reason = read_head(socket, late, whose)
  if status ~= 101 then
    refuse("EPROTO", status, headers, "%s: the server answered %d%s instead of opening a WebSocket", whose, status, reason ~= "" and " " .. reason or "")
  end
  local protocol = check(whose, headers, accept, given.protocols)
  local taken = take(socket, rest, headers["sec-websocket-extensions"], given, late)
  taken.protocol = protocol
  return taken
end

-- A function that returns the seconds that are left. It never returns 0, which would wait for nothing at all.
local function clock(timeout)
  local ends = task.now() + timeout
  return function() return math.max(ends - task.now(), 0.001) end
end

function M.connect(text, given)
  if given.tls then options.check(OP .. ": tls", given.tls, TLS) end
  if given.auth then auths.check(OP, given.auth) end
  if given.proxy == true then fault.misuse("%s: option 'proxy': a URL, or false", OP) end
  local parts, port = place_of(text)
  local late = clock(given.timeout or TIMEOUT)
  local socket = dial(parts, port, given, late)
  local ok, taken = pcall(open, socket, parts, port, given, late)
  if ok then return taken end
  socket:close()
  error(taken, 0)
end

-- ---- coming back ----

M.RECONNECT_OPTIONS = options.over({ attempts = "count", max_delay = "time", min_delay = "time" }, M.OPTIONS)

local FINAL = { ECANCELED = true, ECPULIMIT = true, EDEADLINE = true, EINVAL = true, ENOLIBRARY = true, ETLS = true }

-- Would it be of no use to try again? The server answers, and will answer the same; or what was asked for cannot be had.
local function is_final(e)
  if not fault.is(e) then return true end
  local status = e.response and e.response.status
  if status then return status < 500 and status ~= 408 and status ~= 425 and status ~= 429 end
  return FINAL[e.code] == true
end

-- An iterator over connections: the next one begins when the loop comes back, after a delay that doubles with each failure. A connection
-- that lasted for longer than its delay was a good one.
function M.reconnect(text, given)
  local least, most = given.min_delay or 0.5, given.max_delay or 30
  local socket, began, failures, delay = nil, 0, 0, 0

  local function leave()
    local last = socket
    socket = nil
    if last and last.open then last:shut() end
  end

  local function pause()
    delay = math.min(most, delay == 0 and least or delay * 2)
    task.sleep(delay * (0.5 + math.random() / 2)) -- so that those whom one server lost do not all come back at the same time
  end

  local function following()
    if socket then
      leave()
      if task.now() - began > math.max(delay, least) then delay = 0 end
      pause()
    end
    while true do
      local ok, made = pcall(M.connect, text, given)
      if ok then
        socket, began, failures = made, task.now(), 0
        return made
      end
      failures = failures + 1
      if is_final(made) or given.attempts and failures >= given.attempts then error(made, 0) end
      pause()
    end
  end

  return following, nil, nil, setmetatable({}, { __close = leave })
end

return M
