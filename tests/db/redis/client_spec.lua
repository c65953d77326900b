-- SPDX-License-Identifier: MIT
-- green.redis, with a real server.
-- Needs: redis
local net = require "green.net"
local outcome = require "outcome"
local process = require "green.process"
local redis = require "green.redis"
local start = require "peers.databases"
local task = require "green.task"

local failure, await = outcome.failure, outcome.eventually
local WAIT = 60 -- seconds, for what is bound to come
local servers, url, db

setup(function()
  servers = start "redis"
  url = ("redis://127.0.0.1:%d"):format(servers.redis.port)
end)

teardown(function() servers:close() end)

before_each(function()
  db = redis.connect(url, { timeout = WAIT, wait = WAIT })
  db:flushall()
end)

after_each(function() db:close() end)

-- A line of CLIENT LIST for each connection that has this in it.
local function clients(word)
  local count = 0
  for line in db:client_list():gmatch "[^\n]+" do
    if line:find(word, 1, true) then count = count + 1 end
  end
  return count
end

describe("a command", function()
  it("is a method", function()
    assert.same({ "OK", "1", nil }, { db:set("a", 1), db:get "a", db:get "b" })
    assert.equal(2, db:incr "a")
    assert.equal(2, db:hset("h", "x", 1, "y", 0.5))
    assert.same({ x = "1", y = "0.5" }, db:hgetall "h")
    assert.same({ "2", false }, db:mget("a", "b"))
    assert.equal("2", db:call("get", "a"))
    assert.matches("^id=", db:client_info())
    assert.equal("2", db:eval_ro("return redis.call('get', KEYS[1])", 1, "a"))
  end)

  it("has no connection before the first one", function()
    local fresh <close> = redis.connect(url)
    assert.same({ 0, false, false }, { fresh:stats().connects, fresh:stats().connected, fresh:stats().protocol })
  end)

  it("that the server refuses raises its error", function()
    db:set("a", 1)
    local err = failure(db.lpush, db, "a", 1)
    assert.same({ "WRONGTYPE", "redis.lpush" }, { err.code, err.op })
    assert.equal("ERR", failure(db.nonsense, db).code)
  end)

  it("that would change the shared connection is refused, with what to do instead", function()
    for _, row in ipairs { { "multi", "redis:multi" }, { "watch", "redis:watch" }, { "select", "in the URL" }, { "monitor", "redis%-cli" }, { "quit", "redis:close" } } do
      local name, hint = table.unpack(row)
      assert.error_matches(function() db:call(name, 1) end, "would change the connection.*" .. hint)
    end
    assert.error_matches(function() db.get "a" end, "use redis:get%(%.%.%.%), not redis%.get")
    assert.error_matches(function() db:call(1) end, "redis:call: name: a string expected, not 1")
  end)

  it("shares a connection, also with a thousand others at once", function()
    local list = {}
    for i = 1, 1000 do list[i] = i end
    task.map(list, function(i) db:set("k" .. i, i) end)
    assert.same(list, task.map(list, function(i) return math.tointeger(db:get("k" .. i)) end))
    assert.same({ 1, 3, true }, { db:stats().connects, db:stats().protocol, db:stats().connected })
  end)

  it("ends with its deadline and is nobody else's afterwards", function()
    db:client_pause(100, "ALL")
    assert.equal("EDEADLINE", failure(task.deadline, 0.01, db.get, db, "a").code)
    assert.equal("OK", db:set("b", 2))
    assert.equal("2", db:get "b")
  end)
end)

describe("commands in one go", function()
  it("answer in order, errors among them", function()
    db:set("a", 1)
    local got = db:pipeline(function(p)
      p:incr "a"
      p:lpush("a", 1)
      p:get "none"
      p:client_getname()
      p:get "a"
    end)
    assert.same({ 2, "WRONGTYPE", false, false, "2" }, { got[1], got[2].code, got[3], got[4], got[5] })
    assert.same({}, db:pipeline(function() end))
    assert.error_matches(function() db:pipeline(function(p) p:blpop("q", 1) end) end, "BLPOP is no command for a pipeline")
    assert.error_matches(function() db:pipeline(function(p) p.get "q" end) end, "use p:get")
  end)

  it("are one transaction, or nothing", function()
    assert.same({ 1, 2 }, db:multi(function(tx) tx:incr "a" tx:incr "a" end))
    assert.equal("ERR", failure(db.multi, db, function(tx) tx:incr "a" tx:nonsense() end).code)
    assert.equal("2", db:get "a")
    assert.error_matches(function() db:multi(function(tx) tx:incr "a" error "no" end) end, "no")
    assert.equal("2", db:get "a")
  end)

  it("are done only if what was read has not changed", function()
    local list = {}
    for i = 1, 20 do list[i] = i end
    task.map(list, function()
      for _ = 1, 5 do
        db:watch("n", function(r, tx) tx:set("n", (tonumber(r:get "n") or 0) + 1) end)
      end
    end)
    assert.equal("100", db:get "n")
    await(function() return db:stats().pinned == 0 end)
  end)
end)

