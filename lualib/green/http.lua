-- SPDX-License-Identifier: MIT
-- The HTTP client. Checks and completes what the caller asked for; the C half (host/curl/client.c) does it.
local native = require "green.http.client.native"
local coding = require "green.http.coding"
local err = require "green.error"
local json = require "green.json"
local options = require "green.options"
local url = require "green.url"

local METHODS = { "get", "post", "put", "patch", "delete", "head" }
local DEFAULTS = { timeout = 30, connect_timeout = 5, redirects = 10, max_body = 64 * 1024 * 1024, verify = true, decode = true }
local NO_HEADERS = {}
local ACCEPT_ENCODING = "Accept-Encoding: " .. coding.ACCEPT
local TOKEN = "^[%w!#$%%&'*+.^_`|~-]+$"

local SETTINGS = { -- of a client
  headers = "table", timeout = "seconds", connect_timeout = "seconds", verify = "boolean", ca = "string",
  redirects = "bytes|boolean", max_body = "bytes", auth = "table", base_url = "string", decode = "boolean",
}
local OPTIONS = { -- of a request
  query = "table", json = "any", form = "table", body = "string", multipart = "table", stream = "boolean",
}
for name, kind in pairs(SETTINGS) do OPTIONS[name] = name ~= "base_url" and kind or nil end

local OPS = {}
for _, name in ipairs(METHODS) do OPS[name:upper()] = "http." .. name end

local function op_of(method) return OPS[method] or "http.request" end

-- ---- the response ----

-- Header names are stored in lower case; any case finds them. Names that came more than once are remembered aside.
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

local function finish_headers(headers, repeated)
  for name, values in pairs(repeated or NO_HEADERS) do
    headers[name] = name == "set-cookie" and values[1] or table.concat(values, ", ")
  end
  if headers.all then -- a server does not take the method away
    repeated = repeated or {}
    repeated.all = repeated.all or { headers.all }
    headers.all = nil
  end
  repeated_of[headers] = repeated
  return setmetatable(headers, Headers)
end

local Response = { __name = "green.http.response" }
Response.__index = Response

local is_response = err.receiver(Response, "response")

function Response:json()
  is_response(self, "json")
  if not self.body then err.misuse("http: a streamed response has no body to decode; read its chunks()") end
  local ok, value = pcall(json.decode, self.body)
  if ok then return value end
  if not err.is(value, "EJSON") then error(value, 0) end -- cancelled, or out of time or memory
  local failure = err.new("http.json", "EJSON", "%s: status %d: %s", self.url, self.status, value.message)
  failure.response, failure.position = self, value.position -- no `status`: a server would answer with it
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

local function read(stream) return stream:read() end

function Response:chunks()
  is_response(self, "chunks")
  local stream = streams[self]
  if not stream then err.misuse("http: chunks() is for responses asked for with { stream = true }") end
  return read, stream, nil, stream
end

function Response:close()
  is_response(self, "close")
  local stream = streams[self]
  if stream then stream:close() end
end

Response.__close = Response.close

-- For a handler that returns it: what the client of ours is sent.
function Response:__answer()
  local headers = {}
  for name in pairs(self.headers) do headers[name] = header_values(self.headers, name) end
  return require "green.relay".response(self.status, headers, self.body or function(out)
    for piece in self:chunks() do out:write(piece) end
  end)
end

-- ---- the request ----

-- `redirects = false` reads well, and is 0.
local function normal(op, opts, known)
  opts = options.check(op, opts, known)
  if opts.redirects == true then err.misuse("%s: option 'redirects': how many, or false", op) end
  if opts.redirects ~= false then return opts end
  local copy = {}
  for name, value in pairs(opts) do copy[name] = value end
  copy.redirects = 0
  return copy
end

