-- SPDX-License-Identifier: MIT
-- Middleware that compresses answers where that pays. The task that answers does it, a slice at a time, so that a long answer holds up
-- nobody and counts as its request's CPU time.
local fault = require "green.error"
local files = require "green.dev.files"
local json = require "green.json"
local mime = require "green.mime"
local native = require "green.coding.native"
local negotiation = require "green.http.negotiation"
local options = require "green.options"
local response = require "green.response"

local OPTIONS = { codings = "table", cookies = "boolean", min = "bytes" }
local CODINGS = { "zstd", "gzip" } -- zstd takes a third of the time, for as many bytes

-- Headers of answers that say something of their very bytes.
local OF_BYTES = { "content-digest", "content-encoding", "content-md5", "content-range", "digest" }

local M = {}

-- ---- bytes ----

-- Adds what the encoder makes of its input.
local function pull(encoder, pieces)
  while not encoder:ended() do
    local piece = encoder:pull()
    if not piece then return end
    pieces[#pieces + 1] = piece
  end
end

local function whole(text, coding)
  local encoder <close>, pieces = native.encoder(coding), {}
  encoder:feed(text, "end")
  pull(encoder, pieces)
  return table.concat(pieces)
end

-- ---- streams ----

-- Stands for the writer of a stream, which it writes to. `pieces`: what was encoded and not written yet, for the task was ended before it could.
local Writer = { __name = "green.compress.writer" }
Writer.__index = Writer

local function send(self, bytes, follows)
  if self.busy then fault.raise("http.write", "EBUSY", "another task is writing this response") end
  self.busy = true
  local ok, err = pcall(function()
    pull(self.encoder, self.pieces) -- what a call before was ended in
    self.encoder:feed(bytes, follows)
    pull(self.encoder, self.pieces)
  end)
  self.busy = false
  if not ok then error(err, 0) end
  local all = table.concat(self.pieces)
  self.pieces = {}
  self.out:write(all)
end

function Writer:write(bytes)
  if type(bytes) ~= "string" and type(bytes) ~= "number" then
    error(("bad argument #1 to 'write' (string expected, got %s)"):format(type(bytes)), 2)
  end
  bytes = tostring(bytes)
  if bytes == "" and self.begun then return end
  self.begun = true
  send(self, bytes, self.follows)
end

function Writer:trailers(given) self.out:trailers(given) end

-- The function of a stream that compresses what `stream` writes. `sized`: the stream's length was known, so that it does not wait for anything
-- in between, and its reader for none of its parts.
local function streaming(stream, coding, sized)
  return function(out)
    local encoder <close> = native.encoder(coding)
    local writer = setmetatable({ out = out, encoder = encoder, pieces = {}, follows = sized and "go on" or "flush" }, Writer)
    stream(writer)
    send(writer, "", "end")
  end
end

-- ---- answers ----

-- A handler may return one response again and again.
local function copy_of(res)
  local copy = {}
  for name, value in pairs(res) do copy[name] = value end
  copy.headers = {}
  for name, value in pairs(res.headers) do copy.headers[name] = value end
  return setmetatable(copy, getmetatable(res))
end

local function is_fit(res, own)
  local status, headers = res.status, res.headers
  if status < 200 or status == 204 or status == 206 or status == 304 then return false end
  for _, name in ipairs(OF_BYTES) do
    if headers[name] then return false end
  end
  if headers["set-cookie"] and not own.cookies then return false end
  local control = headers["cache-control"]
  if type(control) == "table" then control = table.concat(control, ",") end
  return not (control and control:lower():find("no-transform", 1, true))
end

local function mark(res, coding)
  local etag = res.headers.etag
  if type(etag) == "string" and etag:sub(1, 2) ~= "W/" then res:header("etag", "W/" .. etag) end -- the bytes are others, and what they mean is the same
  return res:header("content-encoding", coding):header("content-length", nil):header("accept-ranges", nil)
end

local function shrink(answer, req, own)
  local kind = answer.headers["content-type"] or answer.json ~= nil and "application/json"
  if type(kind) ~= "string" or not mime.compressible(kind) or not is_fit(answer, own) then return answer end
  local res = negotiation.vary(copy_of(answer))
  res.headers["content-type"] = kind
  local coding = negotiation.coding(req, own.codings)
  if not coding then return res end
  if res.json ~= nil then res.body, res.json = json.encode(res.json), nil end
  if res.stream then
    local sized = res.headers["content-length"]
    if sized and math.tointeger(tonumber(sized)) < own.min then return res end
    res.stream = streaming(res.stream, coding, sized)
    return mark(res, coding)
  end
  if not res.body or #res.body < own.min then return res end
  local small = whole(res.body, coding)
  if #small >= #res.body then return res end
  res.body = small
  return mark(res, coding)
end

local function packed(answer, req, own)
  local res = response.of(answer)
  local settle = res.settle
  if not settle then return shrink(res, req, own) end
  local promised = copy_of(res)
  promised.settle = function(promise, of) return shrink(response.of(settle(promise, of)), of, own) end -- a file, or another server's answer
  return promised
end

-- ---- the middleware ----

local function check_codings(codings)
  if #codings == 0 then fault.misuse "compress.new: option 'codings' must name a coding" end
  for _, coding in ipairs(codings) do
    if coding ~= "gzip" and coding ~= "zstd" then
      fault.misuse("compress.new: option 'codings': 'gzip' or 'zstd' expected, got %s", type(coding) == "string" and "'" .. coding .. "'" or type(coding))
    end
  end
end

function M.new(opts)
  opts = options.check("compress.new", opts, OPTIONS)
  local own = { codings = opts.codings or CODINGS, cookies = opts.cookies, min = opts.min or 1024 }
  check_codings(own.codings)
  return function(req, next)
    local answer = next(req)
    if files.on then return answer end -- --dev adds to pages
    return packed(answer, req, own)
  end
end

return M
