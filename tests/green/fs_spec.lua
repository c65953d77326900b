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
    for _, name in ipairs { "read", "stat", "lstat", "exists", "list", "realpath", "readlink", "mkdir", "remove", "touch", "open", "walk", "watch" } do
      assert.error_matches(function() fs[name](dir .. "/a.txt\0.png") end, "NUL")
      assert.error_matches(function() fs[name]("") end, "path")
      assert.error_matches(function() fs[name]() end, "string expected")
    end
    for _, name in ipairs { "rename", "copy", "link", "symlink" } do
      assert.error_matches(function() fs[name](dir, "\0") end, "#2.*NUL")
      assert.error_matches(function() fs[name](dir) end, "#2.*string expected")
    end
    assert.error_matches(function() fs.read(dir, -1) end, "bytes")
    assert.error_matches(function() fs.write(dir .. "/b") end, "#2.*string expected")
    assert.error_matches(function() fs.write(dir .. "/b", "", { mod = 1 }) end, "unknown option 'mod'")
    assert.error_matches(function() fs.write(dir .. "/b", "", { mode = "9" }) end, "octal")
    assert.error_matches(function() fs.mkdir(dir .. "/b", { recursive = true }) end, "unknown option 'recursive'")
    assert.error_matches(function() fs.chmod(dir, 4096) end, "octal")
    assert.error_matches(function() fs.touch(dir, "now") end, "number expected")
  end)

  it("writes a file, keeping mode and links", function()
    local bytes = ("\0\r\n\255"):rep(1000000)
    fs.write(dir .. "/b", bytes)
    assert.is_true(bytes == fs.read(dir .. "/b"))
    fs.write(dir .. "/b", "", { sync = false })
    assert.equal("", fs.read(dir .. "/b"))
    fs.chmod(dir .. "/b", "640")
    fs.symlink("b", dir .. "/link")
    fs.write(dir .. "/link", "new")
    assert.equal("link", fs.lstat(dir .. "/link").type)
    assert.equal("new", fs.read(dir .. "/b"))
    assert.equal(tonumber("640", 8), fs.stat(dir .. "/b").mode)
    fs.write(dir .. "/b", "x", { mode = "4711" })
    assert.equal(tonumber("4711", 8), fs.stat(dir .. "/b").mode)
    fs.symlink("sub/new", dir .. "/dangling")
    fs.write(dir .. "/dangling", "there", { mode = tonumber("600", 8) })
    assert.equal("there", fs.read(dir .. "/sub/new"))
    assert.equal(tonumber("600", 8), fs.stat(dir .. "/sub/new").mode)
  end)

  it("appends", function()
    fs.append(dir .. "/a.txt", " you", { sync = true })
    fs.append(dir .. "/new", "x", { mode = "600" })
    assert.equal("hello you", fs.read(dir .. "/a.txt"))
    assert.equal(tonumber("600", 8), fs.stat(dir .. "/new").mode)
    raises("EISDIR", fs.append, dir, "x")
  end)

  it("tells links from what they lead to", function()
    fs.symlink("nowhere", dir .. "/l")
    assert.equal("link", fs.lstat(dir .. "/l").type)
    assert.is_nil(fs.stat(dir .. "/l"))
    assert.is_nil(fs.lstat(dir .. "/none"))
    assert.is_false(fs.exists(dir .. "/l"))
    assert.is_true(fs.exists(dir))
    assert.equal("nowhere", fs.readlink(dir .. "/l"))
    raises("EINVAL", fs.readlink, dir)
    raises("EEXIST", fs.symlink, "x", dir .. "/l")
    fs.link(dir .. "/a.txt", dir .. "/hard")
    assert.equal(2, fs.stat(dir .. "/hard").links)
    assert.equal(fs.stat(dir .. "/a.txt").inode, fs.stat(dir .. "/hard").inode)
    assert.matches("none %-> .*/x: no such file", raises("ENOENT", fs.link, dir .. "/none", dir .. "/x").message)
    fs.symlink("loop", dir .. "/loop")
    raises("ELOOP", fs.stat, dir .. "/loop")
  end)

  it("makes folders", function()
    fs.mkdir(dir .. "/d/", { mode = "700" })
    assert.equal(tonumber("700", 8), fs.stat(dir .. "/d").mode)
    raises("EEXIST", fs.mkdir, dir .. "/d")
    raises("ENOENT", fs.mkdir, dir .. "/x/y")
    fs.mkdir(dir .. "/x//y/z", { parents = true })
    fs.mkdir(dir .. "/x/y/z/", { parents = true })
    assert.equal("directory", fs.stat(dir .. "/x/y/z").type)
    raises("EEXIST", fs.mkdir, dir .. "/a.txt", { parents = true })
    raises("ENOTDIR", fs.mkdir, dir .. "/a.txt/b/c", { parents = true })
    local tasks = {}
    for i = 1, 20 do tasks[i] = task.spawn(fs.mkdir, dir .. "/p/q/r/s", { parents = true }) end
    for _, one in ipairs(tasks) do one:join() end
  end)

  it("removes files, empty folders, and trees when told so", function()
    fs.remove(dir .. "/a.txt")
    assert.is_false(fs.exists(dir .. "/a.txt"))
    assert.matches("fs.remove: .*a.txt: no such file", raises("ENOENT", fs.remove, dir .. "/a.txt").message)
    raises("ENOENT", fs.remove, dir .. "/a.txt", { recursive = true })
    fs.remove(dir .. "/sub")
    fs.mkdir(dir .. "/t/u/v", { parents = true })
    fs.write(dir .. "/t/u/f", "")
    raises("ENOTEMPTY", fs.remove, dir .. "/t")
    for _, path in ipairs { "/", dir .. "/.", dir .. "/t/..", ".", ".." } do raises("EINVAL", fs.remove, path, { recursive = true }) end
    fs.remove(dir .. "/t", { recursive = true })
    assert.same({}, fs.list(dir))
  end)

  it("renames", function()
    fs.rename(dir .. "/a.txt", dir .. "/sub/b")
    assert.equal("hello", fs.read(dir .. "/sub/b"))
    assert.matches("fs.rename: .*/none %-> .*/x: no such", raises("ENOENT", fs.rename, dir .. "/none", dir .. "/x").message)
    raises("ENOTEMPTY", fs.rename, dir .. "/sub", dir)
  end)

  it("copies files and trees, modes kept", function()
    fs.chmod(dir .. "/a.txt", "750")
    fs.copy(dir .. "/a.txt", dir .. "/sub/copy")
    assert.equal("hello", fs.read(dir .. "/sub/copy"))
    assert.equal(tonumber("750", 8), fs.stat(dir .. "/sub/copy").mode)
    fs.write(dir .. "/sub/copy", "other")
    fs.copy(dir .. "/sub/copy", dir .. "/a.txt")
    assert.equal("other", fs.read(dir .. "/a.txt"))
    fs.copy("/proc/self/status", dir .. "/status") -- whose size is said to be 0
    assert.matches("^Name:", fs.read(dir .. "/status"))
    fs.chmod(dir .. "/sub", "700")
    fs.copy(dir .. "/sub", dir .. "/tree/", { recursive = true })
    assert.equal("other", fs.read(dir .. "/tree/copy"))
    assert.equal(tonumber("700", 8), fs.stat(dir .. "/tree").mode)
    raises("EISDIR", fs.copy, dir .. "/sub", dir .. "/x")
    raises("EEXIST", fs.copy, dir .. "/sub", dir .. "/tree", { recursive = true })
    raises("ENOENT", fs.copy, dir .. "/none", dir .. "/x")
    raises("EISDIR", fs.copy, dir .. "/a.txt", dir .. "/sub")
  end)

  it("sets modes and times", function()
    fs.touch(dir .. "/a.txt", 1000.5)
    local stat = fs.stat(dir .. "/a.txt")
    assert.same({ 1000.5, 1000.5 }, { stat.mtime, stat.atime })
    fs.utime(dir .. "/a.txt", 5, -7.25)
    stat = fs.stat(dir .. "/a.txt")
    assert.same({ -7.25, 5 }, { stat.mtime, stat.atime })
    fs.touch(dir .. "/a.txt")
    assert.is_true(math.abs(fs.stat(dir .. "/a.txt").mtime - os.time()) < 3600)
    fs.touch(dir .. "/made", 77)
    assert.same({ 77, 0 }, { fs.stat(dir .. "/made").mtime, fs.stat(dir .. "/made").size })
    raises("ENOENT", fs.utime, dir .. "/none")
    raises("ENOENT", fs.touch, dir .. "/no/ne")
    raises("ENOENT", fs.chmod, dir .. "/none", "600")
  end)

  it("walks, a folder before what is in it, and not into links", function()
    fs.mkdir(dir .. "/sub/a/b", { parents = true })
    fs.write(dir .. "/sub/a/f", "")
    fs.symlink("..", dir .. "/sub/up")
    local seen = {}
    for path, kind in fs.walk(dir .. "/") do seen[#seen + 1] = path:sub(#dir + 1) .. " " .. kind end
    assert.same({ "/a.txt file", "/sub directory", "/sub/a directory", "/sub/a/b directory", "/sub/a/f file", "/sub/up link" }, seen)
    for path, kind in fs.walk(dir) do
      if kind == "directory" then fs.remove(path, { recursive = true }) end
    end
    assert.same({ { name = "a.txt", type = "file" } }, fs.list(dir))
    raises("ENOENT", fs.walk, dir .. "/none")
    raises("ENOTDIR", fs.walk, dir .. "/a.txt")
  end)

  it("takes paths apart and puts them together", function()
    assert.equal("a/b/c", fs.join("a", "", "/b/", "c"))
    assert.equal("/a", fs.join("/", "a"))
    assert.equal("", fs.join())
    for path, parts in pairs {
      ["/"] = { "/", "/", "" },
      ["//"] = { "/", "/", "" },
      a = { ".", "a", "" },
      ["/a"] = { "/", "a", "" },
      ["a/b.txt"] = { "a", "b.txt", ".txt" },
      ["/x//b.tar.gz/"] = { "/x", "b.tar.gz", ".gz" },
      ["a.b/.bashrc"] = { "a.b", ".bashrc", "" },
      ["a.b/.x.y"] = { "a.b", ".x.y", ".y" },
      [".."] = { ".", "..", "" },
    } do
      assert.same(parts, { fs.dirname(path), fs.basename(path), fs.extension(path) }, path)
    end
    assert.equal("/a/c", fs.absolute "/a/./b/..//c/")
    assert.equal("/", fs.absolute "/../..")
    assert.equal(fs.realpath ".", fs.absolute ".")
    assert.error_matches(function() fs.join("a", nil) end, "#2 to 'join'")
    assert.error_matches(function() fs.basename() end, "string expected")
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
      local _ <close>, stat = native.open_below(dir .. "/pipe")
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
