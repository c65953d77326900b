-- SPDX-License-Identifier: MIT
-- Internal.
-- Serves WSAPI applications (https://keplerproject.github.io/wsapi): a function of the request's environment, which has the
-- metavariables of CGI (RFC 3875), an `input` to read the body from and an `error` to write to the log, returns a status, a table of
-- headers, and an iterator of the body's pieces. Where the specification leaves a choice, it is made as wsapi.common makes it, which is
-- what applications have been tried with.
local fault = require "green.error"
local native = require "green.task.native"
local relay = require "green.relay"

-- ---- the environment ----

-- An undefined metavariable is the empty string.
local Environment = { __index = function() return "" end }

-- "192.0.2.7:40312" -> "192.0.2.7", "40312"; "[::1]:80" -> "::1", "80"
local function split_address(text)
  local host, port = text:match "^%[([^%]]*)%]:?(%d*)$"
  if not host then host, port = text:match "^([^:]*):(%d*)$" end
  return host or text:match "^[^:]*", port or ""
end

-- A name with "_" could be mistaken for another one with "-", and HTTP_PROXY is a setting of many libraries, not a header of a request.
local function add_headers(env, headers)
  for name, value in pairs(headers) do
    if not name:find("_", 1, true) and name ~= "proxy" and name ~= "content-length" and name ~= "content-type" then
      env["HTTP_" .. name:upper():gsub("-", "_")] = value
    end
  end
end

-- What is behind the prefix of the app, decoded, and what is before it.
local function split_path(req)
  local rest = req.params.path_info
  local path_info = rest and "/" .. rest or "/"
  return path_info, rest and req.path:sub(1, -#path_info - 1) or req.path
end

local function metavariables(req, length)
  local env = setmetatable({}, Environment)
  local path_info, script_name = split_path(req)
  local name, port = split_address(req.host or "")
  local https = req.scheme == "https"
  env.GATEWAY_INTERFACE, env.SERVER_SOFTWARE, env.SERVER_PROTOCOL = "CGI/1.1", "greenlua", "HTTP/" .. (req.version or "1.1")
  env.SERVER_NAME, env.SERVER_PORT = name ~= "" and name or "localhost", port ~= "" and port or https and "443" or "80"
  env.REQUEST_METHOD, env.REQUEST_URI, env.QUERY_STRING = req.method, req.target, req.query_string
  env.SCRIPT_NAME, env.PATH_INFO = script_name, path_info
  env.REMOTE_ADDR, env.REMOTE_PORT = split_address(req.remote or "")
  env.CONTENT_TYPE = req.headers["content-type"]
  env.CONTENT_LENGTH = length and ("%d"):format(length) or nil
  env.HTTPS = https and "on" or nil
  add_headers(env, req.headers)
  return env
end

-- ---- input and error ----

local Input = {}
Input.__index = Input

-- Reads until there are n bytes, or all that there will be.
local function fill(self, n)
  local pieces, size = { self.ahead:sub(self.at) }, #self.ahead - self.at + 1
  while size < n do
    local piece = self.next()
    if not piece then break end
    pieces[#pieces + 1] = piece
    size = size + #piece
  end
  self.ahead, self.at = table.concat(pieces), 1
end

-- Returns the next n bytes, fewer where the body ends, nil behind its end; without n the rest.
function Input:read(n)
  if n ~= nil and not (math.type(n) == "integer" and n >= 0) then fault.misuse("input:read: a number of bytes expected, not %s", tostring(n)) end
  n = math.min(n or self.left, self.left)
  if n == 0 then return nil end
  if self.at + n - 1 > #self.ahead then fill(self, n) end
  local text = self.ahead:sub(self.at, self.at + n - 1)
  self.at, self.left = self.at + #text, self.left - n
  return text
end

-- The body, and its length, nil for none. A body that comes without its length is read whole: CONTENT_LENGTH must say how long it is.
local function input_of(req)
  local length = math.tointeger(tonumber(req.headers["content-length"]))
  local input = { length = length or 0, left = length or 0, ahead = "", at = 1 }
  if not length and req.has_body then
    local body = req:body()
    if body == "" then return setmetatable(input, Input) end
    length = #body
    input.length, input.left, input.ahead = length, length, body
  elseif length then
    local chunks
    input.next = function()
      chunks = chunks or req:chunks { decode = false } -- it is told the coding
      return chunks()
    end
  end
  return setmetatable(input, Input), length
end

local Log = {}
Log.__index = Log

local MAX_LINE = 8192 -- bytes that wait for the end of their line

-- Each line is a record of the log. What is no whole line waits for the rest of it, or for the end.
function Log:write(...)
  local pieces, from = { self.text }, 1
  for i = 1, select("#", ...) do pieces[i + 1] = tostring((select(i, ...))) end
  local text = table.concat(pieces)
  for at in function() return text:find("\n", from, true) end do
    native.log(self.subject, text:sub(from, at - 1))
    from = at + 1
  end
  self.text = text:sub(from)
  if #self.text > MAX_LINE then self:close() end
  return self
end

function Log:close()
  if self.text ~= "" then native.log(self.subject, self.text) end
  self.text = ""
end

Log.__close = Log.close

-- ---- the response ----

-- 200, "200", "200 OK", "200 Fine" -> 200
local function status_of(status)
  local text = tostring(status)
  local code = math.tointeger(tonumber(text:match "^(%d%d%d)$" or text:match "^(%d%d%d) " or status))
  if code and code >= 200 and code <= 599 then return code end
  fault.raise("wsapi", "EINVAL", "the app returned the status '%s' instead of 200 to 599, or a text that begins so", text)
end

local function headers_of(headers)
  if headers == nil then return {} end
  if type(headers) ~= "table" then fault.raise("wsapi", "EINVAL", "the app returned a %s instead of a table of headers", type(headers)) end
  local out = {}
  for name, value in pairs(headers) do
    local key = tostring(name):lower()
    local list = out[key] or {}
    if type(out[key]) == "string" then list = { out[key] } end
    for _, one in ipairs(type(value) == "table" and value or { value }) do list[#list + 1] = tostring(one) end
    out[key] = #list > 1 and list or list[1]
  end
  return out
end

local function check_length(headers)
  local length = headers["content-length"]
  if length == nil or type(length) == "string" and length:find "^%d+$" then return end
  fault.raise("wsapi", "EINVAL", "the app returned a Content-Length that is no number")
end

-- The pieces of the body go out as they come; a client that reads slowly slows the iterator.
local function body_of(iterator, log)
  local kind = type(iterator)
  if iterator == nil then return "" end
  if kind == "function" or getmetatable(iterator) and getmetatable(iterator).__call then
    return function(out)
      local _ <close> = log
      for piece in function() return iterator() or nil end do out:write(tostring(piece)) end
    end
  end
  fault.raise("wsapi", "EINVAL", "the app returned a %s instead of an iterator", kind)
end

-- Ends the log where no iterator does.
local Guard = { __close = function(guard) if guard.log then guard.log:close() end end }

local BARE = { [204] = true, [304] = true }

local M = {}

--- The application's function: it may be in a module's `run`.
function M.check(run)
  if type(run) == "table" then run = run.run end
  if type(run) ~= "function" then fault.misuse("app:wsapi: run: a function(wsapi_env), or a module with one, expected, not a %s", type(run)) end
  return run
end

--- A handler that serves the application.
function M.handler(run)
  return function(req)
    local log = setmetatable({ subject = ("%s %s"):format(req.method, req.path), text = "" }, Log)
    local guard <close> = setmetatable({ log = log }, Guard)
    local input, length = input_of(req)
    local env = metavariables(req, length)
    env.input, env.error = input, log
    local status, headers, iterator = run(env)
    status, headers = status_of(status), headers_of(headers)
    check_length(headers)
    local body = body_of(iterator, log)
    if req.method == "HEAD" or BARE[status] then return relay.response(status, headers, "") end
    local res = relay.response(status, headers, body)
    guard.log = nil -- the iterator may write more
    return res
  end
end

return M
