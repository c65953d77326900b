-- SPDX-License-Identifier: MIT
-- WebSocket frames as bytes (RFC 6455, 5.2), and a client that sends whatever it is told to, valid or not.
local net = require "green.net"

local frames = {}

frames.CONTINUATION, frames.TEXT, frames.BINARY, frames.CLOSE, frames.PING, frames.PONG = 0, 1, 2, 8, 9, 10

local KEY = "dGhlIHNhbXBsZSBub25jZQ=="
local TIMEOUT = 20 -- seconds a client waits for anything

local function xor(payload, key)
  local bytes = { payload:byte(1, -1) }
  for i = 1, #bytes do bytes[i] = string.char(bytes[i] ~ key:byte((i - 1) % 4 + 1)) end
  return table.concat(bytes)
end

local function length(n, as)
  if as == 16 or (not as and n > 125 and n < 65536) then return 126, string.pack(">I2", n) end
  if as == 64 or n > 125 then return 127, string.pack(">I8", n) end
  return n, ""
end

-- One frame. Options: fin (true), rsv (0), mask (true: a key of zeros; four bytes: that key; false: none),
-- length (what the head says instead of #payload), as (16 or 64: bits of the length field).
function frames.encode(opcode, payload, o)
  o = o or {}
  local small, more = length(o.length or #payload, o.as)
  local first = (o.fin == false and 0 or 0x80) | (o.rsv or 0) << 4 | opcode
  local head = string.char(first, (o.mask == false and 0 or 0x80) | small) .. more
  if o.mask == false then return head .. payload end
  if type(o.mask) == "string" then return head .. o.mask .. xor(payload, o.mask) end
  return head .. "\0\0\0\0" .. payload
end

-- A payload in plain deflate that is no smaller: stored blocks. Goes with the option rsv = 4.
function frames.stored(bytes)
  local all = {}
  for at = 1, #bytes, 65535 do
    local piece = bytes:sub(at, at + 65534)
    all[#all + 1] = "\0" .. string.pack("<I2I2", #piece, ~#piece & 0xffff) .. piece
  end
  return table.concat(all) .. "\0"
end

function frames.text(payload, o) return frames.encode(frames.TEXT, payload, o) end
function frames.binary(payload, o) return frames.encode(frames.BINARY, payload, o) end
function frames.ping(payload, o) return frames.encode(frames.PING, payload, o) end

function frames.close(code, reason, o)
  return frames.encode(frames.CLOSE, code and string.pack(">I2", code) .. (reason or "") or "", o)
end

-- ---- the client ----

local Client = {}
Client.__index = Client

local HARD_ENDS = { ECONNABORTED = true, ECONNRESET = true, EPIPE = true }

-- More bytes into the buffer; false at the end, also when it was a hard one.
local function more(client)
  local ok, bytes = pcall(client.socket.read, client.socket, 65536, TIMEOUT)
  if not ok and not (type(bytes) == "table" and HARD_ENDS[bytes.code]) then error(bytes, 0) end
  if not ok or not bytes then return false end
  client.pieces[#client.pieces + 1] = bytes
  client.have = client.have + #bytes
  return true
end

-- Exactly n bytes; nil at the end.
local function take(client, n)
  while client.have < n do
    if not more(client) then return nil end
  end
  if #client.buffer - client.at < n then
    client.buffer = client.buffer:sub(client.at + 1) .. table.concat(client.pieces)
    client.at, client.pieces = 0, {}
  end
  client.at, client.have = client.at + n, client.have - n
  return client.buffer:sub(client.at - n + 1, client.at)
end

function Client:raw(bytes) self.socket:write(bytes, TIMEOUT) end
function Client:text(payload, o) self:raw(frames.text(payload, o)) end
function Client:binary(payload, o) self:raw(frames.binary(payload, o)) end

-- The next frame: opcode, payload, fin, rsv; nil at the end of the connection. The server must not mask.
function Client:frame()
  local head = take(self, 2)
  if not head then return nil end
  local first, second = head:byte(1, 2)
  assert(second & 0x80 == 0, "a frame from the server is masked")
  local n = second & 0x7f
  if n == 126 then n = string.unpack(">I2", take(self, 2)) elseif n == 127 then n = string.unpack(">I8", take(self, 8)) end
  return first & 0x0f, take(self, n), first & 0x80 ~= 0, first >> 4 & 7
end

-- The payload of the next frame, which must have this opcode.
function Client:expect(opcode)
  local got, payload, fin, rsv = self:frame()
  assert(got == opcode and fin and rsv == 0, ("a frame %d instead of %d: %q"):format(got or -1, opcode, (payload or ""):sub(1, 40)))
  return payload
end

function Client:message() return self:expect(frames.TEXT) end

-- The close frame that must come next: code (nil = none) and reason.
function Client:closing()
  local payload = self:expect(frames.CLOSE)
  if payload == "" then return nil, "" end
  return string.unpack(">I2", payload), payload:sub(3)
end

-- Answers the close frame that must come next, and sees the connection end.
function Client:farewell()
  local code, reason = self:closing()
  self:raw(frames.close(code))
  assert(self:frame() == nil, "a frame after the close frame")
  return code, reason
end

function Client:close() self.socket:close() end

Client.__close = Client.close

local function request(path, headers)
  local lines = { "GET " .. path .. " HTTP/1.1" }
  local all = {
    Host = "here", Upgrade = "websocket", Connection = "Upgrade", ["Sec-WebSocket-Version"] = "13", ["Sec-WebSocket-Key"] = KEY,
  }
  for name, value in pairs(headers or {}) do all[name] = value end
  for name, value in pairs(all) do
    if value then lines[#lines + 1] = name .. ": " .. value end
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

-- Sends a handshake, with headers over the usual ones (false = leave out) and bytes right behind it. Returns the client, the status
-- line and the headers of the answer.
function frames.ask(address, o)
  o = o or {}
  local client = setmetatable({ socket = net.connect(address), buffer = "", at = 0, pieces = {}, have = 0 }, Client)
  client:raw((o.request or request(o.path or "/", o.headers)) .. (o.behind or ""))
  local head = ""
  while not head:find("\r\n\r\n", 1, true) do
    local byte = take(client, 1)
    if not byte then break end
    head = head .. byte
  end
  local headers = {}
  for name, value in head:gmatch "\n([^:\r\n]+): ([^\r\n]*)" do headers[name:lower()] = value end
  return client, head:match "^[^\r]*", headers
end

-- A client with an open WebSocket.
function frames.connect(address, o)
  local client, status = frames.ask(address, o)
  assert(status == "HTTP/1.1 101 Switching Protocols", status)
  return client
end

return frames
