-- SPDX-License-Identifier: MIT
-- Internal.
-- A file that is there as a whole or not at all: its bytes go into a part beside its place, and the complete part is moved there.
--
--     local part <close> = whole_file.new(path)
--     part:create()
--     part.file:write(bytes)
--     part:finish()                -- without it, the part goes when its scope is left
local fs = require "green.fs"
local task = require "green.task"

local PATIENCE = 5 -- seconds that the file system has, whatever becomes of the task

local Part = {}
Part.__index = Part

local function discard(part)
  part.file:close()
  fs.remove(part.path)
end

-- Removes an incomplete part, under a shield of its own since the task may be cancelled. An error here is dropped: the caller is to hear of the
-- one that came before.
function Part:__close()
  if self.file and not self.complete then pcall(task.shield, PATIENCE, discard, self) end
end

--- Moves the part to its place.
function Part:finish()
  self.file:sync() -- or after a power failure the file might be there without all of its bytes
  self.file:close()
  fs.rename(self.path, self.place)
  self.complete = true
end

--- Makes the file of the part. A cancel in the midst of `open` would leave a file behind that nobody knows, hence the shield.
function Part:create()
  task.shield(PATIENCE, function() self.file = fs.open(self.path, "wx") end)
end

local M = {}

--- Makes a part without its file, so that the scope that removes the file is entered before the file exists.
function M.new(path)
  return setmetatable({ place = path, path = ("%s.%08x.part"):format(path, math.random(0, 0xffffffff)) }, Part)
end

return M
