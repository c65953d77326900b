-- SPDX-License-Identifier: MIT
-- greenlua attach: prompts inside a process that serves.
-- Needs: terminal
local fs = require "green.fs"
local http = require "green.http"
local net = require "green.net"
local process = require "green.process"
local frames = require "green.repl.frames"
local interpreter = require "interpreter"
local task = require "green.task"
local tmux = require "tmux"

local APP = [[
local app = require "green.app".new()
local task = require "green.task"
served = 0
app:get("/", function()
  task.sleep(0.002)
  served = served + 1
  return "ok"
end)
app:get("/slow", function()
  slow = true
  while not go do task.sleep(0.002) end
  return "slow"
end)
return app
]]

local Server = {}
Server.__index = Server

-- Waits until a process has said where it serves.
local function await_address(child)
  local address
  repeat address = child.stderr:read "l":match " on (http://%S+)" until address
  return address
end

-- A process of its own that serves APP and has a console at self.path.
local function serve()
  local self = setmetatable({ folder = fs.temp_dir() }, Server)
  self.path = self.folder.path .. "/console"
  fs.write(self.folder.path .. "/app.lua", APP)
  self.process = process.spawn({ interpreter, "--listen", "127.0.0.1:0", "--grace", "1", "--console", self.path, "app.lua" },
    { cwd = self.folder.path, stderr = "pipe" })
  self.address = await_address(self.process)
  return self
end

function Server:stop()
  self.process:kill "TERM"
  local code = self.process:wait(30)
  self.process:close()
  return code
end

function Server:close()
  if not self.stopped then self:stop() end
  self.folder:close()
end

Server.__close = Server.close

-- A console without a terminal: line(text) -> what it printed.
local Console = {}
Console.__index = Console

local function connect(server)
  local self = setmetatable({ wire = frames.connect(server.path) }, Console)
  self.hello = select(2, self.wire:receive())
  return self
end

function Console:send(text) self.wire:send("L", string.pack(">I2B", 80, 0) .. text) end

