-- SPDX-License-Identifier: MIT
-- green.hub with a broker, Redis or PostgreSQL: several processes, which come and go, as the broker does.
-- Needs: redis databases
local fs = require "green.fs"
local frames = require "http.frames"
local http = require "green.http"
local interpreter = require "interpreter"
local process = require "green.process"
local postgres = require "peers.postgres"
local redis = require "green.redis"
local serve = require "process"
local shell = require "shell"
local start = require "peers.databases"
local task = require "green.task"
local await = require("outcome").eventually

local APP = (arg[0]:match "^(.*)/tests/[^/]*$" or ".") .. "/tests/green/hub/app.lua"
local WAIT = 60 -- seconds, for what is bound to come
local broker, url

-- ---- the brokers ----
--
--     url, other = of another database, dead = where nobody is, unusable = { URL = why }
--     prepare()   close()   kill()   restart()   freeze()   hang_up() = ends the connections of all hubs
--     known(topic, n, all)   waits until n processes listen to the topic, of `all` (or n) that are there, as far as the broker knows
--     say(topic, text)       as a process that is no hub

local BROKERS = {}

function BROKERS.redis()
  local servers, client = start "redis", nil
  local url = ("redis://127.0.0.1:%d"):format(servers.redis.port)
  local self = {
    url = url, other = url .. "/3", dead = "redis://127.0.0.1:1",
    unusable = { ["redis://"] = "redis://HOST", ["redis://h/x"] = "no number of a database", ["redis://user:secret@h/x"] = "%.%.%.@h/x" },
  }
  function self.prepare()
    if not servers.redis.child:kill(0) then servers.redis:restart() end -- a test that failed left it ended
    client = redis.connect(url, { wait = WAIT, timeout = WAIT })
    self.client = client
  end
  function self.settle() client:close() end
  function self.close() servers:close() end
  function self.kill()
    servers.redis.child:kill "KILL"
    servers.redis.child:wait(WAIT)
  end
  function self.restart() servers.redis:restart() end
  function self.freeze() servers.redis.child:kill "STOP" end
  function self.hang_up() client:client_kill("TYPE", "pubsub") end
  function self.known(topic, n)
    await(function() return client:pubsub_numsub("green:hub:0:t:" .. topic)[2] == n end, topic .. " has " .. n .. " processes")
  end
  function self.say(topic, text) client:publish("green:hub:0:t:" .. topic, text) end
  return self
end

