-- SPDX-License-Identifier: MIT
-- Frames of HTTP/2 to a server and what it says to them, for specs that look at the protocol itself (RFC 9113, RFC 7541). Fields are sent as
-- literals; what comes back may be compressed in every way.
local net = require "green.net"
local raw = require "http.raw"

local M = {}
local TIMEOUT = 60 -- seconds; nothing waits that long unless it is broken

M.PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
M.DATA, M.HEADERS, M.PRIORITY, M.RST_STREAM, M.SETTINGS, M.PUSH_PROMISE, M.PING, M.GOAWAY, M.WINDOW_UPDATE, M.CONTINUATION = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
M.END_STREAM, M.ACK, M.END_HEADERS, M.PADDED = 1, 1, 4, 8
M.NO_ERROR, M.PROTOCOL_ERROR, M.INTERNAL_ERROR, M.FLOW_CONTROL_ERROR, M.STREAM_CLOSED, M.REFUSED_STREAM, M.CANCEL, M.ENHANCE_YOUR_CALM = 0, 1, 2, 3, 5, 7, 8, 11
M.MAX_CONCURRENT_STREAMS, M.INITIAL_WINDOW_SIZE = 3, 4

-- ---- HPACK ----

local STATIC = {}
for entry in ((":authority|:method=GET|:method=POST|:path=/|:path=/index.html|:scheme=http|:scheme=https|:status=200|:status=204|:status=206|" ..
  ":status=304|:status=400|:status=404|:status=500|accept-charset|accept-encoding=gzip, deflate|accept-language|accept-ranges|accept|" ..
  "access-control-allow-origin|age|allow|authorization|cache-control|content-disposition|content-encoding|content-language|content-length|" ..
  "content-location|content-range|content-type|cookie|date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range|" ..
  "if-unmodified-since|last-modified|link|location|max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|" ..
  "server|set-cookie|strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate") .. "|"):gmatch "([^|]*)|" do
  local name, value = entry:match "^(:?[^=]*)=?(.*)$"
  STATIC[#STATIC + 1] = { name, value }
end

-- The length of the code of each symbol, A = 5 bits; codes of one length follow each other in the order of their symbols.
local LENGTHS = "ISXXXXXXXTZXXZXXXXXXXXZXXXXXXXXXBFFHIBDGFFDGDBBBAAABBBBBBBCDKBHFIBCCCCCCCCCCCCCCCCCCCCCCDCDIOIJBKABA" ..
  "BABBBACCBBBABCBAABCCCCCKGJIXPRPPRRRSRSSSSSTSTTRSTSSSSQRSRSSTRQPRRSSQSRRTQRSSQQRQSRSSPRRRSRRSVVPORSRU" ..
  "VVVWWVTUOQVWWVWTQQVVXWWWPTPQRQQSRRUUTTVSVWVVWWWWWXWWWWWVZ"

local SYMBOLS = {} -- length -> code -> symbol
do
  local order, code, before = {}, 0, 0
  for symbol = 0, 256 do order[symbol + 1] = symbol end
  local function length_of(symbol) return LENGTHS:byte(symbol + 1) - 60 end
  table.sort(order, function(a, b)
    if length_of(a) ~= length_of(b) then return length_of(a) < length_of(b) end
    return a < b
  end)
  for _, symbol in ipairs(order) do
    local length = length_of(symbol)
    code, before = code << (length - before), length
    SYMBOLS[length] = SYMBOLS[length] or {}
    SYMBOLS[length][code] = symbol
    code = code + 1
  end
end

local function huffman(text)
  local out, code, length = {}, 0, 0
  for i = 1, #text do
    for bit = 7, 0, -1 do
      code, length = code << 1 | (text:byte(i) >> bit & 1), length + 1
      local symbol = SYMBOLS[length] and SYMBOLS[length][code]
      if symbol then out[#out + 1], code, length = string.char(symbol), 0, 0 end
    end
  end
  return table.concat(out)
end

local function read_integer(text, at, bits)
  local mask = (1 << bits) - 1
  local value, shift = text:byte(at) & mask, 0
  if value < mask then return value, at + 1 end
  repeat
    at = at + 1
    local byte = text:byte(at)
    value, shift = value + ((byte & 127) << shift), shift + 7
  until byte < 128
  return value, at + 1
end

local function read_string(text, at)
  local packed = text:byte(at) >= 128
  local n
  n, at = read_integer(text, at, 7)
  local bytes = text:sub(at, at + n - 1)
  return packed and huffman(bytes) or bytes, at + n
end

local function evict(dynamic)
  while dynamic.size > dynamic.max do
    local gone = table.remove(dynamic)
    dynamic.size = dynamic.size - #gone[1] - #gone[2] - 32
  end
end

-- Decodes a block of fields to a list of { name, value }.
local function decode(block, dynamic)
  local fields, at = {}, 1
  local function entry(index) return STATIC[index] or assert(dynamic[index - #STATIC], "an index of no entry") end
  while at <= #block do
    local first, index = block:byte(at), nil
    if first >= 128 then
      index, at = read_integer(block, at, 7)
      fields[#fields + 1] = entry(index)
    elseif first >> 5 == 1 then
      dynamic.max, at = read_integer(block, at, 5)
      evict(dynamic)
    else
      local kept = first >= 64
      local name, value
      index, at = read_integer(block, at, kept and 6 or 4)
      if index > 0 then name = entry(index)[1] else name, at = read_string(block, at) end
      value, at = read_string(block, at)
      fields[#fields + 1] = { name, value }
      if kept then
        table.insert(dynamic, 1, fields[#fields])
        dynamic.size = dynamic.size + #name + #value + 32
        evict(dynamic)
      end
    end
  end
  return fields
end

local function integer(value, bits, head)
  local mask = (1 << bits) - 1
  if value < mask then return string.char(head | value) end
  local out = string.char(head | mask)
  value = value - mask
  while value >= 128 do
    out, value = out .. string.char(value & 127 | 128), value >> 7
  end
  return out .. string.char(value)
end

-- A block of fields, { name, value } each, as literals that are not kept.
function M.block(fields)
  local out = {}
  for i, field in ipairs(fields) do out[i] = "\0" .. integer(#field[1], 7, 0) .. field[1] .. integer(#field[2], 7, 0) .. field[2] end
  return table.concat(out)
end

-- ---- frames ----

function M.frame(kind, flags, stream, payload)
  payload = payload or ""
  return (">I3BBI4"):pack(#payload, kind, flags, stream) .. payload
end

function M.settings(values)
  local out = {}
  for name, value in pairs(values or {}) do out[#out + 1] = (">I2I4"):pack(name, value) end
  return M.frame(M.SETTINGS, 0, 0, table.concat(out))
end

-- The fields of a request, in front of others.
function M.fields(method, path, others)
  local list = { { ":method", method }, { ":scheme", "http" }, { ":path", path }, { ":authority", "a" } }
  for _, field in ipairs(others or {}) do list[#list + 1] = field end
  return list
end

-- In as many frames as it takes.
function M.headers(stream, fields, flags)
  local block, out = M.block(fields), {}
  for at = 1, #block, 16384 do
    local last = at + 16384 > #block and M.END_HEADERS or 0
    out[#out + 1] = M.frame(at == 1 and M.HEADERS or M.CONTINUATION, last | (at == 1 and flags or 0), stream, block:sub(at, at + 16383))
  end
  return table.concat(out)
end

-- A request without a body.
function M.get(stream, path, others) return M.headers(stream, M.fields("GET", path, others), M.END_STREAM) end

-- One with a body, in one frame.
function M.post(stream, path, body, others)
  return M.headers(stream, M.fields("POST", path, others)) .. M.frame(M.DATA, M.END_STREAM, stream, body)
end

function M.window(stream, n) return M.frame(M.WINDOW_UPDATE, 0, stream, (">I4"):pack(n)) end
function M.reset(stream, code) return M.frame(M.RST_STREAM, 0, stream, (">I4"):pack(code)) end

-- ---- a client ----

local Client = {}
Client.__index = Client

-- One that has said nothing yet. `stingy`: it opens no window by itself; `tls`: as of net.connect.
function M.bare(address, options)
  options = options or {}
  return setmetatable({ socket = net.connect(address, { tls = options.tls }), buffer = "", dynamic = { size = 0, max = 4096 }, answers = {},
    stingy = options.stingy, pings = 0 }, Client)
end

-- `settings`: values by number.
function M.connect(address, options)
  local self = M.bare(address, options)
  self:send(M.PREFACE, M.settings(options and options.settings))
  return self
end

function Client:send(...) self.socket:write(table.concat { ... }, TIMEOUT) end

function Client:close() self.socket:close() end

Client.__close = Client.close

local function take(self, n)
  while #self.buffer < n do
    local ok, bytes = pcall(self.socket.read, self.socket, 65536, TIMEOUT)
    if not ok and bytes.code ~= "ECONNRESET" and bytes.code ~= "EPIPE" then error(bytes, 0) end
    if not ok or not bytes then return nil end
    self.buffer = self.buffer .. bytes
  end
  local bytes = self.buffer:sub(1, n)
  self.buffer = self.buffer:sub(n + 1)
  return bytes
end

local function answer_of(self, stream)
  self.answers[stream] = self.answers[stream] or { body = "", interim = {}, frames = 0 }
  return self.answers[stream]
end

local function on_headers(self, stream, block)
  local answer, headers = answer_of(self, stream), {}
  for _, field in ipairs(decode(block, self.dynamic)) do headers[field[1]] = headers[field[1]] and headers[field[1]] .. ", " .. field[2] or field[2] end
  local status = tonumber(headers[":status"])
  if not status then
    answer.trailers = headers
  elseif status < 200 then
    answer.interim[#answer.interim + 1] = status
  else
    answer.status, answer.headers = status, headers
  end
end

local function on_data(self, stream, bytes)
  local answer = answer_of(self, stream)
  answer.body = answer.body .. bytes
  answer.frames = answer.frames + 1
  if #bytes > 0 and not self.stingy then pcall(self.send, self, M.window(0, #bytes), M.window(stream, #bytes)) end
end

-- Reads the next frame and takes note of it: { kind, flags, stream, payload }; nil when the connection has ended.
function Client:next()
  local head = take(self, 9)
  if not head then return nil end
  local n, kind, flags, stream = (">I3BBI4"):unpack(head)
  local payload = take(self, n)
  if not payload then return nil end
  if kind == M.HEADERS then on_headers(self, stream, payload)
  elseif kind == M.DATA then on_data(self, stream, payload)
  elseif kind == M.RST_STREAM then answer_of(self, stream).reset = (">I4"):unpack(payload)
  elseif kind == M.GOAWAY then self.last, self.goaway = (">I4I4"):unpack(payload)
  elseif kind == M.PING and flags == M.ACK then self.pings = self.pings + 1
  elseif kind == M.SETTINGS and flags == 0 then pcall(self.send, self, M.frame(M.SETTINGS, M.ACK, 0)) end
  if flags & M.END_STREAM ~= 0 and (kind == M.HEADERS or kind == M.DATA) then answer_of(self, stream).ended = true end
  return { kind = kind, flags = flags, stream = stream, payload = payload }
end

-- Reads until something holds; returns whether it does, or the connection ended before.
function Client:watch(holds)
  while not holds() do
    if not self:next() then return false end
  end
  return true
end

-- Reads until the server has read all that was sent, and each side the other's settings.
function Client:settle()
  local before = self.pings
  self:send(M.frame(M.PING, 0, 0, "12345678"))
  return self:watch(function() return self.pings > before end)
end

-- The answer on a stream, when it has ended or was reset: { status, headers, body, trailers, interim, ended, reset }; nil when the connection
-- ended before.
function Client:answer(stream)
  local answer = answer_of(self, stream)
  return self:watch(function() return answer.ended or answer.reset end) and answer or nil
end

-- Reads until the connection ends; returns the code of the last GOAWAY.
function Client:rest()
  while self:next() do end
  return self.goaway
end

-- Sends and reads the answer on stream 1, on a connection of its own.
function M.ask(address, ...)
  local client <close> = M.connect(address)
  client:send(...)
  return client:answer(1)
end

M.serve, M.eventually, M.script = raw.serve, raw.eventually, raw.script

return M
