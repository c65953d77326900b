-- SPDX-License-Identifier: MIT
-- Serving what a script returns: addresses, messages, signals, exit codes.
local serve = require "process"
local sh = require "shell"

-- Starts the server `$lua OPTIONS app.lua` with its messages in the file log, and waits until it listens; then
-- $url is its first address and $pid its process.
local function served(options, commands, app)
  return sh(([[
    : > log; LUA_INIT="require('green.debug').report_stalls(false)" $lua %s app.lua 2>> log & pid=$!
    n=0; while ! grep -q serving log && [ $n -lt 6000 ]; do sleep 0.01; n=$((n + 1)); done
    url=$(sed -n 's/.*serving app.lua on //p' log | head -n 1)
    %s
  ]]):format(options, commands), { ["app.lua"] = app or "return function(req) return 'hello ' .. req.path end" })
end

local stop = "kill -TERM $pid; wait $pid; echo exit $?; sed 's/127.0.0.1:[0-9]*/ADDRESS/' log"

describe("a script that returns a function", function()
  it("is served until it is told to stop", function()
    local out, err = served("--listen 127.0.0.1:0", "curl -s $url/a; echo; " .. stop)
    assert.equal("hello /a\nexit 0\ngreenlua: serving app.lua on http://ADDRESS\ngreenlua: stopping (SIGTERM)\n", out)
    assert.equal("", err)
  end)

  it("is none to be served with -e, unless --listen asks for it", function()
    local files = { ["app.lua"] = "return function() return 'hello' end" }
    assert.same({ "", "", 0 }, { sh("$lua -e 'x = 1' app.lua", files) })
    local out = served("-e 'x = 1' --listen 127.0.0.1:0", "curl -s $url/a; echo; " .. stop)
    assert.matches("^hello /a\nexit 0\n", out)
  end)

  it("can be stopped as soon as it says that it is served", function()
    for _ = 1, 20 do
      local app <close> = serve "scripts/hello.lua"
      assert.same({ 0, "greenlua: stopping (SIGTERM)\n" }, { app:stop() })
    end
  end)

  it("is asked with whole requests", function()
    local out = served("--listen 127.0.0.1:0", "curl -s -d x=1 $url/?name=a+b; echo; " .. stop,
      "return function(req) return req.query.name .. req:form().x .. (req.cookies.none or '-') end")
    assert.matches("^a b1%-\nexit 0\n", out)
  end)

  it("is served on several addresses", function()
    local out = served("--listen 127.0.0.1:0 --listen unix:here.sock",
      "curl -s $url/a; echo; curl -s --unix-socket here.sock http://here/b; echo; " .. stop)
    assert.equal("hello /a\nhello /b\nexit 0\ngreenlua: serving app.lua on http://ADDRESS\n"
      .. "greenlua: serving app.lua on unix:here.sock\ngreenlua: stopping (SIGTERM)\n", out)
  end)

  it("takes the tasks it started along", function()
    local out = served("--listen 127.0.0.1:0", stop, [[
      local task = require "green.task"
      task.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() print "closed" end })
        while true do task.sleep(1) end
      end)
      return print
    ]])
    assert.matches("^closed\nexit 0\n", out)
  end)

  local slow = [[
    local task = require "green.task"
    return function(req)
      io.open("asked", "w"):close()
      task.sleep(tonumber(req.path:sub(2)))
      return "done"
    end
  ]]
  local ask = "n=0; while [ ! -e asked ] && [ $n -lt 6000 ]; do sleep 0.01; n=$((n + 1)); done;"

  it("lets requests finish within --grace", function()
    local out = served("--listen 127.0.0.1:0 --grace 60", "curl -s $url/0.2 & " .. ask .. " kill -TERM $pid; wait", slow)
    assert.equal("done", out)
  end)

  it("cancels what takes longer", function()
    local out = served("--listen 127.0.0.1:0 --grace 0.01",
      "curl -s $url/60 & " .. ask .. "kill -INT $pid; wait $pid; echo exit $?; wait", slow)
    assert.equal("exit 0\n", out)
  end)

  it("exits at once at the second signal", function()
    local out = served("--listen 127.0.0.1:0 --grace 60", "curl -s $url/60 & " .. ask .. [[
      kill -INT $pid
      n=0; while ! grep -q stopping log && [ $n -lt 6000 ]; do sleep 0.01; n=$((n + 1)); done
      kill -TERM $pid; wait $pid; echo exit $?; wait
    ]], slow)
    assert.equal("exit 143\n", out)
  end)

  it("fails when an address is in use", function()
    local out = served("--listen 127.0.0.1:0", "$lua --listen ${url#http://} app.lua 2>&1; echo exit $?; " .. stop)
    assert.matches("^greenlua: cannot listen on 127%.0%.0%.1:%d+: address already in use\nexit 1\n", out)
  end)

  it("fails when an address is none", function()
    local out, err, code = sh("$lua --listen here:there app.lua", { ["app.lua"] = "return print" })
    assert.equal("", out)
    assert.matches("^greenlua: cannot listen on here:there: ", err)
    assert.equal(1, code)
  end)
end)
