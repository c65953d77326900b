-- SPDX-License-Identifier: MIT
-- host/libc/ under Debian's own database modules, which know nothing of greenlua: luasql over libpq, libmariadb and SQLite, and Redis
-- over a raw LuaSocket. Real servers. TASKS=20 CALLS=100 is the long form.
-- Needs: databases
require "helper"
local fs = require "green.fs"
local outcome = require "outcome"
local process = require "green.process"
local sharing = require "libc.share"
local socket = require "socket"
local start = require "peers.databases"
local task = require "green.task"

local WAIT = 60 -- seconds, for what is bound to come
local TASKS, CALLS = sharing.TASKS, sharing.CALLS
local servers, drivers
local await = outcome.eventually

setup(function()
  servers = start "postgres mariadb redis"
  drivers = { require("luasql.postgres").postgres(), require("luasql.mysql").mysql() }
end)

teardown(function()
  for _, driver in ipairs(drivers) do driver:close() end
  servers:close()
end)

-- The only value of a query; nil and a message when the module says that it failed.
local function ask(connection, sql)
  local cursor, err = connection:execute(sql)
  if not cursor then return nil, err end
  local first = cursor:fetch()
  cursor:close()
  return first
end

local function value(connection, sql) return assert(ask(connection, sql)) end

-- Each answer is its asker's or an error, and each row that was acknowledged is there.
local function share(connect, say)
  local making = connect()
  assert(making:execute "create table notes (note varchar(40))")
  making:close()
  local one = sharing.echo(connect, function(connection, text) return ask(connection, say:format(text)) end, function(one, connection, text)
    if connection:execute(("insert into notes values ('%s')"):format(text)) == 1 then one.rows[#one.rows + 1] = text end
  end)
  local last = connect()
  for _, text in ipairs(one.rows) do assert.equal(text, value(last, ("select note from notes where note = '%s'"):format(text))) end
  assert(last:execute "drop table notes")
  last:close()
  one.connection:close()
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
    connections = "select count(*) from pg_stat_activity where backend_type = 'client backend'",
    say = "select '%s' from pg_sleep(0.001)",
  },
  {
    name = "MariaDB",
    connect = function() return assert(drivers[2]:connect("test", "root", "", "127.0.0.1", servers.mariadb.port)) end,
    lock = "lock tables gate write", unlock = "unlock tables", prepare = "create table if not exists gate (n int)",
    wait = "select concat(count(*), '%s') from gate",
    waiting = "select count(*) from information_schema.processlist where state like '%metadata lock%'",
    connections = "select count(*) from information_schema.processlist where user <> 'system user'",
    say = "select '%s' from (select sleep(0.001)) as nap",
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

    it("is shared by tasks as one connection", function() share(kind.connect, kind.say) end)

    it("leaves no connection behind when tasks are cancelled anywhere", function()
      local before = tonumber(value(admin, kind.connections))
      local tasks = {}
      for i = 1, TASKS do
        tasks[i] = task.spawn(function()
          local connection <close> = setmetatable({ kind.connect() }, { __close = function(self) self[1]:close() end })
          for k = 1, CALLS do assert.equal(i .. " " .. k, value(connection[1], kind.say:format(i .. " " .. k))) end
        end)
      end
      for _ = 1, TASKS do
        task.sleep(math.random() * 0.005)
        tasks[math.random(TASKS)]:cancel()
      end
      for i = 1, TASKS do tasks[i]:wait(2 * WAIT) end
      await(function()
        collectgarbage() -- a cursor that was left open keeps its connection
        return tonumber(value(admin, kind.connections)) <= before
      end)
    end)
  end)
end

