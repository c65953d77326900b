-- SPDX-License-Identifier: MIT
-- Internal.
-- This file makes the output of another process harmless for a terminal: text, lines and colours pass; every other control character is
-- shown as Lua's escape for it, and so does nothing. The first half of a character or colour waits for the rest.
local M = {}

local LONGEST = 64 -- bytes; a longer sequence is no colour

local COLOUR = "^%[[%d;:]*m"

-- Returns how many bytes at the end may be the first half of a colour, a line's end or a character.
local function unfinished(text)
  local tail = text:sub(-LONGEST)
  local rest = tail:match "\27%[?[%d;:]*$" or tail:match "\r$"
  if rest then return #rest end
  for back = 1, math.min(3, #text) do
    local byte = text:byte(-back)
    if byte >= 0xC0 then return back < (byte >= 0xF0 and 4 or byte >= 0xE0 and 3 or 2) and back or 0 end
    if byte < 0x80 then return 0 end
  end
  return 0
end

-- Escapes bytes that are no UTF-8, some of which are control characters to a terminal with another encoding.
local function only_utf8(text)
  local parts, from = {}, 1
  while true do
    local ok, bad = utf8.len(text, from)
    if ok then break end
    parts[#parts + 1] = text:sub(from, bad - 1)
    parts[#parts + 1] = ("\\x%02X"):format(text:byte(bad))
    from = bad + 1
  end
  parts[#parts + 1] = text:sub(from)
  return table.concat(parts)
end

local function clean(text)
  text = only_utf8(text):gsub("\xC2([\x80-\x9F])", function(c) return ("\\u{%X}"):format(c:byte()) end)
  return (text:gsub("()([%z\1-\8\11-\31\127])", function(at, c)
    if c == "\27" then
      local from, to = text:find(COLOUR, at + 1)
      if from and to - at < LONGEST then return nil end
    elseif c == "\r" and text:byte(at + 1) == 10 then
      return nil
    end
    return ("\\x%02X"):format(c:byte())
  end))
end

--- Returns a function that takes a piece of a text and returns the part that may be written now; called without a piece, it returns the rest.
function M.new()
  local pending = ""
  return function(piece)
    local text = pending .. (piece or "")
    local kept = piece and unfinished(text) or 0
    pending = text:sub(#text - kept + 1)
    return clean(text:sub(1, #text - kept))
  end
end

return M
