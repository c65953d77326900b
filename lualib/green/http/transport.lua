-- SPDX-License-Identifier: MIT
-- Internal.
-- This file sends one request over the native transport and reads its answer. Redirects, cookies, codings and retries are
-- green.http.request's.
local err = require "green.error"
local native = require "green.http.transport.native"

local M = { close_idle = native.close_idle, stats = native.stats }

-- Writes a body that a function gives in pieces, on the calling task since the function may wait. Stops at the body's end, or when the
-- server has heard enough.
local function write_pieces(handle, spec)
  local left = spec.length
  for piece in spec.body do
    if type(piece) ~= "string" then err.misuse("%s: body: the function gave a %s, not a string", spec.op or "http.request", type(piece)) end
    if left then left = left - #piece end
    if left and left < 0 then err.misuse("%s: body: more bytes than `length` said", spec.op or "http.request") end
    if not handle:write(piece) then return end
  end
  if left and left > 0 then err.misuse("%s: body: %d bytes fewer than `length` said", spec.op or "http.request", left) end
  local trailers = spec.trailers -- a list, or a function that gives one
  if type(trailers) == "function" then trailers = trailers() end
  handle:finish(trailers)
end

-- Closes the handle when an error was raised, or the coroutine closed, before the caller was given it.
local Guard = { __close = function(guard) if guard.handle then guard.handle:close() end end }

--- Sends a request and waits. Returns the answer, the repeated headers or nil, and the reader or nil.
function M.send(spec)
  if type(spec.body) ~= "function" then return native.send(spec) end
  local handle = native.open(spec)
  local guard <close> = setmetatable({ handle = handle }, Guard)
  write_pieces(handle, spec)
  local answer, repeated = handle:answer()
  if answer.body then return answer, repeated end
  guard.handle = nil
  return answer, repeated, handle
end

return M
