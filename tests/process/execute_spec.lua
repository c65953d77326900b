-- SPDX-License-Identifier: MIT
-- os.execute and io.popen: the same script under stock Lua, where there is one, and under greenlua; and what stock Lua
-- cannot do.
local process = require "green.process"
local interpreter = require "interpreter"
local task = require "green.task"

local STOCK = "lua5.4"
local has_stock = process.run({ "sh", "-c", "command -v " .. STOCK }, { stdout = "null" }).code == 0

-- Prints the results of each call so that they can be compared; addresses are not.
local PRELUDE = [[
local function show(...)
  local list = table.pack(...)
  for i = 1, list.n do
    list[i] = tostring(list[i]):gsub("0x%x+", "ADDRESS"):gsub("^[^:]*:%d+: ", "")
    list[i] = math.type(select(i, ...)) == "float" and list[i] .. " (float)" or list[i]
  end
  print(table.concat(list, " | "))
end
]]

local function output_of(lua, script)
  local got = process.capture({ lua, "-" }, { input = PRELUDE .. script, stderr = "stdout" })
  return got.stdout .. ("exit %s %s"):format(got.code, got.signal)
end

local same = {
  ["os.execute results"] = [[
    show(os.execute())
    show(os.execute "exit 0") show(os.execute "exit 3") show(os.execute "kill -9 $$") show(os.execute "nosuch-command 2>/dev/null")
    show(pcall(os.execute, {}))
    os.execute "cat; echo to stderr >&2"
  ]],
  ["read formats"] = [[
    local f = io.popen "printf '12 0x1F -3.5e2 .5 1e+ x\\nline\\n\\nlast'"
    show(f:read("n", "n", "n", "n")) show(f:read "n") show(f:read "l") show(f:read("L", "l")) show(f:read(2)) show(f:read(0))
    show(f:read "*a") show(f:read "a") show(f:read(0)) show(f:read()) show(f:close())
    f = io.popen "echo a; echo b"
    show(f:read("l", "n", "l")) show(pcall(f.read, f, "x")) show(f:close())
  ]],
  ["numerals"] = [[
    for _, text in ipairs { "0x", "0x1p4", "0x.8", "1.", ".", "+5", "--5", "1e5", "0e", "99999999999999999999", ("1"):rep(250), "nan" } do
      local f = io.popen("echo '" .. text .. "'")
      show(text, f:read("n", "l")) f:close()
    end
  ]],
  ["lines"] = [[
    for line in io.popen("echo a; echo b; printf c"):lines() do show(line) end
    for a, b in io.popen("printf 'ab\\ncd'"):lines(1, "L") do show(a, b) end
    local f = io.popen "echo a"
    local iterate = f:lines()
    show(iterate()) show(iterate()) f:close() show(pcall(iterate)) show(pcall(f.lines, f))
    show(pcall(io.popen("true"):lines "q"))
  ]],
  ["close"] = [[
    show(io.popen("exit 3"):close()) show(io.popen("kill -15 $$"):close()) show(io.popen("cat >/dev/null", "w"):close())
    local f = io.popen "true"
    show(io.type(f), f) f:close() show(io.type(f), f) show(pcall(f.close, f)) show(pcall(f.read, f)) show(pcall(f.write, f, "x"))
    do local closed <close> = f end
    do local open <close> = io.popen("cat", "w") open:write "closed at the end of the block\n" end
    show(io.popen("yes"):close())
  ]],
  ["writing"] = [[
    local f = io.popen('text=$(cat); echo "$text"', "w") -- says it when it is closed, not when it is flushed
    show(f:write("a", 1, " ", 2.5, " ", 1e100, " ", 3.0, "\n") == f) show(f:write() == f)
    show(f:flush()) show(f:setvbuf "no") show(f:setvbuf("full", 10)) show(f:setvbuf "line") show(f:seek()) show(f:seek("set", 1))
    show(pcall(f.setvbuf, f, "bad")) show(pcall(f.write, f, {})) show(pcall(f.seek, f, "bad"))
    show(f:read()) show(pcall(f:lines())) show(f:close())
    f = io.popen "true"
    show(f:write "x") show(f:flush()) f:close()
  ]],
  ["misuse"] = [[
    show(pcall(io.popen)) show(pcall(io.popen, "true", "rw")) show(pcall(io.popen, "true", "x")) show(pcall(io.popen, {}))
    show(io.popen "nosuch-command 2>/dev/null":close())
  ]],
  ["buffers written at the end"] = [[
    io.write "before " local f = io.popen("cat", "w") f:write "not closed\n"
  ]],
  ["the output order"] = [[
    print "one" local f = io.popen("cat", "w") f:write "three\n" print "two" io.stdout:flush() f:close() print "four"
  ]],
}

