-- SPDX-License-Identifier: MIT
-- What the io library costs beside lua5.4, in one run: microseconds of CPU per call, the best of some rounds in turns.
--     build/greenlua tests/bench/io.lua
local process = require "green.process"

local ROUNDS = 5
local ROWS = {
  { "write, unbuffered", 20000, [[local f = io.open(name, "w") f:setvbuf "no" return function() f:write "hello\n" end]] },
  { "write, flush", 20000, [[local f = io.open(name, "w") return function() f:write "hello\n" f:flush() end]] },
  { "write, buffered", 200000, [[local f = io.open(name, "w") return function() f:write "hello\n" end]] },
  { "open, read, close", 5000, [[local f = io.open(name, "w") f:write(("x"):rep(1000)) f:close()
    return function() f = io.open(name) f:read "a" f:close() end]] },
}

local SCRIPT = [[local name = os.tmpname() local step = (function() %s end)() local before = os.clock()
  for _ = 1, %d do step() end print(os.clock() - before) os.remove(name)]]

local function measure(lua, row)
  local got = process.capture({ lua, "-e", SCRIPT:format(row[3], row[2]) }, { timeout = 120 })
  return tonumber(got.stdout) / row[2] * 1e6
end

print "us of CPU              lua5.4  greenlua  ratio"
for _, row in ipairs(ROWS) do
  local stock, ours = math.huge, math.huge
  for _ = 1, ROUNDS do
    stock, ours = math.min(stock, measure("lua5.4", row)), math.min(ours, measure(arg[-1], row))
  end
  print(("%-20s %8.2f  %8.2f  %5.1f"):format(row[1], stock, ours, ours / stock))
end
