-- SPDX-License-Identifier: MIT
-- Internal.
-- Which content coding an answer should have (RFC 9110, 12.5.3).
local fields = require "green.http.fields.native"

local M = {}

local function quality(accepted, coding)
  return fields.quality(accepted, coding) or coding == "gzip" and fields.quality(accepted, "x-gzip") or 0
end

--- Returns the one of `codings`, of which the first is liked best here, that the request likes best; nil: none, or it prefers what is not coded.
function M.coding(req, codings)
  local accepted = req:header "accept-encoding"
  if not accepted then return nil end
  local best, weight
  for _, coding in ipairs(codings) do
    local own = quality(accepted, coding)
    if own > 0 and (not best or own > weight) then best, weight = coding, own end
  end
  return best and weight >= (fields.quality(accepted, "identity") or 0) and best or nil
end

--- Says in a response that it depends on what codings the request accepts.
function M.vary(res)
  local vary = res.headers.vary
  if type(vary) == "table" then vary = table.concat(vary, ", ") end
  if not vary or vary == "" then return res:header("vary", "accept-encoding") end
  for name in vary:gmatch "[^,%s]+" do
    if name == "*" or name:lower() == "accept-encoding" then return res end
  end
  return res:header("vary", vary .. ", accept-encoding")
end

return M
