-- SPDX-License-Identifier: MIT
-- Ctrl-C and Ctrl-\ while os.execute ran a command ended the script, too, where system() leaves them to the command; and
-- Ctrl-C inside a coroutine was an error of that coroutine, which its coroutine.resume swallowed, so that the script went
-- on as if nothing had happened. lua raises it in the main thread, whatever coroutine is running.
local fs = require "green.fs"
local interpreter = require "interpreter"
local process = require "green.process"

local STOCK = "lua5.4"
local has_stock = process.run({ "sh", "-c", "command -v " .. STOCK }, { stdout = "null" }).code == 0

-- Starts a script in a process group of its own and waits until it has said that it is ready.
local function start(lua, script)
  local it = process.spawn({ lua, "-e", script }, { group = true, stdin = "pipe", stdout = "pipe", stderr = "pipe" })
  assert.equal("ready", it.stdout:read "l")
  return it
end

-- What it says after that, what is in its errors, and how it ended.
local function rest(it)
  local out, err = it.stdout:read("a", 30), it.stderr:read("a", 30)
  local code, signal = it:wait(30)
  return out, err, code, signal
end

for _, lua in ipairs { STOCK, interpreter } do
  describe("under " .. lua:match "[^/]*$", function()
    local function try(name, fn)
      it(name, function()
        if lua == STOCK and not has_stock then return pending("there is no " .. STOCK) end
        fn()
      end)
    end

    for signal, number in pairs { INT = 2, QUIT = 3 } do
      try("SIG" .. signal .. " is for the command that os.execute runs", function()
        local it <close> = start(lua, [[print(os.execute "echo ready; exec sleep 100") print "goes on"]])
        it:kill(signal)
        local out, _, code = rest(it)
        assert.equal(("nil\tsignal\t%d\ngoes on\n"):format(number), out)
        assert.equal(0, code)
      end)

      try("SIG" .. signal .. " is the script's again afterwards", function()
        local it <close> = start(lua, [[os.execute "true" io.write "ready\n" io.stdout:flush() io.read() while true do end]])
        it:kill(signal)
        pcall(it.stdin.write, it.stdin, "\n") -- lua is deaf between its handler and a read that is just about to block
        local _, err, code, by = rest(it)
        if signal == "INT" then
          assert.equal(1, code)
          assert.matches("interrupted!", err)
        else
          assert.equal("QUIT", by)
        end
      end)
    end

    try("one that the command ignores ends nobody", function()
      local it <close> = start(lua, [[print(os.execute "trap '' INT; echo ready; read line; exit 5") print "goes on"]])
      it:kill "INT"
      it.stdin:write "the command may end now\n" -- not before the signal has come
      local out, _, code = rest(it)
      assert.equal("nil\texit\t5\ngoes on\n", (out:gsub("exit\t1", "exit\t5")))
      assert.equal(0, code)
    end)

    try("ignored signals stay so in a command", function()
      local got = process.capture({ "sh", "-c", ([[trap '' HUP; exec %s -e 'os.execute "trap - HUP; kill -HUP $$; echo lives"']]):format(lua) })
      assert.equal("lives\n", got.stdout)
    end)

    try("Ctrl-C in a loop, called from coroutines, reaches the top", function()
      local it <close> = start(lua, [[
        local function loop() io.write "ready\n" io.stdout:flush() local t = os.time() while os.time() < t + 60 do coroutine.yield() end end
        local co = coroutine.wrap(function() for _ = 1, math.huge do local c = coroutine.create(loop)
          while true do print(coroutine.resume(c), coroutine.status(c)) io.stdout:setvbuf "full" coroutine.yield() end end end)
        while true do co() end]])
      it.stdout:read "l"
      it:kill "INT"
      local _, err, code = rest(it)
      assert.equal(1, code)
      assert.matches("interrupted!", err)
    end)
  end)
end

