-- SPDX-License-Identifier: MIT
-- db:listen and db:notify: who gets what, in which order, and what becomes of it when the connection is lost, the listener is closed, or its
-- task ends.
-- Needs: databases
local connect = require "green.db".connect
local debug = require "green.debug"
local outcome = require "outcome"
local postgres = require "peers.postgres"
local shell = require "shell"
local task = require "green.task"

local failure, waiting, await = outcome.failure, outcome.waiting, outcome.eventually
local WAIT = 60
local pg, place, db

postgres.around(_ENV, { size = 2, wait = WAIT }, function(...) pg, place, db = ... end)

after_each(function() if pg.frozen then pg:thaw() end end)

local function end_sessions() pg:ask(("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = '%s'"):format(place.name)) end

local function drain(listener, n)
  local got = {}
  for i = 1, n do
    local item = listener:receive(WAIT)
    got[i] = item.reconnected and "reconnected" or item.channel .. "=" .. item.payload
  end
  return table.concat(got, " ")
end

local function listening() return db:stats().listening end

-- The pool has opened nothing here: what is there listens.
local function sessions(n) await(function() return pg:sessions(place.name) == n end, n .. " sessions") end

describe("db:listen", function()
  it("gives what is notified, to each that listens, in order, over one connection", function()
    local a <close> = db:listen "a"
    local b <close> = db:listen("b", "a")
    db:notify("a", "1")
    db:notify("b", "2")
    db:notify "a"
    pg:ask "NOTIFY a, 'by another'"
    assert.equal("a=1 a= a=by another", drain(a, 3))
    assert.equal("a=1 b=2 a= a=by another", drain(b, 4))
    assert.same({ connected = true, connects = 1, listeners = 2 }, listening())
    sessions(2)
  end)

  it("hears from the moment on that it returns", function()
    for i = 1, 50 do
      local one <close> = db:listen "a"
      pg:ask(("NOTIFY a, '%d'"):format(i))
      await(function() return drain(one, 1) == "a=" .. i end) -- the connection may have listened before
    end
  end)

  it("ends with its loop, however that ends", function()
    local function loop(leave)
      for item in db:listen "a" do leave(item.payload) end
    end
    local errors = {}
    for i = 1, 5 do
      local one = task.spawn(loop, function(payload) error(payload, 0) end)
      await(function() return listening().connected end)
      await(function()
        pg:ask(("NOTIFY a, '%d'"):format(i))
        return one:status() ~= "waiting" and one:status() ~= "ready"
      end)
      errors[i] = failure(one.join, one)
      assert.equal(0, listening().listeners)
      sessions(0)
    end
    assert.same({ "1", "2", "3", "4", "5" }, errors)
    local one = task.spawn(loop, print)
    await(function() return listening().connected end)
    waiting(one):cancel()
    assert.equal("ECANCELED", failure(one.join, one).code)
    assert.equal("EDEADLINE", failure(task.deadline, 0.05, loop, print).code)
    sessions(0)
  end)

  it("that is closed ends those who receive from it, and no other", function()
    local a, b <close> = db:listen "a", db:listen "a"
    local one = waiting(task.spawn(a.receive, a))
    db:notify("a", "last")
    one:join()
    one = waiting(task.spawn(a.receive, a))
    a:close()
    a:close()
    assert.is_nil(one:join(WAIT))
    assert.is_nil(a:receive())
    db:notify("a", "more")
    assert.equal("a=last a=more", drain(b, 2))
  end)

  it("tells the server what nobody listens to any more, and goes with its last listener", function()
    local a, b = db:listen("a", "b"), db:listen "b"
    local function channels()
      return db:pin(function() return db:value "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%UNLISTEN \"a\"%' AND pid <> pg_backend_pid()" end)
    end
    a:close()
    await(function() return channels() == 1 end, "UNLISTEN")
    db:notify("b", "still")
    assert.equal("b=still", drain(b, 1))
    b:close()
    await(function() return not listening().connected end)
    local c <close> = db:listen "a"
    db:notify("a", "again")
    assert.equal("a=again", drain(c, 1))
    assert.equal(2, listening().connects)
  end)

  it("says that it has reconnected, to all that listened, before what comes then", function()
    local a <close> = db:listen "a"
    local b <close> = db:listen("b", "a")
    for i = 1, 3 do
      end_sessions()
      await(function() return listening().connects == i + 1 and listening().connected end)
      local c <close> = db:listen "a" -- which has missed nothing
      pg:ask(("NOTIFY a, '%d'"):format(i))
      assert.equal("reconnected a=" .. i, drain(a, 2))
      assert.equal("reconnected a=" .. i, drain(b, 2))
      assert.equal("a=" .. i, drain(c, 1))
      assert.equal(i, a.reconnects)
    end
  end)

  it("survives a server that is killed and comes back; who begins to listen meanwhile hears why he cannot", function()
    local a <close> = db:listen "a"
    pg:kill()
    await(function() return not listening().connected end)
    local err = failure(db.listen, db, "a")
    assert.is_string(err.code)
    assert.not_equal("ETIMEDOUT", err.code)
    assert.equal("ETIMEDOUT", failure(a.receive, a, 0.01).code)
    assert.equal(1, listening().listeners)
    pg:restart()
    assert.equal("reconnected", drain(a, 1))
    pg:ask "NOTIFY a, 'new'"
    assert.equal("a=new", drain(a, 1))
  end)

  it("of a silent server ends in time, and leaves nothing behind", function()
    local hasty = db:with { timeout = 0.1 }
    db:value "SELECT 1"
    pg:freeze()
    assert.equal("ETIMEDOUT", failure(hasty.listen, hasty, "a").code)
    assert.equal("EDEADLINE", failure(task.deadline, 0.1, db.listen, db, "a").code)
    local one = waiting(task.spawn(db.listen, db, "a"))
    one:cancel()
    assert.equal("ECANCELED", failure(one.join, one).code)
    assert.equal(0, listening().listeners)
    pg:thaw()
    local a <close> = db:listen "a"
    db:notify("a", "works")
    assert.equal("a=works", drain(a, 1))
  end)

  it("keeps a bounded number of notifications for one that does not ask: the oldest are lost, and counted", function()
    local a <close> = db:listen("a", { max_messages = 10 })
    local b <close> = db:listen "a"
    pg:ask "SELECT count(pg_notify('a', i::text)) FROM generate_series(1, 100) AS s (i)"
    local seen = {}
    for i = 1, 100 do seen[i] = b:receive(WAIT).payload end
    assert.equal("1 2 3", table.concat(seen, " ", 1, 3))
    assert.same({ 90, "a=91 a=92" }, { a.lost, drain(a, 2) })
    assert.equal(0, b.lost)
  end)

  it("gets more than a read has, in order, however slowly it is heard", function()
    local N = 5000
    local a <close> = db:listen("a", { max_messages = N })
    pg:ask(("SELECT count(pg_notify('a', i || repeat('x', 1000))) FROM generate_series(1, %d) AS s (i)"):format(N))
    for i = 1, N do
      if i % 1000 == 0 then task.sleep(0.01) end
      local payload = a:receive(WAIT).payload
      assert(payload:match "^%d+" == tostring(i) and #payload == 1000 + #tostring(i))
    end
    assert.equal(0, a.lost)
  end)

  it("takes any name that PostgreSQL takes, and no other", function()
    for _, name in ipairs { "A b", '"', "é", "'; SELECT 1", ("n"):rep(63), "select" } do
      local a <close> = db:listen(name)
      db:notify(name, name)
      assert.equal(name .. "=" .. name, drain(a, 1))
    end
    for _, name in ipairs { "", ("n"):rep(64), "a\0b", "\xff" } do
      assert.equal("EINVAL", failure(db.listen, db, name).code)
      assert.equal("EINVAL", failure(db.notify, db, name, "x").code)
    end
    for _, wrong in ipairs { function() db:listen() end, function() db:listen(7) end, function() db:listen("a", { max = 1 }) end, function() db:notify() end,
      function() db:notify("a", {}) end, function() db:listen("a"):receive "x" end } do
      assert.matches("^tests/db/postgres/listen_spec.lua:%d+: ", failure(wrong))
    end
  end)

  it("stays what it is when memory runs out at any place", function()
    local b <close> = db:listen "b"
    for n = 1, 400 do
      debug.fail_alloc(n)
      local ok, one = pcall(db.listen, db, "a")
      debug.fail_alloc(0)
      if ok then one:close() end
    end
    assert.equal(1, listening().listeners)
    db:notify("b", "there")
    await(function() return drain(b, 1) == "b=there" end)
  end)

  it("whose listener nobody holds is forgotten", function()
    db:listen "a"
    await(function()
      collectgarbage()
      return listening().listeners == 0
    end)
    sessions(0)
  end)

  it("ends when the database is closed", function()
    local a = db:listen "a"
    local one = waiting(task.spawn(a.receive, a))
    db:close()
    assert.is_nil(one:join(WAIT))
    assert.equal("ECLOSED", failure(db.listen, db, "a").code)
    sessions(0)
  end)

  it("keeps no program from ending, and is ended by what ends the program", function()
    local function run(script) return shell("URL='" .. place.url .. "' $lua script.lua", { ["script.lua"] = script }) end
    local out, err, code = run [[
      local db = require "green.db".connect(os.getenv "URL")
      listener = db:listen "a"
      db:notify("a", "x")
      print(listener:receive(60).payload)
    ]]
    assert.same({ "x\n", "", 0 }, { out, err, code })
    out, err, code = run [[
      local db, task = require "green.db".connect(os.getenv "URL"), require "green.task"
      local one = task.spawn(function() for _ in db:listen "a" do end end)
      while not db:stats().listening.connected do task.sleep(0.001) end
      os.exit(true, true)
    ]]
    assert.same({ "", "", 0 }, { out, err, code })
    sessions(0)
  end)
end)

describe("db:notify", function()
  it("says nothing before its transaction is committed, and nothing if that is rolled back", function()
    local a <close> = db:listen "a"
    pcall(db.transaction, db, function()
      db:notify("a", "never")
      error "no"
    end)
    db:transaction(function()
      db:notify("a", "1")
      pg:ask "NOTIFY a, '0'"
      assert.equal("a=0", drain(a, 1))
    end)
    assert.equal("a=1", drain(a, 1))
  end)

  it("has less than 8,000 bytes", function()
    local a <close> = db:listen "a"
    local err = failure(db.notify, db, "a", ("x"):rep(8000))
    assert.same({ "EMSGSIZE", "db.notify" }, { err.code, err.op })
    db:notify("a", ("x"):rep(7999))
    assert.equal(7999, #a:receive(WAIT).payload)
    assert.equal("22021", failure(db.notify, db, "a", "\0").code)
  end)

  it("and db:listen say of SQLite that it does not have them", function()
    local one <close> = connect "sqlite::memory:"
    local err = failure(one.listen, one, "a")
    assert.same({ "ENOTSUP", "db.listen" }, { err.code, err.op })
    err = failure(one.notify, one, "a")
    assert.same({ "ENOTSUP", "db.notify" }, { err.code, err.op })
    assert.is_nil(one:stats().listening)
  end)
end)

it("a connection of the pool that hears nothing drops what it is told", function()
  db:pin(function()
    db:exec "LISTEN a"
    for i = 1, 100 do db:notify("a", i .. ("x"):rep(5000)) end
    assert.equal(7, db:value "SELECT 7")
  end)
  assert.equal(0, db:value "SELECT count(*) FROM pg_listening_channels()")
end)
