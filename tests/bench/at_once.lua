-- SPDX-License-Identifier: MIT
-- Asks a URL so many times, `at_once` requests at a time, and prints the microseconds of CPU time that each took. See tests/bench/at_once.
local http = require "green.http"
local task = require "green.task"

local url, at_once, total = arg[1], math.tointeger(arg[2]), math.tointeger(arg[3])

local left
local function ask()
  while left > 0 do
    left = left - 1
    assert(http.get(url, { timeout = 120, timeouts = { queue = 120 } }).body == "Hello, World!")
  end
end

local function run(n)
  left = n
  task.group(function(g)
    for _ = 1, at_once do g:spawn(ask) end
  end)
end

run(at_once + 1000) -- connections are made
local before = os.clock()
run(total)
print(("%.2f"):format((os.clock() - before) / total * 1e6))
