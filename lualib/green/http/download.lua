-- SPDX-License-Identifier: MIT
-- Internal.
-- This file writes an answer's body into a file that is there as a whole or not at all: the bytes go into a part beside its
-- place, and the complete part is moved there. What becomes of a part that stays incomplete is green.http.resume's, if it is to be resumed.
local err = require "green.error"
local failure = require "green.http.failure"
local fs = require "green.fs"
local options = require "green.options"
local request = require "green.http.request"
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

local M = {}

--- Raises EHTTP for a status that is no success.
function M.check_status(op, response)
  if response.status >= 200 and response.status <= 299 then return end
  local refusal = err.new(op, "EHTTP", "%s: status %d", response.url, response.status)
  refusal.response = response
  error(refusal)
end

--- Writes the body of a response to `file`, where `received` bytes of `total` (nil: unknown) are already; returns how many there are then.
function M.write_body(op, response, file, received, total, opts)
  local function check_size(size)
    if opts.max_body and size > opts.max_body then failure.raise(op, "body", "EMSGSIZE", "GET %s: the body is larger than max_body", response.url) end
  end
  check_size(total or 0)
  for piece in response:chunks() do
    check_size(received + #piece)
    file:write(piece)
    received = received + #piece
    if opts.progress then opts.progress(received, total) end
  end
  return received
end

local function from_the_start(op, settings, target, path, opts, sent)
  local response <close> = request.run(settings, "GET", target, sent)
  M.check_status(op, response)
  if response.status == 206 then failure.raise(op, "body", "EPROTO", "GET %s: a part of the body came, and nobody asked for a part", response.url) end
  local part <close> = new_part(path)
  create(part)
  response.size = M.write_body(op, response, part.file, 0, tonumber(response.headers["content-length"]), opts)
  part.file:sync() -- or after a power failure the file might be there without all of its bytes
  part.file:close()
  fs.rename(part.path, path)
  part.kept = true
  return response
end

local KNOWN = { progress = "function", resume = "boolean" }
for name, kind in pairs(request.OPTIONS) do KNOWN[name] = name ~= "stream" and kind or nil end

local OURS = { range = true, ["if-range"] = true }

local function check_headers(op, headers)
  for name in pairs(headers or {}) do
    if OURS[tostring(name):lower()] then err.misuse("%s: header '%s' is set by the client itself, with { resume = true }", op, name) end
  end
end

--- Downloads with a client's settings, and returns the response.
function M.run(op, settings, target, path, opts)
  options.argument(op, "path", path, "string")
  opts = options.check(op, opts, KNOWN)
  check_headers(op, opts.headers)
  local sent = {}
  for name, value in pairs(opts) do sent[name] = value end
  sent.stream, sent.progress, sent.resume = true, nil, nil
  if opts.resume then return require "green.http.resume"(op, settings, target, path, opts, sent) end
  return from_the_start(op, settings, target, path, opts, sent)
end

return M
