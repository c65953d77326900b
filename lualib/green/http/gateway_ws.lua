-- SPDX-License-Identifier: MIT
-- Internal.
-- A WebSocket through a gateway: one to the upstream, one to the client, and what either says is passed on to the other, message by
-- message, as fast as the slower one takes it.
--
--     asked --ws.connect--> the upstream has accepted --ws.take--> both are open --one says goodbye: `pass`--> the other is told --> both closed
--       '--refused: its answer goes to the client
local fault = require "green.error"
local relay = require "green.relay"
local response = require "green.response"
local task = require "green.task"
local ws = require "green.ws"

local PASSED = { auth = true, ca = true, max_message = true, proxy = true, timeout = true, tls = true, unix = true, verify = true }
local GONE = { EPIPE = true, ECLOSED = true, ECONNRESET = true }
local UPSTREAM_GONE, CLIENT_GONE = 1014, 1001 -- "bad gateway"; "going away"

local M = {}

local function lists(field, word)
  for element in (field or ""):gmatch "[^,]+" do
    if element:match "^%s*(%S*)":lower() == word then return true end
  end
  return false
end

--- Does the request ask for a WebSocket?
function M.is_asked(req)
  return type(req) == "userdata" and req.method == "GET" and lists(req.headers.upgrade, "websocket") and req.headers["sec-websocket-key"] ~= nil
end

local function protocols_of(req)
  local list = {}
  for name in (req.headers["sec-websocket-protocol"] or ""):gmatch "[^,%s]+" do list[#list + 1] = name end
  return list
end

local function options_of(req, opts, headers)
  local own = { headers = {}, protocols = protocols_of(req) }
  for name, value in pairs(opts) do
    if PASSED[name] then own[name] = value end
  end
  for name, value in pairs(headers) do
    if not name:find "^sec%-websocket%-" then own.headers[name] = value end
  end
  return own
end

-- Ends the other side as this one has ended.
local function say_goodbye(from, to, gone)
  local code = from.close_code
  if not code or code == 1006 then to:shut(gone)
  elseif code == 1005 then to:shut()
  else to:shut(code, from.close_reason) end
end

local function pass(from, to, gone)
  local ok, err = pcall(function()
    for message, kind in from:messages() do
      if kind == "text" then to:send(message) else to:send_binary(message) end
    end
  end)
  if not ok and not (fault.is(err) and GONE[err.code]) then error(err, 0) end
  say_goodbye(from, to, gone)
end

--- Asks the upstream for a WebSocket and passes messages on until both sides are closed. Returns the answer of an upstream that refuses, or,
--- once all is over, one that nobody is sent. Raises the error of an upstream that does not answer.
function M.settle(url, req, opts, headers)
  local ok, upstream = pcall(ws.connect, url, options_of(req, opts, headers))
  if not ok then
    local answer = fault.is(upstream) and upstream.response
    if not answer or answer.status < 300 then error(upstream, 0) end
    answer.headers["content-length"], answer.headers["content-type"] = nil, nil -- its body was not read
    return relay.response(answer.status, answer.headers, "")
  end
  local inner <close> = upstream
  local outer <close> = ws.take(req, {
    cancel_on_disconnect = false, max_message = opts.max_message, origins = "*", -- whose pages may connect the upstream has decided
    protocols = inner.protocol and { inner.protocol } or nil,
  })
  task.group(function(group)
    group:spawn(pass, inner, outer, UPSTREAM_GONE)
    pass(outer, inner, CLIENT_GONE)
  end)
  return response.status(204)
end

return M
