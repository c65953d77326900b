-- SPDX-License-Identifier: MIT
-- No place where Lua runs is without an end. Each of these held the process for ever: Lua has hooks off in hook functions, in
-- finalizers and in the message handler of an error that a hook raised; and what the host calls outside of tasks, and the
-- variables of a coroutine that is closed, were seen by nobody. Each place runs in a process of its own, since a failure is
-- one that goes on.
local http = require "green.http"
local serve = require "process"
local shell = require "shell"
local task = require "green.task"

local HEAD = [[
local task = require "green.task"
local function hog() while true do end end
local function closing(fn) return setmetatable({}, { __close = fn }) end
local function hooked(fn, mask, count)
  debug.sethook(fn, mask, count)
  local x = 1
  x = x + 1
  return x
end
local function logged(fn)
  local called
  local function describe() called = true fn() end
  task.spawn(error, setmetatable({}, { __tostring = describe }), 0)
  repeat task.sleep(0.01) until called
end
local place = PLACE
]]

-- Ends the place by a cancel, by its deadline and by its CPU limit, while another task goes on.
local ENDED = HEAD .. [[
local steps = 0
local beside = task.spawn(function() while true do task.sleep(0) steps = steps + 1 end end)
local function ends(t)
  local before = steps
  while steps < before + 3 do task.sleep(0) end
  t:cancel()
  return t:wait(60)
end
local all = task.map({
  function() return ends(task.spawn(place)) end,
  function() return (task.spawn(pcall, task.deadline, 0.02, place):wait(60)) end,
  function() return (task.spawn(pcall, function() task.cpu_limit(0.02) place() end):wait(60)) end,
}, function(fn) return fn() end)
beside:cancel()
print(table.unpack(all))
os.exit(0)
]]

local ENDABLE = {
  { "a message handler for an error that the host raised", "function() xpcall(hog, hog) end" },
  { "such a handler that catches errors", "function() xpcall(hog, function() while true do pcall(hog) end end) end" },
  { "a function of debug.sethook for lines", "function() hooked(hog, 'l') end" },
  { "a function of debug.sethook for counts", "function() hooked(hog, '', 1) end" },
  { "a function of debug.sethook for calls", "function() hooked(hog, 'c') tostring(1) end" },
  { "a function of debug.sethook that catches errors", "function() hooked(function() while true do pcall(hog) end end, 'l') end" },
  { "such a function that catches them with xpcall", "function() hooked(function() while true do xpcall(hog, tostring) end end, '', 1) end" },
  { "a handler for an error of such a function", "function() xpcall(hooked, hog, function() error 'x' end, 'l') end" },
  { "a __close run by coroutine.close", [[function()
      local co = coroutine.create(function() local _ <close> = closing(hog) coroutine.yield() end)
      coroutine.resume(co)
      coroutine.close(co)
    end]] },
  { "a __close run by a wrapped coroutine that failed", "function() coroutine.wrap(function() local _ <close> = closing(hog) error 'x' end)() end" },
  { "a __close of what was ended", "function() local _ <close> = closing(hog) hog() end" },
}

-- What runs where no task can make way is ended by itself, and others go on.
local BOUNDED = HEAD .. [[
local t = task.spawn(place)
t:wait(60)
t = nil
for _ = 1, 10 do task.sleep(0) end
collectgarbage()
print "went on"
]]

