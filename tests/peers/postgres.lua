-- SPDX-License-Identifier: MIT
-- A PostgreSQL server for specs, and what the server itself says of its sessions, over a connection that is not green.db's (luasql):
--
--     postgres.around(_ENV, options, use)    a server for a spec file, and a database for each of its specs
--     local pg = postgres.start()            closed by pg:close()
--     local place = pg:place("sslmode=disable")   a schema of its own: { url =, name = the schema and the application's name,
--                                            connect(options) -> a database there, closed with it; close() }
--     pg:ask "SELECT ..."                    the first value as text; nil: NULL, or no row
--     pg:sessions(name [, condition])        how many sessions of a place there are, with an SQL condition on pg_stat_activity
--     pg:settled(name)                       waits until no session of the place runs anything, is in a transaction, or holds a lock
--     pg:freeze()  pg:thaw()                 SIGSTOP and SIGCONT, for the server and all its processes
--     pg:kill()    pg:restart()              SIGKILL for the server; another one on the same port and data
local connect = require "green.db".connect
local databases = require "peers.databases"
local fs = require "green.fs"
local outcome = require "outcome"
local process = require "green.process"
local task = require "green.task"

local Postgres = {}
Postgres.__index = Postgres

local number = 0 -- of the last place

-- gssencmode: Kerberos' library leaves tables behind that ASan would count as lost.
local function watch(self)
  self.watcher = assert(self.driver:connect(("host=127.0.0.1 port=%d user=green dbname=postgres gssencmode=disable"):format(self.port)))
end

local function start()
  local servers = databases "postgres"
  local self = setmetatable({ servers = servers, server = servers.postgres, port = servers.postgres.port, url = servers.postgres.url }, Postgres)
  self.driver = require "luasql.postgres".postgres()
  watch(self)
  return self
end

-- A test that failed may have left the server frozen: it would not end.
function Postgres:close()
  if self.frozen then self:thaw() end
  self.watcher:close()
  self.driver:close()
  self.servers:close()
end

-- nil and the message where the server refuses.
function Postgres:try(sql)
  local cursor, err = self.watcher:execute(sql)
  if not cursor then return nil, err end
  if type(cursor) == "number" then return cursor end
  local first = cursor:fetch()
  cursor:close()
  return first
end

function Postgres:ask(sql)
  local got, err = self:try(sql)
  if err then error(err, 2) end
  return got
end

-- A session that is being closed is none.
function Postgres:sessions(name, condition)
  return math.tointeger(tonumber(self:ask(("SELECT count(*) FROM pg_stat_activity WHERE application_name = '%s' AND (%s)"):format(name, condition or "true"))))
end

function Postgres:settled(name)
  outcome.eventually(function()
    return self:sessions(name, "state <> 'idle' OR backend_xid IS NOT NULL OR pid IN (SELECT pid FROM pg_locks)") == 0
  end, "no session of " .. name .. " is busy")
end

-- The schema goes with the place; that takes for ever when somebody still has a lock, and fails instead.
function Postgres:place(parameters)
  number = number + 1
  local name = "place_" .. number
  self:ask("CREATE SCHEMA " .. name)
  local url = ("%s?options=-csearch_path%%3D%s&application_name=%s%s"):format(self.url, name, name, parameters and "&" .. parameters or "")
  local opened = {}
  local function open(options)
    local db = connect(url, options)
    opened[#opened + 1] = db
    return db
  end
  return { name = name, url = url, connect = open, close = function()
    for _, db in ipairs(opened) do db:close() end
    outcome.eventually(function() return self:sessions(name) == 0 end, "all sessions of " .. name .. " are closed")
    self:ask "SET client_min_messages = error"
    self:ask "SET lock_timeout = '20s'"
    self:ask("DROP SCHEMA " .. name .. " CASCADE")
  end }
end

local function pids(self)
  local list = {}
  local first = assert(self.server.child.pid)
  for word in process.capture({ "ps", "-o", "pid=", "--ppid", tostring(first) }).stdout:gmatch "%d+" do list[#list + 1] = word end
  table.insert(list, tostring(first))
  return list
end

-- The server first, so that it makes no more processes; a process that has just ended is none to be stopped.
function Postgres:freeze()
  self.server.child:kill "STOP"
  self.frozen = pids(self)
  process.capture { "kill", "-STOP", table.unpack(self.frozen) }
end

function Postgres:thaw()
  process.capture { "kill", "-CONT", table.unpack(self.frozen) }
  self.frozen = nil
end

-- Afterwards nothing of it is left: sessions notice at their next look that their server is gone.
function Postgres:kill()
  local all = pids(self)
  process.capture { "kill", "-KILL", table.unpack(all) }
  self.watcher:close()
  outcome.eventually(function()
    for _, pid in ipairs(all) do
      local there, text = pcall(fs.read, "/proc/" .. pid .. "/stat")
      if there and not text:match "^%d+ %b() [ZX]" then return false end
    end
    return true
  end, "the server has ended")
end

function Postgres:restart()
  self.server:restart()
  outcome.eventually(function()
    local ok = pcall(watch, self)
    if not ok then task.sleep(0.05) end
    return ok
  end, "the server answers again")
end

-- For the specs of a file: a server of their own, and for each of them a place and a database there, with these options of connect. use(pg,
-- place, db) has them before each, and may fill the database.
local function around(spec, options, use)
  local pg, place

  spec.setup(function() pg = start() end)
  spec.teardown(function() pg:close() end)

  spec.before_each(function()
    place = pg:place()
    use(pg, place, place.connect(options))
  end)

  spec.after_each(function() place.close() end)
end

return { start = start, around = around }
