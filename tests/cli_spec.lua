-- SPDX-License-Identifier: MIT
-- The command line: the flags, messages and exit codes of lua 5.4, and what greenlua adds.
local sh = require "shell"

local function prints(expected, command, files)
  local out, err, code = sh(command, files)
  assert.equal("", err)
  assert.equal(expected, out)
  assert.equal(0, code)
end

local function fails(message, command, files)
  local out, err, code = sh(command, files)
  assert.equal("", out)
  assert.equal(message, err:sub(1, #message))
  assert.equal(1, code)
  return err
end

local show_args = { ["a.lua"] = [[
  local low = 0
  while arg[low - 1] do low = low - 1 end
  for i = low + 1, #arg do io.write(i, "=", arg[i], " ") end
  print(select("#", ...), ...)
]] }

describe("a script", function()
  it("gets its arguments, and arg", function()
    prints("0=a.lua 1=x 2=y z 2\tx\ty z\n", "$lua a.lua x 'y z'", show_args)
  end)

  it("finds the options at negative indices of arg", function()
    prints("-2=-e -1=x=1 0=a.lua 1=-v 1\t-v\n", "$lua -e x=1 a.lua -v", show_args)
  end)

  it("may follow --", function()
    prints("-1=-- 0=a.lua 1=b 1\tb\n", "$lua -- a.lua b", show_args)
  end)

  it("may wait in its main chunk, and the tasks it leaves are waited for", function()
    prints("1\n2\n3\n", "$lua a.lua", { ["a.lua"] = [[
      local task = require "green.task"
      local go
      task.spawn(function() print(1) while not go do task.sleep(0.001) end print(3) end)
      task.sleep(0.001)
      print(2)
      go = true
    ]] })
  end)

  it("may begin with a #! line", function()
    prints("ok\n", "$lua a.lua", { ["a.lua"] = "#!/usr/bin/env greenlua\nprint 'ok'" })
  end)

  it("is stdin when there is none", function()
    prints("ok\t0\n", [[echo 'print("ok", select("#", ...))' | $lua]])
  end)

  it("is stdin for -", function()
    prints("ok\ta\tb\n", [[echo 'print("ok", ...)' | $lua - a b]])
  end)

  it("may return values that cannot be served", function()
    prints("", "$lua a.lua", { ["a.lua"] = "return { 1 }, print" })
  end)
end)

describe("flags:", function()
  it("-e runs chunks in order, before the script", function()
    prints("1\n2\n0=a.lua 0\n", "$lua -e 'print(1)' -e'print(2)' -E a.lua | sed 's/^-.*0=/0=/'", show_args)
  end)

  it("-e names its chunk", function()
    fails("greenlua: (command line):1: x\nstack traceback:\n\t[C]: in function 'error'\n", [[$lua -e 'error "x"']])
  end)

  it("-e may wait", function()
    prints("1\n", [[$lua -e 'require "green.task".sleep(0.001) print(1)']])
  end)

  it("-l requires into a global", function()
    local files = { ["mod.lua"] = "return { n = ... }" }
    prints("mod\n", "$lua -l mod -e 'print(mod.n)'", files)
    prints("mod\n", "$lua -lmod -e 'print(mod.n)'", files)
    prints("mod\tnil\n", "$lua -l g=mod -e 'print(g.n, mod)'", files)
  end)

  it("-v prints the version and does not read stdin", function()
    local out, err, code = sh "$lua -v < /dev/zero"
    assert.matches("^Lua 5%.4%.%d+  Copyright %(C%) [^\n]+\ngreenlua %d+%.%d+%.%d+\n$", out) -- lua's line, and ours
    assert.equal("", err)
    assert.equal(0, code)
    assert.matches("^greenlua %d+%.%d+%.%d+, Lua 5%.4", (sh "$lua --version"))
  end)

  it("-W turns warnings on", function()
    local out, err = sh [[$lua -W -e 'warn("a", "b") warn "@off" warn "c" warn "@on" warn "d"']]
    assert.equal("", out)
    assert.equal("Lua warning: ab\nLua warning: d\n", err)
    prints("", [[$lua -e 'warn "silent"']])
  end)

  it("-E ignores the environment", function()
    prints("1\n", [[LUA_INIT='print "init"' $lua -E -e 'print(1)']])
    prints("false\n", [[LUA_PATH=/nowhere/? $lua -E -e 'print(package.path:find("nowhere", 1, true) ~= nil)']])
    prints("true\n", [[LUA_PATH=/nowhere/? $lua -e 'print(package.path:find("nowhere", 1, true) ~= nil)']])
  end)

  it("--help fits a screen, and names every option", function()
    local out, err, code = sh "$lua --help"
    local _, lines = out:gsub("\n", "")
    assert.is_true(lines > 10 and lines <= 24)
    for line in out:gmatch "[^\n]+" do assert.is_true(#line <= 80) end
    assert.matches("%-%-listen ADDR", out)
    assert.equal("", err)
    assert.equal(0, code)
  end)

  it("unknown ones show the usage", function()
    assert.matches("\nusage: greenlua ", (fails("greenlua: unrecognized option '-x'\n", "$lua -x")))
    fails("greenlua: unrecognized option '--nope'\n", "$lua --nope a.lua")
    fails("greenlua: unrecognized option '-vv'\n", "$lua -vv")
    fails("greenlua: '-e' needs argument\n", "$lua -e")
    fails("greenlua: '-l' needs argument\n", "$lua -l")
    fails("greenlua: '--listen' needs argument\n", "$lua --listen")
    fails("greenlua: '--max-memory' needs argument\n", "$lua --max-memory")
    for _, size in ipairs { "much", "-1", "1.5G", "64MB", "''", "99999999999G" } do
      fails(("greenlua: --max-memory: '%s' is not a number of bytes, nor one with K, M or G\n"):format(size:gsub("'", "")),
        "$lua --max-memory " .. size .. " -v")
    end
    fails("greenlua: --max-memory: '1000K' is less than 1M\n", "$lua --max-memory 1000K -v")
    fails("greenlua: '--grace' needs argument\n", "$lua --grace")
    fails("greenlua: '--help' takes no argument\n", "$lua --help=all")
    fails("greenlua: --grace: 'soon' is not a number of seconds\n", "$lua --grace soon a.lua")
  end)

  it("mistyped ones are told what was probably meant", function()
    local usage = "\nusage: greenlua [options] [script [args]]\n'greenlua --help' shows the options\n"
    assert.equal("greenlua: unrecognized option '--lisen'; did you mean '--listen'?" .. usage, fails("", "$lua --lisen 127.0.0.1:0 a.lua"))
    fails("greenlua: unrecognized option '--lisen'; did you mean '--listen'?\n", "$lua --lisen=127.0.0.1:0")
    fails("greenlua: unrecognized option '--garce'; did you mean '--grace'?\n", "$lua --garce 1")
    fails("greenlua: unrecognized option '-help'; did you mean '--help'?\n", "$lua -help")
  end)
end)

describe("doc", function()
  local function doc(words) return (sh("$lua doc " .. words)) end

  it("shows the reference of a name", function()
    assert.matches("^http%.get%(url, opts%)", doc "http.get")
    assert.matches("^green%.db\n", doc "green.db")
    assert.matches("^Task:join%(timeout%)", doc "task:join")
    assert.matches("section 6%.4 .-#pdf%-string%.format\n$", doc "string.format")
  end)

  it("lists the modules", function() assert.matches("\n  green%.http  +The HTTP client %(HTTP/1%.1%)%.\n", doc "") end)

  it("lists every name", function()
    local names = "\n" .. doc "--names"
    for _, name in ipairs { "green.http", "http.get", "task:join", "http.options", "string.format" } do
      assert.is_truthy(names:find("\n" .. name .. "\n", 1, true), name)
    end
  end)

  it("finds a field by its owner, a method of what handlers are given, and words wherever they are spoken of", function()
    assert.matches("^green%.json\n.*\n  null  lightuserdata", doc "json.null")
    assert.matches("^request:json%(max%)", doc "req:json")
    local said = doc "timeout"
    assert.matches("^nothing is called 'timeout'; it is spoken of in\n", said)
    assert.matches("\n  Task:join%(timeout%) ", said)
    assert.matches("\n  Server:finish%(timeout", (doc "SECONDS stops listening"))
    assert.matches("\n  %.%.%. and %d+ more\n$", (doc "the"))
  end)

  it("suggests names like an unknown one", function()
    fails("greenlua: doc: no 'http.gte' here; did you mean http.get, ", "$lua doc http.gte")
    fails("greenlua: doc: no 'xyzzyxyzzy' here; help() lists the modules\n", "$lua doc xyzzyxyzzy")
    fails("greenlua: doc: 'close' is several:\n", "$lua doc close")
  end)

  it("refuses what it does not know", function()
    fails("greenlua: doc: unrecognized option '--nope'\nusage: greenlua doc [NAME]\n", "$lua doc --nope")
    prints("usage: greenlua doc [NAME]\n", "$lua doc --help | head -n 1")
  end)

  it("leaves a script of its name its path, and what follows --", function()
    prints("mine\n", "$lua ./doc", { doc = "print 'mine'" })
    prints("mine\ta\n", "$lua -- doc a", { doc = "print('mine', ...)" })
    assert.matches("^The modules", (sh("$lua doc", { doc = "print 'mine'" })))
  end)

  it("is plain in a pipe and has colour on a terminal, unless NO_COLOR", function()
    local escape = "\27%["
    assert.not_matches(escape, doc "http.get")
    assert.matches(escape .. "1mhttp%.get", (sh "TERM=xterm script -qec \"$lua doc http.get\" /dev/null"))
    assert.not_matches(escape .. "1m", (sh "TERM=xterm NO_COLOR=1 script -qec \"$lua doc http.get\" /dev/null"))
  end)

  it("is as wide as the terminal, but not above 100 columns", function()
    local function widest(columns)
      local out = sh(("TERM=dumb script -qec \"stty cols %d; $lua doc green.fs\" /dev/null"):format(columns))
      local most = 0
      for line in out:gsub("\nExample.*", ""):gmatch "[^\r\n]+" do most = math.max(most, utf8.len(line) or #line) end
      return most
    end
    local narrow, wide, huge = widest(60), widest(95), widest(300)
    assert.is_true(narrow <= 60 and wide > 60 and wide <= 95 and huge > 80 and huge <= 100)
  end)

  it("is what help prints in Lua", function()
    local function help(arguments)
      local out, err = sh("$lua -e 'help, url = require \"green.reference\".help, require \"green.url\" help(" .. arguments .. ")'")
      assert.equal("", err)
      return out
    end
    assert.equal(doc "url.encode", help "url.encode")
    assert.equal(doc "url.encode", help "\"url.encode\"")
    assert.equal(doc "", help "")
    assert.equal("nothing is known about nil; help() lists the modules\n", help "nil")
    assert.matches("did you mean url%.encode,", help "\"url.encod\"")
  end)

  it("is taken from GREENLUA_LUALIB's folder while developing", function()
    local root = require "green.fs".absolute(arg[0]:match "^(.*)/tests/[^/]*$" or ".")
    local out = sh(([[
      mkdir lib && cp -r %s/lualib/. lib
      echo '---New here.' >> lib/meta/green/url.lua && echo 'function url.fresh() end' >> lib/meta/green/url.lua
      GREENLUA_LUALIB=$PWD/lib $lua doc url.fresh]]):format(root))
    assert.matches("^url%.fresh%(%).-\n  New here%.", out)
    fails("greenlua: doc: no 'url.fresh' here", "$lua doc url.fresh")
  end)
end)

describe("LUA_INIT", function()
  it("runs first", function() prints("init\n1\n", [[LUA_INIT='print "init"' $lua -e 'print(1)']]) end)

  it("gives way to LUA_INIT_5_4", function()
    prints("54\n", [[LUA_INIT='print "init"' LUA_INIT_5_4='print(54)' $lua -e '']])
  end)

  it("may name a file", function()
    prints("file\n", "LUA_INIT=@init.lua $lua -e ''", { ["init.lua"] = "print 'file'" })
  end)

  it("ends it all when it fails", function()
    fails("greenlua: LUA_INIT:1: x\n", [[LUA_INIT='error "x"' $lua -e 'print(1)']])
  end)
end)

describe("what goes wrong:", function()
  local function script(text) return { ["a.lua"] = text } end

  it("an error has its traceback", function()
    local err = fails("greenlua: a.lua:1: deep\nstack traceback:\n", "$lua a.lua",
      script "local function f() error 'deep' end f()")
    assert.matches("\n\ta.lua:1: in local 'f'\n\ta.lua:1: in main chunk\n\t%[C%]: in %?\n$", err)
  end)

  it("a syntax error has its line", function()
    fails("greenlua: a.lua:2: unexpected symbol near '='\n", "$lua a.lua", script "x = 1\ny = = 2")
    fails("greenlua: (command line):1: ", "$lua -e 'x = ='")
    fails("greenlua: stdin:1: ", "echo 'x = =' | $lua -")
  end)

  it("a file that cannot be read", function()
    fails("greenlua: cannot open nofile.lua", "$lua nofile.lua")
    fails("greenlua: cannot read .", "$lua .")
  end)

  it("a module that is not there", function()
    fails("greenlua: a.lua:1: module 'no.such' not found:\n\tno field package.preload['no.such']\n", "$lua a.lua",
      script "require 'no.such'")
  end)

  it("error objects", function()
    fails("greenlua: (error object is a table value)\n", "$lua a.lua", script "error {}")
    fails("greenlua: (error object is a nil value)\n", "$lua a.lua", script "error()")
    fails("greenlua: obj\n", "$lua a.lua",
      script "error(setmetatable({}, { __tostring = function() return 'obj' end }))")
  end)

  it("greenlua's own error objects have a traceback", function()
    local err = fails("greenlua: task.join: task 2, spawned at a.lua:1: timed out\nstack traceback:\n", "$lua a.lua",
      script "local task = require 'green.task' task.spawn(task.sleep, 1):join(0.001)")
    assert.matches("a.lua:1: in main chunk", err)
  end)

  it("a failed script takes its tasks along", function()
    local out, err, code = sh("$lua a.lua", script [[
      local task = require "green.task"
      task.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() print "closed" end })
        task.sleep(100)
      end)
      task.sleep(0)
      error "x"
    ]])
    assert.equal("closed\n", out)
    assert.equal("greenlua: a.lua:7: x\n", err:sub(1, 21))
    assert.equal(1, code)
  end)

  it("to-be-closed variables of a script that fails", function()
    local out, err = sh("$lua a.lua", script [[
      local _ <close> = setmetatable({}, { __close = function(_, e) print(e:match '[^\n]*') end })
      error("x", 0)
    ]])
    assert.equal("x\n", out)
    assert.equal("greenlua: x\n", err:sub(1, 12))
  end)
end)

describe("os.exit", function()
  local function exits(code, text)
    local _, err, got = sh("$lua a.lua", { ["a.lua"] = text })
    assert.equal("", err)
    assert.equal(code, got)
  end

  it("gives the exit code", function()
    exits(0, "os.exit()")
    exits(0, "os.exit(true)")
    exits(1, "os.exit(false)")
    exits(7, "os.exit(7)")
  end)

  it("works anywhere in a task, whatever else is going on", function()
    exits(3, [[
      local task = require "green.task"
      task.spawn(task.sleep, 100)
      task.spawn(function() table.sort({ 1, 2 }, function() task.sleep(100) end) end)
      task.spawn(function()
        task.sleep(0.001)
        coroutine.wrap(function() pcall(function() os.exit(3) end) end)()
      end)
      task.sleep(100)
    ]])
  end)

  it("flushes what was written", function()
    prints("text", "$lua -e 'io.write \"text\" os.exit(true)' | cat")
  end)

  for _, where in ipairs { "os.exit(4, true)", "coroutine.wrap(os.exit)(4, true)",
    "table.sort({ 1, 2 }, function() os.exit(4, true) end)" } do
    it("closes the state when asked: " .. where, function()
      local out, err, code = sh("$lua a.lua", { ["a.lua"] = [[
        local task = require "green.task"
        keep = setmetatable({}, { __gc = function() print "collected" end })
        task.spawn(task.sleep, 100)
        local _ <close> = setmetatable({}, { __close = function(_, e) assert(e == nil) print "closed" end })
        task.sleep(0.001)
      ]] .. where })
      assert.equal("closed\ncollected\n", out)
      assert.equal("", err)
      assert.equal(4, code)
    end)
  end
end)

describe("Ctrl-C", function()
  -- Runs a script until it says go, and sends it SIGINT.
  local function interrupted(text)
    return sh([[
      $lua a.lua > out & pid=$!
      while ! grep -qs go out; do sleep 0.01; done
      kill -INT $pid
      wait $pid; code=$?
      cat out
      exit $code
    ]], { ["a.lua"] = "io.stdout:setvbuf 'line' " .. text })
  end

  for how, rest in pairs { hogs = "while true do end", waits = "require 'green.task'.sleep(100)",
    ["waits in a C function"] = "table.sort({ 1, 2 }, function() require 'green.task'.sleep(100) end)",
    ["waits in a coroutine"] = "coroutine.wrap(function() require 'green.task'.sleep(100) end)()",
    ["waits for tasks"] = "require 'green.task'.spawn(function() while true do end end):join()" } do
    it("is an error in a script that " .. how, function()
      local out, err, code = interrupted("local _ <close> = setmetatable({}, { __close = function() print 'closed' end }) print 'go' " .. rest)
      assert.equal("go\nclosed\n", out)
      assert.matches("^greenlua: .*interrupted!\nstack traceback:", err)
      assert.equal(1, code)
    end)
  end

  it("may be caught", function()
    local out, err, code = interrupted "print 'go' pcall(function() while true do end end) print 'caught'"
    assert.equal("go\ncaught\n", out)
    assert.equal("", err)
    assert.equal(0, code)
  end)

  it("ends a script that goes on, the second time", function()
    local out, _, code = sh([[
      $lua a.lua > out & pid=$!
      while ! grep -qs go out; do sleep 0.01; done
      kill -INT $pid
      while ! grep -qs caught out; do sleep 0.01; done
      kill -INT $pid
      wait $pid
      exit $?
    ]], { ["a.lua"] = "io.stdout:setvbuf 'line' local function f() while true do end end print 'go' pcall(f) print 'caught' while true do pcall(f) end" })
    assert.equal("", out)
    assert.equal(130, code)
  end)

  it("is for whoever waits for the signal", function()
    local out, err, code = interrupted [[
      local task, signal = require "green.task", require "green.signal"
      local came = task.spawn(signal.wait, "INT")
      task.sleep(0)
      print "go"
      print(came:join())
    ]]
    assert.equal("go\nINT\n", out)
    assert.equal("", err)
    assert.equal(0, code)
  end)
end)

describe("messages", function()
  it("are from the name it was called by", function()
    local _, err = sh("ln -s $lua mylua && ./mylua -e 'error(\"x\", 0)' || ./mylua -x")
    assert.matches("^%./mylua: x\n.*\n%./mylua: unrecognized option '%-x'\nusage: %./mylua ", err)
  end)
end)

describe("a pipe nobody reads", function()
  it("ends a script that writes to it, as it ends lua", function()
    prints("y\n", "$lua -e 'while true do print \"y\" end' | head -n 1")
  end)

  it("is inherited by children with its default", function()
    prints("y\n", [[$lua -e 'os.execute "yes | head -n 1"']])
  end)
end)

describe("the REPL", function()
  -- Without the version and the prompts' line of the end.
  local function session(lines, options)
    local out, err, code = sh("$lua -i " .. (options or "") .. " < lines", { lines = lines })
    assert.equal(0, code)
    return out:gsub("^[^\n]*\n", ""), err
  end

  it("prints what expressions are worth", function()
    assert.equal("> 1 + 1\n2\n> =1, nil, 'x'\n1\tnil\tx\n> local x = 1\n> \n", (session "1 + 1\n=1, nil, 'x'\nlocal x = 1\n"))
  end)

  it("takes statements of several lines", function()
    assert.equal("> for i = 1, 2 do\n>> print(i)\n>> end\n1\n2\n> \n", (session "for i = 1, 2 do\nprint(i)\nend\n"))
  end)

  it("goes on after an error", function()
    local out, err = session "error 'x'\nx = = 1\n1\n"
    assert.equal("> error 'x'\n> x = = 1\n> 1\n1\n> \n", out)
    assert.equal("stdin:1: x\nstack traceback:\n\t[C]: in function 'error'\n\tstdin:1: in main chunk\n\t[C]: in ?\n"
      .. "stdin:1: unexpected symbol near '='\n", err)
  end)

  it("waits", function()
    assert.matches("\n> task.spawn[^\n]+\ntrue\n> \n$", (session "task = require 'green.task'\ntask.spawn(function() return true end):join()\n"))
  end)

  it("has prompts to be changed", function()
    assert.equal("> _PROMPT, _PROMPT2 = '$ ', '| '\n$ x =\n| 1\n$ \n", (session "_PROMPT, _PROMPT2 = '$ ', '| '\nx =\n1\n"))
  end)

  it("starts after the script", function()
    local out = sh("$lua -i a.lua < lines", { ["a.lua"] = "x = 1", lines = "x\n" })
    assert.matches("\n> x\n1\n> \n$", out)
  end)

  it("leaves at the end of a statement that is not complete", function()
    local out, err = session "x =\n"
    assert.equal("> x =\n>> > \n", out)
    assert.matches("near <eof>", err)
  end)

  it("reports a print that fails", function()
    local _, err = session "setmetatable({}, { __tostring = function() error 'no' end })\n"
    assert.matches("^error calling 'print' %(stdin:1: no%)", err)
  end)

  it("asks each time what its prompt is worth", function()
    local out = session("_PROMPT = 'done '\n",
      [[-e "n = 0; _PROMPT = setmetatable({}, { __tostring = function() n = n + 1 return n .. ' ' end })"]])
    assert.equal("1 _PROMPT = 'done '\ndone \n", out)
  end)

  it("needs no global", function()
    local out, err = session "local g = _G for name in pairs(g) do g[name] = nil end\n1\n"
    assert.matches("\n> 1\n> \n$", out)
    assert.equal("error calling 'print' (attempt to call a nil value)\n", err)
  end)

  it("survives Ctrl-C in what was typed, and ends by it at the prompt", function()
    prints("interrupted\ninterrupted\nkilled by 2\n", [[
      mkfifo lines
      $lua -i < lines > out 2> said & pid=$!
      exec 3> lines
      seen() { n=0; until tail -n 1 $1 | grep -qs "$2" || [ $n = 6000 ]; do sleep 0.01; n=$((n + 1)); done; }
      for loop in 'while true do end' 'require "green.task".sleep(100)'; do
        echo "print 'go' io.stdout:flush() $loop" >&3
        seen out '^go$'
        kill -INT $pid
        seen out '^> $'
        grep -qs interrupted! said && echo interrupted
        : > said
      done
      kill -INT $pid
      wait $pid
      echo killed by $(($? - 128))
    ]])
  end)

  it("lets other tasks run while it waits for a line", function()
    prints("done\n", [[
      mkfifo lines
      $lua -i < lines > out & exec 3> lines
      echo 'task = require "green.task"' >&3
      echo 'task.spawn(function() task.sleep(0.001) io.open("ran", "w"):close() end)' >&3
      n=0; while [ ! -e ran ] && [ $n -lt 6000 ]; do sleep 0.01; n=$((n + 1)); done
      [ -e ran ] && echo done
      exec 3>&-
      wait
    ]])
  end)

  it("is what a terminal without a script gets", function()
    local out = sh "printf '6 * 7\\nos.exit(3)\\n' | TERM=dumb script -qec $lua /dev/null; echo exit $?"
    assert.matches("[> \n]42\r?\n", out) -- the terminal shows what is typed before or behind the prompt
    assert.matches("exit 3\n$", out)
  end)
end)

describe("--listen", function()
  it("needs something to serve", function()
    local message = "greenlua: --listen: nothing to serve"
    fails(message, "$lua --listen 127.0.0.1:0 a.lua", { ["a.lua"] = "return 1" })
    fails(message, "$lua --listen=127.0.0.1:0 a.lua", { ["a.lua"] = "return {}" })
    fails(message, "$lua --listen 127.0.0.1:0 -e 'x = 1'")
  end)
end)
