-- SPDX-License-Identifier: MIT
-- Internal.
-- This file sends a request whose body a function gives in pieces. The function may wait, and the server may answer before it has heard all, so
-- that a task of its own, the writer, calls the function while the caller waits for the answer and reads it: a server that sends back what
-- it gets would otherwise stop, and so would the writer, once both windows are full.
--
--     open --> writing --the body has ended, or the server wants no more--> written
--                |-----the function raises: the handle is closed----------> failed: the caller is told
--                '-----close, or the answer has been read to its end------> cancelled: the caller waits for the writer's clean-up
local body = require "green.http.body"
local err = require "green.error"
local failure = require "green.http.failure"
local native = require "green.http.transport.native"
local task = require "green.task"

local PATIENCE = 5 -- seconds for the writer's clean-up

local Duplex = {}
Duplex.__index = Duplex

-- Is it a part of a file? green.http.body gives those; functions of others give strings.
local function is_part(piece) return getmetatable(piece) == body.Part end

-- Gives the pieces to the handle. Returns what is wrong with them, for the caller.
local function write_pieces(handle, spec)
  local left = spec.length
  if spec.expect and not handle:write "" then return end -- no piece is asked for before the server wants one
  for piece in spec.body do
    local part = is_part(piece) and piece
    if not part and type(piece) ~= "string" then return ("the function gave a %s, not a string"):format(type(piece)) end
    if left then left = left - (part and part.n or #piece) end
    if left and left < 0 then return "more bytes than `length` said" end
    if not (part and handle:write_file(part.file, part.at, part.n) or not part and handle:write(piece)) then return end
  end
  if left and left > 0 then return ("%d bytes fewer than `length` said"):format(left) end
  local trailers = spec.trailers -- a list, or a function that gives one
  if type(trailers) == "function" then trailers = trailers() end
  handle:finish(trailers)
end

-- The writer. `state` is what it shares with the duplex, which it does not know: a duplex that nobody has any more is collected, and ends it.
local function write(state, spec)
  local _ <close> = spec.source
  local ok, e = pcall(write_pieces, state.handle, spec)
  if ok and not e then return end
  if ok then state.misuse = ("%s: body: %s"):format(spec.op or "http.request", e) else state.failure = { e } end
  state.handle:close()
end

-- Ends the writer, which may clean up. The caller may be cancelled or out of time itself, hence the shield.
local function stop(duplex)
  local writer = duplex.writer
  duplex.writer = nil
  if not writer or writer:status() == "running" then return end -- running: the function itself closes what it sends
  writer:cancel()
  pcall(task.shield, PATIENCE, writer.wait, writer)
end

-- Returns what a method of the handle returns; raises the writer's error if that is why the method fails.
local function call(duplex, method)
  local state = duplex.state
  local handle = state.handle
  local ok, a, b = pcall(handle[method], handle)
  if ok then return a, b end
  if state.misuse then err.misuse("%s", state.misuse) end
  if state.failure then error(failure.mark(state.failure[1], "send", handle:close()), 0) end
  error(a, 0)
end

function Duplex:read()
  local bytes = call(self, "read")
  if not bytes then stop(self) end
  return bytes
end

function Duplex:trailers() return self.state.handle:trailers() end

function Duplex:close()
  self.state.handle:close()
  stop(self)
end

Duplex.__close = Duplex.close

function Duplex:__gc()
  self.state.handle:close()
  if self.writer then self.writer:cancel() end
end

-- Closes the duplex when an error was raised, or the coroutine closed, before the caller was given it.
local Guard = { __close = function(guard) if guard.duplex then guard.duplex:close() end end }

--- Sends a request and waits. Returns the answer, the repeated headers or nil, and the reader or nil. `spec.source` (nil: none) is closed once the
--- body is not asked for any more.
return function(spec)
  local duplex = setmetatable({ state = { handle = native.open(spec) } }, Duplex)
  local guard <close> = setmetatable({ duplex = duplex }, Guard)
  duplex.writer = task.spawn(write, duplex.state, spec)
  local answer, repeated = call(duplex, "answer")
  if answer.body then return answer, repeated end
  guard.duplex = nil
  return answer, repeated, duplex
end
