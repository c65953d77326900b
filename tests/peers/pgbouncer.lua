-- SPDX-License-Identifier: MIT
-- PgBouncer in front of a PostgreSQL on 127.0.0.1, which lends its sessions for one transaction each, for specs:
--
--     local bouncer <close> = start(port, sessions)   at most so many sessions of that server
--     bouncer.url                                     postgres://green@127.0.0.1:PORT/postgres
local fs = require "green.fs"
local process = require "green.process"
local start = require "peers.start"

local CONFIGURATION = [[
[databases]
postgres = host=127.0.0.1 port=%d user=green dbname=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = %d
max_client_conn = 200
logfile = %s
ignore_startup_parameters = extra_float_digits,options
]]

local Bouncer = {}

function Bouncer:__close()
  self.child:kill "TERM"
  self.child:close(20)
  self.dir:close()
end
Bouncer.close = Bouncer.__close
Bouncer.__index = Bouncer

-- It refuses to run as root.
local function words(file)
  if not start.is_root() then return { "/usr/sbin/pgbouncer", "-q", file } end
  return { "setpriv", "--pdeathsig", "KILL", "--reuid", "postgres", "--regid", "postgres", "--clear-groups", "/usr/sbin/pgbouncer", "-q", file }
end

return function(port, sessions)
  local dir = fs.temp_dir()
  local file, log = fs.join(dir.path, "ini"), fs.join(dir.path, "log")
  if start.is_root() then assert(process.capture({ "chown", "postgres:", dir.path }).code == 0) end
  local child, own = start.configured(function(ports)
    fs.write(file, CONFIGURATION:format(port, ports[1], sessions, log))
    if start.is_root() then process.capture { "chown", "postgres:", file } end
    return words(file)
  end, { count = 1, log = log, ready = "process up" })
  return setmetatable({ child = child, dir = dir, url = ("postgres://green@127.0.0.1:%d/postgres?sslmode=disable"):format(own) }, Bouncer)
end