describe("luasql on SQLite", function()
  it("is shared by tasks as one connection, while another process has the lock now and then", function()
    local dir <close> = fs.temp_dir()
    local path = fs.join(dir.path, "notes.db")
    local driver = require("luasql.sqlite3").sqlite3()
    local function connect()
      return assert(driver:connect(path, WAIT * 1000))
    end
    local first = connect()
    assert(first:execute "create table lock (n)")
    local other <close> = process.spawn({ "lua5.4", "-e", ([[
      local driver = require "luasql.sqlite3".sqlite3()
      local connection = driver:connect("%s", 60000)
      print "begins"
      io.stdout:flush()
      while true do
        assert(connection:execute "begin immediate")
        assert(connection:execute "insert into lock values (1)")
        os.execute "sleep 0.02"
        assert(connection:execute "commit")
        os.execute "sleep 0.02"
      end]]):format(path) }, { stdout = "pipe" })
    assert.equal("begins", other.stdout:read("l", WAIT))
    share(connect, "select '%s'")
    first:close()
    driver:close()
  end)
end)

describe("Redis over a raw LuaSocket", function()
  local function connect()
    local client = assert(socket.connect("127.0.0.1", servers.redis.port))
    client:settimeout(WAIT)
    return client
  end

  -- One reply of Redis, whole.
  local function reply(client)
    local line = assert(client:receive())
    local kind, rest = line:sub(1, 1), line:sub(2)
    if kind == "$" and rest ~= "-1" then return (assert(client:receive(tonumber(rest) + 2)):sub(1, -3)) end
    if kind ~= "*" then return rest end
    local list = {}
    for i = 1, tonumber(rest) do list[i] = reply(client) end
    return list
  end

  local function call(client, ...)
    assert(client:send(table.concat({ ... }, " ") .. "\r\n"))
    return reply(client)
  end

  it("has 20 tasks wait in BLPOP at once", function()
    local tasks, admin = {}, connect()
    for i = 1, 20 do
      tasks[i] = task.spawn(function()
        local client = connect()
        local got = call(client, "BLPOP", "list" .. i, "0")
        client:close()
        return got[2]
      end)
    end
    await(function() return call(admin, "INFO", "clients"):match "blocked_clients:20\r" end)
    for i = 20, 1, -1 do call(admin, "LPUSH", "list" .. i, "value" .. i) end
    for i = 1, 20 do assert.equal("value" .. i, tasks[i]:join(WAIT)) end
    admin:close()
  end)

  it("is shared by tasks as one connection: each gets its own answer", function()
    local client, tasks = connect(), {}
    for i = 1, 20 do
      tasks[i] = task.spawn(function()
        for k = 1, CALLS do -- an answer of one line, which one call receives
          local word = ("task-%d-call-%d"):format(i, k)
          assert.matches("'" .. word .. "'", call(client, word), 1, true)
        end
      end)
    end
    for i = 1, 20 do tasks[i]:join(WAIT) end
    client:close()
  end)

  -- An answer of redis-lua is a line and a length of bytes: two receives behind its send.
  it("is shared through redis-lua as one connection: each answer is its asker's or an error", function()
    local path = package.path
    package.path = "/usr/share/lua/5.3/?.lua;" .. path -- Debian has it for versions up to that
    local redis = require "redis"
    package.path = path
    local one = sharing.echo(function() return redis.connect("127.0.0.1", servers.redis.port) end, function(connection, text)
      local ok, answer = pcall(connection.echo, connection, text)
      return ok and answer or nil
    end, function(one, _, text)
      if pcall(one.connection.rpush, one.connection, "notes", text) then one.rows[#one.rows + 1] = text end
    end)
    local last, there = redis.connect("127.0.0.1", servers.redis.port), {}
    for _, text in ipairs(last:lrange("notes", 0, -1)) do there[text] = true end
    for _, text in ipairs(one.rows) do assert.is_true(there[text]) end
    last:quit()
    pcall(one.connection.quit, one.connection)
  end)

  it("has a read fail in time, and in a task that is cancelled", function()
    local client = connect()
    client:send "BLPOP nothing 0\r\n"
    local ok, err = pcall(task.deadline, 0.02, client.receive, client)
    assert.is_false(ok)
    assert.equal("EDEADLINE", err.code)
    client:close()
  end)
end)
