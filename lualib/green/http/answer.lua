-- SPDX-License-Identifier: MIT
-- Internal.
-- This file makes what a request returns: the response, and its headers.
local err = require "green.error"
local json = require "green.json"
local options = require "green.options"

-- ---- headers: names are stored in lower case, and any case finds them. Names that came more than once are remembered aside ----

local repeated_of = setmetatable({}, { __mode = "k" })
local Headers = { __name = "green.http.headers" }

local function header_values(headers, name)
  if getmetatable(headers) ~= Headers then err.misuse "use headers:all(...), not headers.all(...)" end
  name = options.argument("headers:all", "name", name, "string"):lower()
  local repeated = repeated_of[headers]
  if repeated and repeated[name] then return { table.unpack(repeated[name]) } end
  return { rawget(headers, name) }
end

local header_methods = { all = header_values }

function Headers.__index(headers, name)
  return header_methods[name] or type(name) == "string" and rawget(headers, name:lower()) or nil
end

local NONE = {}

local function finish_headers(headers, repeated)
  for name, values in pairs(repeated or NONE) do
    headers[name] = name == "set-cookie" and values[1] or table.concat(values, ", ")
  end
  if headers.all then -- a header named "all" must not take the method away
    repeated = repeated or {}
    repeated.all = repeated.all or { headers.all }
    headers.all = nil
  end
  repeated_of[headers] = repeated
  return setmetatable(headers, Headers)
end

-- ---- the response ----

local Response = { __name = "green.http.response" }
Response.__index = Response

local is_response = err.receiver(Response, "response")

function Response:json()
  is_response(self, "json")
  if not self.body then err.misuse("http: a streamed response has no body to decode; read its chunks()") end
  local ok, value = pcall(json.decode, self.body)
  if ok then return value end
  if not err.is(value, "EJSON") then error(value, 0) end -- the task was cancelled, or is out of time or memory
  local failure = err.new("http.json", "EJSON", "%s: status %d: %s", self.url, self.status, value.message)
  failure.response, failure.position = self, value.position -- `status` stays unset, since a server would answer with it
  error(failure)
end

function Response:raise_for_status()
  is_response(self, "raise_for_status")
  if self.status < 400 then return self end
  local failure = err.new("http.status", "EHTTP", "%s: status %d", self.url, self.status)
  failure.response = self
  error(failure)
end

local streams = setmetatable({}, { __mode = "k" })

-- A response, or the stream of its body -> the fields behind the body. A stream's are kept here since the loop over its chunks closes it.
local trailers_of = setmetatable({}, { __mode = "k" })

local function keep_trailers(of, fields, repeated)
  if fields then trailers_of[of] = finish_headers(fields, repeated) end
end

local function read(stream)
  local piece = stream:read()
  if not piece then keep_trailers(stream, stream:trailers()) end
  return piece
end

function Response:chunks()
  is_response(self, "chunks")
  local stream = streams[self]
  if not stream then err.misuse("http: chunks() is for responses asked for with { stream = true }") end
  return read, stream, nil, stream
end

function Response:trailers()
  is_response(self, "trailers")
  return trailers_of[streams[self] or self]
end

function Response:close()
  is_response(self, "close")
  local stream = streams[self]
  if stream then stream:close() end
end

Response.__close = Response.close

-- A handler may return a response of the client; this makes the answer that the handler's own client is sent.
function Response:__answer()
  local headers = {}
  for name in pairs(self.headers) do headers[name] = header_values(self.headers, name) end
  local relay = require "green.relay"
  return relay.response(self.status, headers, self.body or function(out) relay.pass_on(self, out) end)
end

local M = {}

--- Makes a response. `fields` holds its status, url, body (nil with a reader) and what else scripts may read of it. `trailers`: the
--- fields behind a body that was collected, and the repeated ones of them; nil for none.
function M.new(fields, headers, repeated, reader, trailers)
  local response = setmetatable(fields, Response)
  response.headers = finish_headers(headers, repeated)
  if reader then streams[response] = reader end
  if trailers then keep_trailers(response, trailers[1], trailers[2]) end
  return response
end

return M
