-- SPDX-License-Identifier: MIT
-- green.hub with Redis as its broker: several processes, which come and go, as Redis does.
-- Needs: redis
local fs = require "green.fs"
local frames = require "http.frames"
local http = require "green.http"
local interpreter = require "interpreter"
local process = require "green.process"
local redis = require "green.redis"
local serve = require "process"
local shell = require "shell"
local start = require "peers.databases"
local task = require "green.task"
local await = require("outcome").eventually

local APP = (arg[0]:match "^(.*)/tests/[^/]*$" or ".") .. "/tests/green/hub/app.lua"
local WAIT = 60 -- seconds, for what is bound to come
local servers, url, client

setup(function()
  servers = start "redis"
  url = ("redis://127.0.0.1:%d"):format(servers.redis.port)
end)

teardown(function() servers:close() end)

before_each(function()
  if not servers.redis.child:kill(0) then servers.redis:restart() end -- a test that failed left it ended
  client = redis.connect(url, { wait = WAIT, timeout = WAIT })
end)
after_each(function() client:close() end)

local Hub = {}
Hub.__index = Hub

-- Serves the app with this broker. What is left of it when the test ends is closed.
local function hub(topics, at)
  local app = serve(APP, { GREENLUA_HUB = at or url, TOPICS = topics })
  return setmetatable({ app = app, address = app.address }, Hub)
end

function Hub:get(path) return http.get(self.app.url .. path, { timeout = WAIT }):json() end
function Hub:post(path, body) return http.post(self.app.url .. path, { body = body or "", timeout = WAIT }):json() end
function Hub:publish(topic, ...) return self:post("/publish/" .. topic, table.concat({ ... }, " ")).sent end
function Hub:heard(topic, n)
  local heard
  await(function()
    heard = self:get("/heard/" .. topic)
    return heard.n >= n
  end, "message " .. n .. " of " .. topic)
  return heard.list
end
function Hub:__close() self.app:__close() end

-- A browser of the user, whose socket is attached.
local function visit(at, user)
  local socket = frames.connect(at.address, { path = "/live?user=" .. user })
  assert.equal("attached", socket:message())
  return socket
end

local function leave(socket)
  socket:raw(frames.close(1000))
  repeat until socket:frame() == frames.CLOSE
  socket:close()
end

-- Listens, as far as the broker knows.
local function known(topic, n)
  await(function() return client:pubsub_numsub("green:hub:0:t:" .. topic)[2] == n end, topic .. " has " .. n .. " processes")
end

