-- SPDX-License-Identifier: MIT
-- The small examples, each as a process of its own, doing what its head comment says.
local await = require("outcome").eventually
local frames = require "http.frames"
local http = require "green.http"
local net = require "green.net"
local raw = require "http.raw"
local serve = require "process"
local task = require "green.task"

local LIMIT = 30 -- seconds nothing here takes

local function served(name, env) return serve("scripts/" .. name .. ".lua", env) end

-- Ended as its user ends it; nothing was said but that.
local function assert_fine(app) assert.same({ 0, "greenlua: stopping (SIGTERM)\n" }, { app:stop() }) end

describe("scripts/hello.lua", function()
  it("greets, and counts", function()
    local app <close> = served "hello"
    assert.equal("Hello, world! You are visitor 1.\n", http.get(app.url).body)
    assert.equal("Hello, Ann & Bob! You are visitor 2.\n", http.get(app.url, { query = { name = "Ann & Bob" } }).body)
    assert_fine(app)
  end)
end)

describe("scripts/echo_ws.lua", function()
  it("answers messages until it is told goodbye", function()
    local app <close> = served "echo_ws"
    assert.matches("new WebSocket", http.get(app.url).body)
    local client = frames.connect(app.address, { path = "/echo" })
    assert.matches("^Hello 127%.0%.0%.1", client:message())
    client:text "tea"
    assert.equal("TEA", client:message())
    client:binary "\1\2\3"
    assert.equal("\3\2\1", client:expect(frames.BINARY))
    client:text "bye"
    assert.equal(1000, (client:farewell()))
    client:close()
    assert_fine(app)
  end)
end)

describe("scripts/notes.lua", function()
  local path

  before_each(function() path = os.tmpname() end)

  after_each(function()
    for _, suffix in ipairs { "", "-wal", "-shm" } do os.remove(path .. suffix) end
  end)

  it("keeps notes, also over a restart", function()
    local app <close> = served("notes", { DATABASE_URL = "sqlite:" .. path })
    local notes = http.client { base_url = app.url }
    assert.equal("[]", notes:get("/notes").body)
    local created = notes:post("/notes", { json = { text = "buy tea" } })
    assert.same({ 201, "/notes/1" }, { created.status, created.headers.location })
    assert.same({ id = 1, text = "buy tea" }, created:json())
    notes:post("/notes", { json = { text = "sleep" } })
    assert.same({ id = 1, text = "drink tea" }, notes:put("/notes/1", { json = { text = "drink tea" } }):json())
    assert.equal(204, notes:delete("/notes/2").status)
    assert_fine(app)
    local again <close> = served("notes", { DATABASE_URL = "sqlite:" .. path })
    assert.same({ { id = 1, text = "drink tea" } }, http.get(again.url .. "/notes"):json())
  end)

  it("says what is wrong", function()
    local app <close> = served("notes", { DATABASE_URL = "sqlite:" .. path })
    local notes = http.client { base_url = app.url }
    for _, body in ipairs { "", "{", "[]", "7", '{"text": 7}', '{"txt": "tea"}' } do
      assert.equal(400, notes:post("/notes", { body = body }).status, body)
    end
    for _, id in ipairs { "1", "x", "-" } do
      assert.same({ error = "no such note" }, notes:get("/notes/" .. id):json())
      assert.equal(404, notes:put("/notes/" .. id, { json = { text = "tea" } }).status)
      assert.equal(404, notes:delete("/notes/" .. id).status)
    end
    assert.equal(405, notes:patch("/notes").status)
    assert_fine(app)
  end)
end)

describe("scripts/fanout.lua", function()
  it("asks all shops at once", function()
    local app <close> = served "fanout"
    local answer = http.get(app.url):json()
    for _, shop in ipairs { "corner", "market", "wholesale" } do assert.equal("integer", math.type(answer.prices[shop])) end
    assert.is_true(answer.seconds >= 0.3)
    assert.equal(404, http.get(app.url .. "/shops/moon").status)
    assert_fine(app)
  end)

  it("asks for many at once", function()
    local app <close> = served "fanout"
    local tasks = {}
    for i = 1, 30 do tasks[i] = task.spawn(http.get, app.url) end
    for _, one in ipairs(tasks) do assert.equal("integer", math.type(one:join(LIMIT):json().prices.market)) end
    assert_fine(app)
  end)
end)

describe("scripts/reminders.lua", function()
  it("reminds once, also when it was killed in between", function()
    local path = os.tmpname()
    local function start() return served("reminders", { DATABASE_URL = "sqlite:" .. path }) end
    do
      local app <close> = start()
      local reminders = http.client { base_url = app.url }
      assert.equal(400, reminders:post("/reminders", { json = { text = "tea" } }).status)
      assert.same({ id = 1 }, reminders:post("/reminders", { json = { text = "tea", seconds = 0 } }):json())
      await(function() return reminders:get("/reminders"):json()[1].told == 1 end)
      assert.equal("Reminder 1: tea", app:line())
      reminders:post("/reminders", { json = { text = "soup", seconds = 0.5 } })
      app:stop "KILL"
    end
    local app <close> = start()
    local reminders = http.client { base_url = app.url }
    await(function() return reminders:get("/reminders"):json()[2].told == 1 end)
    assert.equal(0, (app:stop()))
    for _, suffix in ipairs { "", "-wal", "-shm" } do os.remove(path .. suffix) end
  end)
end)

