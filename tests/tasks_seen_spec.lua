-- SPDX-License-Identifier: MIT
-- To see a task, look at it and end it: by its number, from the script (green.debug), at a prompt (.tasks, .trace N, .cancel N) and from a
-- shell (greenlua attach PATH -e LINE).
local debug = require "green.debug"
local fs = require "green.fs"
local http = require "green.http"
local interpreter = require "interpreter"
local process = require "green.process"
local task = require "green.task"

local function number_of(one) return math.tointeger(tostring(one):match "^task (%d+)$") end

local function record_of(one)
  for _, t in ipairs(debug.tasks()) do
    if t.task == one then return t end
  end
end

-- A spawned task that waits.
local function sleeper()
  local one = task.spawn(task.sleep, 1000)
  while one:status() ~= "waiting" do task.sleep(0.001) end
  return one
end

describe("a task", function()
  it("has a number, also when it has ended", function()
    local one, other = task.spawn(task.sleep, 0), task.spawn(task.sleep, 0)
    local id = number_of(one)
    assert.is_true(id > 0 and id ~= number_of(other))
    one:join()
    other:join()
    assert.equal(id, number_of(one))
  end)

  it("is listed with its number, name, handle and what it waits for", function()
    local one = sleeper()
    local record = record_of(one)
    assert.equal(number_of(one), record.id)
    assert.equal("waiting", record.state)
    assert.matches("^spawned at .*tasks_seen_spec%.lua:%d+$", record.name)
    assert.equal(record.name, "spawned at " .. record.spawned)
    assert.matches("^task%.sleep", record.waits_for)
    assert.is_true(record.since >= 0 and record.since <= record.age and record.cpu >= 0)
    assert.is_nil(record.method or record.path or record.request or record.peer)
    record.task:cancel()
    assert.equal("cancelled", one:wait())
    assert.is_nil(record_of(one))
  end)

  it("of a request is listed with that", function()
    local seen
    local app = require("green.app").new()
    app:get("/menu/:day", function(req)
      for _, t in ipairs(debug.tasks()) do
        if t.request == req.id then seen = { t.name, t.method, t.path, t.peer == req.remote, t.state, t.task } end
      end
      return "soup"
    end)
    local server = app:listen "127.0.0.1:0"
    finally(function() server:abort() end)
    assert.equal("soup", http.get("http://" .. server:address() .. "/menu/a%20b?x=1", { keep_alive = false }).body)
    assert.same({ "GET /menu/a%20b", "GET", "/menu/a%20b", true, "running" }, seen)
  end)

  it("is listed with the number of slices it was cut at", function()
    local hog = task.spawn(function() while true do end end)
    repeat task.sleep(0.001) until record_of(hog).cuts >= 3
    local id = number_of(hog)
    hog:cancel()
    hog:wait()
    local one = sleeper()
    assert.equal(0, record_of(one).cuts)
    assert.is_true(number_of(one) > id)
    one:cancel()
    one:wait()
  end)

  it("is cancelled by its number", function()
    local one = sleeper()
    local id = number_of(one)
    assert.is_true(debug.cancel(id))
    assert.equal("cancelled", one:wait())
    assert.is_false(debug.cancel(id))
    assert.is_false(debug.cancel(0))
    assert.is_false(pcall(debug.cancel, "x"))
  end)

  it("shows its coroutine, which cannot be resumed", function()
    local one = sleeper()
    local co = debug.coroutine(number_of(one))
    assert.matches("in function '[%w.]*sleep'", _G.debug.traceback(co))
    assert.is_false((coroutine.resume(co)))
    one:cancel()
    one:wait()
    assert.is_nil(debug.coroutine(number_of(one)))
  end)

  it("shows the stack of all its coroutines, with variables but no secrets", function()
    local stack = require "green.repl.stack"
    local one = task.spawn(function()
      local password, list = "secret", { 2, 1 }
      coroutine.wrap(function()
        local day = "friday"
        coroutine.resume(coroutine.create(function()
          local item = "soup"
          table.sort(list, function() task.sleep(1000) end) -- parked
          return item
        end))
        return day
      end)()
      return password
    end)
    while one:status() ~= "waiting" do task.sleep(0.001) end
    local text = stack.text(number_of(one))
    one:cancel()
    one:wait()
    assert.matches("sleep'.*item = \"soup\".*%(%.%.%.coroutine resumed by%.%.%.%).*day = \"friday\".*list = { 2, 1 }", text)
    assert.matches("password = %(hidden%)", text)
    assert.is_nil(text:find("secret\"", 1, true))
    assert.is_nil(stack.text(number_of(one)))
  end)
end)

describe("greenlua attach PATH -e LINE", function()
  local folder, server, path, address

  setup(function()
    folder = fs.temp_dir()
    path = folder.path .. "/console"
    fs.write(folder.path .. "/app.lua", [[
      local task = require "green.task"
      return function() local soup = "tomato" task.sleep(1000) return soup end]])
    server = process.spawn({ interpreter, "--listen", "127.0.0.1:0", "--grace", "0", "--console", path, "app.lua" }, { cwd = folder.path, stderr = "pipe" })
    repeat address = server.stderr:read "l":match " on (http://%S+)" until address
  end)

  teardown(function()
    server:kill "TERM"
    server:wait(60)
    server:close()
    folder:close()
  end)

  local function attach(...)
    local got = process.capture({ interpreter, "attach", ... }, { timeout = 100 })
    return got.stdout, got.stderr, got.code
  end

  it("runs lines there, and prints what they print", function()
    assert.same({ "2\nthere\n", "", 0 }, { attach(path, "-e", "1 + 1", "-eprint 'there'") })
    assert.same({ "2\n", "", 0 }, { attach("-e", "1 + 1", path, "-e", ".quit", "-e", "3") })
  end)

  it("ends with 1 at the first that fails", function()
    local out, _, code = attach(path, "-e", "error 'oops'", "-e", "1")
    assert.equal(1, code)
    assert.matches("^stdin:1: oops\n", out)
    assert.is_nil(out:find "\n1\n$")
    for _, line in ipairs { ".trace", ".trace x", ".trace 999999", ".cancel", ".cancel 999999", ".nope", "1 +" } do
      assert.same({ line, 1 }, { line, (select(3, attach(path, "-e", line))) })
    end
  end)

  it("refuses what it does not know", function()
    for text, args in pairs { ["'-e' needs argument"] = { path, "-e" }, ["one path expected"] = { "-e", "1" }, ["unrecognized option '-x'"] = { path, "-x" } } do
      local _, err, code = attach(table.unpack(args))
      assert.same({ text, 1 }, { err:find(text, 1, true) and text or err, code })
    end
  end)

  it("finds a request, shows its stack, and ends it", function()
    local asking = task.spawn(http.get, address .. "/menu", { timeout = 100 })
    local id
    repeat id = attach(path, "-e", ".tasks"):match "task (%d+),[^\n]* GET /menu, waits for task%.sleep" until id
    assert.matches("^task " .. id .. ",.*soup = \"tomato\"", (attach(path, "-e", ".trace " .. id)))
    assert.equal(("task %s is cancelled: GET /menu\n"):format(id), (attach(path, "-e", ".cancel " .. id)))
    assert.equal(500, asking:join().status)
  end)
end)