describe("a connection to oneself", function()
  it("is made anew once it was changed", function()
    assert.equal("1", db:pin(function(r)
      r:select(2)
      r:set("z", 1)
      return r:get "z"
    end))
    assert.is_nil(db:get "z")
    assert.is_nil(db:pin(function(r) return r:get "z" end))
    local kept
    assert.error_matches(function() db:pin(function(r) kept = r error "mine" end) end, "mine")
    assert.error_matches(function() kept:get "z" end, "was given back")
    await(function() return db:stats().pinned == 0 end)
  end)

  it("is what a command that waits in the server has, so that it holds nobody up", function()
    local waiting = task.spawn(db.blpop, db, "q", 0)
    await(function() return clients "cmd=blpop" == 1 end)
    assert.equal("OK", db:set("a", 1))
    db:rpush("q", "v")
    assert.same({ "q", "v" }, waiting:join())
    assert.is_nil(db:blpop("q", 0.01))
    assert.same({ 0, 1 }, { db:stats().pinned, db:stats().pinned_idle })
  end)

  it("is closed when the wait is given up", function()
    local waiting = task.spawn(db.blpop, db, "q", 0)
    await(function() return clients "cmd=blpop" == 1 end)
    waiting:cancel()
    waiting:wait(WAIT)
    await(function() return clients "cmd=blpop" == 0 end)
    db:rpush("q", "v")
    assert.equal(1, db:llen "q")
    await(function() return db:stats().pinned == 0 end)
  end)

  it("is one of few, and the others wait for one", function()
    local small <close> = redis.connect(url, { max_pinned = 1, wait = 0.05 })
    local waiting = task.spawn(small.blpop, small, "q", 0)
    await(function() return clients "cmd=blpop" == 1 end)
    local err = failure(small.blpop, small, "q", 0)
    assert.equal("ETIMEDOUT", err.code)
    assert.matches("all 1 are in use", tostring(err))
    waiting:cancel()
    waiting:wait(WAIT)
  end)
end)

describe("a script", function()
  it("is loaded once, and again when the server has forgotten it", function()
    local add = db:script "return redis.call('incrby', KEYS[1], ARGV[1])"
    assert.same({ 2, 5 }, { add({ "n" }, 2), add({ "n" }, 3) })
    db:script_flush()
    assert.equal(6, add({ "n" }, 1))
    assert.equal("ERR", failure(db:script "return redis.call('nonsense')", {}).code)
    assert.error_matches(function() add("n") end, "keys: a table expected, not 'n'")
  end)
end)