describe("a hub with Redis", function()
  it("reaches whoever listens, in whichever process", function()
    local a <close> = hub "news"
    local b <close> = hub "news other"
    local c <close> = hub()
    known("news", 2)
    assert.equal(0, c:publish("news", "from-c"))
    assert.equal(1, a:publish("news", "from-a"))
    assert.equal(a:heard("news", 2), b:heard("news", 2))
    assert.matches("from%-c", a:heard("news", 2))
    assert.equal(0, b:get("/heard/other").n)
    local ann, tablet = visit(a, "ann"), visit(b, "ann")
    await(function() return a:get "/present/ann".count == 2 end)
    assert.same({ count = 2, silent = 0 }, c:get "/present/ann")
    assert.same({ count = 2, silent = 0 }, c:get "/count/news")
    assert.same({ count = 0, silent = 0 }, c:get "/present/bob")
    assert.equal(0, c:post("/send/ann", "dinner is ready").sent)
    assert.equal("dinner is ready", ann:message())
    assert.equal("dinner is ready", tablet:message())
    leave(ann)
    assert.equal(1, b:post("/send/ann", "again").sent)
    assert.equal("again", tablet:message())
    leave(tablet)
  end)

  it("has one order for all, also for what is published by those who listen", function()
    local a <close> = hub "news"
    local b <close> = hub "news"
    known("news", 2)
    local words = { {}, {} }
    for i = 1, 300 do words[1][i], words[2][i] = "a" .. i, "b" .. i end
    task.all { function() a:publish("news", table.unpack(words[1])) end, function() b:publish("news", table.unpack(words[2])) end }
    local heard = a:heard("news", 600)
    assert.equal(heard, b:heard("news", 600))
    local own = {}
    for word in heard:gmatch "a%d+" do own[#own + 1] = word end
    assert.same(words[1], own)
  end)

  it("gets its own message when it has just begun to listen, and tells the broker what nobody listens to any more", function()
    local out, err, code = shell("GREENLUA_HUB=" .. url .. " $lua script.lua", { ["script.lua"] = [[
      local hub, task = require "green.hub", require "green.task"
      for i = 1, 200 do
        local one <close> = hub.subscribe("topic " .. i % 7)
        assert(hub.publish("topic " .. i % 7, "m" .. i) == 1)
        assert(one:receive(60) == "m" .. i)
      end
      print((hub.count "topic 1"), hub.stats().lost)
      local many = {}
      for i = 1, 2000 do many[i] = hub.subscribe("many " .. i) end
      for i = 2, 2000 do many[i]:close() end
      hub.publish("many 1", "last")
      print(many[1]:receive(60))
    ]] })
    assert.same({ "0\t0\nlast\n", "", 0 }, { out, err, code })
    await(function() return #client:pubsub_channels "green:hub:0:t:*" == 0 end)
  end)

  it("forgets channels without listeners at the broker", function()
    local a <close> = hub "news other"
    known("news", 1)
    http.post(a.app.url .. "/close/news", { body = "", timeout = WAIT })
    known("news", 0)
    known("other", 1)
    local ann = visit(a, "ann")
    await(function() return client:pubsub_numsub("green:hub:0:u:ann")[2] == 1 end)
    leave(ann)
    await(function() return client:pubsub_numsub("green:hub:0:u:ann")[2] == 0 end)
  end)

  it("keeps databases apart, and passes on what others publish, unless it is no text", function()
    local a <close> = hub "news"
    local b <close> = hub("news", url .. "/3")
    known("news", 1)
    await(function() return client:pubsub_numsub("green:hub:3:t:news")[2] == 1 end)
    a:publish("news", "a")
    b:publish("news", "b")
    assert.equal("b", b:heard("news", 1))
    client:publish("green:hub:0:t:news", "\xff")
    client:publish("green:hub:0:t:news", "other")
    client:publish("green:hub:0:ask", "nonsense")
    assert.equal("a other", a:heard("news", 2))
    assert.equal(1, a:get "/stats".refused)
    assert.same({ count = 1, silent = 0 }, a:get "/count/news")
  end)

  it("goes on when Redis is back: what was published meanwhile comes then, once, in order", function()
    local a <close> = hub "news"
    local b <close> = hub "news"
    known("news", 2)
    a:publish("news", "before")
    b:heard("news", 1)
    a:heard("news", 1)
    servers.redis.child:kill "KILL"
    await(function() return not (a:get "/stats".connected or b:get "/stats".connected) end)
    assert.equal(1, a:publish("news", "m1", "m2", "m3"))
    assert.same({ 3, 0 }, { a:get "/stats".waiting, a:get "/heard/news".n - 1 })
    assert.equal(0, a:get "/stats".unconfirmed)
    servers.redis:restart()
    assert.equal("before m1 m2 m3", a:heard("news", 4))
    await(function() return a:get "/stats".connects == 2 and b:get "/stats".connects == 2 end)
    known("news", 2)
    a:publish("news", "after")
    await(function() return b:get "/heard/news".list:find " after$" end) -- it may have come back later than the messages that waited
    assert.equal(0, a:get "/stats".lost)
    assert.same({ count = 2, silent = 0 }, a:get "/count/news")
  end)

  it("connects anew when Redis hangs up, and tells it of all channels again", function()
    local a <close> = hub "news other"
    local b <close> = hub "news"
    known("news", 2)
    for round = 2, 4 do
      client:client_kill("TYPE", "pubsub")
      await(function() return a:get "/stats".connects == round and b:get "/stats".connects == round end)
      known("news", 2)
      known("other", 1)
      b:publish("news", "m" .. round)
      a:heard("news", round - 1)
    end
    assert.equal("m2 m3 m4", a:heard("news", 3))
    assert.equal(a:heard("news", 3), b:heard("news", 3))
    assert.same({ count = 2, silent = 0 }, b:get "/count/news")
  end)

  it("counts as lost what was on its way when the connection broke, and sends it no second time", function()
    local a <close> = hub "news"
    known("news", 1)
    servers.redis.child:kill "STOP"
    a:publish("news", "m1", "m2", "m3")
    await(function() return a:get "/stats".unconfirmed == 3 end)
    servers.redis.child:kill "KILL"
    await(function() return not a:get "/stats".connected end)
    assert.same({ 3, 0 }, { a:get "/stats".lost, a:get "/stats".waiting })
    servers.redis:restart()
    await(function() return a:get "/stats".connected end)
    a:publish("news", "m4")
    assert.equal("m4", a:heard("news", 1))
  end)

  it("keeps a bounded number of messages while Redis is away: the oldest are lost, and counted", function()
    local a <close> = hub "news"
    known("news", 1)
    servers.redis.child:kill "KILL"
    await(function() return not a:get "/stats".connected end)
    local words = {}
    for i = 1, 10050 do words[i] = "m" .. i end
    a:publish("news", table.unpack(words))
    assert.same({ 10000, 50 }, { a:get "/stats".waiting, a:get "/stats".lost })
    servers.redis:restart()
    local heard = a:heard("news", 10000)
    assert.equal(table.concat(words, " ", 51), heard)
  end)

  it("waits for Redis to come, and says why it cannot count", function()
    servers.redis.child:kill "KILL"
    servers.redis.child:wait(WAIT)
    local a <close> = hub "news"
    assert.equal(1, a:publish("news", "early"))
    local failed = a:get "/count/news"
    assert.same({ "ETIMEDOUT", true }, { failed.code, failed.message:find("connection refused", 1, true) ~= nil })
    servers.redis:restart()
    assert.equal("early", a:heard("news", 1))
  end)

  it("counts without a process that does not answer, and says so", function()
    local a <close> = hub "news"
    local b <close> = hub "news"
    known("news", 2)
    b.app:signal "STOP"
    assert.same({ count = 1, silent = 1 }, a:get "/count/news")
    b.app:signal "CONT"
    await(function() return a:get "/count/news".silent == 0 end)
    assert.same({ count = 2, silent = 0 }, a:get "/count/news")
  end)

  it("is left by a process that was killed", function()
    local a <close> = hub "news"
    local b <close> = hub "news"
    known("news", 2)
    b.app:stop "KILL"
    known("news", 1)
    assert.same({ count = 1, silent = 0 }, a:get "/count/news")
  end)
end)

describe("a script with a broker", function()
  local function run(script, at) return shell("GREENLUA_HUB=" .. (at or url) .. " $lua script.lua", { ["script.lua"] = script }) end

  it("takes part: what it publishes leaves before it ends, also when it fails", function()
    local a <close> = hub "news"
    known("news", 1)
    local out, err, code = run [[print(require "green.hub".publish("news", "from-a-script"))]]
    assert.same({ "0\n", "", 0 }, { out, err, code })
    a:heard("news", 1)
    out, err, code = run [[require "green.hub".publish("news", "last-words") error("oops", 0)]]
    assert.same({ "", 1 }, { out, code })
    assert.matches("oops", err)
    assert.equal("from-a-script last-words", a:heard("news", 2))
  end)

  it("listens until it ends, and then nobody hears of it", function()
    local file = os.tmpname()
    fs.write(file, [[for message in require "green.hub".subscribe "news" do print(message) break end]])
    local child <close> = process.spawn({ interpreter, file }, { env = { GREENLUA_HUB = url }, stdout = "pipe" })
    known("news", 1)
    client:publish("green:hub:0:t:news", "hello")
    assert.equal("hello", child.stdout:read("l", WAIT))
    assert.equal(0, child:wait(WAIT))
    known("news", 0)
    fs.remove(file)
  end)

  it("says what is lost when it ends while Redis is away, and ends", function()
    local _, err, code = run([[require "green.hub".publish("news", "nobody")]], "redis://127.0.0.1:1")
    assert.equal(0, code)
    assert.matches("the program ends, and 1 messages are lost: [^\n]*connection refused", err)
  end)

  it("ends at once when it has published nothing, whether Redis is there or not", function()
    for _, at in ipairs { url, "redis://127.0.0.1:1" } do
      local out, err, code = run([[local _ <close> = require "green.hub".subscribe "news" print "over"]], at)
      assert.same({ "over\n", 0 }, { out, code })
      assert.is_nil(err:find("lost", 1, true))
    end
  end)

  it("hears what is wrong with the URL where it asks for the hub", function()
    for at, why in pairs {
      ["nats://127.0.0.1"] = "redis://HOST", ["127.0.0.1"] = "redis://HOST", ["redis://"] = "redis://HOST", ["redis://h/x"] = "no number of a database",
      ["redis://user:secret@h/x"] = "%.%.%.@h/x",
    } do
      local _, err, code = run([[local ok, e = pcall(require, "green.hub") io.stderr:write(tostring(e), " ", e.code) os.exit(ok)]], "'" .. at .. "'")
      assert.equal(1, code)
      assert.matches("GREENLUA_HUB: .*" .. why .. ".* EINVAL$", err)
      assert.is_nil(err:find("secret", 1, true))
    end
  end)

  it("names misuse at its own line", function()
    local out = run [[
      local hub = require "green.hub"
      for _, fn in ipairs { hub.count, hub.present, hub.publish, hub.send } do
        local ok, err = pcall(function() return (fn({}, true)) end)
        print(ok, err)
      end
    ]]
    local n = 0
    for line in out:gmatch "[^\n]+" do
      n = n + 1
      assert.matches("^false\tscript.lua:3: hub%.%l+: a %l+ must be a string", line)
    end
    assert.equal(4, n)
  end)

  it("whose count is cancelled or out of time leaves no question behind", function()
    local out, err = run([[
      local hub, task = require "green.hub", require "green.task"
      local one = task.spawn(hub.count, "news")
      task.sleep(0)
      one:cancel()
      print(select(2, pcall(one.join, one)).code)
      print(select(2, pcall(task.deadline, 0, hub.count, "news")).code)
    ]], "redis://127.0.0.1:1")
    assert.equal("ECANCELED\nEDEADLINE\n", out, err)
  end)
end)
