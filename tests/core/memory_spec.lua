-- SPDX-License-Identifier: MIT
-- --max-memory: whoever asks for too much is told so, and the others live on.
local fs = require "green.fs"
local http = require "green.http"
local serve = require "process"
local sh = require "shell"
local task = require "green.task"

-- AddressSanitizer has memory of its own, and makes every collection many times slower.
local instrumented = fs.read "/proc/self/maps":find("libasan", 1, true) ~= nil

local CLIENTS, ROUNDS = 50, instrumented and 5 or 20
local LIMIT = instrumented and 16 or 64 -- MiB

-- What is served.
local app_file = os.tmpname()

local function write_app()
  local file <close> = assert(io.open(app_file, "w"))
  file:write [[
    local app = require "green.app".new()
    local debug = require "green.debug"
    local task = require "green.task"
    local kept

    app:get("/", function()
      local list = {}
      task.sleep(0)
      for i = 1, 100 do list[i] = { i } end
      return "fine"
    end)
    app:get("/memory", debug.memory)
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
    end)
    app:get("/keep", function() -- takes what there is, keeps it, and lives
      local list = {}
      kept = list
      local ok, err = pcall(function()
        for i = 1, math.huge do list[i] = { i } end
      end)
      return ok and "?" or err
    end)
    app:get("/drop", function() kept = nil end)
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
    if instrumented then return end
    assert.is_true(resident "asleep" < 200e6)
  end)

  it("10,000 in sort comparators take less than 120 MB", function()
    if instrumented then return end
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
