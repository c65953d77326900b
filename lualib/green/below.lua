-- SPDX-License-Identifier: MIT
-- Internal.
-- Opening what a client asked for: below a folder, links included. The descriptor that was checked is the one that is read.
local fault = require "green.error"
local fs = require "green.fs.native"

local CHUNK = 64 * 1024
local ABSENT = { ENOENT = true, ENOTDIR = true, EACCES = true, ELOOP = true, ENAMETOOLONG = true, ENXIO = true }

local M = {}

--- A handle and what is known about it; nil when there is no such file for this client. What is wrong with the host raises.
--- Without a root it may be anywhere.
function M.open(path, root)
  local ok, file, stat = pcall(fs.open_below, path, root)
  if ok then return file, stat end
  if fault.is(file) and ABSENT[file.code] then return nil end
  error(file, 0)
end

--- All of a regular file, and what is known about it; or nil.
function M.read(path, root)
  local file, stat = M.open(path, root)
  if not file then return nil end
  local handle <close> = file
  if stat.type ~= "file" then return nil end
  local pieces, at = {}, 0
  for bytes in function() return handle:read_at(at, CHUNK) end do
    pieces[#pieces + 1] = bytes
    at = at + #bytes
  end
  return table.concat(pieces), stat
end

return M