local FINALIZER, OUTSIDE = "a finalizer (__gc)", "what runs outside of tasks"
local ALONE = {
  { "a finalizer", "function() setmetatable({}, { __gc = hog }) collectgarbage() end", FINALIZER },
  { "a finalizer that a step of the collector runs", "function() setmetatable({}, { __gc = hog }) for i = 1, 1e6 do local _ = { i } end end", FINALIZER },
  { "a finalizer that the start of a task runs", "function() setmetatable({}, { __gc = hog }) for _ = 1, 2e4 do task.spawn(tostring, 1) end end", FINALIZER },
  { "a finalizer at the end of the state", "function() kept = setmetatable({}, { __gc = hog }) end", FINALIZER },
  { "a finalizer at os.exit", "function() kept = setmetatable({}, { __gc = hog }) print 'went on' os.exit(0, true) end", FINALIZER },
  { "a finalizer that catches errors", "function() setmetatable({}, { __gc = function() while true do pcall(hog) end end }) collectgarbage() end", FINALIZER },
  { "a finalizer that catches them with xpcall", "function() setmetatable({}, { __gc = function() while true do xpcall(hog, hog) end end }) collectgarbage() end", FINALIZER },
  { "a coroutine in a finalizer", "function() setmetatable({}, { __gc = function() coroutine.wrap(hog)() end }) collectgarbage() end", FINALIZER },
  { "many coroutines in a finalizer", "function() setmetatable({}, { __gc = function() while true do coroutine.resume(coroutine.create(hog)) end end }) collectgarbage() end", FINALIZER },
  { "a finalizer that catches them with load", "function() setmetatable({}, { __gc = function() while true do load(hog) end end }) collectgarbage() end", FINALIZER },
  { "a finalizer that closes coroutines in a loop", [[function()
      local function fails() local _ <close> = closing(hog) coroutine.yield() end
      setmetatable({}, { __gc = function()
        while true do
          local co = coroutine.create(fails)
          coroutine.resume(co)
          coroutine.close(co)
        end
      end })
      collectgarbage()
    end]], FINALIZER },
  { "__tostring of an error that is logged", "function() logged(hog) end", OUTSIDE },
  { "a __tostring that catches errors", "function() logged(function() while true do pcall(hog) end end) end", OUTSIDE },
  { "coroutines in a __tostring", "function() logged(function() while true do coroutine.resume(coroutine.create(hog)) end end) end", OUTSIDE },
}

-- A loop in C that makes way for others has nobody to make way for there: it looked at no clock.
local IN_C = {
  { "a pattern in a finalizer", "function() setmetatable({}, { __gc = function() ('a'):rep(3000):find(('.-'):rep(12) .. 'b') end }) collectgarbage() end", FINALIZER },
  { "a pattern in a __tostring", "function() logged(function() ('a'):rep(3000):find(('.-'):rep(12) .. 'b') end) end", OUTSIDE },
}

local function run(text, place)
  return shell("timeout -s KILL 100 $lua place.lua", { ["place.lua"] = text:gsub("PLACE", function() return place end) })
end

describe("an endless loop in", function()
  for _, row in ipairs(ENDABLE) do
    it(row[1] .. " makes way, and ends", function()
      local out, err, code = run(ENDED, row[2])
      assert.equal(0, code, err)
      for how in out:gmatch "%S+" do assert.is_true(how == "cancelled" or how == "done" or how == "failed", out) end
      assert.equal(3, select(2, out:gsub("%S+", "")))
    end)
  end

  for _, row in ipairs(ALONE) do
    it(row[1] .. " is reported with its line, and ended", function()
      local out, err, code = run(BOUNDED, row[2])
      assert.equal("went on\n", out, err)
      assert.equal(0, code)
      assert.truthy(err:find("greenlua: " .. row[3] .. " holds everybody up for more than 100 ms: it is ended now\n\tplace.lua:2: in ", 1, true), err)
      assert.equal(1, select(2, err:gsub("ended now", "")), err)
    end)
  end
end)

describe("a loop without an end in C:", function()
  for _, row in ipairs(IN_C) do
    it(row[1] .. " is reported with its line, and ended", function()
      local out, err, code = run(BOUNDED, row[2])
      assert.equal("went on\n", out, err)
      assert.equal(0, code)
      assert.truthy(err:find("greenlua: " .. row[3] .. " holds everybody up for more than 100 ms: it is ended now\n\t[C]: in find\n\tplace.lua:", 1, true), err)
      assert.equal(1, select(2, err:gsub("ended now", "")), err)
    end)
  end
end)