function BROKERS.postgres()
  local pg = postgres.start()
  pg:ask "CREATE DATABASE other"
  local self = {
    url = pg.url, other = (pg.url:gsub("/postgres$", "/other")), dead = "postgres://127.0.0.1:1/x",
    unusable = { ["postgres://h:x/"] = "is no port", ["postgres://user:secret@h/?x=y"] = "invalid URI" },
  }
  local ended
  function self.prepare()
    if ended then self.restart() end
  end
  function self.settle() if pg.frozen then pg:thaw() end end
  function self.close() pg:close() end
  function self.kill()
    pg.frozen, ended = nil, true
    pg:kill()
  end
  function self.restart()
    pg:restart()
    ended = false
  end
  function self.freeze() pg:freeze() end
  function self.hang_up() pg:ask "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'greenlua-hub'" end
  function self.known(_, n, all)
    local count = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = 'postgres')"
    await(function() return tonumber(pg:ask(count)) == (all or n) end, "there are " .. (all or n) .. " processes")
  end
  function self.say(topic, text) pg:ask(("SELECT pg_notify('green_hub', 'f00.1 m %d t:%s%s')"):format(#topic + 2, topic, text)) end
  function self.ask(sql) return pg:ask(sql) end
  return self
end

-- ---- processes ----

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

local function specs(kind)
  setup(function()
    broker = BROKERS[kind]()
    url = broker.url
  end)
  teardown(function() broker.close() end)
  before_each(function() broker.prepare() end)
  after_each(function() broker.settle() end)

  describe("a hub with " .. kind, function()
    it("reaches whoever listens, in whichever process", function()
      local a <close> = hub "news"
      local b <close> = hub "news other"
      local c <close> = hub()
      broker.known("news", 2, 3)
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
      broker.known("news", 2)
      local words = { {}, {} }
      for i = 1, 300 do words[1][i], words[2][i] = "a" .. i, "b" .. i end
      task.all { function() a:publish("news", table.unpack(words[1])) end, function() b:publish("news", table.unpack(words[2])) end }
      local heard = a:heard("news", 600)
      assert.equal(heard, b:heard("news", 600))
      local own = {}
      for word in heard:gmatch "a%d+" do own[#own + 1] = word end
      assert.same(words[1], own)
    end)

    it("gets its own message when it has just begun to listen", function()
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
      if broker.client then await(function() return #broker.client:pubsub_channels "green:hub:0:t:*" == 0 end, "Redis is told what nobody listens to") end
    end)

    it("keeps databases apart, and passes on what others publish", function()
      local a <close> = hub "news"
      broker.known("news", 1)
      local b <close> = hub("news", broker.other)
      await(function() return b:get "/stats".connected end)
      a:publish("news", "a")
      b:publish("news", "b")
      assert.equal("b", b:heard("news", 1))
      a:heard("news", 1)
      broker.say("news", "other")
      assert.equal("a other", a:heard("news", 2))
      assert.same({ count = 1, silent = 0 }, a:get "/count/news")
    end)

    it("carries messages of any size, and those beside them in their order", function()
      local a <close> = hub "news"
      local b <close> = hub "news"
      broker.known("news", 2)
      local words = {}
      for i, size in ipairs { 1, 7900, 7950, 7999, 8000, 8001, 3, 100000, 2, 300000, 7980 } do words[i] = ("ä"):rep(size // 2) .. ("x"):rep(size % 2) end
      a:publish("news", table.unpack(words))
      assert.equal(table.concat(words, " "), b:heard("news", #words))
      assert.equal(table.concat(words, " "), a:heard("news", #words))
      assert.equal(0, a:get "/stats".lost + a:get "/stats".refused)
    end)

    it("goes on when the broker is back: what was published meanwhile comes then, once, in order", function()
      local a <close> = hub "news"
      local b <close> = hub "news"
      broker.known("news", 2)
      a:publish("news", "before")
      b:heard("news", 1)
      a:heard("news", 1)
      broker.kill()
      await(function() return not (a:get "/stats".connected or b:get "/stats".connected) end)
      assert.equal(1, a:publish("news", "m1", "m2", "m3"))
      assert.same({ 3, 0 }, { a:get "/stats".waiting, a:get "/heard/news".n - 1 })
      assert.equal(0, a:get "/stats".unconfirmed)
      broker.restart()
      assert.equal("before m1 m2 m3", a:heard("news", 4))
      await(function() return a:get "/stats".connects == 2 and b:get "/stats".connects == 2 end)
      broker.known("news", 2)
      a:publish("news", "after")
      await(function() return b:get "/heard/news".list:find " after$" end) -- it may have come back later than the messages that waited
      assert.equal(0, a:get "/stats".lost)
      assert.same({ count = 2, silent = 0 }, a:get "/count/news")
    end)

    it("connects anew when the broker hangs up, and tells it of all channels again", function()
      local a <close> = hub "news other"
      local b <close> = hub "news"
      broker.known("news", 2)
      for round = 2, 4 do
        broker.hang_up()
        await(function() return a:get "/stats".connects == round and b:get "/stats".connects == round end)
        broker.known("news", 2)
        broker.known("other", 1, 2)
        b:publish("news", "m" .. round)
        a:heard("news", round - 1)
      end
      assert.equal("m2 m3 m4", a:heard("news", 3))
      assert.equal(a:heard("news", 3), b:heard("news", 3))
      assert.same({ count = 2, silent = 0 }, b:get "/count/news")
    end)

    it("counts as lost what was on its way when the connection broke, and sends it no second time", function()
      local a <close> = hub "news"
      broker.known("news", 1)
      broker.freeze()
      a:publish("news", "m1", "m2", "m3")
      await(function() return a:get "/stats".unconfirmed == 3 end)
      broker.kill()
      await(function() return not a:get "/stats".connected end)
      assert.same({ 3, 0 }, { a:get "/stats".lost, a:get "/stats".waiting })
      broker.restart()
      await(function() return a:get "/stats".connected end)
      a:publish("news", "m4")
      assert.equal("m4", a:heard("news", 1))
    end)

    it("keeps a bounded number of messages while the broker is away: the oldest are lost, and counted", function()
      local a <close> = hub "news"
      broker.known("news", 1)
      broker.kill()
      await(function() return not a:get "/stats".connected end)
      local words = {}
      for i = 1, 10050 do words[i] = "m" .. i end
      a:publish("news", table.unpack(words))
      assert.same({ 10000, 50 }, { a:get "/stats".waiting, a:get "/stats".lost })
      broker.restart()
      local heard = a:heard("news", 10000)
      assert.equal(table.concat(words, " ", 51), heard)
    end)

    it("waits for the broker to come, and says why it cannot count", function()
      broker.kill()
      local a <close> = hub "news"
      assert.equal(1, a:publish("news", "early"))
      local failed = a:get "/count/news"
      assert.same({ "ETIMEDOUT", true }, { failed.code, failed.message:lower():find("connection refused", 1, true) ~= nil })
      broker.restart()
      assert.equal("early", a:heard("news", 1))
    end)

    it("counts without a process that does not answer, and says so", function()
      local a <close> = hub "news"
      local b <close> = hub "news"
      broker.known("news", 2)
      b.app:signal "STOP"
      assert.same({ count = 1, silent = 1 }, a:get "/count/news")
      b.app:signal "CONT"
      await(function() return a:get "/count/news".silent == 0 end)
      assert.same({ count = 2, silent = 0 }, a:get "/count/news")
    end)

    it("is left by a process that was killed", function()
      local a <close> = hub "news"
      local b <close> = hub "news"
      broker.known("news", 2)
      b.app:stop "KILL"
      broker.known("news", 1)
      assert.same({ count = 1, silent = 0 }, a:get "/count/news")
    end)
  end)

  describe("a script with " .. kind, function()
    local function run(script, at) return shell("GREENLUA_HUB=" .. (at or url) .. " $lua script.lua", { ["script.lua"] = script }) end

    it("takes part: what it publishes leaves before it ends, also when it fails", function()
      local a <close> = hub "news"
      broker.known("news", 1)
      local out, err, code = run [[print(require "green.hub".publish("news", "from-a-script"))]]
      assert.same({ "0\n", "", 0 }, { out, err, code })
      a:heard("news", 1)
      out, err, code = run [[require "green.hub".publish("news", "last-words") error("oops", 0)]]
      assert.same({ "", 1 }, { out, code })
      assert.matches("oops", err)
      assert.equal("from-a-script last-words", a:heard("news", 2))
    end)

    it("sends and hears any text, to any topic", function()
      local out, err = run [[
        local hub = require "green.hub"
        for _, topic in ipairs { "a b", "", "\0", "\xff\xfe", ("long "):rep(2000), "ask", "'\"\\" } do
          local one <close> = hub.subscribe(topic)
          for _, text in ipairs { "", "\0", "a\0b", "'\"\\{},NULL", " ", ("\0"):rep(10000) } do
            hub.publish(topic, text)
            assert(one:receive(60) == text)
          end
        end
        print "all"
      ]]
      assert.same({ "all\n", "" }, { out, err })
    end)

    it("listens until it ends, and then nobody hears of it", function()
      local file = os.tmpname()
      fs.write(file, [[for message in require "green.hub".subscribe "news" do print(message) break end]])
      local child <close> = process.spawn({ interpreter, file }, { env = { GREENLUA_HUB = url }, stdout = "pipe" })
      broker.known("news", 1)
      broker.say("news", "hello")
      assert.equal("hello", child.stdout:read("l", WAIT))
      assert.equal(0, child:wait(WAIT))
      broker.known("news", 0)
      fs.remove(file)
    end)

    it("says what is lost when it ends while the broker is away, and ends", function()
      local _, err, code = run([[require "green.hub".publish("news", "nobody")]], broker.dead)
      assert.equal(0, code)
      assert.matches("the program ends, and 1 messages are lost: [^\n]*[Cc]onnection refused", err)
    end)

    it("ends at once when it has published nothing, whether the broker is there or not", function()
      for _, at in ipairs { url, broker.dead } do
        local out, err, code = run([[local _ <close> = require "green.hub".subscribe "news" print "over"]], at)
        assert.same({ "over\n", 0 }, { out, code })
        assert.is_nil(err:find("lost", 1, true))
      end
    end)

    it("hears what is wrong with the URL where it asks for the hub", function()
      local unusable = { ["nats://127.0.0.1"] = "redis://HOST", ["127.0.0.1"] = "redis://HOST" }
      for at, why in pairs(broker.unusable) do unusable[at] = why end
      for at, why in pairs(unusable) do
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
      ]], broker.dead)
      assert.equal("ECANCELED\nEDEADLINE\n", out, err)
    end)
  end)
end

describe("with Redis", function()
  specs "redis"

  it("forgets channels without listeners at the broker", function()
    local a <close> = hub "news other"
    broker.known("news", 1)
    http.post(a.app.url .. "/close/news", { body = "", timeout = WAIT })
    broker.known("news", 0)
    broker.known("other", 1, 2)
    local ann = visit(a, "ann")
    await(function() return broker.client:pubsub_numsub("green:hub:0:u:ann")[2] == 1 end)
    leave(ann)
    await(function() return broker.client:pubsub_numsub("green:hub:0:u:ann")[2] == 0 end)
  end)

  it("does not pass on what is no text", function()
    local a <close> = hub "news"
    broker.known("news", 1)
    broker.say("news", "\xff")
    broker.say("news", "other")
    broker.client:publish("green:hub:0:ask", "nonsense")
    assert.equal("other", a:heard("news", 1))
    assert.equal(1, a:get "/stats".refused)
    assert.same({ count = 1, silent = 0 }, a:get "/count/news")
  end)
end)

describe("with PostgreSQL", function()
  specs "postgres"

  it("does not take for a message what is none", function()
    local a <close> = hub "news"
    broker.known("news", 1)
    local nonsense = { "", "x", "f00.1 m 9999 t:news", "f00.1 m -1 t:news", "f00.1 q 6 t:newsx", "f00.1 t 77777", "f00.1 t x", "f00.1 m 99999999999999999999 x" }
    for _, payload in ipairs(nonsense) do broker.ask(("SELECT pg_notify('green_hub', '%s')"):format(payload)) end
    broker.say("ask", "nonsense")
    broker.say("news", "other")
    assert.equal("other", a:heard("news", 1))
    assert.equal(#nonsense, a:get "/stats".refused)
    assert.same({ count = 1, silent = 0 }, a:get "/count/news")
  end)

  it("sends the same twice, when it is published twice", function()
    local a <close> = hub "news"
    broker.known("news", 1)
    a:publish("news", "one", "one", "one")
    assert.equal("one one one", a:heard("news", 3))
  end)

  it("keeps no more of what was too large than was published lately", function()
    local a <close> = hub "news"
    broker.known("news", 1)
    local large = ("x"):rep(10000)
    a:publish("news", large)
    a:heard("news", 1)
    broker.ask "UPDATE green_hub_messages SET sent = now() - interval '2 minutes'"
    a:publish("news", large)
    a:heard("news", 2)
    await(function() return broker.ask "SELECT count(*) FROM green_hub_messages" == "1" end, "the old row is gone")
  end)
end)
