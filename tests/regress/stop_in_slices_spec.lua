-- SPDX-License-Identifier: MIT
-- A server that was told to stop closed all its idle connections in one go: whoever was still being answered stood still for as long
-- as that took. It makes way after a millisecond: how long that holds the loop does not grow with how many there are.
local raw = require "http.raw"
local process = require "green.process"
local interpreter = require "interpreter"

-- Serves until it reads a line; stops, and says the most CPU time that passed between two turns meanwhile.
local SERVER = [[
  require("green.debug").report_stalls(false)
  local native = require "green.http.native"
  local task = require "green.task"
  local server
  server = native.listen("127.0.0.1:0", function() return ("%d"):format(server:connections()) end, {})
  print(server:address())
  io.stdout:flush()
  io.read "l"
  local worst, last = 0, os.clock()
  local watch = task.spawn(function()
    while true do
      task.sleep(0)
      local now = os.clock()
      worst, last = math.max(worst, now - last), now
    end
  end)
  task.sleep(0)
  task.sleep(0)
  server:finish(20, false)
  task.sleep(0)
  watch:cancel()
  print(("%.6f"):format(worst))
]]

local function worst(count)
  local child <close> = process.spawn({ "sh", "-c", 'ulimit -n $(ulimit -H -n); exec "$0" -e "$1"', interpreter, SERVER }, { stdin = "pipe", stdout = "pipe" })
  local address = child.stdout:read "l"
  local probe <close> = raw.connect(address)
  local clients = {}
  for i = 1, count do clients[i] = raw.connect(address) end
  raw.eventually(function()
    probe:send(raw.GET)
    return tonumber(probe:answer().body) == count + 1
  end, "all are connected")
  child.stdin:write "stop\n"
  local seen = tonumber(child.stdout:read "l")
  for _, client in ipairs(clients) do
    assert.equal("", client:rest())
    client:close()
  end
  return seen
end

describe("a server that stops", function()
  it("closes many idle connections without holding the others up", function()
    local few, many = math.huge, math.huge
    for _ = 1, 3 do
      few = math.min(few, worst(100))
      many = math.min(many, worst(3200))
    end
    -- All in one go takes 32 times as long.
    assert.is_true(many < 4 * few + 0.003, ("%.6f s with 100, %.6f s with 3200"):format(few, many))
  end)
end)