describe("a subscription", function()
  it("gets what is published once it is made", function()
    local a <close> = db:subscribe("a", "b")
    local p <close> = db:psubscribe "a*"
    assert.equal(2, db:publish("a", "1"))
    assert.equal(1, db:publish("b", "2"))
    assert.same({ channel = "a", payload = "1" }, a:receive(WAIT))
    assert.same({ channel = "b", payload = "2" }, a:receive(WAIT))
    assert.same({ channel = "a", payload = "1", pattern = "a*" }, p:receive(WAIT))
    assert.equal("ETIMEDOUT", failure(p.receive, p, 0.01).code)
    assert.same({ 2, 1 }, { db:stats().subscriptions, clients "sub=2" })
  end)

  it("is a loop, which ends it", function()
    local seen, spawned = {}, task.spawn(function()
      await(function() return db:stats().subscriptions == 1 end)
      while db:publish("a", "x") == 0 do task.sleep(0.001) end
      db:publish("a", "end")
    end)
    for message in db:subscribe "a" do
      seen[#seen + 1] = message.payload
      if message.payload == "end" then break end
    end
    spawned:join()
    assert.same({ "x", "end" }, seen)
    await(function() return clients "sub=1" == 0 end)
    assert.equal(0, db:stats().subscriptions)
  end)

  it("shares one connection with all others, and each gets its own", function()
    local subs, tasks = {}, {}
    for i = 1, 50 do subs[i] = db:subscribe("c" .. i, "all") end
    for i = 1, 50 do
      tasks[i] = task.spawn(function()
        local got = {}
        for k = 1, 11 do got[k] = subs[i]:receive(WAIT).payload end
        return table.concat(got, " ")
      end)
    end
    for k = 1, 10 do
      for i = 1, 50 do db:publish("c" .. i, i .. "." .. k) end
    end
    db:publish("all", "end")
    for i = 1, 50 do
      local expected = {}
      for k = 1, 10 do expected[k] = i .. "." .. k end
      assert.equal(table.concat(expected, " ") .. " end", tasks[i]:join())
      subs[i]:close()
    end
  end)

  it("goes on when whoever received for all is cancelled", function()
    local a <close> = db:subscribe "a"
    local b <close> = db:subscribe "b"
    local first = task.spawn(a.receive, a)
    while first:status() ~= "waiting" do task.sleep(0) end
    local second = task.spawn(b.receive, b)
    while second:status() ~= "waiting" do task.sleep(0) end
    first:cancel()
    first:wait(WAIT)
    db:publish("b", "x")
    assert.equal("x", second:join().payload)
    assert.equal("EDEADLINE", failure(task.deadline, 0.01, a.receive, a).code)
    db:publish("a", "y")
    assert.equal("y", a:receive(WAIT).payload)
  end)

  it("loses the oldest when it does not keep up, and says so", function()
    local slow <close> = db:subscribe("s", { max_messages = 3 })
    local other <close> = db:subscribe "s"
    for i = 1, 10 do db:publish("s", i) end
    for i = 1, 10 do assert.equal(tostring(i), other:receive(WAIT).payload) end
    assert.equal(7, slow.lost)
    assert.equal("8", slow:receive(WAIT).payload)
  end)

  it("is there again after the connection was lost", function()
    local a <close> = db:subscribe "a"
    local receiver = task.spawn(a.receive, a)
    while receiver:status() ~= "waiting" do task.sleep(0) end
    db:client_kill("TYPE", "pubsub")
    while db:publish("a", "again") == 0 do task.sleep(0.001) end
    assert.equal("again", receiver:join().payload)
    assert.equal(1, a.reconnects)
  end)

  it("is refused by the server's reasons", function()
    db:acl_setuser("some", "on", ">secret", "+@all", "resetchannels", "&ok")
    local some <close> = redis.connect((url:gsub("//", "//some:secret@")))
    assert.equal("NOPERM", failure(some.subscribe, some, "not ok").code)
    local ok <close> = some:subscribe "ok"
    assert.equal(1, db:publish("ok", "1"))
    assert.equal("1", ok:receive(WAIT).payload)
    assert.error_matches(function() db:subscribe() end, "the name of a channel expected")
    assert.error_matches(function() db:subscribe("a", { max = 1 }) end, "unknown option 'max'")
  end)

  it("ends with its client", function()
    local a = db:subscribe "a"
    local receiver = task.spawn(a.receive, a)
    while receiver:status() ~= "waiting" do task.sleep(0) end
    db:close()
    assert.is_nil(receiver:join())
    assert.is_nil(a:receive())
    assert.equal("ECLOSED", failure(db.subscribe, db, "a").code)
    assert.equal("ECLOSED", failure(db.get, db, "a").code)
    assert.equal("ECLOSED", failure(db.blpop, db, "a", 0).code)
  end)
end)

describe("a server that goes away", function()
  it("fails what was under way, and is found again by itself", function()
    local own <close> = start "redis"
    local port, child = own.redis.port, own.redis.child
    local r <close> = redis.connect("redis://127.0.0.1:" .. port, { timeout = WAIT, wait = WAIT })
    assert.equal("OK", r:set("a", 1))
    child:kill "STOP"
    local write = task.spawn(r.incr, r, "a")
    while write:status() ~= "waiting" do task.sleep(0) end
    child:kill "KILL"
    local code = failure(write.join, write).code
    assert.is_true(code == "ECONNRESET" or code == "EPIPE", code) -- the server may be gone before the command has left
    local read = task.spawn(r.get, r, "b") -- waits until there is a server again
    while read:status() ~= "waiting" do task.sleep(0) end
    local again = process.spawn({ "redis-server", "--port", tostring(port), "--bind", "127.0.0.1", "--save", "", "--dir", own.redis.folder,
      "--logfile", own.redis.folder .. "/again" })
    assert.is_nil(read:join())
    assert.equal(2, r:stats().connects)
    again:kill "TERM"
    again:close()
  end)

  it("lets go of a subscription that is closed meanwhile", function()
    local own <close> = start "redis"
    local r <close> = redis.connect("redis://127.0.0.1:" .. own.redis.port, { wait = WAIT })
    local a = r:subscribe "a"
    local receiver = task.spawn(a.receive, a)
    while receiver:status() ~= "waiting" do task.sleep(0) end
    own.redis.child:kill "KILL"
    await(function() return not pcall(net.connect, "127.0.0.1:" .. own.redis.port, WAIT) end)
    a:close()
    assert.is_nil(receiver:join())
  end)

  it("is given up after `wait` seconds, and says where it was", function()
    local r <close> = redis.connect("redis://127.0.0.1:1", { wait = 0.05 })
    local err = failure(r.get, r, "a")
    assert.equal("ECONNREFUSED", err.code)
    assert.matches("127%.0%.0%.1:1", tostring(err))
  end)

  -- Between client and server stands a relay, whose first connection takes what the client sends and answers nothing more, and then ends.
  it("has what only reads asked again", function()
    db:set("a", 1)
    local listener <close> = net.listen "127.0.0.1:0"
    local r <close> = redis.connect("redis://" .. listener:address(), { timeout = WAIT, wait = WAIT })
    local relay = task.spawn(function()
      local greeted <close> = listener:accept(WAIT)
      greeted:read(65536, WAIT)
      greeted:write "%0\r\n"
      local got = ""
      while not (got:find "GET" and got:find "INCR") do got = got .. greeted:read(65536, WAIT) end
      greeted:close()
      local client <close> = listener:accept(WAIT)
      local server <close> = net.connect(url:match "//(.*)")
      local back = task.spawn(function()
        for bytes in function() return server:read(65536, WAIT) end do client:write(bytes) end
      end)
      for bytes in function() return client:read(65536, WAIT) end do server:write(bytes) end
      server:shutdown()
      back:join()
    end)
    local reader, writer = task.spawn(r.get, r, "a"), task.spawn(r.incr, r, "a")
    assert.equal("1", reader:join())
    assert.equal("ECONNRESET", failure(writer.join, writer).code)
    r:close()
    relay:join()
  end)
end)

describe("a URL", function()
  it("says server, user, database", function()
    db:acl_setuser("ann", "on", ">p@ss/", "~*", "+@all")
    local host = url:match "//(.*)"
    local ann <close> = redis.connect(("redis://ann:p%%40ss%%2F@%s/3"):format(host), { name = "spec" })
    ann:set("x", 1)
    assert.matches("name=spec .*db=3 .*user=ann", ann:client_info())
    assert.not_matches("p@ss", tostring(ann))
    assert.not_matches("p%%40", tostring(ann))
    local wrong <close> = redis.connect(("redis://ann:wrong@%s"):format(host), { wait = WAIT })
    assert.equal("WRONGPASS", failure(wrong.get, wrong, "x").code)
    local far <close> = redis.connect(url .. "/99", { wait = WAIT })
    assert.equal("ERR", failure(far.get, far, "x").code)
  end)

  it("that is none is refused, without its password", function()
    for text, why in pairs {
      ["http://x"] = "redis://, rediss://", ["redis:x"] = "redis://HOST", ["redis://h/x"] = "'x' is no number", ["redis://h?x=1"] = "only db=NUMBER",
      ["unix:"] = "unix:PATH", ["redis+sentinel://h"] = "MASTER", ["redis://u:secret@h/x"] = "//%.%.%.@h/x",
    } do
      local err = failure(redis.connect, text)
      assert.equal("EINVAL", err.code, text)
      assert.matches(why, tostring(err))
      assert.not_matches("secret", tostring(err))
    end
    assert.error_matches(function() redis.connect(url, { timout = 1 }) end, "unknown option 'timout'.*timeout")
    assert.error_matches(function() redis.connect(1) end, "url: a string expected")
  end)

  it("may name sentinels, which know the master", function()
    local own <close> = start "redis"
    local folder = own.redis.folder
    local sentinel, port = require("peers.start").configured(function(ports)
      local conf <close> = assert(io.open(folder .. "/sentinel.conf", "w"))
      conf:write(("port %d\nbind 127.0.0.1\ndir %s\nlogfile %s/sentinel.log\nsentinel monitor main 127.0.0.1 %d 1\n"):format(ports[1], folder, folder, own.redis.port))
      return { "redis-server", folder .. "/sentinel.conf", "--sentinel" }
    end, { count = 1, log = folder .. "/sentinel.log", ready = "monitor master" })
    local r <close> = redis.connect(("redis+sentinel://127.0.0.1:1,127.0.0.1:%d/main/1"):format(port), { wait = WAIT })
    assert.equal("OK", r:set("a", 1))
    assert.matches("db=1 ", r:client_info())
    local none <close> = redis.connect(("redis+sentinel://127.0.0.1:%d/other"):format(port))
    assert.equal("ENOTFOUND", failure(none.get, none, "a").code)
    sentinel:kill "TERM"
    sentinel:close()
  end)
end)
