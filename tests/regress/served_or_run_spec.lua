-- SPDX-License-Identifier: MIT
-- Is a script served, or run? A script that ended in `return function` was always taken for an app: --run just runs it. One
-- that defined routes and forgot `return app` ended without a word. An uncaught error in a script that had a server of
-- app:listen left a process that served on, where one with net.listen ended. And --listen knew neither 8080 nor :8080.
local fs = require "green.fs"
local interpreter = require "interpreter"
local net = require "green.net"
local process = require "green.process"
local sh = require "shell"
local task = require "green.task"

describe("--run", function()
  it("runs a script that returns a function, or an app, and nothing else", function()
    local out, err, code = sh("$lua --run it.lua one", { ["it.lua"] = "print(...) return function() end" })
    assert.same({ "one\n", "", 0 }, { out, err, code })
    out, err, code = sh("$lua --run it.lua", { ["it.lua"] = "local app = require 'green.app'.new() app:get('/', print) print 'ran' return app" })
    assert.same({ "ran\n", "", 0 }, { out, err, code })
    out, err, code = sh("echo 'print(1) return print' | $lua --run -")
    assert.same({ "1\n", "", 0 }, { out, err, code })
    out = sh("$lua --run -i it.lua", { ["it.lua"] = "return function() end" })
    assert.not_matches("serving", out)
  end)

  it("does not go with what asks for serving", function()
    for _, option in ipairs { "--listen 0", "--dev", "--console c" } do
      local out, err, code = sh(("$lua --run %s it.lua"):format(option), { ["it.lua"] = "print 'ran'" })
      assert.same({ "", 1 }, { out, code })
      assert.equal(("greenlua: --run: nothing is served then, so that %s has no meaning\n"):format(option:match "%S+"), err)
    end
  end)
end)

describe("a script that was meant to be an app", function()
  local ROUTES = [[local app = require "green.app".new() app:get("/", function() return "ok" end) ]]

  it("says so when it forgets to return it", function()
    local _, err, code = sh("$lua it.lua", { ["it.lua"] = ROUTES })
    assert.same({ "greenlua: it.lua has defined routes, and nothing serves them: a script that is an app ends in 'return app'\n", 0 },
      { err, code })
    _, err, code = sh("$lua --listen 127.0.0.1:0 it.lua", { ["it.lua"] = ROUTES })
    assert.same({ 1, true }, { code, err:find("--listen: nothing to serve: the script must return an app", 1, true) ~= nil })
  end)

  it("is not meant where its app is used otherwise, or just run", function()
    for command, script in pairs {
      ["$lua it.lua"] = ROUTES .. [[print(app:inject { path = "/" }.body)]],
      ["$lua  it.lua"] = ROUTES .. [[local server = app:listen "127.0.0.1:0" print "ok" server:abort()]],
      ["$lua --run it.lua"] = ROUTES .. [[print "ok"]],
      ["$lua -e 'dofile \"it.lua\"'"] = ROUTES .. [[print "ok"]],
      ["$lua   it.lua"] = [[local app = require "green.app".new() print "ok"]],
    } do
      assert.same({ "ok\n", "", 0 }, { sh(command, { ["it.lua"] = script }) })
    end
  end)
end)

describe("an uncaught error", function()
  for name, script in pairs {
    ["app:listen"] = [[local app = require "green.app".new() app:get("/", function() return "ok" end) app:listen "127.0.0.1:0" ]],
    ["net.listen"] = [[listener = require "green.net".listen "127.0.0.1:0" ]],
    ["a task that waits"] = [[require "green.task".spawn(function()
      local _ <close> = setmetatable({}, { __close = function() print "cleaned up" end })
      require "green.task".sleep(100)
    end) require "green.task".sleep(0) ]],
  } do
    it("ends the script, though it has " .. name, function()
      local dir <close> = fs.temp_dir()
      fs.write(dir.path .. "/it.lua", script .. "error 'its own'")
      local got = process.capture({ interpreter, "it.lua" }, { cwd = dir.path, timeout = 30 })
      assert.equal(1, got.code)
      assert.matches("it.lua:%d+: its own\nstack traceback", got.stderr)
      assert.equal(name == "a task that waits" and "cleaned up\n" or "", got.stdout)
    end)
  end

  it("ends it while a request is in there, too", function()
    local dir <close> = fs.temp_dir()
    fs.write(dir.path .. "/it.lua", [[
      local app, task = require "green.app".new(), require "green.task"
      app:get("/", function() task.sleep(100) return "ok" end)
      print(app:listen "127.0.0.1:0":address()) io.stdout:flush()
      io.read()
      error "its own"]])
    local it <close> = process.spawn({ interpreter, "it.lua" }, { cwd = dir.path, stdin = "pipe", stdout = "pipe", stderr = "pipe" })
    local client <close> = net.connect(it.stdout:read "l")
    client:write "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    task.sleep(0.01)
    it.stdin:write "\n"
    assert.equal(1, (it:wait(30)))
    pcall(client.read, client, 65536, 30) -- an answer, an end or a reset
  end)
end)

describe("--listen", function()
  it("understands a port alone, of this machine, or of every address with a colon", function()
    local dir <close> = fs.temp_dir()
    fs.write(dir.path .. "/it.lua", "return function() return 'ok' end")
    for option, url in pairs { ["0"] = "http://127%.0%.0%.1:%d+", [":0"] = "http://0%.0%.0%.0:%d+" } do
      local it <close> = process.spawn({ interpreter, "--listen", option, "it.lua" }, { cwd = dir.path, stderr = "pipe" })
      assert.matches("serving it.lua on " .. url, it.stderr:read "l")
      it:kill "TERM"
      it:wait(30)
    end
  end)
end)

describe("require 'cjson'", function()
  it("is the one of package.cpath or package.path, if there is one", function()
    local files = { ["cjson.lua"] = "return { mine = true }" }
    assert.equal("true\n", (sh([[$lua -e 'package.path = "./?.lua" print(require "cjson".mine)']], files)))
    assert.equal("true\n", (sh([[$lua -e 'package.preload.cjson = function() return { mine = true } end print(require "cjson".mine)']])))
  end)

  it("is inside where there is none", function()
    assert.equal("[1,2]\n", (sh [[$lua -e 'package.path, package.cpath = "", "" print(require "cjson".encode { 1, 2 })']]))
  end)
end)
