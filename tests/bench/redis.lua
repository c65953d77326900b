-- SPDX-License-Identifier: MIT
-- What a command of Redis costs its client, beside redis-benchmark, in one run: microseconds of CPU each, the best of some rounds in turns.
--     build/greenlua tests/bench/redis.lua
local here = arg[0]:match "^(.*)/[^/]*$"
package.path = here .. "/../?.lua;" .. package.path

local process = require "green.process"
local start = require "peers.databases"

local ROUNDS, COMMANDS = 5, 200000

-- Many tasks share one connection: what they send in one turn leaves together.
local TASKS = [[local redis = require "green.redis".connect(arg[1])
  local tasks, commands, list = tonumber(arg[2]), tonumber(arg[3]), {}
  for i = 1, tasks do list[i] = i end
  redis:set("key", "xxx")
  require "green.task".map(list, function() for _ = 1, commands // tasks do redis:%s end end)]]

local PIPELINES = [[local redis = require "green.redis".connect(arg[1])
  local tasks, commands, list = tonumber(arg[2]), tonumber(arg[3]), {}
  for i = 1, tasks do list[i] = i end
  redis:set("key", "xxx")
  require "green.task".map(list, function()
    for _ = 1, commands // tasks // 16 do redis:pipeline(function(p) for _ = 1, 16 do p:%s end end) end
  end)]]

local GET, SET = 'get "key"', 'set("key", "xxx")'

-- name, arguments of redis-benchmark, our script, number of tasks
local ROWS = {
  { "GET, 50 at once", { "-t", "get", "-c", "50", "-P", "1" }, TASKS:format(GET), 50 },
  { "SET, 50 at once", { "-t", "set", "-c", "50", "-P", "1" }, TASKS:format(SET), 50 },
  { "GET, 16 x 50 at once", { "-t", "get", "-c", "50", "-P", "16" }, TASKS:format(GET), 800 },
  { "SET, 16 x 50 at once", { "-t", "set", "-c", "50", "-P", "16" }, TASKS:format(SET), 800 },
  { "GET, pipelines of 16", { "-t", "get", "-c", "50", "-P", "16" }, PIPELINES:format(GET), 50 },
}

-- Seconds of CPU that a command takes.
local function cpu_of(command)
  local got = process.capture({ "bash", "-c", 'TIMEFORMAT="%U %S"; time "$@" > /dev/null', "bash", table.unpack(command) }, { timeout = 300 })
  local user, system = got.stderr:match "([%d.]+) ([%d.]+)%s*$"
  assert(got.code == 0 and user, got.stderr)
  return user + system
end

local servers <close> = start "redis"
local port = tostring(servers.redis.port)

print(("%-22s  redis-benchmark  greenlua  ratio"):format "us of CPU")
for _, row in ipairs(ROWS) do
  local name, options, script, tasks = table.unpack(row)
  local theirs, ours = math.huge, math.huge
  local other = table.move(options, 1, #options, 8, { "redis-benchmark", "-p", port, "-n", tostring(COMMANDS), "-d", "3" })
  local own = { arg[-1], "-", "redis://127.0.0.1:" .. port, tostring(tasks), tostring(COMMANDS) }
  for _ = 1, ROUNDS do
    theirs = math.min(theirs, cpu_of(other))
    ours = math.min(ours, cpu_of { "sh", "-c", 'printf %s "$1" | { shift; "$@"; }', "sh", script, table.unpack(own) })
  end
  print(("%-22s  %15.2f  %8.2f  %5.2f"):format(name, theirs / COMMANDS * 1e6, ours / COMMANDS * 1e6, ours / theirs))
end
