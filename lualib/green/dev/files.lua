-- SPDX-License-Identifier: MIT
-- Internal.
-- The files that what is served was made of, for --dev: whoever reads one notes it here. Without --dev nothing is kept.
--
--     code    of the app: it is loaded anew when one changes (the script, its modules, templates)
--     script  a request script: compiled anew by itself
--     page    sent as it is: only browsers need to know
local native = require "green.fs.native"

local M = { on = false }
local noted = {} -- path -> { kind =, stamp = }
local refused = {} -- path -> { line =, message = }: what the compiler found wrong with it

-- What tells two versions of a file apart; editors write it in place or put another one there.
local function stamp_of(path)
  local ok, stat = pcall(native.stat, path)
  if not ok or not stat then return "absent" end
  return ("%d %d %.9f"):format(stat.inode, stat.size, stat.mtime)
end

function M.note(kind, path)
  if M.on and not noted[path] then noted[path] = { kind = kind, stamp = stamp_of(path) } end
end

--- Is this a file of the app's code? Only these may be shown to whoever looks at an error.
function M.is_code(path)
  local file = noted[path]
  return file ~= nil and file.kind ~= "page"
end

--- A file of the app cannot be compiled; the compiler's message begins with the place.
function M.refused(path, message)
  if not M.is_code(path) then return end
  local chunk = debug.getinfo(load("", "@" .. path), "S").short_src .. ":"
  local line = message:sub(1, #chunk) == chunk and message:match("^%d+", #chunk + 1)
  if line then refused[path] = { line = math.tointeger(line), message = message } end
end

--- The path and the line of the file that an error is about which cannot be compiled; or nil.
function M.refusal_in(message)
  for path, one in pairs(refused) do
    if message:sub(-#one.message) == one.message then return path, one.line end
  end
end

-- { path = kind } of those that are not what they were, or nil. The next call compares with what they are now.
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

-- What the app is made of is about to be noted again. Returns what undoes that.
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
