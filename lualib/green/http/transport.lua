-- SPDX-License-Identifier: MIT
-- Internal.
-- This file sends one request over the native transport and reads its answer. Redirects, cookies, codings and retries are
-- green.http.request's.
local native = require "green.http.transport.native"

--- `plan(spec)` reads and checks a request without a body, of which `again(plan)` sends one more each time; it returns what send does.
local M = { close_idle = native.close_idle, stats = native.stats, plan = native.plan, again = native.again }

--- Sends a request and waits. Returns the answer, the repeated headers or nil, and the reader or nil.
function M.send(spec)
  if type(spec.body) == "function" then return require "green.http.duplex"(spec) end
  return native.send(spec)
end

return M
