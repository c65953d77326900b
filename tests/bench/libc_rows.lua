-- SPDX-License-Identifier: MIT
-- What tests/bench/libc measures: code for lua as it is everywhere, over C modules that block. Runs one row under greenlua, each call in a
-- task, or under lua5.4, one call after the other, and prints the seconds that all took and the longest time, in ms, for which a
-- task that ticks every 5 ms had to wait (lua5.4 has none):
--
--     lua libc_rows.lua ROW HTTP HTTPS POSTGRES MARIADB REDIS   -- two addresses, three ports
--
-- require "libc_rows" -> the list of rows: { name, count, prototype = seconds, make = function(place, count) -> the call[, what ends it all] }
local POSTGRES = "host=127.0.0.1 port=%s user=green dbname=postgres"

-- Connections that were made before: what a server takes to fork is its own.
local function postgres(place, count)
  local env, connections = require "luasql.postgres".postgres(), {}
  for i = 1, count do connections[i] = assert(env:connect(POSTGRES:format(place.postgres))) end
  return function(sql)
    local connection = table.remove(connections)
    assert(connection:execute(sql)):close()
    connection:close()
  end
end

-- prototype: the seconds of issue 13, measured elsewhere.
local rows = {
  { "socket.http, slow server", 20, prototype = 0.21, make = function(place)
    local http = require "socket.http"
    return function() assert(http.request(place.http) == "hello") end
  end },
  { "luasql.postgres, pg_sleep(0.2)", 20, prototype = 0.30, make = function(place, count)
    local ask = postgres(place, count)
    return function() ask "select pg_sleep(0.2)" end
  end },
  { "luasql.mysql, sleep(0.2)", 20, prototype = 0.22, make = function(place)
    local env = require "luasql.mysql".mysql()
    return function()
      local connection = assert(env:connect("test", "root", "", "127.0.0.1", tonumber(place.mariadb)))
      assert(connection:execute "select sleep(0.2)"):close()
      connection:close()
    end
  end },
  { "LuaSec, ssl.https", 20, prototype = 0.32, make = function(place)
    local https = require "ssl.https"
    return function() assert(https.request(place.https) == "hello") end
  end },
  { "socket.sleep(0.2)", 20, prototype = 0.20, make = function()
    local sleep = require "socket".sleep
    return function() sleep(0.2) end
  end },
  { "Redis BLPOP, raw LuaSocket", 3, prototype = 1.05, make = function(place)
    local connect = require "socket".connect
    return function()
      local client = assert(connect("127.0.0.1", tonumber(place.redis)))
      assert(client:send "BLPOP nothing 1\r\n")
      assert(client:receive() == "*-1")
      client:close()
    end
  end },
  { "luv, uv.run until a timer", 5, prototype = 0.20, make = function()
    local uv = require "luv"
    return function()
      local timer, fired = uv.new_timer(), false
      timer:start(200, 0, function() fired = true end)
      while not fired do uv.run "once" end
      timer:close()
    end, uv.run
  end },
  { "cqueues, a controller each", 10, prototype = 0.20, make = function()
    local cqueues = require "cqueues"
    return function()
      local controller = cqueues.new()
      controller:wrap(function() cqueues.sleep(0.2) end)
      assert(controller:loop())
    end
  end },
  { "pg_sleep(0.1) while sorting", 90, prototype = 0.50, make = function(place, count)
    local ask = postgres(place, count)
    return function()
      local list, asked = { 2, 1 }, false
      table.sort(list, function(a, b)
        if not asked then
          asked = true
          ask "select pg_sleep(0.1)"
        end
        return a < b
      end)
    end
  end },
  { "deadline(0.1, http.request)", 1, prototype = 0.10, make = function(place)
    local http = require "socket.http"
    local found, task = pcall(require, "green.task")
    return function()
      if not found then return assert(http.request(place.http)) end
      local ok, body = pcall(task.deadline, 0.1, http.request, place.http)
      assert(not ok or not body)
    end
  end },
}

if ... == "libc_rows" then return rows end

local row = rows[tonumber(arg[1])]
local now = require "socket".gettime
local call, finish = row.make({ http = arg[2], https = arg[3], postgres = arg[4], mariadb = arg[5], redis = arg[6] }, row[2])
local found, task = pcall(require, "green.task")
local worst, ended, ticker = 0, false, nil

if found then
  ticker = task.spawn(function()
    local last = now()
    while not ended do
      task.sleep(0.005)
      local t = now()
      last, worst = t, math.max(worst, t - last)
    end
  end)
  task.sleep(0.02)
  worst = 0
end

local began = now()
if found then
  local group = {}
  for i = 1, row[2] do group[i] = task.spawn(call) end
  for i = 1, row[2] do group[i]:join(60) end
else
  for _ = 1, row[2] do call() end
end
local took = now() - began
ended = true
if ticker then ticker:join() end
if finish then finish() end
print(took, worst * 1000)
