-- SPDX-License-Identifier: MIT
-- TLS in its modes, passwords by SCRAM, and several hosts.
-- Needs: databases
local connect = require "green.db".connect
local fs = require "green.fs"
local outcome = require "outcome"
local postgres = require "peers.postgres"

local failure, await = outcome.failure, outcome.eventually
local pg, certificate, folder

-- A statement's rows become the input of a command that the server runs in the folder of its data.
local function run(sql, command) pg:ask(("COPY (%s) TO PROGRAM '%s'"):format(sql, command)) end

setup(function()
  pg = postgres.start()
  run("SELECT 1", "openssl req -new -x509 -days 2 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost " ..
    "-keyout server.key -out server.crt 2> /dev/null; chmod 600 server.key")
  pg:ask "CREATE ROLE cook LOGIN PASSWORD 'basil'"
  run("SELECT 'host all cook 127.0.0.1/32 scram-sha-256'", "cat - pg_hba.conf > new && mv new pg_hba.conf")
  pg:ask "ALTER SYSTEM SET ssl = on"
  pg:ask "SELECT pg_reload_conf()"
  folder = fs.temp_dir()
  certificate = fs.join(folder.path, "server.crt")
  fs.write(certificate, pg:ask "SELECT pg_read_file('server.crt')")
  await(function() return pg:ask "SHOW ssl" == "on" end, "the server knows its certificate")
end)
teardown(function()
  folder:close()
  pg:close()
end)

local VERSION = "SELECT coalesce(version, 'none') FROM pg_stat_ssl WHERE pid = pg_backend_pid()"

local function url(user, host, parameters) return ("postgres://%s@%s:%d/postgres?%s"):format(user, host, pg.port, parameters) end

local function version(...)
  local db <close> = connect(url(...))
  return db:value(VERSION)
end

local function refused(...)
  local db <close> = connect(url(...))
  return failure(db.value, db, VERSION)
end

it("TLS is used as sslmode says", function()
  assert.equal("none", version("green", "localhost", "sslmode=disable"))
  assert.matches("^TLSv1", version("green", "localhost", "sslmode=prefer"))
  assert.matches("^TLSv1", version("green", "127.0.0.1", "sslmode=require"))
  assert.matches("^TLSv1", version("green", "localhost", "sslmode=verify-full&sslrootcert=" .. certificate))
  local err = refused("green", "127.0.0.1", "sslmode=verify-full&sslrootcert=" .. certificate)
  assert.equal("ETLS", err.code)
  assert.matches("does not match host name", err.message)
end)

it("TLS takes large values both ways, and a statement over it is stopped on the server", function()
  local db <close> = connect(url("green", "localhost", "sslmode=require&application_name=tls"))
  local large = ("y"):rep(5000000)
  assert.equal(large, db:value("SELECT $1::text", large))
  local sum = 0
  for _, row in ipairs(db:query "SELECT repeat('x', 10000) AS x FROM generate_series(1, 500)") do sum = sum + #row.x end
  assert.equal(5000000, sum)
  local hasty = db:with { timeout = 0.05 }
  assert.equal("ETIMEDOUT", failure(hasty.query, hasty, "SELECT pg_sleep(600)").code)
  await(function() return pg:sessions("tls", "state = 'active'") == 0 end, "it has ended")
end)

it("passwords are checked by SCRAM, and are in no message", function()
  assert.equal("none", version("cook:basil", "127.0.0.1", "sslmode=disable"))
  for _, user in ipairs { "cook:sesame", "cook" } do
    local err = refused(user, "127.0.0.1", "sslmode=disable")
    assert.equal("28P01", err.code)
    assert.is_nil(err.message:find "sesame")
  end
  local db <close> = connect(url("cook:basil", "localhost", "sslmode=require"))
  assert.is_nil(tostring(db):find "basil")
  assert.equal("cook", db:value "SELECT current_user::text")
end)

it("of several hosts the first that answers and fits is taken", function()
  local hosts = ("127.0.0.1:1,nowhere.invalid:1,localhost:%d"):format(pg.port)
  local db <close> = connect(("postgres://green@%s/postgres?target_session_attrs=read-write"):format(hosts))
  assert.equal(1, db:value "SELECT 1")
  local nobody <close> = connect "postgres://green@127.0.0.1:1,nowhere.invalid:1/postgres"
  assert.equal("ECONNREFUSED", failure(nobody.value, nobody, "SELECT 1").code)
end)
