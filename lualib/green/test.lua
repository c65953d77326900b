-- SPDX-License-Identifier: MIT
-- This module tests an app without sockets: it makes a request as the server would, and an answer as a client would see it. Scripts call it
-- through `app:inject { path = "/orders/1" }`.
local native = require "green.http.native"
local fault = require "green.error"
local json = require "green.json"
local options = require "green.options"
local url = require "green.url"
require "green.request" -- what it adds to the server's requests, which are those of tests, too

-- ---- the request ----

local own = {}
local Request = {}

-- Looks up this file's methods, then the methods that Lua added to the server's requests, then values that are computed at first access.
function Request.__index(req, name)
  local method = own[name] or native.request.methods[name]
  if method then return method end
  local getter = native.request.getters[name]
  if not getter then return nil end
  local value = getter(req)
  rawset(req, name, value)
  return value
end

function own.header(req, name)
  return req.headers[name:lower()]
end

local function raw_chunks(req)
  local source = req.source
  if type(source) == "function" then return source end
  local i = 0
  return function()
    i = i + 1
    return source[i]
  end
end

function own.chunks(req, opts) return native.request.coded.chunks(req, opts, raw_chunks(req)) end

function own.body(req, max)
  if req.text then return req.text end
  if req.headers["content-encoding"] then return native.request.coded.body(req, max or 1024 * 1024, raw_chunks(req)) end
  local text = {}
  for chunk in req:chunks() do text[#text + 1] = chunk end
  text = table.concat(text)
  max = max or 1024 * 1024
  if #text > max then fault.status(413, "request.body", "EMSGSIZE", "the body is larger than %d bytes", max) end
  req.text = text
  return text
end

function own.trailers(req) return req.behind end

local MOST_HINTS = 8 -- as the server has it

-- Checked by the server's own code, as the headers of a response.
function own.early_hints(req, headers)
  options.argument("req:early_hints", "headers", headers, "table")
  local _, checked = native.settle(req, setmetatable({ headers = headers }, native.response))
  if req.answered or #req.hints == MOST_HINTS then return false end
  req.hints[#req.hints + 1] = checked
  return true
end

local function joined(name, value)
  if type(value) ~= "table" then return tostring(value) end
  return table.concat(value, name == "cookie" and "; " or ", ")
end

local function add_body(req, spec)
  local body = spec.body
  if spec.json ~= nil then
    body = json.encode(spec.json)
    req.headers["content-type"] = req.headers["content-type"] or "application/json"
  elseif spec.form then
    body = url.encode_query(spec.form)
    req.headers["content-type"] = req.headers["content-type"] or "application/x-www-form-urlencoded"
  end
  req.source = type(body) == "string" and { body ~= "" and body or nil } or body or {}
end

local M = {}
local serial = 0

local SPEC = {
  method = "string", path = "string", headers = "table", body = "string|table|function", json = "any", form = "table",
  remote = "string", scheme = { "http", "https" }, tls = "table", trailers = "table",
}

local TLS = { version = "string", cipher = "string", alpn = "string", sni = "string", resumed = "boolean", client_subject = "string" }

local function check_spec(spec)
  options.check("inject", options.argument("inject", "request", spec, "table"), SPEC)
  if spec.tls then options.check("inject: tls", spec.tls, TLS) end
  if spec.path and spec.path:sub(1, 1) ~= "/" and spec.path ~= "*" then
    fault.misuse("inject: option 'path': a path that begins with '/' expected, not '%s'", spec.path)
  end
  local bodies = (spec.body ~= nil and 1 or 0) + (spec.json ~= nil and 1 or 0) + (spec.form ~= nil and 1 or 0)
  if bodies > 1 then fault.misuse("inject: only one of body, json and form makes a request body") end
end

-- Makes a request. `spec` holds method ("GET"), path ("/", with its query, escaped as on the wire), headers, scheme, tls, remote, and one of
-- body (a string, a list of chunks, or an iterator), json and form.
function M.request(spec)
  check_spec(spec)
  local target = spec.path or "/"
  local raw_path, query = target:match("^([^?]*)%??(.*)$")
  serial = serial + 1
  local req = setmetatable({
    method = spec.method or "GET", target = target, raw_path = raw_path, query_string = query, path = raw_path,
    headers = {}, remote = spec.remote or "127.0.0.1:1", scheme = spec.scheme or spec.tls and "https" or "http", tls = spec.tls,
    id = ("test-%d"):format(serial), version = "1.1", keep_alive = true, hints = {}, answered = false,
  }, Request)
  for name, value in pairs(spec.headers or {}) do req.headers[name:lower()] = joined(name:lower(), value) end
  req.behind = spec.trailers and {}
  for name, value in pairs(spec.trailers or {}) do req.behind[name:lower()] = joined("", value) end
  req.headers.host = req.headers.host or "localhost"
  req.host = req.headers.host
  add_body(req, spec)
  req.has_body = type(req.source) == "function" or req.source[1] ~= nil
  local wrong = native.request.wrong_path(raw_path)
  if wrong then fault.status(400, "request", "EINVAL", "%s", wrong) end
  req.path = url.decode(raw_path)
  return req
end

-- ---- the answer ----

local Answer = { __name = "green.testanswer" }
Answer.__index = Answer

local is_answer = fault.receiver(Answer, "answer")

function Answer:json()
  is_answer(self, "json")
  return json.decode(self.body)
end

-- A handler may return the answer of another app; this makes the response that its client is sent.
function Answer:__answer()
  return require "green.relay".response(self.status, self.headers, self.body)
end

-- Runs a stream as the server does and returns the bytes that it writes, and the trailers, by lower-case name, or nil. The number of
-- bytes must be the announced length, if there is one, and then there are no trailers.
local function collect(stream, length)
  local bytes, size, fields = {}, 0, nil
  local out = {}
  function out:trailers(given)
    local list = require "green.http.trailers".list("http.write", given)
    fields = list[1] and not length and {} or nil
    for i = 1, fields and #list or 0, 2 do
      local name = list[i]:lower()
      fields[name] = fields[name] and fields[name] .. ", " .. list[i + 1] or list[i + 1]
    end
  end
  function out:write(piece)
    if type(piece) ~= "string" and type(piece) ~= "number" then
      error(("bad argument #1 to 'write' (string expected, got %s)"):format(type(piece)), 2)
    end
    bytes[#bytes + 1] = piece
    size = size + #bytes[#bytes]
    if length and size > length then error("the stream of a response is longer than its Content-Length", 0) end
  end
  stream(out)
  if length and size < length then error(("the stream of a response ended %d bytes short of its Content-Length"):format(length - size), 0) end
  return table.concat(bytes), fields
end

-- Fills the answer from what a handler returned, which is settled by the server's own code.
local function fill(answer, req, ...)
  local status, headers, body, stream = native.settle(req, ...)
  req.answered = true
  if req.method == "HEAD" then body, stream = nil, nil end
  if stream then body, answer.trailers = collect(stream, math.tointeger(tonumber(headers["content-length"]))) end
  answer.status, answer.headers, answer.body = status, headers, body or ""
end

-- Fills the answer for an error of the handler as the server does: the app's on_error is asked once, and if it fails as well the server
-- answers.
local function failed(app, answer, req, err)
  local status, reason = native.failure(err)
  answer.error = answer.error or err
  if req and pcall(function() fill(answer, req, app:failed(req, status, reason, err)) end) then return end
  if req then status, reason = native.failure(nil) end
  local kind, body = native.refusal(req and req:header "accept", status, reason)
  answer.status, answer.headers, answer.body = status, { ["content-type"] = kind }, body
end

-- Runs one request through the app and returns { status, headers, body } with json(). Where the server would log a failed handler,
-- `error` is what the handler raised and `traceback` says where.
function M.inject(app, spec)
  if type(spec) == "string" then spec = { path = spec } end
  check_spec(spec)
  local answer = setmetatable({ status = 200, headers = {}, body = "", early_hints = {} }, Answer)
  local req
  local ok, err = xpcall(function()
    req = M.request(spec)
    answer.early_hints = req.hints
    fill(answer, req, app:handle(req))
  end, function(err)
    answer.traceback = debug.traceback(tostring(err), 2)
    return err
  end)
  if not ok then failed(app, answer, req, err) end
  if spec.method == "HEAD" then answer.body = "" end
  return answer
end

return M
