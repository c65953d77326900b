-- SPDX-License-Identifier: MIT
-- Bytes to an HTTP server and well-formed answers back, for specs that look at the protocol itself.
local native = require "green.http.native"
local net = require "green.net"
local outcome = require "outcome"
local sh = require "shell"
local task = require "green.task"

local M = {}
local TIMEOUT = 60 -- seconds; nothing waits that long unless it is broken

local Client = {}
Client.__index = Client

function M.connect(address)
  return setmetatable({ socket = net.connect(address), buffer = "" }, Client)
end

function Client:send(...) self.socket:write(table.concat { ... }, TIMEOUT) end

function Client:shutdown() self.socket:shutdown() end

function Client:close() self.socket:close() end

Client.__close = Client.close

-- More bytes in the buffer; false at the end, which may be a reset when this side still had something to say.
function Client:more()
  local ok, bytes = pcall(self.socket.read, self.socket, 65536, TIMEOUT)
  if not ok and bytes.code ~= "ECONNRESET" and bytes.code ~= "EPIPE" then error(bytes, 0) end
  self.was_reset = not ok
  if not ok or not bytes then return false end
  self.buffer = self.buffer .. bytes
  return true
end

function Client:take(n)
  while #self.buffer < n do
    if not self:more() then return nil end
  end
  local bytes = self.buffer:sub(1, n)
  self.buffer = self.buffer:sub(n + 1)
  return bytes
end

function Client:line()
  while not self.buffer:find("\n", 1, true) do
    if not self:more() then return nil end
  end
  local line, rest = self.buffer:match "^([^\r\n]*)\r\n(.*)$"
  assert(line, "a line does not end in CRLF: " .. self.buffer:sub(1, 80))
  self.buffer = rest
  return line
end

local function read_headers(client)
  local headers = {}
  for line in function() return client:line() end do
    if line == "" then return headers end
    local name, value = line:match "^([%w!#$%%&'*+%-.^_`|~]+): ?(.*)$"
    assert(name, "a malformed header line: " .. line)
    name = name:lower()
    headers[name] = headers[name] and headers[name] .. ", " .. value or value
  end
  return nil
end

local function read_chunks(client)
  local pieces = {}
  while true do
    local line = client:line()
    if not line then return table.concat(pieces), true end
    local size = tonumber(assert(line:match "^%x+$", "a malformed chunk size: " .. line), 16)
    local bytes = client:take(size + 2)
    if not bytes then return table.concat(pieces) .. client.buffer, true end
    assert(bytes:sub(-2) == "\r\n", "a chunk does not end in CRLF")
    if size == 0 then return table.concat(pieces), false end
    pieces[#pieces + 1] = bytes:sub(1, -3)
  end
end

local function read_body(client, answer)
  local headers = answer.headers
  if headers["transfer-encoding"] then
    assert(headers["transfer-encoding"] == "chunked" and not headers["content-length"])
    return read_chunks(client)
  end
  local length = headers["content-length"]
  if length then
    length = tonumber((assert(length:match "^%d+$", "a malformed length")))
    local body = client:take(length)
    return body or client.buffer, body == nil
  end
  while client:more() do end
  return client.buffer, false
end

-- The next answer: { status, reason, headers, body, truncated }, or nil when the connection ended before one began. `head`:
-- it answers a HEAD request.
function Client:answer(head)
  local line = self:line()
  if not line then return nil end
  local answer = {}
  local status, reason = line:match "^HTTP/1%.1 (%d%d%d) ([^\r\n]*)$"
  assert(status, "a malformed status line: " .. line)
  answer.status, answer.reason = tonumber(status), reason
  answer.headers = read_headers(self)
  if not answer.headers then return nil end
  local bare = head or answer.status < 200 or answer.status == 204 or answer.status == 304
  if bare then answer.body = "" else answer.body, answer.truncated = read_body(self, answer) end
  return answer
end

-- Everything up to the end of the connection.
function Client:rest()
  while self:more() do end
  local bytes = self.buffer
  self.buffer = ""
  return bytes
end

-- Send and read one answer on a connection of its own.
function M.ask(address, ...)
  local client <close> = M.connect(address)
  client:send(...)
  return client:answer()
end

-- Runs fn(address, server) while a server with this handler listens on a free port.
function M.serve(handler, options, fn)
  local server = native.listen("127.0.0.1:0", handler, options)
  local ok, err = xpcall(fn, function(e)
    return type(e) == "string" and debug.traceback(e, 2) or e
  end, server:address(), server)
  server:abort()
  server:finish(TIMEOUT)
  if not ok then error(err, 0) end
end

-- ---- what specs send and wait for ----

M.GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

function M.get(path, headers) return ("GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n"):format(path, headers or "") end

function M.post(path, body, headers)
  return ("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%s\r\n%s"):format(path, #body, headers or "", body)
end

function M.chunked(path, pieces, trailers)
  local out = { ("POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"):format(path) }
  for i, piece in ipairs(pieces) do out[i + 1] = ("%x\r\n%s\r\n"):format(#piece, piece) end
  return table.concat(out) .. "0\r\n" .. (trailers or "") .. "\r\n"
end

-- A handler that tells what it was asked.
function M.echo(req) return ("%s %s [%s]"):format(req.method, req.target, req:body()) end

M.eventually = outcome.eventually

-- The error object that fn raises.
function M.failure(fn, ...)
  local ok, err = pcall(fn, ...)
  assert(not ok, "an error was expected")
  assert(type(err) == "table", tostring(err))
  return err
end

-- Runs a script with `raw` at hand in a process of its own, for what it says on stderr.
function M.script(text)
  local folder = debug.getinfo(1, "S").source:match "^@(.*)/http/"
  if not folder:find "^/" then folder = os.getenv "PWD" .. "/" .. folder end
  local head = ('package.path = "%s/?.lua;" .. package.path\nlocal raw = require "http.raw"\n'):format(folder)
  return sh("$lua script.lua", { ["script.lua"] = head .. text })
end

-- A server of our own making: peer(socket, head, rest) for each connection, in a task of its own, once the head of a request is there. Runs
-- use(address) meanwhile. `options`: those of net.listen.
function M.answering(peer, use, options)
  local listener <close> = net.listen("127.0.0.1:0", options)
  local serving = task.spawn(function()
    while true do
      local socket = listener:accept()
      task.spawn(function()
        local _ <close> = socket
        local bytes, at = "", nil
        while not at do
          bytes = bytes .. (socket:read(65536, TIMEOUT) or error "no head")
          at = bytes:find("\r\n\r\n", 1, true)
        end
        peer(socket, bytes:sub(1, at + 3), bytes:sub(at + 4))
      end)
    end
  end)
  local ok, e = xpcall(use, debug.traceback, listener:address())
  serving:cancel()
  serving:wait()
  if not ok then error(e, 0) end
end

return M
