-- SPDX-License-Identifier: MIT
-- Database servers, started with data of their own in a temporary folder, on 127.0.0.1 and on a socket there, and ended with it:
--
--     local servers <close> = start "postgres mariadb redis"   -- those that are named; the package group `databases` has them
--     servers.postgres.port  .folder  .url      postgres://green@127.0.0.1:PORT/postgres; the socket is in the folder
--     servers.mariadb.port   .socket            anybody may, without a password; the database is `test`
--     servers.redis.port
--     servers.postgres.child                    its process: kill and wait
--     servers.postgres:restart()                (and redis) starts it again, on the same port and data, once it has ended; it is another child then
local fs = require "green.fs"
local process = require "green.process"
local start = require "peers.start"
local task = require "green.task"

local GRACE = 20 -- seconds, for a server to end

-- PostgreSQL refuses to run as root. The words run a program as its package's user then, who has the folder.
local function as_user(name, folder)
  if not start.is_root() then return {} end
  assert(process.capture { "chown", "-R", name .. ":", folder }.code == 0)
  return { "setpriv", "--pdeathsig", "KILL", "--reuid", name, "--regid", name, "--clear-groups" }
end

local function words(first, ...)
  return table.move({ ... }, 1, select("#", ...), #first + 1, table.move(first, 1, #first, 1, {}))
end

local function run(command)
  local done = process.capture(command, { timeout = 120 })
  assert(done.code == 0, table.concat(command, " ") .. ": " .. done.stderr)
end

local function newest(pattern)
  local found
  for path in process.capture({ "sh", "-c", "ls -d " .. pattern }).stdout:gmatch "[^\n]+" do found = path end
  return assert(found, pattern .. " is not installed")
end

local KINDS = {}

-- A server that begin([ports]) starts, and its `restart`; `ends` is the signal that stops it.
local function restartable(ends, begin)
  local child, port = begin()
  local function restart(server)
    server.child:close()
    server.child = begin { port }
  end
  return { child = child, ends = ends, port = port, restart = restart }
end

function KINDS.postgres(folder)
  local bin = fs.dirname(newest "/usr/lib/postgresql/*/bin/postgres")
  local user, data, log = as_user("postgres", folder), fs.join(folder, "data"), fs.join(folder, "log")
  run(words(user, bin .. "/initdb", "-D", data, "-A", "trust", "-U", "green", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"))
  local function begin(ports)
    return start.configured(function(chosen)
      return words(user, "sh", "-c", 'log=$1; shift; exec "$@" 2> "$log"', "sh", log, bin .. "/postgres", "-D", data, "-p", tostring(chosen[1]),
        "-k", folder, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=250", "-c", "shared_buffers=16MB")
    end, { count = 1, ports = ports, log = log, ready = "ready to accept connections" })
  end
  local server = restartable("INT", begin)
  server.url = ("postgres://green@127.0.0.1:%d/postgres"):format(server.port)
  return server
end

function KINDS.mariadb(folder)
  local root = start.is_root() and { "--user=root" } or {}
  local data, log, socket = fs.join(folder, "data"), fs.join(folder, "log.err"), fs.join(folder, "socket")
  run(words({ "mariadb-install-db", "--no-defaults", "--datadir=" .. data, "--auth-root-authentication-method=normal" }, table.unpack(root)))
  local child, port = start.configured(function(ports)
    return words({ "/usr/sbin/mariadbd", "--no-defaults", "--datadir=" .. data, "--socket=" .. socket, "--port=" .. ports[1],
      "--bind-address=127.0.0.1", "--pid-file=" .. fs.join(folder, "pid"), "--log-error=" .. log, "--skip-grant-tables",
      "--max-connections=250", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M" }, table.unpack(root))
  end, { count = 1, log = log, ready = "ready for connections" })
  return { child = child, ends = "TERM", port = port, socket = socket }
end

function KINDS.redis(folder)
  local log = fs.join(folder, "log")
  local function begin(ports)
    return start.configured(function(chosen)
      return { "redis-server", "--port", tostring(chosen[1]), "--bind", "127.0.0.1", "--save", "", "--dir", folder, "--logfile", log }
    end, { count = 1, ports = ports, log = log, ready = "Ready to accept connections" })
  end
  return restartable("TERM", begin)
end

local Servers = {}

function Servers:__close()
  for _, server in ipairs(self) do server.child:kill(server.ends) end
  for _, server in ipairs(self) do
    server.child:close(GRACE)
    server.dir:close()
  end
end
Servers.close = Servers.__close
Servers.__index = Servers

return function(names)
  local list = {}
  for name in names:gmatch "%a+" do list[#list + 1] = name end
  local started = task.map(list, function(name)
    local dir = fs.temp_dir()
    local server = assert(KINDS[name], name)(dir.path)
    server.name, server.dir, server.folder = name, dir, dir.path
    return server
  end)
  local self = setmetatable(started, Servers)
  for _, server in ipairs(started) do self[server.name] = server end
  return self
end
