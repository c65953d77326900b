-- SPDX-License-Identifier: MIT
-- Testing an app without sockets: a request as the server would make it, and its answer as a client would see
-- it. `app:inject{ path = "/orders/1" }` is the way in.
local native = require "green.http.native"
local fault = require "green.error"
local json = require "green.json"
local url = require "green.url"
local valid = require "green.valid"

-- ---- the request ----

local own = {}
local Request = {}

-- Own methods, then what Lua added to the server's requests: methods, and values computed at first access.
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

function own.chunks(req)
  local source = req.source
  if type(source) == "function" then return source end
  local i = 0
  return function()
    i = i + 1
    return source[i]
  end
end

function own.body(req, max)
  if req.text then return req.text end
  local text = {}
  for chunk in req:chunks() do text[#text + 1] = chunk end
  text = table.concat(text)
  max = max or 1024 * 1024
  if #text > max then fault.status(413, "request.body", "EMSGSIZE", "the body is larger than %d bytes", max) end
  req.text = text
  return text
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

-- spec: method ("GET"), path ("/", with its query, escaped as on the wire), headers, and one of body (a string,
-- a list of chunks, an iterator), json, form; scheme, remote.
function M.request(spec)
  local target = spec.path or "/"
  local raw_path, query = target:match("^([^?]*)%??(.*)$")
  serial = serial + 1
  local req = setmetatable({
    method = spec.method or "GET", target = target, raw_path = raw_path, query_string = query, path = raw_path,
    headers = {}, remote = spec.remote or "127.0.0.1:1", scheme = spec.scheme or "http", id = ("test-%d"):format(serial),
    version = "1.1", keep_alive = true,
  }, Request)
  for name, value in pairs(spec.headers or {}) do req.headers[name:lower()] = joined(name:lower(), value) end
  req.headers.host = req.headers.host or "localhost"
  add_body(req, spec)
  if raw_path:gsub("%%%x%x", ""):find("%", 1, true) then fault.status(400, "request", "EINVAL", "invalid escape in the path") end
  req.path = url.decode(raw_path)
  if req.path:find("\0", 1, true) then fault.status(400, "request", "EINVAL", "NUL in the path") end
  return req
end

-- ---- the answer ----

local Answer = { __name = "green.testanswer" }
Answer.__index = Answer

function Answer:json() return json.decode(self.body) end

local function collect(stream)
  local bytes = {}
  local out = { write = function(_, s) bytes[#bytes + 1] = s end }
  stream(out)
  return table.concat(bytes)
end

local function body_of(res, head)
  if head then return "" end
  if res.stream then return collect(res.stream) end
  if res.json ~= nil then return json.encode(res.json) end
  return res.body or ""
end

local function fill(answer, value, head)
  if value == nil then
    answer.status = 204
  elseif type(value) == "table" and getmetatable(value) == native.response then
    answer.status = value.status or 200
    for name, v in pairs(value.headers or {}) do answer.headers[name:lower()] = v end
    answer.body = body_of(value, head)
  elseif type(value) == "table" then
    answer.headers["content-type"], answer.body = "application/json", head and "" or json.encode(value)
  else
    answer.headers["content-type"], answer.body = "text/plain; charset=utf-8", head and "" or tostring(value)
  end
end

local function failed(answer, err)
  local status = type(err) == "table" and math.type(err.status) == "integer" and err.status
  local told = status and status >= 400 and status <= 599
  local late = not told and (fault.is(err, "ECPULIMIT") or fault.is(err, "EDEADLINE"))
  answer.status, answer.error = told and status or late and 503 or 500, err
  answer.headers = { ["content-type"] = "application/json" }
  if answer.status == 426 then answer.headers.upgrade, answer.headers["sec-websocket-version"] = "websocket", "13" end
  answer.body = json.encode { error = told and valid(tostring(err.message)) or late and "the request took too long" or "internal server error" }
end

-- Runs one request through the app: { status, headers, body }, :json(). Where the server would log a failed
-- handler, `error` is what it raised and `traceback` says where.
function M.inject(app, spec)
  if type(spec) == "string" then spec = { path = spec } end
  local answer = setmetatable({ status = 200, headers = {}, body = "" }, Answer)
  local ok, err = xpcall(function()
    local req = M.request(spec)
    local value = app:handle(req)
    if getmetatable(value) == native.response and value.settle then value = value:settle(req) end
    fill(answer, value, spec.method == "HEAD")
  end, function(err)
    answer.traceback = debug.traceback(tostring(err), 2)
    return err
  end)
  if not ok then failed(answer, err) end
  return answer
end

return M
