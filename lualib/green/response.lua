-- SPDX-License-Identifier: MIT
-- Answers that say more than a string or a table does. A response is a plain table with the metatable that the
-- server knows: status, headers (lower-case name -> string or list), and one of body, json, stream. One with a function
-- settle(response, req) is replaced, last of all, by what that returns.
local native = require "green.http.native"
local fault = require "green.error"
local json = require "green.json"
local options = require "green.options"

local Response = native.response
local methods = {}
local is_response = fault.receiver(Response, "res")
Response.__name = "green.response"
Response.__index = methods

local TOKEN = "^[%w!#$%%&'*+%-.^_`|~]+$"
local SAME_SITE = { lax = "Lax", strict = "Strict", none = "None" }

local function check(condition, message)
  if not condition then fault.misuse("%s", message) end
end

local function new(status, headers)
  check(math.type(status) == "integer" and status >= 200 and status <= 599, "status: an integer from 200 to 599 expected")
  local res = setmetatable({ status = status, headers = {} }, Response)
  for name, value in pairs(options.argument("response", "headers", headers or {}, "table")) do res:header(name, value) end
  return res
end

-- ---- headers and cookies ----

local function check_value(value)
  local kind = type(value)
  check(kind == "string" or kind == "number", "header value: a string or a list of strings expected, got " .. kind)
  value = tostring(value)
  check(not value:find("[\0-\8\10-\31\127]"), "header value: line breaks and other control characters are not allowed")
  return value
end

-- Sets a header, replacing what it was; a list is sent as several lines; nil removes it.
function methods:header(name, value)
  is_response(self, "header")
  check(type(name) == "string" and name:find(TOKEN), "header name: a token expected")
  if type(value) == "table" then
    local list = {}
    for i, v in ipairs(value) do list[i] = check_value(v) end
    value = list
  elseif value ~= nil then
    value = check_value(value)
  end
  self.headers[name:lower()] = value
  return self
end

local function attribute(name, value)
  check(not value:find("[%c;]"), ("cookie %s: control characters and ';' are not allowed"):format(name))
  return "; " .. name .. "=" .. value
end

local function check_prefix(name, o)
  if name:find("^__[Ss]ecure%-") then check(o.secure, "a __Secure- cookie must be secure") end
  if name:find("^__[Hh]ost%-") then
    check(o.secure and not o.domain and (o.path or "/") == "/", "a __Host- cookie must be secure, for path '/' and no domain")
  end
end

local function cookie_attributes(name, o)
  local same_site = SAME_SITE[tostring(o.same_site or "Lax"):lower()]
  check(same_site, "cookie same_site: 'Lax', 'Strict' or 'None' expected")
  check(same_site ~= "None" or o.secure, "a cookie with same_site 'None' must be secure")
  check_prefix(name, o)
  local out = attribute("Path", o.path or "/")
  if o.domain then out = out .. attribute("Domain", o.domain) end
  if o.max_age then out = out .. attribute("Max-Age", ("%d"):format(math.floor(o.max_age))) end
  if o.secure then out = out .. "; Secure" end
  if o.http_only ~= false then out = out .. "; HttpOnly" end
  return out .. "; SameSite=" .. same_site
end

local COOKIE = { path = "string", domain = "string", max_age = "number", secure = "boolean", http_only = "boolean", same_site = "string" }