describe("scripts/events.lua", function()
  it("ticks, and stops with its client", function()
    local app <close> = served "events"
    assert.matches("EventSource", http.get(app.url).body)
    local resp <close> = http.get(app.url .. "/clock", { query = { every = 0.01 }, stream = true })
    assert.equal("text/event-stream", resp.headers["content-type"])
    local text = ""
    for bytes in resp:chunks() do
      text = text .. bytes
      if text:find("id: 3\n.-\n\n") then break end
    end
    local id, event, data = text:match "^event: (%a+)\nid: (%d+)\ndata: (.-)\n\n"
    assert.same({ "tick", "1" }, { id, event })
    assert.matches('"time":"%d%d:%d%d:%d%d"', data)
    resp:close()
    assert_fine(app)
  end)
end)

describe("scripts/upload.lua", function()
  local MB = 1024 * 1024

  it("measures the files of a form", function()
    local app <close> = served "upload"
    assert.matches("multipart", http.get(app.url).body)
    local resp = http.post(app.url, { multipart = {
      { name = "note", value = "not a file" },
      { name = "file", filename = "a.txt", contents = "one\ntwo\n" },
      { name = "file", filename = "b.bin", contents = ("0123456789abcde\n"):rep(MB) },
    } })
    assert.same({ { name = "a.txt", size = 8, lines = 2 }, { name = "b.bin", size = 16 * MB, lines = MB } }, resp:json())
    assert.equal(415, http.post(app.url, { form = { a = "b" } }).status)
    assert_fine(app)
  end)

  it("measures a body larger than any limit of a held one, as it comes", function()
    local app <close> = served "upload"
    local socket = net.connect(app.address)
    socket:write("PUT /raw HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
    local chunk = ("%x\r\n%s\r\n"):format(MB, ("\n"):rep(MB))
    for _ = 1, 32 do socket:write(chunk) end
    socket:write "0\r\n\r\n"
    local answer = ""
    for bytes in function() return socket:read() end do answer = answer .. bytes end
    socket:close()
    assert.matches("^HTTP/1.1 200 ", answer)
    assert.matches('"size":' .. 32 * MB, answer)
    assert.matches('"lines":' .. 32 * MB, answer)
    assert_fine(app)
  end)
end)

describe("scripts/static.lua", function()
  it("serves a folder and nothing outside", function()
    local app <close> = served "static"
    local resp = http.get(app.url .. "/files/kitchen/page.html")
    assert.equal(200, resp.status)
    assert.matches("^text/html", resp.headers["content-type"])
    assert.same({ "public, max-age=60", "DENY" }, { resp.headers["cache-control"], resp.headers["x-frame-options"] })
    assert.equal(304, http.get(app.url .. "/files/kitchen/page.html", { headers = { ["if-none-match"] = resp.headers.etag } }).status)
    assert.equal("<!doctype", http.get(app.url .. "/files/kitchen/page.html", { headers = { range = "bytes=0-8" } }).body)
    local source = http.get(app.url .. "/source")
    assert.matches("SPDX", source.body)
    assert.matches("^attachment", source.headers["content-disposition"])
    for _, path in ipairs { "/files/..%2fREADME.md", "/files/none", "/files/.git", "/" } do
      local none = http.get(app.url .. path)
      assert.same({ 404, "DENY" }, { none.status, none.headers["x-frame-options"] }, path)
    end
    assert_fine(app)
  end)
end)

describe("scripts/gateway.lua", function()
  it("passes on what those ask who have a token, and says how the other server is", function()
    local notes <close> = served("notes", { DATABASE_URL = "sqlite::memory:" })
    local app <close> = served("gateway", { UPSTREAM = notes.url })
    local ann = http.client { base_url = app.url, headers = { Authorization = "Bearer tea" } }
    local created = ann:post("/notes", { json = { text = "buy tea" } })
    assert.same({ 201, "/notes/1", "1.1 gateway" }, { created.status, created.headers.location, created.headers.via })
    assert.same({ { id = 1, text = "buy tea" } }, ann:get("/notes"):json())
    assert.equal(404, ann:get("/notes/7").status)
    local stranger = http.get(app.url .. "/notes", { headers = { Authorization = "Bearer milk" } })
    assert.same({ 401, "Bearer" }, { stranger.status, stranger.headers["www-authenticate"] })
    assert.equal(404, http.get(app.url .. "/gateway"):json().upstream)
    assert_fine(app)
    assert_fine(notes)
  end)

  it("sends a key of its own, and the user's name, whatever the client says", function()
    local function echo(req) return { key = req.headers.authorization, user = req.headers["x-user"], target = req.target } end
    raw.serve(echo, nil, function(inside)
      local app <close> = served("gateway", { UPSTREAM = "http://" .. inside, UPSTREAM_KEY = "k" })
      local seen = http.get(app.url .. "/a?b=1", { headers = { Authorization = "Bearer coffee", ["X-User"] = "root" } }):json()
      assert.same({ key = "Bearer k", user = "bob", target = "/a?b=1" }, seen)
      assert_fine(app)
    end)
  end)

  it("answers 502 for a server that is down", function()
    local app <close> = served("gateway", { UPSTREAM = "http://127.0.0.1:1" })
    assert.equal(502, http.get(app.url, { headers = { Authorization = "Bearer tea" } }).status)
    assert.equal("ECONNREFUSED", http.get(app.url .. "/gateway"):json().upstream)
    local code, said = app:stop()
    assert.equal(0, code)
    assert.matches("connection refused", said)
  end)
end)
