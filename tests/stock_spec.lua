-- SPDX-License-Identifier: MIT
-- What can be seen of the host from a script, and is not the virtual machine's: the same under lua5.4 and greenlua.
local sh = require "shell"

local function seen(command, text)
  local out, err, code = sh(command .. " a.lua", { ["a.lua"] = text })
  return { out = out:gsub("0x%x+", "0x"), err = err:gsub("0x%x+", "0x"):gsub("^%S*lua[%d.]*:", "PROGRAM:"), code = code }
end

local function is_the_same(name, text)
  it(name, function() assert.same(seen("lua5.4", text), seen("$lua", text)) end)
end

describe("as under lua5.4:", function()
  is_the_same("the libraries' names", [[
    for _, lib in ipairs { "_G", "coroutine", "io", "os", "debug", "package", "string", "table", "math", "utf8" } do
      local names = {}
      for name, value in pairs(_ENV[lib]) do names[#names + 1] = tostring(name) .. ":" .. type(value) end
      table.sort(names)
      print(lib, table.concat(names, " "))
    end
  ]])

  is_the_same("what functions look like", [[
    for _, f in ipairs { print, require, coroutine.wrap, coroutine.resume, os.exit, os.execute, debug.sethook, warn } do
      local info = debug.getinfo(f)
      print(info.what, info.nups, info.nparams, info.isvararg, info.short_src)
    end
    debug.sethook(print, "l") debug.sethook()
    print(getmetatable(debug.getregistry()._HOOKKEY).__mode)
  ]])

  is_the_same("the messages of misuse", [[
    for _, text in ipairs {
      "coroutine.yield()", "coroutine.resume(1)", "coroutine.wrap(1)", "coroutine.create()", "coroutine.status()", "coroutine.close(1)",
      "coroutine.close(coroutine.running())", "coroutine.isyieldable(1)", "debug.sethook(1)", "debug.sethook(print)",
      "debug.sethook(print, 'c', 'x')", "debug.gethook(1)", "warn()", "warn('a', {})", "os.exit({})", "os.execute({})", "io.popen('x', 'y')",
      "io.read 'x'", "io.lines 'nofile'", "io.open('x', 'zz')", "io.stdin.read(1)", "io.stdout:seek 'x'", "io.stdout:setvbuf()", "io.write {}",
      "io.output {}", "io.input 'nofile'", "io.close(1)", "require()", "require 'no.such'", "dofile 'nofile'", "loadfile {}", "return ~io.stdin",
      "local co = coroutine.wrap(print) co() co()", "coroutine.wrap(function() error 'a' end)()", "coroutine.wrap(function() error {} end)()",
    } do print(text, select(2, pcall(load(text)))) end
  ]])

  is_the_same("events of hooks, across coroutines", [[
    local function event(what, line) io.write(what, " ", tostring(line), "\n") end
    local co = coroutine.wrap(function()
      debug.sethook(event, "crl", 2)
      local x = 1
      coroutine.yield(x)
      x = x + 1
      debug.sethook()
    end)
    co()
    co()
  ]])

  is_the_same("the last finalizers", [[
    keep = setmetatable({}, { __gc = function() print(coroutine.running()) print(coroutine.isyieldable()) print(collectgarbage()) end })
    failing = setmetatable({}, { __gc = function() error "seen only with -W" end })
  ]])

  is_the_same("a to-be-closed variable that fails", [[
    local first <close> = setmetatable({}, { __close = function(_, e) print(e) error("second", 0) end })
    error("first", 0)
  ]])

  is_the_same("commands", [[
    print(os.execute "exit 3")
    print(os.execute "no-such-command")
    print(os.execute "kill -9 $$")
    print(io.popen("exit 4"):close())
  ]])

  is_the_same("calls too deep", [[
    local function deep() return 1 + deep() end
    print(pcall(deep))
    local function sub() return (("x"):gsub(".", sub)) end
    print(select(2, pcall(sub)):match "stack overflow")
    local function co() return coroutine.wrap(co)() end
    print(select(2, pcall(co)):match "C stack overflow")
  ]])

  is_the_same("the collector's answers", [[
    collectgarbage "incremental" -- what it starts in is the program's choice
    for _, mode in ipairs { "incremental", "generational", "generational", "incremental" } do print(collectgarbage(mode)) end
    collectgarbage "stop"
    print(collectgarbage "isrunning", collectgarbage("step", 20000), collectgarbage "isrunning")
    collectgarbage "restart"
    print(collectgarbage("setpause", 150), collectgarbage("setpause", 200), collectgarbage "isrunning")
    local before = collectgarbage "count"
    for _ = 1, 3000000 do end
    print(collectgarbage "count" - before < 1)
    local inner
    setmetatable({}, { __gc = function() inner = collectgarbage() end })
    collectgarbage()
    print(inner)
  ]])

  is_the_same("finalizers that write, and come back", [[
    local meta, left = {}, 5
    function meta.__gc(object)
      io.stderr:write "."
      left = left - 1
      if left > 0 then setmetatable(object, meta) end
    end
    setmetatable({}, meta)
    for _ = 1, 6 do collectgarbage() end
    print(left)
  ]])

  is_the_same("an end without globals, under a hook", [[
    local hook, assert, type, globals, out = debug.sethook, assert, type, _G, io.stdout
    last = setmetatable({}, { __gc = function() out:write "last\n" end })
    hook(function(event) assert(type(event) == "string") end, "cr")
    for name in pairs(globals) do
      if name ~= "last" then globals[name] = nil end
    end
    out:write "end\n"
  ]])

  is_the_same("errors in error handlers", [[
    local function handler(n)
      if n == 0 or type(n) ~= "number" then return n end
      error(n - 1)
    end
    print(xpcall(error, handler, 170))
    print(xpcall(error, handler, 300))
    print(xpcall(error, error))
  ]])

  is_the_same("what is too large", [[
    print(pcall(string.rep, "x", 1 << 62))
    print(pcall(string.rep, "ab", math.maxinteger, "c"))
    print(pcall(table.unpack, {}, 1, 10000000))
    print(pcall(string.byte, ("x"):rep(10000000), 1, -1))
    print(pcall(string.format, "%99999d", 1))
  ]])
end)
