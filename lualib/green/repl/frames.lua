-- SPDX-License-Identifier: MIT
-- Internal.
-- An attached prompt and its process exchange frames: a length of four bytes, a letter, and the payload.
--
--     to the process    L line     columns, colour?, text: run it       from it    O output
--                       T tab      the text before the cursor                       C completions: where, names
--                       I interrupt what the line has started                       D the line is done ("failed": it was)
--                                                                                   Q and was the last; H hello
local net = require "green.net"
local task = require "green.task"

local M = {}

local LONGEST = 64 << 20 -- bytes of a frame
local FOREVER = math.huge

local Wire = {}
Wire.__index = Wire

--- Makes a wire, which sends and receives frames, of a socket.
function M.new(socket) return setmetatable({ socket = socket, bytes = "", writing = task.semaphore(1) }, Wire) end

--- Connects to the console at a path and returns the wire. Raises what net.connect raises.
function M.connect(path) return M.new(net.connect("unix:" .. path)) end

--- Sends a frame; any task may call this. Returns false when the other side is gone.
function Wire:send(kind, payload)
  if self.gone then return false end
  self.writing:acquire(FOREVER)
  local _ <close> = self.writing
  local ok = pcall(self.socket.write, self.socket, string.pack(">s4", kind .. (payload or "")))
  if not ok then self:close() end
  return ok
end

local function fill(wire, wanted)
  local parts, have = { wire.bytes }, #wire.bytes
  while have < wanted do
    local more = wire.socket:read(65536, FOREVER)
    if not more then return false end
    parts[#parts + 1] = more
    have = have + #more
  end
  wire.bytes = table.concat(parts)
  return true
end

--- Waits for the next frame and returns its letter and payload, nil when the other side is gone.
function Wire:receive()
  if not fill(self, 4) then return nil end
  local length = string.unpack(">I4", self.bytes)
  if length < 1 or length > LONGEST or not fill(self, 4 + length) then return nil end
  local frame = self.bytes:sub(5, 4 + length)
  self.bytes = self.bytes:sub(5 + length)
  return frame:sub(1, 1), frame:sub(2)
end

function Wire:close()
  self.gone = true
  self.socket:close()
end

return M
