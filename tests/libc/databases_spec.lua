-- SPDX-License-Identifier: MIT
-- host/libc/ under Debian's own database modules, which know nothing of greenlua: luasql over libpq and libmariadb.
-- Real servers.
-- Needs: databases
require "helper"
local start = require "libc.servers"
local task = require "green.task"

local WAIT = 60 -- seconds, for what is bound to come
local servers, drivers

setup(function()
  servers = start "postgres mariadb redis"
  drivers = { require("luasql.postgres").postgres(), require("luasql.mysql").mysql() }
end)

teardown(function()
  for _, driver in ipairs(drivers) do driver:close() end
  servers:close()
end)

-- Polls a fact until it is one.
local function await(fact)
  local until_ = os.time() + WAIT
  while not fact() do
    assert(os.time() < until_, "it does not become true")
    task.sleep(0.002)
  end
end

local function value(connection, sql)
  local cursor = assert(connection:execute(sql))
  local first = cursor:fetch()
  cursor:close()
  return first
end

-- What the two servers differ in: a connection, a lock that others wait for, how many of them do, statements.
local kinds = {
  {
    name = "PostgreSQL",
    connect = function()
      return assert(drivers[1]:connect(("host=127.0.0.1 port=%d user=green dbname=postgres"):format(servers.postgres.port)))
    end,
    lock = "select pg_advisory_lock(7)::text", unlock = "select pg_advisory_unlock(7)::text",
    wait = "select pg_advisory_xact_lock_shared(7)::text || '%s'",
    waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted",
  },
  {
    name = "MariaDB",
    connect = function() return assert(drivers[2]:connect("test", "root", "", "127.0.0.1", servers.mariadb.port)) end,
    lock = "lock tables gate write", unlock = "unlock tables", prepare = "create table if not exists gate (n int)",
    wait = "select concat(count(*), '%s') from gate",
    waiting = "select count(*) from information_schema.processlist where state like '%metadata lock%'",
  },
}

for _, kind in ipairs(kinds) do
  describe("luasql on " .. kind.name, function()
    local admin

    setup(function()
      admin = kind.connect()
      if kind.prepare then admin:execute(kind.prepare) end
    end)
    teardown(function() admin:close() end)

    local function watch(fact)
      local connection = kind.connect()
      await(function() return fact(connection) end)
      connection:close()
    end

    it("has 20 tasks wait in the server at once", function()
      value(admin, "select 1")
      assert(admin:execute(kind.lock))
      local tasks = {}
      for i = 1, 20 do
        tasks[i] = task.spawn(function()
          local connection = kind.connect()
          local answer = value(connection, kind.wait:format(" of " .. i))
          connection:close()
          return answer
        end)
      end
      watch(function(connection) return tonumber(value(connection, kind.waiting)) == 20 end)
      assert(admin:execute(kind.unlock))
      for i = 1, 20 do assert.matches(" of " .. i .. "$", tasks[i]:join(WAIT)) end
    end)
  end)
end
