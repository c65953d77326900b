-- SPDX-License-Identifier: MIT
-- Internal.
-- This file splits text into the characters that a person sees, and knows how many columns of a terminal each takes.
local M = {}

local NONE = { { 0x300, 0x36F }, { 0x483, 0x489 }, { 0x591, 0x5BD }, { 0x610, 0x61A }, { 0x64B, 0x65F }, { 0x1AB0, 0x1AFF },
  { 0x1DC0, 0x1DFF }, { 0x200B, 0x200F }, { 0x20D0, 0x20FF }, { 0xFE00, 0xFE0F }, { 0xFE20, 0xFE2F }, { 0xE0100, 0xE01EF } }
local WIDE = { { 0x1100, 0x115F }, { 0x231A, 0x231B }, { 0x23E9, 0x23EC }, { 0x2614, 0x2615 }, { 0x26A1, 0x26A1 }, { 0x2705, 0x2705 },
  { 0x2728, 0x2728 }, { 0x274C, 0x274C }, { 0x2E80, 0x303E }, { 0x3041, 0x33FF }, { 0x3400, 0x4DBF }, { 0x4E00, 0x9FFF },
  { 0xA000, 0xA4CF }, { 0xAC00, 0xD7A3 }, { 0xF900, 0xFAFF }, { 0xFE30, 0xFE6F }, { 0xFF00, 0xFF60 }, { 0xFFE0, 0xFFE6 },
  { 0x1F300, 0x1F64F }, { 0x1F680, 0x1F6FF }, { 0x1F900, 0x1F9FF }, { 0x20000, 0x3FFFD } }

local function is_in(code, ranges)
  for _, range in ipairs(ranges) do
    if code < range[1] then return false end
    if code <= range[2] then return true end
  end
  return false
end

function M.of_code(code)
  if code < 0x300 then return 1 end
  if is_in(code, NONE) then return 0 end
  return is_in(code, WIDE) and 2 or 1
end

--- Returns, for the character at a byte, where the next one begins, the text that shows it, and its columns. Control characters and bytes that
--- are no UTF-8 are shown as escapes.
function M.char(text, at)
  local byte = text:byte(at)
  if byte >= 0x20 and byte < 0x7F then return at + 1, text:sub(at, at), 1 end
  if byte < 0x20 or byte == 0x7F then return at + 1, "^" .. string.char(byte ~ 0x40), 2 end
  local length = byte >= 0xF0 and 4 or byte >= 0xE0 and 3 or byte >= 0xC0 and 2 or 1
  local char = text:sub(at, at + length - 1)
  if not utf8.len(char) then return at + 1, ("\\x%02X"):format(byte), 4 end
  local code = utf8.codepoint(char)
  if code < 0xA0 then return at + length, ("\\u{%X}"):format(code), 6 end
  return at + length, char, M.of_code(code)
end

--- Returns the position behind the character after a position, with the marks that belong to the character. A position is the number of bytes
--- before the cursor.
function M.next(text, position)
  if position >= #text then return #text end
  local at = M.char(text, position + 1)
  while at <= #text do
    local following, _, columns = M.char(text, at)
    if columns > 0 then break end
    at = following
  end
  return at - 1
end

function M.previous(text, position)
  local start = math.max(0, position - 64)
  while start > 0 and text:byte(start + 1) & 0xC0 == 0x80 do start = start - 1 end
  local last = start
  while start < position do
    last = start
    local after = M.next(text, start)
    if after >= position then return last end
    start = after
  end
  return last
end

function M.columns(text)
  local total, at = 0, 1
  while at <= #text do
    local following, _, columns = M.char(text, at)
    total, at = total + columns, following
  end
  return total
end

return M
