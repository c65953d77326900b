-- SPDX-License-Identifier: MIT
-- Internal.
-- This file encodes credentials as Base64 (RFC 4648).
local LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function letter(number) return LETTERS:sub(number + 1, number + 1) end

local M = {}

function M.encode(bytes)
  local out = {}
  for at = 1, #bytes, 3 do
    local a, b, c = bytes:byte(at, at + 2)
    local group = a << 16 | (b or 0) << 8 | (c or 0)
    out[#out + 1] = letter(group >> 18) .. letter(group >> 12 & 63) .. (b and letter(group >> 6 & 63) or "=") .. (c and letter(group & 63) or "=")
  end
  return table.concat(out)
end

return M