local function add_header(lines, op, name, value)
  if type(name) ~= "string" or not name:find(TOKEN) then err.raise(op, "EINVAL", "bad header name '%s'", tostring(name)) end
  value = tostring(value)
  if value:find("[\r\n%z]") then err.raise(op, "EINVAL", "header '%s': a value holds no CR, LF or NUL", name) end
  lines[#lines + 1] = value == "" and name .. ";" or name .. ": " .. value -- libcurl's way to say empty
end

local function add_headers(lines, said, op, headers)
  local here = {}
  for name, value in pairs(headers) do
    local lower = tostring(name):lower()
    if not said[lower] then
      here[lower] = true
      for _, each in ipairs(type(value) == "table" and value or { value }) do add_header(lines, op, name, each) end
    end
  end
  for name in pairs(here) do said[name] = true end
end

local function choose(opts, settings, name)
  local value = opts[name]
  if value == nil then return settings[name] end
  return value
end

local function header_lines(settings, op, opts, content_type, has_body)
  local lines, said = {}, {}
  if opts.headers then add_headers(lines, said, op, opts.headers) end
  if settings.headers then add_headers(lines, said, op, settings.headers) end
  if choose(opts, settings, "decode") and not said["accept-encoding"] then lines[#lines + 1] = ACCEPT_ENCODING end
  if has_body then
    if content_type and not said["content-type"] then lines[#lines + 1] = content_type end
    if not said.expect then lines[#lines + 1] = "Expect:" end -- no 100-continue: it costs a second with servers that ignore it
  end
  return lines
end

local function part_strings(op, list)
  local out = {}
  for i, part in ipairs(list) do
    local content = part.value or part.contents
    if type(part.name) ~= "string" or content == nil then err.misuse("http: multipart[%d]: name and value (or contents) expected", i) end
    for _, text in ipairs { part.name, part.filename or "", part.type or "" } do
      if type(text) ~= "string" then err.misuse("http: multipart '%s': filename and type are strings", part.name) end
      if text:find("[\r\n%z]") then err.raise(op, "EINVAL", "multipart '%s': CR, LF or NUL in its head", part.name) end
    end
    table.move({ part.name, tostring(content), part.filename or false, part.type or false }, 1, 4, #out + 1, out)
  end
  return out
end

-- The body: its bytes or its parts, and the content type line if libcurl would send another.
local function encode_body(op, opts)
  local given = (opts.json ~= nil and 1 or 0) + (opts.form and 1 or 0) + (opts.body and 1 or 0) + (opts.multipart and 1 or 0)
  if given == 0 then return end
  if given > 1 then err.misuse("http: only one of json, form, body and multipart makes a request body") end
  if opts.json ~= nil then return json.encode(opts.json), nil, "Content-Type: application/json" end
  if opts.form then return url.encode_query(opts.form), nil, "Content-Type: application/x-www-form-urlencoded" end
  if opts.body then return opts.body, nil, "Content-Type:" end
  return nil, part_strings(op, opts.multipart), nil
end

local function add_query(target, query)
  local text = url.encode_query(query)
  if text == "" then return target end
  local front, fragment = target:match("^([^#]*)(.*)$")
  return front .. (front:find("?", 1, true) and "&" or "?") .. text .. fragment
end

-- A URL's parts, by the one parser there is; refuses what is no HTTP URL.
local function parts_of(op, target)
  local ok, parts = pcall(url.parse, target)
  if not ok and not err.is(parts) then error(parts, 0) end -- no memory
  if not ok then err.raise(op, "EINVAL", "%s", (parts.message:gsub("^url%.parse: ", ""))) end
  if not parts.scheme or not parts.host then err.raise(op, "EINVAL", "'%s' is not a URL with http:// or https://", target) end
  if parts.scheme ~= "http" and parts.scheme ~= "https" then
    err.raise(op, "EINVAL", "unsupported scheme '%s': only http and https", parts.scheme)
  end
  return parts
end

local function origin(parts) return parts.scheme .. "://" .. parts.host .. ":" .. (parts.port or (parts.scheme == "https" and 443 or 80)) end

-- Absolute URLs stay with the client's own server: its headers may be secrets.
local function on_base(settings, op, target)
  local base = settings.base_url
  if not base then return target end
  if not target:find("^%a[%w+.-]*://") then
    if target == "" or target:find("^[?#]") then return base .. target end
    return (base:gsub("/$", "")) .. "/" .. (target:gsub("^/", ""))
  end
  if origin(parts_of(op, target)) ~= origin(parts_of(op, base)) then
    err.raise(op, "EINVAL", "%s is on another server than this client's base_url", target)
  end
  return target
end

-- The URL as it was understood, so that libcurl understands the same; and the credentials that were in it.
local function check_url(op, target)
  local parts = parts_of(op, target)
  local credentials = parts.user and { parts.user, parts.password or "" } or nil
  parts.user, parts.password = nil, nil
  return (url.build(parts):gsub("[\128-\255]", url.encode)), credentials
end

-- The body without its codings, and headers that say what it is then.
local function decode(op, method, response, stream, max)
  local headers = response.headers
  local encoding = rawget(headers, "content-encoding")
  if not encoding or method == "HEAD" or response.status == 304 then return stream end
  local function fail(code, format, ...) err.raise(op, code, "%s %s: " .. format, method, response.url, ...) end
  local decoders, rest = coding.decoders(encoding, fail)
  if not decoders then return stream end
  headers["content-encoding"] = rest
  if stream then
    headers["content-length"] = nil
    return coding.reader(stream, decoders, fail)
  end
  response.body = coding.decode(response.body, decoders, max, fail)
  if rawget(headers, "content-length") then headers["content-length"] = tostring(#response.body) end
end

local function request(settings, method, target, opts)
  local op = op_of(method)
  if type(target) ~= "string" then err.misuse("%s: url: a string expected, got %s", op, type(target)) end
  opts = normal(op, opts, OPTIONS)
  local credentials
  target, credentials = check_url(op, on_base(settings, op, target))
  if opts.query then target = add_query(target, opts.query) end
  local body, parts, content_type = encode_body(op, opts)
  if method == "HEAD" and (body or parts) then err.misuse("http.head: a HEAD request has no body") end
  local auth = choose(opts, settings, "auth") or credentials or NO_HEADERS
  local response, repeated, stream = native.request {
    method = method,
    url = target,
    headers = header_lines(settings, op, opts, content_type, body or parts),
    body = body,
    parts = parts,
    timeout = choose(opts, settings, "timeout"),
    connect_timeout = choose(opts, settings, "connect_timeout"),
    redirects = choose(opts, settings, "redirects"),
    max_body = choose(opts, settings, "max_body"),
    verify = choose(opts, settings, "verify"),
    ca = choose(opts, settings, "ca"),
    user = auth[1],
    password = auth[2],
    stream = opts.stream,
  }
  finish_headers(response.headers, repeated)
  if choose(opts, settings, "decode") then stream = decode(op, method, response, stream, choose(opts, settings, "max_body")) end
  if stream then streams[response] = stream end
  return setmetatable(response, Response)
end

local function check_method(method)
  if type(method) ~= "string" or not method:find(TOKEN) then err.misuse("http.request: method: a method name expected") end
  method = method:upper()
  if method == "CONNECT" then err.misuse("http.request: CONNECT makes a tunnel, not a request") end
  return method
end

-- ---- what is public ----

local Client = { __name = "green.http.client" }
Client.__index = Client

local is_client = err.receiver(Client, "client")
local M = {}

function M.request(method, target, opts) return request(DEFAULTS, check_method(method), target, opts) end

function Client:request(method, target, opts)
  is_client(self, "request")
  return request(self.settings, check_method(method), target, opts)
end

for _, name in ipairs(METHODS) do
  local method = name:upper()
  M[name] = function(target, opts) return request(DEFAULTS, method, target, opts) end
  Client[name] = function(self, target, opts)
    is_client(self, name)
    return request(self.settings, method, target, opts)
  end
end

function M.client(settings)
  settings = normal("http.client", settings, SETTINGS)
  local copy = {}
  for name, value in pairs(DEFAULTS) do copy[name] = value end
  for name, value in pairs(settings) do copy[name] = value end
  if copy.base_url then
    local credentials
    copy.base_url, credentials = check_url("http.client", copy.base_url)
    copy.auth = copy.auth or credentials
  end
  return setmetatable({ settings = copy }, Client)
end

return M
