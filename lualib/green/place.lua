-- SPDX-License-Identifier: MIT
-- Internal.
-- Where in the user's files the library was called.

-- Of the library, which is in the binary or, while developing, in a folder.
local LIBRARY = debug.getinfo(1, "S").source:match "^(.-)green/place%.lua$" or "@green:"

local M = {}

--- Returns the level, for the function that calls this, of the first frame beyond `level` that is the user's. Skipped are the frames whose
--- source is `inside`, those of the library, and those that have no lines.
function M.level(level, inside)
  while true do
    level = level + 1
    local frame = debug.getinfo(level, "S")
    if not frame then return level end
    if frame.what ~= "C" and frame.source ~= inside and frame.source:sub(1, #LIBRARY) ~= LIBRARY then return level - 1 end
  end
end

--- Returns "file:line" of the user's call into the library; nil in a coroutine that has no code of the user's.
function M.text()
  local frame = debug.getinfo(M.level(1), "Sl")
  return frame and ("%s:%d"):format(frame.short_src, frame.currentline)
end

return M
