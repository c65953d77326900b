-- SPDX-License-Identifier: MIT
-- Internal.
-- This file writes an answer's body into a file that is there as a whole or not at all: the bytes go into a part beside its
-- place, and the complete part is moved there.
local err = require "green.error"
local fs = require "green.fs"
local task = require "green.task"

local PATIENCE = 5 -- seconds that the file system has, whatever becomes of the task

local Part = {} -- an unfinished file, which is removed when its scope is left

local function discard(part)
  part.file:close()
  fs.remove(part.path)
end

-- Removes the part, under a shield of its own since the task may be cancelled. An error here is dropped: the caller is to hear of the
-- one that ended the download.
function Part:__close()
  if self.file and not self.kept then pcall(task.shield, PATIENCE, discard, self) end
end

-- Makes a part without its file, so that the scope that removes the file is entered before the file exists.
local function new_part(path) return setmetatable({ path = ("%s.%08x.part"):format(path, math.random(0, 0xffffffff)) }, Part) end

-- Makes the file of a part. A cancel in the midst of `open` would leave a file behind that nobody knows, hence the shield.
local function create(part)
  task.shield(PATIENCE, function() part.file = fs.open(part.path, "wx") end)
end

local function check_status(op, response)
  if response.status >= 200 and response.status <= 299 then return end
  local failure = err.new(op, "EHTTP", "%s: status %d", response.url, response.status)
  failure.response = response
  error(failure)
end

--- Writes the body of a streamed response to `path` and returns its number of bytes. `opts` holds progress(received, total or nil) and
--- max_body.
return function(op, response, path, opts)
  check_status(op, response)
  local received, total = 0, tonumber(response.headers["content-length"])
  local part <close> = new_part(path)
  create(part)
  for piece in response:chunks() do
    received = received + #piece
    if opts.max_body and received > opts.max_body then err.raise(op, "EMSGSIZE", "GET %s: the body is larger than max_body", response.url) end
    part.file:write(piece)
    if opts.progress then opts.progress(received, total) end
  end
  part.file:close()
  fs.rename(part.path, path)
  part.kept = true
  return received
end
