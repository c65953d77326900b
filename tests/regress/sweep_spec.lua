-- SPDX-License-Identifier: MIT
-- 10,000 connections whose time was up in the same second were closed in one go, and everybody else stood still for 210 to 270 ms.
-- The sweep makes way after a millisecond: how long it holds the loop does not grow with how many there are.
local raw = require "http.raw"
local process = require "green.process"
local interpreter = require "interpreter"

-- Serves; answers a request with the most CPU time that passed between two turns since the last one.
local SERVER = [[
  require("green.debug").report_stalls(false)
  local native = require "green.http.native"
  local task = require "green.task"
  local worst, last = 0, os.clock()
  task.spawn(function()
    while true do
      task.sleep(0)
      local now = os.clock()
      worst, last = math.max(worst, now - last), now
    end
  end)
  local server
  server = native.listen("127.0.0.1:0", function(req)
    if req.path == "/connections" then return ("%d"):format(server:connections()) end
    local seen = worst
    worst, last = 0, os.clock()
    return ("%.6f"):format(seen)
  end, { header_timeout = 2, keepalive_timeout = 60 })
  print(server:address())
  io.stdout:flush()
]]

describe("many connections whose time is up at once", function()
  it("hold up nobody for longer than few do", function()
    local child <close> = process.spawn({ "sh", "-c", 'ulimit -n $(ulimit -H -n); exec "$0" -e "$1"', interpreter, SERVER }, { stdout = "pipe" })
    local address = child.stdout:read "l"
    local probe <close> = raw.connect(address)
    local function ask(path)
      probe:send(raw.get(path))
      return tonumber(probe:answer().body)
    end
    local function worst(count)
      local clients = {}
      for i = 1, count do clients[i] = raw.connect(address) end
      ask "/connections" -- it has accepted them by now; on a slow machine, the time of the first ones is up already
      ask "/worst"
      repeat require "green.task".sleep(0.01) until ask "/connections" == 1
      local seen = ask "/worst"
      for _, client in ipairs(clients) do client:close() end
      return seen
    end
    local few, many = math.huge, math.huge
    for _ = 1, 5 do -- a busy machine may get in the way of some
      few = math.min(few, worst(100))
      many = math.min(many, worst(800))
      if many < 3 * few + 0.003 then break end
    end
    assert.is_true(many < 3 * few + 0.003, ("%.6f s with 100, %.6f s with 800"):format(few, many))
  end)
end)
