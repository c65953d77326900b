-- SPDX-License-Identifier: MIT
local fault = require "green.error"
local fs = require "green.fs"
local native = require "green.fs.native"
local task = require "green.task"

local function run(command, ...) assert.is_true((os.execute(command:format(...)))) end

local function write(path, text)
  local f <close> = assert(io.open(path, "wb"))
  f:write(text)
end

local function raises(code, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.is_true(fault.is(err, code), tostring(err) .. " instead of " .. code)
  return err
end

describe("fs", function()
  local dir

  before_each(function()
    dir = os.tmpname()
    os.remove(dir)
    run("mkdir %s && mkdir %s/sub", dir, dir)
    write(dir .. "/a.txt", "hello")
  end)

  after_each(function() run("rm -rf %s", dir) end)

  it("reads a file as it is", function()
    local bytes = ("\0\r\n\255"):rep(100000)
    write(dir .. "/b", bytes)
    write(dir .. "/empty", "")
    assert.equal("hello", fs.read(dir .. "/a.txt"))
    assert.is_true(bytes == fs.read(dir .. "/b"))
    assert.equal("", fs.read(dir .. "/empty"))
    assert.matches("^Name:", fs.read "/proc/self/status") -- whose size is said to be 0
  end)

  it("limits what it reads", function()
    assert.equal("hello", fs.read(dir .. "/a.txt", 5))
    assert.matches("a.txt: larger than 4 bytes", raises("EFBIG", fs.read, dir .. "/a.txt", 4).message)
    raises("EFBIG", fs.read, "/proc/self/status", 10)
    raises("EFBIG", fs.read, dir .. "/a.txt", 0)
  end)

  it("reads nothing but files", function()
    run("mkfifo %s/pipe", dir)
    raises("EISDIR", fs.read, dir)
    raises("EINVAL", fs.read, dir .. "/pipe")
    local err = raises("ENOENT", fs.read, dir .. "/none")
    assert.equal("fs.read", err.op)
    assert.matches("none: no such file", err.message)
  end)

  it("tells what a path is, or nil", function()
    local stat = fs.stat(dir .. "/a.txt")
    assert.same({ "file", 5 }, { stat.type, stat.size })
    assert.is_true(math.abs(stat.mtime - os.time()) < 3600)
    assert.equal("directory", fs.stat(dir).type)
    assert.is_nil(fs.stat(dir .. "/none"))
    assert.is_nil(fs.stat(dir .. "/a.txt/below"))
    assert.is_true(pcall(fs.stat, dir .. "/" .. ("x"):rep(255)))
    raises("ENAMETOOLONG", fs.stat, dir .. "/" .. ("x"):rep(256))
  end)

  it("lists a directory, sorted", function()
    run("ln -s a.txt %s/z", dir)
    assert.same({ { name = "a.txt", type = "file" }, { name = "sub", type = "directory" }, { name = "z", type = "link" } }, fs.list(dir))
    assert.same({}, fs.list(dir .. "/sub"))
    raises("ENOENT", fs.list, dir .. "/none")
  end)

  it("resolves links", function()
    run("ln -s ../a.txt %s/sub/l", dir)
    assert.equal(fs.realpath(dir) .. "/a.txt", fs.realpath(dir .. "/sub/l"))
    raises("ENOENT", fs.realpath, dir .. "/none")
  end)

  it("takes no path with a NUL byte, and no other nonsense", function()
    for _, name in ipairs { "read", "stat", "list", "realpath" } do
      assert.error_matches(function() fs[name](dir .. "/a.txt\0.png") end, "NUL")
      assert.error_matches(function() fs[name]("") end, "path")
      assert.error_matches(function() fs[name]() end, "string expected")
    end
    assert.error_matches(function() fs.read(dir, -1) end, "bytes")
  end)

  describe("open", function()
    it("reads at offsets until the end", function()
      local file <close>, stat = native.open_below(dir .. "/a.txt")
      assert.equal(5, stat.size)
      assert.equal("ell", file:read_at(1, 3))
      assert.equal("lo", file:read_at(3, 100))
      assert.is_nil(file:read_at(5, 1))
      assert.error_matches(function() file:read_at(-1, 1) end, "offset")
      assert.error_matches(function() file:read_at(0, 0) end, "bytes")
    end)

    it("is over after close", function()
      local file = native.open_below(dir .. "/a.txt")
      file:close()
      file:close()
      assert.equal("EBADF", raises("EBADF", file.read_at, file, 0, 1).code)
      assert.matches("closed", tostring(file))
    end)

    it("may be closed while another task reads", function()
      local file = native.open_below(dir .. "/a.txt")
      local reader = task.spawn(function() return file:read_at(0, 5) end)
      local closer = task.spawn(function() file:close() end)
      closer:join()
      local ok, got = pcall(reader.join, reader)
      assert.is_true(ok and got == "hello" or fault.is(got, "EBADF"))
    end)

    it("stays beneath a root, whatever the links say", function()
      run("mkdir %s/root %s/root-2 && ln -s ../a.txt %s/root/out && ln -s .. %s/root/up && echo x > %s/root/in && ln -s in %s/root/ok && ln -s %s/root-2 %s/root/other && echo y > %s/root-2/f",
        dir, dir, dir, dir, dir, dir, dir, dir, dir)
      local root = dir .. "/root"
      for _, name in ipairs { "in", "ok" } do
        local file <close> = native.open_below(root .. "/" .. name, root)
        assert.equal("x\n", file:read_at(0, 10))
      end
      for _, name in ipairs { "out", "up/a.txt", "../a.txt", "other/f", "none" } do raises("ENOENT", native.open_below, root .. "/" .. name, root) end
      raises("ENOENT", native.open_below, dir .. "/a.txt", dir .. "/nowhere")
    end)

    it("does not wait for the writer of a named pipe", function()
      run("mkfifo %s/pipe", dir)
      local file <close>, stat = native.open_below(dir .. "/pipe")
      assert.equal("fifo", stat.type)
    end)
  end)

  it("gives up when its task is cancelled", function()
    local t = task.spawn(function() while true do fs.stat(dir) end end)
    fs.stat(dir)
    t:cancel()
    raises("ECANCELED", t.join, t)
  end)
end)
