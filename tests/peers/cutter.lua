-- SPDX-License-Identifier: MIT
-- A TCP proxy that cuts connections in two, for specs:
--
--     local cutter <close> = start(port)     passes all between its own port and 127.0.0.1:port
--     cutter.port
--     cutter:cut("up", n)                    each new connection ends once n bytes went to the server; "down": to the client
--     cutter:cut("up", n, true)              it does not end: nothing passes any more ("up": to the server, "down": to the client)
--     cutter:pass()                          new connections pass whole
--     cutter.cuts                            how many connections were cut, or held
--     cutter.first                           of the first connection since then: { up =, down = }, the bytes that have passed
local net = require "green.net"
local task = require "green.task"

local FOR_EVER = 3600 -- seconds

local Cutter = {}
Cutter.__index = Cutter

local function pass(self, from, to, direction, passed, limit)
  local left = limit.direction == direction and limit.bytes or math.huge
  while true do
    local bytes = left > 0 and from:read(65536, FOR_EVER)
    if not bytes and left > 0 then return to:shutdown() end
    if bytes and #bytes > left then bytes = bytes:sub(1, left) end
    if bytes then
      to:write(bytes, FOR_EVER)
      left, passed[direction] = left - #bytes, passed[direction] + #bytes
    end
    if left == 0 then
      self.cuts = self.cuts + 1
      if limit.holds then task.sleep(FOR_EVER) end
      return true
    end
  end
end

-- What is cut, or fails, ends both directions at once.
local function serve(self, client)
  local limit, passed = self.limit, { up = 0, down = 0 }
  self.first = self.first or passed
  local _ <close> = client
  local server <close> = net.connect { host = "127.0.0.1", port = self.target }
  task.group(function(group)
    for _, way in ipairs { { client, server, "up" }, { server, client, "down" } } do
      group:spawn(function()
        local ok, cut = pcall(pass, self, way[1], way[2], way[3], passed, limit)
        if ok and not cut then return end
        client:close()
        server:close()
      end)
    end
  end)
end

local function accept(self)
  task.group(function(group)
    while true do
      local client = self.listener:accept()
      group:spawn(function() pcall(serve, self, client) end)
    end
  end)
end

function Cutter:cut(direction, bytes, holds)
  self.limit = { direction = direction, bytes = bytes, holds = holds }
  self.first = nil
end

function Cutter:pass() self:cut(nil, nil) end

function Cutter:close()
  self.task:cancel()
  self.task:wait()
  self.listener:close()
end
Cutter.__close = Cutter.close

return function(port)
  local listener = net.listen "127.0.0.1:0"
  local self = setmetatable({ listener = listener, target = port, port = math.tointeger(listener:address():match ":(%d+)$"), cuts = 0, limit = {} }, Cutter)
  self.task = task.spawn(accept, self)
  return self
end