describe("under greenlua as under " .. STOCK, function()
  for name, script in pairs(same) do
    it(name, function()
      if not has_stock then return pending("there is no " .. STOCK) end
      assert.equal(output_of(STOCK, script), output_of(interpreter, script))
    end)
  end
end)

-- Does another task run while fn does? Commands of fn read a line from `gate` before anything else: only the other task lets them go on.
local function others_ran(fn)
  local gate = os.tmpname()
  os.remove(gate)
  assert(os.execute("mkfifo " .. gate))
  local ran, over = false, false
  local other = task.spawn(function()
    ran = not over
    local file <close> = io.open(gate, "w")
    file:write "go\n"
  end)
  fn(("read go <%s; "):format(gate))
  over = true
  other:join()
  os.remove(gate)
  return ran
end

describe("others run", function()
  it("during os.execute", function() assert.is_true(others_ran(function(wait) os.execute(wait) end)) end)

  it("while a pipe is read", function()
    assert.is_true(others_ran(function(wait)
      local f <close> = io.popen(wait .. "echo x")
      f:read()
    end))
  end)

  it("while one is written", function()
    assert.is_true(others_ran(function(wait)
      local f <close> = io.popen(wait .. "cat >/dev/null", "w")
      f:write(("x"):rep(1000000))
    end))
  end)

  it("while one is closed", function()
    assert.is_true(others_ran(function(wait) io.popen(wait):close() end))
  end)
end)

local function error_of(running)
  local ok, err = pcall(running.join, running)
  assert.is_false(ok)
  return err
end

describe("a task that is cancelled", function()
  it("in os.execute ends the command", function()
    local running = task.spawn(os.execute, "exec sleep 100")
    task.sleep(0.01)
    running:cancel()
    assert.equal("os.execute: the task was cancelled", tostring(error_of(running))) -- the audit finds no child
  end)

  it("while it reads or closes a pipe ends the command with it", function()
    for _, method in ipairs { "read", "close" } do
      local running = task.spawn(function()
        local f <close> = io.popen "exec sleep 100"
        f[method](f)
      end)
      task.sleep(0.01)
      running:cancel()
      assert.equal("ECANCELED", error_of(running).code)
    end
  end)
end)

describe("io.popen", function()
  it("moves megabytes both ways", function()
    local text = ("0123456789abcde\n"):rep(200000)
    local name = os.tmpname()
    local f = assert(io.popen("cat >" .. name, "w"))
    for line in text:sub(1, 160000):gmatch "[^\n]*\n" do f:write(line) end
    f:write(text:sub(160001))
    assert(f:close())
    local back <close> = io.popen("cat " .. name)
    assert(back:read "a" == text)
    os.remove(name)
  end)

  it("tells a writer that nobody reads any more", function()
    local f = io.popen("exec true", "w")
    local message, code
    repeat
      local ok
      ok, message, code = f:write(("x"):rep(100000))
    until not ok
    assert.same({ "Broken pipe", 32 }, { message, code })
    assert.same({ true, "exit", 0 }, { f:close() })
  end)

  it("lets tasks share a file: each write arrives whole", function()
    local name = os.tmpname()
    local f = io.popen("sleep 0.01; cat >" .. name, "w")
    local writers = {}
    for i = 1, 9 do
      writers[i] = task.spawn(function() f:write((tostring(i):rep(50000)) .. "\n") end)
    end
    for i = 1, 9 do writers[i]:join() end
    f:close()
    local seen = {}
    for line in io.lines(name) do
      assert.equal(line:sub(1, 1):rep(50000), line)
      seen[#seen + 1] = line:sub(1, 1)
    end
    os.remove(name)
    table.sort(seen)
    assert.equal("123456789", table.concat(seen))
  end)
end)
