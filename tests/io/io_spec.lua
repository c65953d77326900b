-- SPDX-License-Identifier: MIT
-- Files and pipes that make their reader or writer wait: the others go on, nothing is lost, nothing is torn. What the
-- functions return is in io_stock_spec.lua.
local outcome = require "outcome"
local shell = require "shell"
local task = require "green.task"

local waiting = outcome.waiting

local function fifo()
  local path = os.tmpname()
  os.remove(path)
  assert(os.execute("mkfifo " .. path))
  return path
end

-- A named pipe, open at both ends.
local function pipe()
  local path = fifo()
  local file = assert(io.open(path, "r+"))
  os.remove(path)
  return file
end

local function temporary(text)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
  finally(function() os.remove(path) end)
  return path
end

local function turns(n) for _ = 1, n do task.sleep(0) end end

describe("a pipe", function()
  it("keeps its reader waiting and nobody else", function()
    local p <close> = pipe()
    local reader = waiting(task.spawn(p.read, p, "l"))
    local ran = task.spawn(function() return true end)
    assert.is_true(ran:join())
    assert.equal("waiting", reader:status())
    p:write("a line\n"):flush()
    assert.equal("a line", reader:join(60))
  end)

  it("keeps its writer waiting while it is full", function()
    local p <close> = pipe()
    local writer = waiting(task.spawn(function() return p:write(("x"):rep(500000), "end\n"):flush() end))
    assert.equal("waiting", writer:status())
    assert.equal(500003, #p:read("l"))
    assert.is_true(writer:join(60))
  end)

  it("serves its readers in turn, each with a whole line", function()
    local p <close> = pipe()
    local readers = {}
    for i = 1, 20 do readers[i] = task.spawn(p.read, p, "l") end
    for i = 1, 20 do
      local line = ("%02d%s"):format(i, ("x"):rep(i * 500))
      p:write(line:sub(1, 100)):flush()
      turns(1)
      p:write(line:sub(101), "\n"):flush()
    end
    for i = 1, 20 do assert.equal(("%02d%s"):format(i, ("x"):rep(i * 500)), readers[i]:join(60)) end
  end)

  it("mixes no two writes", function()
    local p <close> = pipe()
    p:setvbuf("no")
    local writers = {}
    for i = 1, 20 do
      writers[i] = task.spawn(function() for _ = 1, 20 do p:write(("abcdefghijklmnopqrst"):sub(i, i):rep(3000), "\n") end end)
    end
    for _ = 1, 400 do
      local line = p:read("l")
      assert.is_truthy(#line == 3000 and line == line:sub(1, 1):rep(3000))
    end
    for _, writer in ipairs(writers) do writer:join(60) end
  end)

  it("loses nothing when a reader is cancelled half-way", function()
    local p <close> = pipe()
    local reader = task.spawn(p.read, p, "l")
    p:write("first half, "):flush()
    turns(5)
    reader:cancel()
    local ok, err = pcall(reader.join, reader, 60)
    assert.is_false(ok)
    assert.equal("ECANCELED", err.code)
    p:write("second half\n"):flush()
    assert.equal("first half, second half", p:read("l"))
  end)

  it("gives the next reader its turn when the first is cancelled", function()
    local p <close> = pipe()
    local first, second, third = task.spawn(p.read, p, "l"), task.spawn(p.read, p, "l"), task.spawn(p.read, p, "l")
    turns(2)
    second:cancel()
    first:cancel()
    pcall(first.join, first, 60)
    pcall(second.join, second, 60)
    p:write("line\n"):flush()
    assert.equal("line", third:join(60))
  end)

  it("gets all of a write whose writer was cancelled", function()
    local p <close> = pipe()
    local writer = task.spawn(function() p:write(("x"):rep(300000), "\n"):flush() end)
    turns(5)
    writer:cancel()
    pcall(writer.join, writer, 60)
    assert.equal(300000, #p:read("l"))
    p:write("on\n"):flush()
    assert.equal("on", p:read("l"))
  end)

  it("that is closed wakes its reader", function()
    local p = pipe()
    local reader = waiting(task.spawn(p.read, p, "l"))
    assert.is_true(p:close())
    assert.same({ nil, "Bad file descriptor", 9 }, { reader:join(60) })
    assert.has_error(function() p:read() end, "attempt to use a closed file")
  end)

  it("is at its end when the last writer has gone", function()
    local path = fifo()
    local reader = task.spawn(function()
      local f <close> = assert(io.open(path))
      return f:read("l", "a", "l")
    end)
    local f = assert(io.open(path, "w"))
    turns(3)
    f:write("one\ntwo")
    f:close()
    assert.same({ "one", "two", nil }, { reader:join(60) })
    os.remove(path)
  end)

  it("is opened for writing when somebody reads", function()
    local path = fifo()
    local writer = waiting(task.spawn(io.open, path, "w"))
    assert.equal("waiting", writer:status())
    local reader <close> = assert(io.open(path))
    local f <close> = writer:join(60)
    f:write("x"):flush()
    assert.equal("x", reader:read(1))
    os.remove(path)
  end)

  it("nobody reads: opening it for writing can be cancelled", function()
    local path = fifo()
    local writer = task.spawn(io.open, path, "w")
    turns(5)
    writer:cancel()
    local ok, err = pcall(writer.join, writer, 60)
    assert.is_false(ok)
    assert.equal("ECANCELED", err.code)
    os.remove(path)
  end)

  it("takes what a finalizer writes", function()
    local p <close> = pipe()
    local wrote
    setmetatable({}, { __gc = function() wrote = p:write(("z"):rep(200000), "\n") == p and p:flush() end })
    collectgarbage()
    collectgarbage()
    assert.is_true(wrote)
    assert.equal(200000, #p:read("l"))
  end)

  it("gets the rest of a writer that was collected", function()
    local path = fifo()
    local reader <close> = assert(io.open(path))
    do
      local writer = assert(io.open(path, "w"))
      writer:write(("y"):rep(30000))
    end
    collectgarbage()
    collectgarbage()
    assert.equal(30000, #reader:read("a"))
    os.remove(path)
  end)
end)

describe("a regular file", function()
  it("that is large is read while others run", function()
    local text = ("0123456789abcdef"):rep(200000)
    local path = temporary(text)
    local others = 0
    local counter = task.spawn(function() while true do others = others + 1 task.sleep(0) end end)
    local f <close> = io.open(path)
    assert.is_true(f:read("a") == text)
    assert.is_nil(f:read(1))
    assert.is_true(others > 0)
    counter:cancel()
    pcall(counter.join, counter)
  end)

  it("keeps its position when a read of it is cancelled", function()
    local text = {}
    for i = 1, 400000 do text[i] = ("line %06d"):format(i) end
    local path = temporary(table.concat(text, "\n"))
    local f <close> = io.open(path)
    assert.equal(text[1], f:read("l"))
    local reader = task.spawn(f.read, f, "a")
    turns(1)
    reader:cancel()
    pcall(reader.join, reader)
    assert.equal(reader:status() == "done" and "" or text[2], f:read("l") or "")
  end)

  it("is read and written by many tasks at once, record by record", function()
    local path = temporary(("x"):rep(100 * 64))
    local f <close> = io.open(path, "r+")
    local tasks = {}
    for i = 1, 20 do
      tasks[i] = task.spawn(function()
        for _ = 1, 10 do
          f:write(("%02d"):format(i):rep(32))
          f:flush()
        end
      end)
    end
    for _, one in ipairs(tasks) do one:join(60) end
    f:seek("set", 0)
    local records = 0
    for record in f:lines(64) do
      assert.equal(record:sub(1, 2):rep(32), record)
      records = records + 1
    end
    assert.equal(200, records)
  end)

  it("is written when it was forgotten open", function()
    local path = os.tmpname()
    finally(function() os.remove(path) end)
    do io.open(path, "w"):write("kept") end
    collectgarbage()
    collectgarbage()
    local f <close> = io.open(path)
    assert.equal("kept", f:read("a"))
  end)

  it("is written at the end of the process, however it ends", function()
    for _, ending in ipairs { "", "os.exit(0)", "os.exit(0, true)", "error('x')", "task.spawn(os.exit, 0)" } do
      local out = shell("$lua s.lua 2>/dev/null; cat f", {
        ["s.lua"] = [[local task = require "green.task" F = io.open("f", "w") F:write(("x"):rep(70000), "end") ]] .. ending,
      })
      assert.equal(70003, #out, ending)
    end
  end)
end)

describe("stdout", function()
  local ticking = [[
    local task = require "green.task"
    local ticks = 0
    local ticker = task.spawn(function()
      while ticks < 100 do
        ticks = ticks + 1
        task.sleep(0.001)
      end
      io.stderr:write("ticked ")
      local f <close> = io.open("go", "w") -- now somebody may read
      f:write("go\n")
    end)
  ]]

  it("that nobody reads stops who prints, and nobody else", function()
    local out, err = shell("mkfifo go; $lua s.lua | { read x < go; cat; } | wc -c", {
      ["s.lua"] = ticking .. [[for i = 1, 30000 do print("line", i) end io.stderr:write "printed"]],
    })
    assert.equal("ticked printed", err)
    assert.equal(318894, math.tointeger(tonumber(out)))
  end)

  it("keeps the order of print and write, of all tasks, and of what runs next", function()
    local out = shell("$lua s.lua | cat", {
      ["s.lua"] = [[print(1) io.write(2, "\n") io.stdout:write(3, "\n") io.popen("echo 4"):close()
        require "green.task".spawn(function() print(5) end):join() io.flush() os.execute "echo 6" print(7)]],
    })
    assert.equal("1\n2\n3\n5\n6\n7\n", (out:gsub("4\n", "")))
  end)

  it("is not made non-blocking for those who share it", function()
    local out = shell([[$lua -e 'for i = 1, 20000 do print(i) end io.stdin:read(0)' | { sleep 0.1; tail -1; }; ]]
      .. [[{ $lua -e 'for i = 1, 20000 do print(i) end'; head -c 300000 /dev/zero | wc -c; } | tail -1]])
    assert.equal("20000\n300000\n", out)
  end)

  it("ends the process when its reader has gone, as lua does", function()
    local out, err = shell("$lua s.lua | head -1", { ["s.lua"] = "while true do print 'y' end" })
    assert.equal("y\n", out)
    assert.equal("", err)
  end)
end)

describe("stdin", function()
  it("waits for each line and lets others run", function()
    local out = shell("mkfifo go; { echo one; read x < go; echo two; } | $lua s.lua", {
      ["s.lua"] = [[
        local task = require "green.task"
        print(io.read())
        local reader = task.spawn(io.read)
        task.sleep(0.01)
        print(reader:status())
        do local f <close> = io.open("go", "w") f:write("go\n") end
        print(reader:join(60), io.read())
      ]],
    })
    assert.equal("one\nwaiting\ntwo\tnil\n", out)
  end)

  it("on a terminal shows the question first", function()
    local out = shell([[printf 'Ann\n' | script -qec "$lua -e 'io.write(\"name? \") print(\"hello \" .. io.read())'" /dev/null]])
    assert.matches("name%? .*hello Ann", out)
  end)
end)

describe("a C module's FILE*", function()
  it("is there, with the file's descriptor", function()
    local lfs = require "lfs"
    local path = temporary("x")
    local f <close> = io.open(path, "r+")
    assert.is_true(lfs.lock(f, "w"))
    assert.is_true(lfs.unlock(f))
  end)
end)