-- Adds a cookie. opts: path, domain, max_age (seconds; 0 deletes it), secure, http_only, same_site.
function methods:cookie(name, value, opts)
  is_response(self, "cookie")
  opts = options.check("res:cookie", opts, COOKIE, "cookie option")
  check(type(name) == "string" and name:find(TOKEN), "cookie name: a token expected")
  check(type(value) == "string" and not value:find('[\0-\32",;\\\127-\255]'),
    "cookie value: a string without spaces, quotes, commas, semicolons, backslashes and non-ASCII bytes expected; encode it first")
  local list = self.headers["set-cookie"] or {}
  if type(list) == "string" then list = { list } end
  list[#list + 1] = name .. "=" .. value .. cookie_attributes(name, opts)
  self.headers["set-cookie"] = list
  return self
end

-- ---- kinds ----

local M = {}

local function with_body(body, status, kind)
  check(type(body) == "string" or type(body) == "number", "body: a string expected, got " .. type(body))
  local res = new(status or 200)
  res.headers["content-type"] = kind
  res.body = tostring(body)
  return res
end

function M.text(s, status) return (with_body(s, status, "text/plain; charset=utf-8")) end
function M.html(s, status) return (with_body(s, status, "text/html; charset=utf-8")) end

function M.json(value, status, headers)
  local res = new(status or 200, headers)
  res.headers["content-type"] = res.headers["content-type"] or "application/json"
  if value == nil then value = json.null end
  res.json = value
  return res
end

-- Returns a response with this status and no body.
function M.status(status, headers) return (new(status, headers)) end

local REDIRECTS = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

function M.redirect(location, status)
  check(type(location) == "string" and not location:find("%c"), "redirect: a URL without control characters expected")
  check(REDIRECTS[status or 303], "redirect: status 301, 302, 303, 307 or 308 expected")
  location = location:gsub("[^\33-\126]", function(c) return ("%%%02X"):format(c:byte()) end)
  return new(status or 303, { location = location })
end

-- Returns the redirect to the same address over HTTPS, by 308: a POST stays one.
function M.to_https(req, port)
  local is_request = (type(req) == "table" or type(req) == "userdata") and type(req.target) == "string"
  check(is_request, "to_https: a request expected, got " .. type(req))
  check(port == nil or math.type(port) == "integer" and port > 0 and port < 65536, "to_https: a port expected")
  local host = req.host
  host = host and (host:match "^%[[^%]]*%]" or host:match "^[^:]+")
  if not host then fault.status(400, "to_https", "EINVAL", "the request names no host") end
  local target = req.target:sub(1, 1) == "/" and req.target or "/"
  return M.redirect("https://" .. host .. (port and port ~= 443 and ":" .. port or "") .. target, 308)
end

-- Returns a response that becomes the file after the middleware ran, by what the request asks for: conditions, a range, codings.
function M.file(path, opts)
  check(type(path) == "string", "file: a path expected, got " .. type(path))
  local static = require "green.static"
  opts = static.check_options(opts)
  local res = new(opts.status or 200, opts.headers)
  if opts.download then
    local name = opts.download == true and (path:match("^.*/(.*)$") or path) or opts.download
    local quoted = name:gsub('[%c"\\]', "_")
    local encoded = name:gsub("[^%w%-._~]", function(c) return ("%%%02X"):format(c:byte()) end)
    res:header("content-disposition", ("attachment; filename=\"%s\"; filename*=UTF-8''%s"):format(quoted, encoded))
  end
  res.settle = static.settle
  res.file = { path = path, opts = opts }
  return res
end

-- Returns a response whose body fn writes: out:write(bytes) waits while the client is slow. opts: status, type, headers.
function M.stream(fn, opts)
  check(type(fn) == "function", "stream: a function(out) expected, got " .. type(fn))
  opts = options.check("response.stream", opts, { status = "integer", type = "string", headers = "table" })
  local res = new(opts.status or 200, opts.headers)
  res.headers["content-type"] = opts.type or res.headers["content-type"] or "application/octet-stream"
  res.stream = fn
  return res
end

-- What another server answers to the same request. Settled after the middleware ran.
function M.proxy(upstream, opts)
  local gateway = require "green.http.gateway"
  opts = gateway.check(upstream, opts)
  local res = new(200)
  res.settle = gateway.settle
  res.proxy = { upstream = upstream, opts = opts }
  return res
end

-- ---- server-sent events ----

local Events = { __name = "green.events" }
Events.__index = Events

local is_events = fault.receiver(Events, "events")
local EVENT = { data = "any", event = "string|number", id = "string|number", retry = "seconds" }

local function field(name, value)
  value = tostring(value)
  check(not value:find("[\r\n\0]"), ("event %s: line breaks are not allowed"):format(name))
  return name .. ": " .. value .. "\n"
end

local function lines(prefix, text)
  text = text:gsub("\r\n", "\n"):gsub("\r", "\n")
  return prefix .. text:gsub("\n", "\n" .. prefix) .. "\n"
end

-- Sends an event: a string, or { data = (a table goes as JSON), event =, id =, retry = seconds }.
function Events:send(event)
  is_events(self, "send")
  if type(event) ~= "table" then event = { data = event } end
  options.check("events:send", event, EVENT, "field")
  local data, out = event.data, ""
  if type(data) == "table" then data = json.encode(data) end
  if event.event ~= nil then out = out .. field("event", event.event) end
  if event.id ~= nil then out = out .. field("id", event.id) end
  if event.retry ~= nil then out = out .. field("retry", ("%d"):format(math.floor(event.retry * 1000))) end
  if data ~= nil then out = out .. lines("data: ", tostring(data)) end
  self.out:write(out .. "\n")
end

-- Sends a line that clients ignore: it keeps proxies from closing a quiet connection, and notices a client that is gone.
function Events:comment(text)
  is_events(self, "comment")
  self.out:write(lines(": ", text or "") .. "\n")
end

function M.events(fn)
  check(type(fn) == "function", "events: a function(events) expected, got " .. type(fn))
  local res = M.stream(function(out) return fn(setmetatable({ out = out }, Events)) end, {
    type = "text/event-stream", headers = { ["cache-control"] = "no-cache", ["x-accel-buffering"] = "no" },
  })
  res.live = true -- its head leaves at once, and it ends with its client
  return res
end

-- ---- for middleware ----

-- Makes a response of any answer of a handler, to be changed: response.of(next(req)):header("x-a", "b").
function M.of(answer)
  local kind, meta = type(answer), getmetatable(answer)
  if meta == Response then return answer end
  if answer == nil then return new(204) end
  if kind == "string" then return M.text(answer) end
  if kind ~= "table" then fault.misuse("a handler must return a string, a table, a response or nothing, not a %s", kind) end
  local made = type(meta) == "table" and rawget(meta, "__answer")
  return made and M.of(made(answer)) or M.json(answer)
end

return M
