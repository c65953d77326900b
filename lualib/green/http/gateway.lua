-- SPDX-License-Identifier: MIT
-- Internal.
-- response.proxy: the answer of another server to the request that is being answered (a gateway, RFC 9110, 3.7). Bodies go through in
-- both directions piece by piece, as fast as the slower side takes them.
local fault = require "green.error"
local forward = require "green.http.forward"
local http = require "green.http"
local options = require "green.options"
local relay = require "green.relay"
local request = require "green.http.request"
local tasks = require "green.task.native"
local url = require "green.url"

local OURS = { json = true, form = true, body = true, length = true, multipart = true, stream = true, query = true }
local KNOWN = { forwarded = "boolean" }
for name, kind in pairs(request.OPTIONS) do
  if not OURS[name] then KNOWN[name] = kind end
end

local DEFAULTS = { redirects = 0, decode = false, proxy = false } -- what the other says is for the client, and no business of a third

local M = {}

--- The options of response.proxy, checked.
function M.check(upstream, opts)
  options.argument("response.proxy", "upstream", upstream, "string")
  request.check_url("response.proxy", upstream)
  request.normal("response.proxy", opts, KNOWN)
  return opts or {}
end

-- ---- what is asked ----

-- Only an upstream without a path gets the request's.
local function target_of(upstream, req)
  local parts = url.parse(upstream)
  if parts.path ~= "" or parts.query then return upstream end
  return upstream .. (req.target == "*" and "" or req.target)
end

-- Clients may say anything in these, so that theirs are not passed on.
local function add_forwarded(headers, req)
  headers.forwarded = nil
  headers["x-forwarded-for"] = req.remote:match "^%[([^%]]*)%]" or req.remote:match "^([^:]*):"
  headers["x-forwarded-proto"], headers["x-forwarded-host"] = req.scheme, req.headers.host
end

local function headers_of(req, opts)
  local headers = forward(req.headers)
  if opts.forwarded ~= false then add_forwarded(headers, req) end
  for name, value in pairs(opts.headers or {}) do headers[tostring(name):lower()] = value end
  return headers
end

-- The request's body, as it comes; nil for none.
local function body_of(req)
  local length = req.headers["content-length"]
  if not length and not req.headers["transfer-encoding"] or length == "0" then return nil end
  return req:chunks(), tonumber(length)
end

local function options_of(req, opts)
  local whole = {}
  for name, value in pairs(DEFAULTS) do whole[name] = value end
  for name, value in pairs(opts) do whole[name] = value end
  whole.forwarded, whole.stream, whole.headers = nil, true, headers_of(req, opts)
  whole.body, whole.length = body_of(req)
  return whole
end

-- ---- what is answered ----

local UNTOLD = { ECANCELED = true, EDEADLINE = true, ENOMEM = true }

-- The other's failure is 502 or 504; what is wrong with our client's request, or with our time, stays what it is.
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
  return relay.response(got.status, headers, function(out)
    for piece in got:chunks() do out:write(piece) end
  end)
end

-- Closes the other's answer when none of ours is made of it.
local Open = { __close = function(open) if open.answer then open.answer:close() end end }

--- The answer that response.proxy promised, now that the request is at hand.
function M.settle(promise, req)
  req.cancel_on_disconnect = true -- nobody else wants to know
  local upstream, opts = promise.proxy.upstream, promise.proxy.opts
  local ok, got = pcall(http.request, req.method, target_of(upstream, req), options_of(req, opts))
  if not ok then fail(got) end
  local open <close> = setmetatable({ answer = got }, Open)
  local res = answer_of(req, got)
  for name, value in pairs(promise.headers) do res:header(name, value) end
  open.answer = nil -- from now on it is closed by who sends it
  return res
end

return M
