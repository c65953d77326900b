-- SPDX-License-Identifier: MIT
-- Internal.
-- This file gives errors the fields by which a caller decides what to do after one: the `phase` that the request was in, and whether it may have
-- been `sent`. The transport's errors have both; these are of what goes on before and behind it: "request" (nothing was sent yet),
-- "send", "redirect" and "body".
local err = require "green.error"

local OTHERS = { ECANCELED = true, EDEADLINE = true, ENOMEM = true } -- these are the task's, and one object may be raised in several places

local M = {}

--- Returns the value. If it is an error object without a phase, it has this one now.
function M.mark(e, phase, sent)
  if err.is(e) and e.phase == nil and not OTHERS[e.code] then e.phase, e.sent = phase, sent end
  return e
end

--- Raises an error object. `phase`: "request", or one in which the request has been sent.
function M.raise(op, phase, code, format, ...) error(M.mark(err.new(op, code, format, ...), phase, phase ~= "request")) end

return M
