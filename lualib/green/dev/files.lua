-- SPDX-License-Identifier: MIT
-- Internal.
-- For --dev, this file keeps the files that the app was made of: the code that reads a file notes it here. Without --dev nothing is kept.
--
--     code    belongs to the app (the script, its modules, templates), which is loaded anew when the file changes
--     script  is a request script, which alone is compiled anew
--     page    is sent as it is; only browsers need to know that it changed
local native = require "green.fs.native"

local M = { on = false }
local noted = {} -- path -> { kind =, stamp = }
local refused = {} -- path -> { line =, message = } of the compiler's error

-- Returns a text that differs for two versions of a file, whether an editor wrote the file in place or replaced it.
local function stamp_of(path)
  local ok, stat = pcall(native.stat, path)
  if not ok or not stat then return "absent" end
  return ("%d %d %.9f"):format(stat.inode, stat.size, stat.mtime)
end

function M.note(kind, path)
  if M.on and not noted[path] then noted[path] = { kind = kind, stamp = stamp_of(path) } end
end

--- Tells whether a file belongs to the app's code: only such files are shown with an error.
function M.is_code(path)
  local file = noted[path]
  return file ~= nil and file.kind ~= "page"
end

--- Notes that a file of the app cannot be compiled; the compiler's message begins with the place.
function M.refused(path, message)
  if not M.is_code(path) then return end
  local chunk = debug.getinfo(load("", "@" .. path), "S").short_src .. ":"
  local line = message:sub(1, #chunk) == chunk and message:match("^%d+", #chunk + 1)
  if line then refused[path] = { line = math.tointeger(line), message = message } end
end

--- Returns path and line of the file whose compilation failed with this message; nil for another error.
function M.refusal_in(message)
  for path, one in pairs(refused) do
    if message:sub(-#one.message) == one.message then return path, one.line end
  end
end

-- Returns { path = kind } of the files that changed since the last call, or nil. Pages are looked at only for browsers.
function M.changed(with_pages)
  local paths, found = {}, nil
  for path, file in pairs(noted) do
    if with_pages or file.kind ~= "page" then paths[path] = file end
  end
  for path, file in pairs(paths) do
    local stamp = stamp_of(path)
    if stamp ~= file.stamp then
      file.stamp, found = stamp, found or {}
      found[path] = file.kind
    end
  end
  return found
end

-- Forgets the app's code, since loading it notes its files again. Returns a function that restores what was noted.
function M.renew()
  local before = noted
  noted, refused = {}, {}
  for path, file in pairs(before) do
    if file.kind ~= "code" then noted[path] = file end
  end
  return function()
    for path, file in pairs(before) do noted[path] = noted[path] or file end
  end
end

return M
