-- SPDX-License-Identifier: MIT
-- Internal.
-- An answer's body into a file, which is there as a whole or not at all: it is written beside its place and then moved there.
local err = require "green.error"
local fs = require "green.fs"
local task = require "green.task"

local PATIENCE = 5 -- seconds that the file system has, whatever becomes of the task

local Part = {} -- the unfinished file, which goes when its scope is left

local function discard(part)
  part.file:close()
  fs.remove(part.path)
end

-- In its own time, and without a word: what went wrong before is what the caller hears of.
function Part:__close()
  if self.file and not self.kept then pcall(task.shield, PATIENCE, discard, self) end
end

-- No file yet: from the moment there is one, its scope has to be there.
local function new_part(path) return setmetatable({ path = ("%s.%08x.part"):format(path, math.random(0, 0xffffffff)) }, Part) end

-- A task that is cancelled while the file is made would leave it behind, and not know.
local function create(part)
  task.shield(PATIENCE, function() part.file = fs.open(part.path, "wx") end)
end

local function check_status(op, response)
  if response.status >= 200 and response.status <= 299 then return end
  local failure = err.new(op, "EHTTP", "%s: status %d", response.url, response.status)
  failure.response = response
  error(failure)
end

--- Writes the streamed response to `path`; opts: progress(received, total or nil), max_body. Returns how many bytes there were.
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
