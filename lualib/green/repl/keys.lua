-- SPDX-License-Identifier: MIT
-- Internal.
-- This file reads keys from the bytes that a terminal sends: "a", "left", "ctrl-c", "alt-b", "paste" with its text. An incomplete sequence
-- waits for more bytes.
local M = {}

local CSI = {
  A = "up", B = "down", C = "right", D = "left", H = "home", F = "end", Z = "shift-tab",
  ["1~"] = "home", ["3~"] = "delete", ["4~"] = "end", ["7~"] = "home", ["8~"] = "end", ["5~"] = "page-up", ["6~"] = "page-down",
  ["1;5C"] = "alt-f", ["1;5D"] = "alt-b", ["1;3C"] = "alt-f", ["1;3D"] = "alt-b", ["1;5H"] = "ctrl-home", ["1;5F"] = "ctrl-end",
  ["3;5~"] = "alt-d", ["200~"] = "paste",
}
local CONTROL = { [9] = "tab", [10] = "enter", [13] = "enter", [8] = "backspace", [127] = "backspace", [27] = "escape", [31] = "ctrl-_" }
local PASTED = "\27[201~"

local function control(byte)
  return CONTROL[byte] or (byte < 27 and "ctrl-" .. string.char(byte + 96)) or "unknown"
end

local function paste(bytes, from)
  local first, last = bytes:find(PASTED, from, true)
  if not first then return nil end
  return "paste", last + 1, bytes:sub(from, first - 1)
end

local function escape(bytes, at)
  local following = bytes:sub(at + 1, at + 1)
  if following == "" then return nil end
  if following == "[" then
    local first, last, parameters, final = bytes:find("^%[([%d;?]*)([%a~])", at + 1)
    if not first then
      if bytes:find("^%[[%d;?]*$", at + 1) then return nil end
      return "unknown", at + 2
    end
    local name = CSI[parameters .. final] or (final ~= "~" and CSI[final]) or "unknown"
    if name == "paste" then return paste(bytes, last + 1) end
    return name, last + 1
  elseif following == "O" then
    local final = bytes:sub(at + 2, at + 2)
    if final == "" then return nil end
    return CSI[final] or "unknown", at + 3
  end
  local byte = following:byte()
  if byte == 27 then return "escape", at + 1 end
  local name = byte < 32 or byte == 127
  return "alt-" .. (name and control(byte) or following), at + 2
end

--- Returns the key at a byte: its name, where the next key begins, and its text, if it has one. Returns nil for an incomplete key, unless
--- `all` says that no more bytes come: then the bytes are taken as they are.
function M.at(bytes, at, all)
  local byte = bytes:byte(at)
  if byte == 27 then
    local name, following, text = escape(bytes, at)
    if name or not all then return name, following, text end
    return "escape", at + 1
  end
  if byte < 32 or byte == 127 then return control(byte), at + 1 end
  local length = byte >= 0xF0 and 4 or byte >= 0xE0 and 3 or byte >= 0xC0 and 2 or 1
  local char = bytes:sub(at, at + length - 1)
  if length > 1 and not utf8.len(char) then
    local fits = char:find("^.[\x80-\xBF]*$") ~= nil
    if fits and #char < length and not all then return nil end
    return "byte", at + 1, char:sub(1, 1)
  end
  return #char == 1 and byte >= 128 and "byte" or "char", at + length, char
end

return M
