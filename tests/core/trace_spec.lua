-- SPDX-License-Identifier: MIT
-- A traceback crosses coroutines and tasks: who ends with an error is shown all the frames it came through, as one text.
local debug = require "green.debug"
local http = require "green.http"
local net = require "green.net"
local shell = require "shell"
local task = require "green.task"

-- What greenlua says on stderr about a script that fails; the script's lines are s.lua:1 and so on.
local function failure(script)
  local _, err = shell("$lua s.lua", { ["s.lua"] = script })
  return err
end

-- The places in the order they must come in, one pattern each.
local function assert_path(text, places)
  local at = 1
  for _, place in ipairs(places) do
    local _, stop = text:find(place, at, true)
    assert(stop, ("'%s' is not where it should be in\n%s"):format(place, text))
    at = stop
  end
  assert.equal(1, select(2, text:gsub("stack traceback", "")))
end

describe("a traceback", function()
  it("goes through a wrapped coroutine", function()
    assert_path(failure [[
local function deep() error "oops" end
local function generator() coroutine.yield(1) deep() end
local step = coroutine.wrap(generator)
step()
step()]], { "s.lua:1: oops\n", "s.lua:1: in upvalue 'deep'", "s.lua:2: in function <s.lua:2>", "coroutine resumed by", "s.lua:5: in main chunk" })
  end)

  it("goes through coroutines in coroutines, wrapped or resumed", function()
    assert_path(failure [[
local inner = function() error "oops" end
local middle = function() coroutine.wrap(inner)() end
local outer = coroutine.create(function()
  middle()
end)
local ok, err = coroutine.resume(outer)
error(err, 0)]], { "s.lua:1: in function <s.lua:1>", "resumed by", "s.lua:2: in upvalue 'middle'", "s.lua:4: in function <s.lua:3>", "resumed by", "s.lua:7: in main chunk" })
  end)

  it("goes through tasks, and ends where they were spawned", function()
    assert_path(failure [[
local task = require "green.task"
local function fails() coroutine.wrap(error) "oops" end
local one = task.spawn(function()
  fails()
end)
one:join()]], { "coroutine resumed by", "s.lua:2: in upvalue 'fails'", "s.lua:4: in function <s.lua:3>", "spawned at s.lua:3", "joined by", "s.lua:6: in main chunk" })
  end)

  it("of a task nobody joined ends where it was spawned", function()
    assert_path(failure [[
local task = require "green.task"
task.spawn(function() local step = coroutine.wrap(function() error { code = 1 } end) step() end)]],
      { "spawned at s.lua:2 failed", "s.lua:2: in function <s.lua:2>", "coroutine resumed by", "s.lua:2: in function", "spawned at s.lua:2" })
  end)

  it("shows no frames of another error", function()
    local text = failure [[
local function other() error "another" end
pcall(coroutine.wrap(other))
coroutine.resume(coroutine.create(other))
error "oops"]]
    assert.no.matches("other", text)
    assert_path(text, { "s.lua:4: oops", "s.lua:4: in main chunk" })
  end)

  it("shows no frames of another error with the same text", function()
    local text = failure [[
local task = require "green.task"
local function fails() error("the same", 0) end
local function joins() task.spawn(fails):join() end
for _ = 1, 5 do
  pcall(joins)
  pcall(coroutine.wrap(fails))
  pcall(coroutine.wrap(coroutine.wrap(joins)))
end
task.spawn(function() joins() end):join()]]
    assert_path(text, { "the same\n", "s.lua:2: in function <s.lua:2>", "s.lua:3)", "joined by", "s.lua:3: in upvalue 'joins'",
      "s.lua:9)", "joined by", "s.lua:9: in main chunk" })
    assert.equal(2, select(2, text:gsub("joined by", "")))
    assert.no.matches("resumed by", text)
  end)

  it("of a deep coroutine keeps its ends", function()
    local text = failure [[
local function down(n) if n == 0 then error "oops" end return 1 + down(n - 1) end
coroutine.wrap(function() down(1000) end)()]]
    assert_path(text, { "s.lua:1: in upvalue 'down'", "skipping", "s.lua:2: in function <s.lua:2>", "resumed by", "s.lua:2: in main chunk" })
    assert.is_true(#text < 4000)
  end)
end)

describe("what a task waits for is named with its object", function()
  -- An HTTP server that never answers: use(url, "127.0.0.1:port").
  local function silent(use)
    local listener <close> = net.listen "127.0.0.1:0"
    use("http://" .. listener:address() .. "/secret", listener:address())
  end

  local function waits_of(name)
    for _, one in ipairs(debug.tasks()) do
      if one.waits_for and one.waits_for:find(name, 1, true) == 1 then return one.waits_for end
    end
  end

  it("in the list of tasks", function()
    silent(function(url, address)
      local asking = task.spawn(pcall, http.post, url)
      local joining = task.spawn(pcall, asking.join, asking)
      while not waits_of "http.request" or not waits_of "task.join task" do task.sleep(0) end
      assert.equal("http.request POST " .. address, waits_of "http.request")
      assert.matches("^task%.join task %d+, spawned at .*trace_spec%.lua:%d+$", waits_of "task.join task")
      asking:cancel()
      joining:join()
    end)
  end)

  it("in the error when its time is over", function()
    silent(function(url, address)
      local ok, err = pcall(task.deadline, 0.1, http.post, url)
      assert.is_false(ok)
      assert.equal("http.request: POST " .. address .. ": the deadline passed", tostring(err))
    end)
    local long = task.spawn(task.sleep, 1000)
    local ok, err = pcall(long.join, long, 0.001)
    assert.is_false(ok)
    assert.matches("^task%.join: task %d+, spawned at .*: timed out$", tostring(err))
    long:cancel()
  end)
end)