describe("many finalizers", function()
  it("have each their own time", function()
    local out, err = run(HEAD .. [[
      local n, many = 0, {}
      for i = 1, 100 do many[i] = setmetatable({}, { __gc = function() local t = os.clock() repeat until os.clock() - t > 0.005 n = n + 1 end }) end
      many = nil
      collectgarbage()
      print(n)]], "nil")
    assert.equal("100\n", out, err)
  end)
end)

describe("a message handler", function()
  it("sees the stack that failed when the host raises", function()
    local out, err = run(HEAD .. [[
      local function inner() while true do end end
      local function outer() inner() return 1 end
      print(task.deadline(0.02, xpcall, outer, function(err) return debug.traceback(tostring(err)) end))]], "nil")
    assert.matches("in upvalue 'inner'", out, nil, err)
    assert.matches("in function <place.lua:%d+>", out)
  end)
end)

describe("a function of debug.sethook that takes long", function()
  it("is called for every line, and not for its own", function()
    local out, err = run(HEAD .. [[
      local lines, inside, again = 0, false, 0
      local function hook()
        if inside then again = again + 1 return end
        inside = true
        lines = lines + 1
        local t = os.clock()
        repeat
        until os.clock() - t > 0.06
        inside = false
      end
      debug.sethook(hook, "l")
      local x = 1
      x = x + 1
      x = x + 1
      debug.sethook()
      print(lines, again, x)]], "nil")
    assert.equal("4\t0\t3\n", out, err)
  end)
end)

-- Where even that does not end it, the process ends.
describe("a served app that was told to stop", function()
  -- A C module is out of reach; its function never returns.
  local SPINS = "package.cpath = FOLDER .. '/?.so' require 'spin'"
  local folder

  setup(function()
    folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir " .. folder))
    local file <close> = assert(io.open(folder .. "/spin.c", "w"))
    file:write "int luaopen_spin(void *L) { for (volatile int i = 0;; i = 0) (void)L; }\n"
    file:close()
    assert(os.execute(("cc -shared -fPIC -o %s/spin.so %s/spin.c"):format(folder, folder)))
  end)

  teardown(function() os.execute("rm -r " .. folder) end)

  -- Serves an app of which a request is in `text`, stops it by `stop`; returns the exit code and what it said.
  local function run_stopped(text, grace, stop)
    local name = os.tmpname()
    local file <close> = assert(io.open(name, "w"))
    file:write([[local task = require "green.task"
      local function hog() while true do end end
      return function(req)
        if req.path == "/" then return "here" end
        io.stderr:write "stuck\n"
        ]] .. text:gsub("FOLDER", ("%q"):format(folder)) .. [[

      end]])
    file:close()
    local app <close> = serve(name, nil, { flags = "--grace " .. grace })
    local visitor = task.spawn(pcall, http.get, app.url .. "/stuck", { timeout = 60 })
    repeat
      task.sleep(0)
      local line = app:line()
    until line == "stuck"
    stop(app)
    local code, said = app:wait()
    os.remove(name)
    visitor:cancel()
    return code, said
  end

  for what, text in pairs { ["a C function without an end"] = SPINS, ["a shield without an end"] = "task.shield(1000, hog)" } do
    it("ends beside " .. what, function()
      local code, said = run_stopped(text, 0.1, function(app) app:signal "TERM" end)
      assert.equal(143, code, said)
      assert.matches("told to stop, and %d+ s later this goes on:\n\t.*in ", said)
    end)
  end

  it("ends soon after a second signal", function()
    local code, said = run_stopped(SPINS, 200, function(app) os.execute(("(while kill -TERM %s; do sleep 0.2; done) > /dev/null 2>&1 &"):format(app.pid)) end)
    assert.equal(143, code, said)
    local seconds = said:match "told to stop, and (%d+) s later this goes on:\n\t.*in "
    assert.is_true(tonumber(seconds) < 200, said)
  end)
end)