function Console:output(is)
  local parts = {}
  for kind, payload in self.wire.receive, self.wire do
    if kind == "O" then parts[#parts + 1] = payload end
    if kind == "D" or kind == "Q" or (is and table.concat(parts):find(is)) then break end
  end
  return table.concat(parts)
end

function Console:line(text)
  self:send(text)
  return self:output()
end

function Console:close() self.wire:close() end
Console.__close = Console.close

describe("a console", function()
  it("is a socket for its user, which goes with the process", function()
    local server <close> = serve()
    local stat = fs.lstat(server.path)
    assert.equal(384, stat.mode & 511)
    assert.equal("socket", stat.type)
    server.stopped = true
    server:stop()
    assert.is_false(fs.exists(server.path))
  end)

  it("takes the place of one that was left behind", function()
    local server <close> = serve()
    server.process:kill "KILL"
    server.process:wait(30)
    assert.is_true(fs.exists(server.path))
    local again = process.spawn({ interpreter, "--listen", "127.0.0.1:0", "--console", server.path, "app.lua" },
      { cwd = server.folder.path, stderr = "pipe" })
    await_address(again)
    do
      local console <close> = connect(server)
      assert.equal("2\n", console:line "1 + 1")
    end
    again:kill "TERM"
    again:wait(30)
    again:close()
  end)

  it("is not there unless it was asked for, and needs an app", function()
    local got = process.capture({ interpreter, "--console", "/nowhere/c", "-e", "x = 1" }, { timeout = 30 })
    assert.equal(1, got.code)
    assert.matches("%-%-console: nothing to serve", got.stderr)
    local dir <close> = fs.temp_dir()
    fs.write(dir.path .. "/app.lua", APP)
    got = process.capture({ interpreter, "--listen", "127.0.0.1:0", "--console", dir.path .. "/no/c", "app.lua" }, { timeout = 30, cwd = dir.path })
    assert.equal(1, got.code)
    assert.is_truthy(got.stderr:find("cannot open the console " .. dir.path .. "/no/c: there is no folder " .. dir.path .. "/no\n", 1, true))
  end)

  it("sees the process: its app, its globals, its tasks", function()
    local server <close> = serve()
    local console <close> = connect(server)
    assert.matches("^attached to app.lua, process %d+$", console.hello)
    assert.equal("0\n", console:line "served")
    assert.equal("ok", http.get(server.address).body)
    assert.equal("1\n", console:line "served")
    assert.equal("  GET     /\n  GET     /slow\n", console:line ".routes")
    assert.matches("waits for signal.wait", console:line ".tasks")
    assert.equal("\"ok\"\n", console:line "http.get(app:url '/').body")
  end)

  it("changes the app: new routes are served at once, and what its file says by now after .reload", function()
    local server <close> = serve()
    local console <close> = connect(server)
    assert.equal(404, http.get(server.address .. "/new").status)
    console:line "app:get('/new', function() return 'new' end)"
    assert.equal("new", http.get(server.address .. "/new").body)
    local kept = task.spawn(http.get, server.address .. "/slow")
    while console:line "slow" ~= "true\n" do task.sleep(0.002) end
    fs.write(server.folder.path .. "/app.lua", (APP:gsub('"slow"', '"quick"')))
    assert.equal("reloaded\n", console:line ".reload")
    assert.equal(404, http.get(server.address .. "/new").status)
    console:line "app:get('/newer', function() return app:url '/' end)"
    assert.equal(server.address .. "/", http.get(server.address .. "/newer").body)
    console:line "go = true"
    assert.equal("slow", kept:join().body)
    assert.equal("quick", http.get(server.address .. "/slow").body)
    fs.write(server.folder.path .. "/app.lua", "return nil +")
    assert.matches("unexpected symbol", console:line ".reload")
    assert.equal("quick", http.get(server.address .. "/slow").body)
    fs.write(server.folder.path .. "/app.lua", "return 5")
    assert.matches("does not return an app", console:line ".reload")
    fs.write(server.folder.path .. "/app.lua", "return function() return 'a function' end")
    assert.equal("reloaded\n", console:line ".reload")
    assert.equal("a function", http.get(server.address).body)
  end)

  it("gets what its lines print, also later, and no other's", function()
    local server <close> = serve()
    local one <close> = connect(server)
    local other <close> = connect(server)
    assert.equal("1\t2\n3io\n", one:line "print(1, 2) io.write(3, 'io\\n')")
    one:line "task.spawn(function() while not printed do task.sleep(0.002) end print 'later' end)"
    assert.equal("4\n", other:line "4")
    other:line "printed = true"
    assert.equal("later\n", one:output "later")
    assert.matches("^stdin:1: x\nstack traceback:", one:line "error 'x'")
  end)

  it("has locals and _ of its own", function()
    local server <close> = serve()
    local one <close> = connect(server)
    local other <close> = connect(server)
    one:line "local mine = 1"
    assert.equal("1\tnil\n", one:line "mine, _")
    assert.equal("nil\tnil\n", other:line "mine, _")
    one:line "shared = 7"
    assert.equal("7\n", other:line "shared")
  end)

  it("completes", function()
    local server <close> = serve()
    local console <close> = connect(server)
    console.wire:send("T", "app:sta")
    local kind, payload = console.wire:receive()
    assert.same({ "C", string.pack(">I4", 5) .. "static" }, { kind, payload })
  end)

  it("is interrupted without harm to a request or another console", function()
    local server <close> = serve()
    local one <close> = connect(server)
    local other <close> = connect(server)
    local slow = task.spawn(http.get, server.address .. "/slow")
    while other:line "slow" ~= "true\n" do task.sleep(0.002) end
    other:send "task.sleep(0.2) 'over'"
    for _, line in ipairs { "child = task.spawn(task.sleep, 100) started = 1 task.sleep(100)", "started = 1 while true do end",
      "started = 1 http.get(app:url '/slow')" } do
      one:send(line)
      local probe <close> = connect(server)
      while probe:line "started" ~= "1\n" do task.sleep(0.002) end
      probe:line "started = nil"
      one.wire:send "I"
      assert.matches("interrupted!", one:output())
    end
    assert.equal("\"cancelled\"\n", one:line "child:status()")
    other:output()
    assert.equal("2\n", other:line "1 + 1")
    one:line "go = true"
    assert.equal("slow", slow:join(30).body)
  end)

  it("takes its line along when it goes", function()
    local server <close> = serve()
    local watcher <close> = connect(server)
    local one = connect(server)
    one:send "gone = nil local _ <close> = setmetatable({}, { __close = function() gone = true end }) begun = true task.sleep(100)"
    while watcher:line "begun" ~= "true\n" do task.sleep(0.002) end
    one:close()
    while watcher:line "gone" ~= "true\n" do task.sleep(0.002) end
  end)

  it("survives nonsense, and os.exit leaves the console only", function()
    local server <close> = serve()
    for _, bytes in ipairs { "\255\255\255\255", "\0\0\0\0", "\0\0\0\1", "\0\0\0\2L1", "\0\0\0\1T\0\0\0\1?", ("x"):rep(100000) } do
      local socket <close> = net.connect("unix:" .. server.path)
      pcall(socket.write, socket, bytes)
    end
    local console <close> = connect(server)
    assert.equal("", console:line "os.exit(3)")
    assert.equal("ok", http.get(server.address).body)
    local another <close> = connect(server)
    assert.equal("1\n", another:line "1")
  end)

  it("is one of two beside 50 clients", function()
    local server <close> = serve()
    local one <close> = connect(server)
    local other <close> = connect(server)
    local busy, bad = true, 0
    local clients = {}
    for i = 1, 50 do
      clients[i] = task.spawn(function()
        while busy do
          local ok, answer = pcall(http.get, server.address)
          if not ok or answer.status ~= 200 then bad = bad + 1 end
        end
      end)
    end
    for i = 1, 20 do
      one:send "while true do end"
      other:send "task.sleep(100)"
      one.wire:send "I"
      other.wire:send "I"
      one:output()
      other:output()
      assert.equal(i .. "\n", one:line(tostring(i)))
      assert.equal(i .. "\n", other:line("local x = " .. i .. " return x"))
    end
    local before = tonumber(one:line "served")
    assert.is_true(before > 0)
    busy = false
    for _, client in ipairs(clients) do client:join(30) end
    assert.equal(0, bad)
  end)
end)

describe("what comes from a process that is attached to", function()
  local safe = require "green.repl.safe"

  it("does nothing to a terminal but lines and colours", function()
    for text, shown in pairs {
      ["plain, \u{e4} \u{20ac} \u{1f600}\ttext\r\n"] = "plain, \u{e4} \u{20ac} \u{1f600}\ttext\r\n",
      ["\27[1;31mred\27[0m\27[m"] = "\27[1;31mred\27[0m\27[m",
      ["\27]0;title\7"] = "\\x1B]0;title\\x07",
      ["\27[2J\27[1;1H"] = "\\x1B[2J\\x1B[1;1H",
      ["\27P$q\27\\"] = "\\x1BP$q\\x1B\\",
      ["\27[" .. ("1;"):rep(64) .. "m"] = "\\x1B[" .. ("1;"):rep(64) .. "m",
      ["safe\rfake\8\0\127"] = "safe\\x0Dfake\\x08\\x00\\x7F",
      ["\xC2\x9B2J"] = "\\u{9B}2J",
      ["\x9B2J\xff\xC3"] = "\\x9B2J\\xFF\\xC3",
    } do
      local cleaned = safe.new()
      assert.equal(shown, cleaned(text) .. cleaned())
      cleaned = safe.new() -- in pieces of one byte
      assert.equal(shown, text:gsub(".", cleaned) .. cleaned())
    end
  end)

  it("is not waited for when it could not become anything", function()
    local cleaned = safe.new()
    assert.equal("> ", cleaned "> ")
    assert.equal("\27[1m", cleaned "\27[1m")
    assert.equal("\\x1B" .. ("["):rep(2), cleaned "\27[[")
    assert.equal(1000, #cleaned("\27[" .. ("1"):rep(1000)) - 5)
  end)

  it("is looked at in proportion to its length, whatever it is", function()
    local function cost(text)
      local cleaned, before = safe.new(), os.clock()
      for _ = 1, 8 do cleaned(text) end
      return os.clock() - before
    end
    for _, unit in ipairs { "\27", "\27[", "\27[1", "\27[1;", "\r", "\xC2", "\xF0\x9F", "\x80", "\xC2\x9B", "1;" } do
      local n = 40000 // #unit
      local once = cost(unit:rep(n)) + 0.01
      assert.is_true(cost(unit:rep(4 * n)) < 12 * once, ("%q"):format(unit))
    end
  end)
end)

describe("greenlua attach", function()
  it("believes no other user", function()
    local whoami = process.capture({ "id", "-u" }).stdout
    if whoami ~= "0\n" then return pending "only root can be another user" end
    local dir <close> = fs.temp_dir()
    fs.chmod(dir.path, 511)
    local listen = [[local listener <close> = require "green.net".listen("unix:]] .. dir.path .. [[/socket", { mode = "600" })
      print "ready" io.stdout:flush() io.read "a"]]
    local impostor <close> = process.spawn({ "setpriv", "--reuid=65534", "--clear-groups", interpreter, "-e", listen },
      { stdin = "pipe", stdout = "pipe", stderr = "inherit" })
    assert.equal("ready", impostor.stdout:read "l")
    local got = process.capture({ interpreter, "attach", dir.path .. "/socket" }, { timeout = 30 })
    assert.equal(1, got.code)
    assert.is_truthy(got.stderr:find("/socket: whoever listens there is another user (65534)\n", 1, true), got.stderr)
  end)

  it("does not let the terminal obey what the process prints", function()
    local server <close> = serve()
    local s <close> = tmux.greenlua("attach " .. server.path)
    s:until_ ">"
    s:line [[print("\27[2J\27[1;1Hgone\27]0;title\7")]]
    s:until_ "\n\\x1B[2J\\x1B[1;1Hgone\\x1B]0;title\\x07\n>"
    s:keys "C-d"
    s:until_ "exit 0"
    local got = process.capture({ interpreter, "attach", server.path }, { input = [[print("\27[2J")]], timeout = 30 })
    assert.equal("\27[2J\n", got.stdout) -- a pipe
  end)

  it("runs lines of a pipe", function()
    local server <close> = serve()
    local got = process.capture({ interpreter, "attach", server.path }, { input = "for i = 1, 2 do\nprint(i)\nend\n1 + 1\n.quit\n3", timeout = 30 })
    assert.same({ 0, "1\n2\n2\n", "" }, { got.code, got.stdout, got.stderr })
  end)

  it("says why it cannot", function()
    local got = process.capture({ interpreter, "attach", "/nowhere/console" }, { timeout = 30 })
    assert.same({ 1, "greenlua: attach: /nowhere/console: there is no folder /nowhere\n" }, { got.code, got.stderr:gsub("^%S+/greenlua:", "greenlua:") .. "" })
    got = process.capture({ interpreter, "attach" }, { timeout = 30 })
    assert.matches("attach: one path expected\nusage: greenlua attach PATH", got.stderr)
  end)

  it("has the editor, and Ctrl-C for the line over there", function()
    local server <close> = serve()
    local s <close> = tmux.greenlua("attach " .. server.path)
    s:until_ ">"
    s:line "served"
    s:until_ "\n0\n>"
    s:type "app:sta"
    s:keys "Tab"
    s:until_ "> app:static"
    s:keys "C-u"
    s:line "while true do end"
    s:until_ "while true do end"
    assert.equal("ok", http.get(server.address).body)
    s:keys "C-c"
    s:until_(function(text) return text:find "interrupted!\n.*\n>$" end)
    s:line "task.spawn(function() while not go do task.sleep(0.002) end print 'from there' end)"
    s:until_(function(text) return text:find "\ntask %d+\n>$" end)
    s:type "typed"
    s:until_ "> typed"
    do
      local console <close> = connect(server)
      console:line "go = true"
    end
    s:until_ "\nfrom there\n> typed"
    s:keys("C-u", "C-d")
    s:until_ "exit 0"
  end)

  it("says so when the process goes", function()
    local server <close> = serve()
    local s <close> = tmux.greenlua("attach " .. server.path)
    s:until_ ">"
    server.stopped = true
    server:stop()
    s:until_ "attach: the process has closed the connection\nexit 1"
  end)
end)
