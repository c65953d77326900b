-- SPDX-License-Identifier: MIT
-- Internal.
-- Bodies of requests that come in a content coding. The task that reads one undoes it, slice by slice, and no further than it may become
-- large: a decompression bomb costs what its limit says.
local codings = require "green.http.coding"
local fault = require "green.error"

local M = {}

-- What codings.* raise, as answers to the client.
local function fail(code, format, ...)
  if code == "EMSGSIZE" then fault.status(413, "req.body", code, "the request body is too large, decoded") end
  fault.status(400, "req.body", code, "the request body is malformed: " .. format, ...)
end

-- Returns the decoders of a request's Content-Encoding, or nil for none.
local function decoders_of(encoding)
  local decoders, others = codings.decoders(encoding, fail)
  if not others then return decoders end
  for _, decoder in ipairs(decoders or {}) do decoder.native:close() end
  fault.status(415, "req.body", "EINVAL", "the request body has a coding that is not served: %s", others:sub(1, 100))
end

local function bounded(next, max)
  local size = 0
  return function()
    local piece = next()
    size = size + #(piece or "")
    if size > max then fault.status(413, "req.body", "EMSGSIZE", "the request body is larger than %d bytes", max) end
    return piece
  end
end

--- The values of a generic for: the decoded pieces of what raw() gives.
function M.chunks(encoding, raw)
  local decoders = decoders_of(encoding)
  if not decoders then return raw end
  return codings.undone(decoders, raw, math.huge, fail), nil, nil, codings.scope(decoders)
end

--- Returns the decoded body of what raw() gives. More than `max` bytes, coded or decoded, are refused.
function M.body(encoding, raw, max)
  local pieces = {}
  for piece in M.chunks(encoding, bounded(raw, max)) do
    max = max - #piece
    if max < 0 then fail "EMSGSIZE" end
    pieces[#pieces + 1] = piece
  end
  return table.concat(pieces)
end

return M
