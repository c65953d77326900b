-- SPDX-License-Identifier: MIT
-- Internal.
-- What answers where no handler has: the app's own function (app:on_error), else a small page for browsers and JSON for
-- everybody else.
local fault = require "green.error"
local native = require "green.http.native"
local response = require "green.response"

local M = {}

local function plain(req, status, reason)
  local kind, body = native.refusal(req:header "accept", status, reason)
  local res = response.status(status):header("content-type", kind)
  res.body = body
  return res
end

-- What the app's function returned, as a response. The status of the failure holds unless the answer has one of its own; 200
-- is what an answer has that says none.
local function settle(req, status, reason, ...)
  if select("#", ...) <= 1 and (...) == nil then return plain(req, status, reason) end
  local own, headers, body, stream, live = native.settle(req, ...)
  if own == 200 then own = status end
  return setmetatable({ status = own, headers = headers, body = body, stream = stream, live = live or nil }, native.response)
end

-- What the client is to switch to (RFC 9110, 15.5.22).
local function add_upgrade(res)
  if res.status ~= 426 then return res end
  res.headers.upgrade, res.headers["sec-websocket-version"] = "websocket", "13"
  return res
end

--- The answer to a request that failed with this status. `reason` is for the client, `err` for the app's function.
function M.answer(on_error, req, status, reason, err)
  if not on_error then return add_upgrade(plain(req, status, reason)) end
  return add_upgrade(settle(req, status, reason, on_error(req, status, err)))
end

--- The same for a request that no route answers.
function M.refuse(on_error, req, status, code, reason)
  if not on_error then return plain(req, status, reason) end
  local _, err = pcall(fault.status, status, "app", code, "%s", reason)
  return M.answer(on_error, req, status, reason, err)
end

return M
