-- SPDX-License-Identifier: MIT
-- Internal.
-- response.proxy answers a request with the answer of another server (a gateway, RFC 9110, 3.7). Bodies go through in both directions
-- piece by piece, as fast as the slower side takes them.
local fault = require "green.error"
local forward = require "green.http.forward"
local http = require "green.http"
local options = require "green.options"
local relay = require "green.relay"
local request = require "green.http.request"
local target = require "green.http.target"
local tasks = require "green.task.native"
local url = require "green.url"
local websockets = require "green.http.gateway_ws"

local OURS = { json = true, form = true, body = true, length = true, multipart = true, stream = true, query = true, trailers = true }
local KNOWN = { forwarded = "boolean", max_message = "count" }
for name, kind in pairs(request.OPTIONS) do
  if not OURS[name] then KNOWN[name] = kind end
end

local DEFAULTS = { redirects = 0, decode = false, proxy = false } -- redirects and codings are the client's to follow and to undo

local M = {}

--- Checks the options of response.proxy, and returns them.
function M.check(upstream, opts)
  options.argument("response.proxy", "upstream", upstream, "string")
  local parts = target.check("response.proxy", upstream)
  local whole = request.normal("response.proxy", opts, KNOWN)
  target.check_tls("response.proxy", parts, whole, whole.redirects or DEFAULTS.redirects)
  return opts or {}
end

-- ---- what is asked ----

-- Returns the URL to ask. An upstream with a path or a query of its own is asked for just that; another one gets the request's.
local function target_of(upstream, req)
  local parts = url.parse(upstream)
  if parts.path ~= "" or parts.query then return upstream end
  return upstream .. (req.target == "*" and "" or req.target)
end

-- Sets the headers that say who asked. Clients may write anything into them, so that the client's own are replaced.
local function add_forwarded(headers, req)
  headers.forwarded = nil
  headers["x-forwarded-for"] = req.remote:match "^%[([^%]]*)%]" or req.remote:match "^([^:]*):"
  headers["x-forwarded-proto"], headers["x-forwarded-host"] = req.scheme, req.host
end

local function headers_of(req, opts)
  local headers = forward(req.headers)
  if opts.forwarded ~= false then add_forwarded(headers, req) end
  for name, value in pairs(opts.headers or {}) do headers[tostring(name):lower()] = value end
  return headers
end

-- Returns a function that gives the pieces of the request's body as they come, and the length if it is known; nil for no body.
local function body_of(req)
  local length = req.headers["content-length"]
  if not req.has_body or length == "0" then return nil end
  return req:chunks { decode = false }, tonumber(length)
end

-- Does the client read trailers, by its header TE?
local function accepts_trailers(te)
  for coding in (te or ""):gmatch "[^,]+" do
    if coding:lower():match "^%s*(%S*)" == "trailers" then return true end
  end
  return nil
end

local function options_of(req, opts)
  local whole = {}
  for name, value in pairs(DEFAULTS) do whole[name] = value end
  for name, value in pairs(opts) do whole[name] = value end
  whole.forwarded, whole.max_message, whole.stream, whole.headers = nil, nil, true, headers_of(req, opts)
  whole.body, whole.length = body_of(req)
  if whole.body and not whole.length then whole.trailers = function() return req:trailers() end end
  if whole.accept_trailers == nil then whole.accept_trailers = accepts_trailers(req.headers.te) end
  if not whole.body then whole.expect = nil end
  return whole
end

-- ---- what is answered ----

local UNTOLD = { ECANCELED = true, EDEADLINE = true, ENOMEM = true }

-- Raises the answer to a failed request: 502 or 504 when the upstream failed. Errors of the client's own request (they have a status),
-- a cancel, a deadline and a lack of memory are not the upstream's, and are raised as they are.
local function fail(err)
  if not fault.is(err) or err.status or UNTOLD[err.code] then error(err, 0) end
  tasks.log("response.proxy", err.message)
  if err.code == "ETIMEDOUT" then fault.status(504, "response.proxy", err.code, "gateway timeout") end
  fault.status(502, "response.proxy", err.code, "bad gateway")
end

local BARE = { [204] = true, [304] = true }

local function answer_of(req, got)
  local headers = {}
  for name in pairs(got.headers) do
    local values = got.headers:all(name)
    headers[name] = #values == 1 and values[1] or values
  end
  if req.method == "HEAD" or BARE[got.status] then
    got:close()
    return relay.response(got.status, headers, "")
  end
  return relay.response(got.status, headers, function(out) relay.pass_on(got, out) end)
end

-- Closes the upstream's answer when the scope is left before a response was made of it.
local Open = { __close = function(open) if open.answer then open.answer:close() end end }

--- Asks the upstream and returns the response that `promise`, made by response.proxy, stands for. Called after all middleware, when the
--- request is at hand.
function M.settle(promise, req)
  req.cancel_on_disconnect = true -- the upstream works for this client alone
  local upstream, opts = promise.proxy.upstream, promise.proxy.opts
  if websockets.is_asked(req) then
    local ok, res = pcall(websockets.settle, target_of(upstream, req), req, opts, headers_of(req, opts))
    return ok and res or fail(res)
  end
  local ok, got = pcall(http.request, req.method, target_of(upstream, req), options_of(req, opts))
  if not ok then fail(got) end
  local open <close> = setmetatable({ answer = got }, Open)
  local res = answer_of(req, got)
  for name, value in pairs(promise.headers) do res:header(name, value) end
  open.answer = nil -- from here on the server closes the answer, with the response
  return res
end

return M