describe("Ctrl-C in a coroutine", function()
  for name, wait in pairs { loop = "while true do end", wait = [[require "green.timer.native".sleep(100)]], parked = [[
    table.sort({ 1, 2 }, function() require "green.timer.native".sleep(100) end)]] } do
    it("is not what resume returns: " .. name, function()
      local it <close> = start(interpreter, ([[
        local inner = coroutine.create(function() io.write "ready\n" io.stdout:flush() %s end)
        local outer = coroutine.create(function() print("inner", coroutine.resume(inner)) end)
        print("outer", coroutine.resume(outer))]]):format(wait))
      it:kill "INT"
      local out, err, code = rest(it)
      assert.same({ "", 1 }, { out, code })
      assert.matches("interrupted!", err)
    end)
  end

  it("may be caught, as anywhere, and is forgotten then", function()
    local it <close> = start(interpreter, [[
      local co = coroutine.create(function()
        io.write "ready\n" io.stdout:flush()
        print(pcall(require "green.timer.native".sleep, 100))
        error "its own"
      end)
      print(coroutine.resume(co))
      print(pcall(coroutine.resume, coroutine.create(function() error "another" end)))]])
    it:kill "INT"
    local out, err, code = rest(it)
    assert.matches("^false\tinterrupted!\nfalse\t[^\n]*: its own\ntrue\tfalse\t[^\n]*: another\n$", out)
    assert.same({ "", 0 }, { err, code })
  end)

  it("closes the variables of the coroutines it goes through", function()
    local it <close> = start(interpreter, [[
      local function closing(name) return setmetatable({}, { __close = function() print(name) end }) end
      local co = coroutine.create(function()
        local inner <close> = closing "inner"
        io.write "ready\n" io.stdout:flush()
        require "green.timer.native".sleep(100)
      end)
      local outer <close> = closing "outer"
      coroutine.resume(co)
      print "not reached"]])
    it:kill "INT"
    assert.equal("outer\n", (rest(it))) -- as stock: a coroutine that failed keeps its own until it is closed
  end)
end)

describe("what was read ahead of stdin", function()
  local dir
  before_each(function()
    dir = fs.temp_dir()
    local lines = {}
    for i = 1, 3000 do lines[i] = "line " .. i end
    fs.write(dir.path .. "/input", table.concat(lines, "\n") .. "\n")
  end)
  after_each(function() dir:close() end)

  local function shell(command)
    return process.capture({ "sh", "-c", command }, { cwd = dir.path, stderr = "stdout", env = { lua = interpreter, stock = STOCK } }).stdout
  end

  for name, script in pairs {
    ["the end of the script"] = [[print(io.read())]],
    ["os.exit"] = [[print(io.read()) os.exit(0)]],
    ["os.exit that closes the state"] = [[print(io.read()) os.exit(0, true)]],
    ["an error"] = [[print(io.read()) io.stderr = nil error()]],
    ["lines"] = [[for line in io.lines() do print(line) if line == "line 2500" then break end end]],
  } do
    it("is left to who comes after " .. name, function()
      local command = ([[($%s -e '%s' 2>/dev/null; head -n 1) <input]])
      local got = shell(command:format("lua", script))
      assert.matches(name == "lines" and "\nline 2500\nline 2501\n$" or "^line 1\nline 2\n$", got)
      if has_stock then assert.equal(shell(command:format("stock", script)), got) end
    end)
  end

  it("is there for a command", function()
    assert.equal("line 1\nline 2\nline 3\n", shell [[$lua -e 'print(io.read()) os.execute "head -n 1" print(io.read())' <input]])
    assert.equal("line 1\nline 2\nline 3\n", shell [[$lua -e 'print(io.read()) print(io.popen "head -n 1":read()) print(io.read())' <input]])
    assert.equal("line 1\nline 2\nline 3\n",
      shell [[$lua -e 'print(io.read()) require "green.process".run({ "head", "-n", "1" }, { stdin = "inherit" }) print(io.read())' <input]])
    assert.equal("line 1\nline 2\n", shell [[$lua -e 'print(io.read()) os.execute "true" print(io.read())' <input]])
  end)

  it("is no more of a pipe than stock Lua takes", function()
    local command = [[cat input | ($%s -e 'print(io.read())'; cat) | md5sum]]
    if has_stock then assert.equal(shell(command:format "stock"), shell(command:format "lua")) end
  end)
end)
