-- SPDX-License-Identifier: MIT
-- Internal.
-- This file writes an answer's body into a file that is there as a whole or not at all (green.whole_file). What becomes of a part that stays
-- incomplete is green.http.resume's, if it is to be resumed.
local err = require "green.error"
local failure = require "green.http.failure"
local options = require "green.options"
local request = require "green.http.request"
local whole_file = require "green.whole_file"

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
  local part <close> = whole_file.new(path)
  part:create()
  response.size = M.write_body(op, response, part.file, 0, tonumber(response.headers["content-length"]), opts)
  part:finish()
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
