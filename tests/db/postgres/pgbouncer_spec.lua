-- SPDX-License-Identifier: MIT
-- Behind PgBouncer, which gives each transaction another session: with `prepare = false` nothing is expected of a session but within a
-- transaction, so that each answer is to its own question. (A statement with a list, whose parameters the server is asked about first, was
-- prepared in one session and run in another, where a statement of somebody else had its place.)
-- Needs: databases
local connect = require "green.db".connect
local outcome = require "outcome"
local postgres = require "peers.postgres"
local start = require "peers.pgbouncer"
local task = require "green.task"

local failure, await = outcome.failure, outcome.eventually
local pg, bouncer, db

setup(function()
  pg = postgres.start()
  bouncer = start(pg.port, 3)
end)
teardown(function()
  bouncer:close()
  pg:close()
end)
before_each(function()
  db = connect(bouncer.url, { prepare = false, size = 10, wait = 60 })
  db:exec "DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, v text)"
end)
after_each(function() db:close() end)

-- So many tasks at once, more than there are sessions.
local function many(fn)
  local list = {}
  for i = 1, 20 do list[i] = i end
  task.map(list, function(i) for k = 1, 20 do fn(i * 100 + k) end end)
end

it("questions with parameters, of which many are asked at once, get their own answers", function()
  many(function(n)
    if n % 3 == 0 then assert(db:value("SELECT $1::int", n) == n) end
    if n % 3 == 1 then assert(db:value("SELECT $1::text || 'x'", n) == n .. "x") end
    if n % 3 == 2 then assert(#db:query("SELECT i FROM generate_series(1, $1::int) AS s (i)", n % 7) == n % 7) end
  end)
end)

it("lists as parameters, for which the server is asked first, do as well", function()
  many(function(n)
    if n % 2 == 0 then assert(db:value("SELECT sum(i)::int FROM unnest($1::int[]) AS s (i)", { n, 1, 2 }) == n + 3)
    else assert(db:value("SELECT ($1::jsonb)->>1", { "a", "b" .. n }) == "b" .. n) end
  end)
  assert.equal("22P02", failure(db.value, db, "SELECT $1::int[]", { "x" }).code)
  assert.equal(3, db:exec("INSERT INTO t SELECT i FROM unnest($1::int[]) AS s (i)", { 1, 2, 3 }))
  assert.equal("23505", failure(db.exec, db, "INSERT INTO t SELECT i FROM unnest($1::int[]) AS s (i)", { 4, 3 }).code)
  db:transaction(function() db:exec("INSERT INTO t SELECT i FROM unnest($1::int[]) AS s (i)", { 5, 6 }) end)
  assert.equal(5, db:value "SELECT count(*) FROM t")
end)

it("transactions keep their session, and rows, and COPY", function()
  many(function(n)
    db:transaction(function()
      local pid = db:value "SELECT pg_backend_pid()"
      db:exec("INSERT INTO t VALUES ($1, $2)", n, "v" .. n)
      pcall(db.transaction, db, function() db:exec("INSERT INTO t VALUES ($1, 'again')", n) end)
      assert(db:value "SELECT pg_backend_pid()" == pid)
    end)
  end)
  assert.equal(400, db:value "SELECT count(*) FROM t")
  local n = 0
  for _ in db:rows "SELECT * FROM t" do n = n + 1 end
  for _ in db:copy_out "COPY t TO STDOUT" do n = n + 1 end
  assert.equal(800, n)
  assert.equal(2, db:copy_in("COPY t FROM STDIN", { { 1, "a" }, { 2, "b" } }))
end)

it("statements that are given up are stopped, and disturb nobody", function()
  local hasty = db:with { timeout = 0.1 }
  for _ = 1, 5 do assert.equal("ETIMEDOUT", failure(hasty.query, hasty, "SELECT pg_sleep(600)").code) end
  many(function(n) assert(db:value("SELECT $1::int", n) == n) end)
  await(function() return pg:ask "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)' AND state = 'active'" == "0" end, "they are stopped")
end)
