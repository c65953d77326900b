-- SPDX-License-Identifier: MIT
-- --max-memory: whoever asks for too much is told so, and the others live on.
local build = require "build"
local fs = require "green.fs"
local http = require "green.http"
local net = require "green.net"
local serve = require "process"
local sh = require "shell"
local task = require "green.task"

-- AddressSanitizer has memory of its own, and makes every collection many times slower.
local CLIENTS, ROUNDS = 50, build.sanitized and 5 or 20
local LIMIT = build.sanitized and 8 or 64 -- MiB

-- What is served.
local app_file = os.tmpname()

local function write_app()
  local file <close> = assert(io.open(app_file, "w"))
  file:write [[
    local app = require "green.app".new()
    local debug = require "green.debug"
    local task = require "green.task"
    local kept, dropped

    app:get("/", function()
      local list = {}
      task.sleep(0)
      for i = 1, 100 do list[i] = { i } end
      return "fine"
    end)
    app:get("/memory", function()
      collectgarbage()
      return debug.memory()
    end)
    app:get("/table", function()
      local list = {}
      for i = 1, math.huge do list[i] = { i } end
    end)
    app:get("/strings", function()
      local list = {}
      for i = 1, math.huge do list[i] = ("x"):rep(100) .. i end
    end)
    app:get("/rep", function() return ("x"):rep(1 << 30) end)
    app:get("/double", function()
      local text = "x"
      while true do text = text .. text end
    end)
    app:get("/coroutines", function()
      local list = {}
      for i = 1, math.huge do
        list[i] = coroutine.create(math.abs)
        coroutine.resume(list[i], 1)
      end
    end)
    app:get("/tasks", function()
      task.group(function(group)
        while true do group:spawn(task.sleep, 1000) end
      end)
    end, { max_tasks = 1 << 30 })
    app:get("/keep", function() -- takes what there is, keeps it, and lives
      local list = {}
      kept = list
      local ok, err = pcall(function()
        for i = 1, math.huge do list[i] = { i } end
      end)
      return ok and "?" or err
    end)
    app:get("/drop", function() kept, dropped = nil, true end)
    app:post("/size", function(req) return tostring(#req:body()) end)
    app:get("/mega", function() return ("x"):rep(1 << 20) end)
    app:ws("/hear", function()
      repeat task.sleep(0.02) until dropped
    end)
    app:ws("/say", function(socket)
      while true do socket:send(("x"):rep(1 << 20)) end
    end)
    return app
  ]]
end

local function served() return serve(app_file, nil, { flags = ("--max-memory %dM"):format(LIMIT) }) end

local function ask(app, path) return http.get(app.url .. path, { timeout = 60 }) end

-- All of these are answered, whatever is asked beside them.
local function clients(app)
  task.group(function(group)
    for _ = 1, CLIENTS do
      group:spawn(function()
        for _ = 1, ROUNDS do
          local answer = ask(app, "/")
          assert(answer.status == 200 and answer.body == "fine", answer.status .. " " .. answer.body)
        end
      end)
    end
  end)
end

describe("tasks that wait are light:", function()
  local function resident(kind)
    local out, err, code = sh(("$lua -e 'require(\"green.debug\").report_stalls(false)' %s %s"):format(fs.absolute "tests/bench/waiting.lua", kind))
    assert.equal("", err)
    assert.equal(0, code)
    return tonumber(out:match "(%d+)\n$")
  end

  it("100,000 asleep take less than 200 MB", function()
    if build.sanitized then return end
    assert.is_true(resident "asleep" < 200e6)
  end)

  it("10,000 in sort comparators take less than 120 MB", function()
    if build.sanitized then return end
    assert.is_true(resident "parked" < 120e6)
  end)
end)

describe("with --max-memory", function()
  setup(write_app)
  teardown(function() os.remove(app_file) end)

  for _, path in ipairs { "/table", "/strings", "/rep", "/double", "/coroutines", "/tasks" } do
    it(path:sub(2) .. " without end: a 500, a record in the log, and the others live on", function()
      local app <close> = served()
      ask(app, "/")
      local hog = task.spawn(ask, app, path)
      clients(app)
      local answer = hog:join()
      assert.equal(500, answer.status)
      assert.not_matches("memory", answer.body)
      clients(app)
      local _, said = app:stop()
      assert.matches("^%S+Z error: GET " .. path .. " %[%x+%]: .-not enough memory.-\n\tstack traceback:\n", said)
    end)
  end

  it("the others live on beside what is kept", function()
    local app <close> = served()
    assert.equal("not enough memory", ask(app, "/keep").body)
    local memory = ask(app, "/memory"):json()
    assert.is_true(memory.used > memory.limit // 2)
    clients(app)
    assert.equal(500, ask(app, "/rep").status)
    ask(app, "/drop")
    clients(app)
    assert.equal("not enough memory", ask(app, "/keep").body) -- it can be had again
  end)

  it("green.debug says how much is used", function()
    local app <close> = served()
    local memory = ask(app, "/memory"):json()
    assert.equal(LIMIT << 20, memory.limit)
    assert.is_true(memory.used > 100000 and memory.used <= memory.held and memory.held < 8 << 20)
  end)

  -- ---- what C holds: bodies, output, messages, rows ----

  local MIB = 1 << 20
  local MANY = 3 * LIMIT -- so many MiB are asked for
  local WAIT = 60

  local function used(app) return ask(app, "/memory"):json().used end

  -- The most that was resident, in bytes.
  local function peak(app)
    return tonumber(fs.read(("/proc/%d/status"):format(app.pid)):match "VmHWM:%s+(%d+) kB") * 1024
  end

  -- Near the limit, also at the worst; and afterwards it is all given back.
  local function assert_counted(app, before)
    if not build.sanitized then assert.is_true(peak(app) < (LIMIT + 32) * MIB, peak(app) .. " resident") end
    ask(app, "/drop")
    clients(app)
    local deadline = task.now() + WAIT
    while used(app) > before + 2 * MIB do
      assert.is_true(task.now() < deadline, used(app) .. " used")
      task.sleep(0.02)
    end
  end

  local function connect(app) return net.connect(app.url:match "//(.*)", WAIT) end

  -- Status of the answer, or false for a connection that ended without one.
  local function status_of(socket)
    local ok, head = pcall(socket.read, socket, 65536, WAIT)
    return ok and head and tonumber(head:match "^HTTP/1.1 (%d+) ") or false
  end

  -- visit(socket, meet) for many connections at once; at each meet() all wait for all.
  local function at_once(app, visit)
    local sockets, arrived, gate = {}, 0, task.channel()
    local function arrive()
      arrived = arrived + 1
      return arrived
    end
    local function meet()
      if task.atomic(arrive) < MANY then return gate:receive() end
      arrived = 0
      for _ = 2, MANY do gate:send(true) end
    end
    local ok, err = pcall(task.group, function(group)
      for i = 1, MANY do
        group:spawn(function()
          sockets[i] = connect(app)
          visit(sockets[i], meet)
        end)
      end
    end)
    for _, socket in pairs(sockets) do socket:close() end
    assert(ok, err)
  end

  it("bodies of requests count: who sends too much is told so", function()
    local app <close> = served()
    local before, answers, looked = used(app), {}, false
    local function count(status) answers[status] = (answers[status] or 0) + 1 end
    -- What was sent may still be in the kernel's buffers: the server has it once it holds no more than a moment ago.
    local function until_taken()
      local held, more
      repeat
        held = used(app)
        task.sleep(0.1)
        more = used(app) - held
      until more < MIB
    end
    at_once(app, function(socket, meet)
      pcall(function()
        socket:write(("POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"):format(MIB), WAIT)
        for _ = 1, 16 do socket:write(("x"):rep(MIB // 16 - 1), WAIT) end
      end)
      meet()
      if not looked then
        looked = true
        until_taken()
      end
      meet()
      pcall(socket.write, socket, ("x"):rep(16), WAIT)
      task.atomic(count, status_of(socket))
    end)
    assert.is_true(answers[200] >= LIMIT // 4)
    -- 503, or 500 where the string that is made of the body is too much; or it ended while the client was still sending.
    local refused = (answers[503] or 0) + (answers[500] or 0) + (answers[false] or 0)
    assert.is_true(refused >= MANY - LIMIT)
    assert.equal(MANY, answers[200] + refused)
    assert_counted(app, before)
  end)

  it("answers that nobody reads count", function()
    local app <close> = served()
    local before = used(app)
    at_once(app, function(socket, meet)
      socket:write("GET /mega HTTP/1.1\r\nHost: x\r\n\r\n", WAIT)
      meet()
      used(app)
      meet()
    end)
    assert_counted(app, before)
  end)

  local function upgrade(socket, path)
    socket:write(("GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"):format(path), WAIT)
  end

  it("messages of WebSockets count that wait to be handled", function()
    local app <close> = served()
    local before = used(app)
    at_once(app, function(socket, meet)
      upgrade(socket, "/hear")
      pcall(function()
        socket:read(4096, WAIT)
        for _ = 1, 3 do
          socket:write((">BBI8I4"):pack(0x82, 0xff, 600000, 0), WAIT) -- masked with zeros
          socket:write(("x"):rep(600000), 1)
        end
      end)
      meet()
      used(app)
      meet()
    end)
    assert_counted(app, before)
  end)

  it("messages of WebSockets count that nobody reads: who sends is told so", function()
    local app <close> = served()
    local before = used(app)
    at_once(app, function(socket, meet)
      upgrade(socket, "/say")
      meet()
      used(app)
      meet()
    end)
    assert_counted(app, before)
    local _, said = app:stop()
    assert.matches("not enough memory", said)
  end)

  it("what a script reads counts, wherever it comes from", function()
    local names = { "read", "lines", "popen", "popen lines", "number", "capture", "fs.read", "file", "rows", "blob", "body", "load" }
    local file = os.tmpname()
    local out, err, code = sh((([[dd if=/dev/zero of=FILE bs=1M count=100 2> /dev/null; $lua --max-memory 32M HOGS FILE]]):gsub("%u%u%u%u", { FILE = file, HOGS = fs.absolute "tests/core/memory_hogs.lua" })))
    os.remove(file)
    assert.equal("", err)
    assert.equal(0, code)
    for _, name in ipairs(names) do assert.matches("\n" .. name .. ": not enough memory\n", "\n" .. out) end
  end)

  it("a script that asks for too much fails, and can go on when it catches that", function()
    local out, err, code = sh [[$lua --max-memory 8M -e 'print(pcall(string.rep, "x", 1 << 30)) local t = {} while true do t[#t + 1] = {} end']]
    assert.equal("false\tnot enough memory\n", out)
    assert.equal("greenlua: not enough memory\n", err)
    assert.equal(1, code)
  end)

  it("sizes may have a unit", function()
    for size, bytes in pairs { ["2097152"] = 2 << 20, ["2048K"] = 2 << 20, ["3m"] = 3 << 20, ["1G"] = 1 << 30 } do
      local out = sh(([[$lua --max-memory %s -e 'print(require("green.debug").memory().limit)']]):format(size))
      assert.equal(bytes .. "\n", out)
    end
    assert.equal("nil\n", (sh [[$lua -e 'print(require("green.debug").memory().limit)']]))
  end)
end)
