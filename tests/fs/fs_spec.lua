-- SPDX-License-Identifier: MIT
-- Files where it gets rough: handles shared and cancelled, replacing under readers, what is left behind, links that
-- lead out, and watching.
local fault = require "green.error"
local fs = require "green.fs"
local outcome = require "outcome"
local task = require "green.task"

local ROUNDS = 40

local function raises(code, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.is_true(fault.is(err, code), tostring(err) .. " instead of " .. code)
  return err
end

local function count(dir) return #fs.list(dir) end

-- The folder that lists them is open itself, each time.
local function descriptors() return count "/proc/self/fd" end

-- What a thread of the pool is at goes on when its task does not.
local function settled(measure, wanted)
  outcome.eventually(function() return measure() == wanted end, tostring(wanted))
  return true
end

describe("fs", function()
  local dir, open

  local function at(...) return fs.join(dir, ...) end

  before_each(function()
    dir = os.tmpname()
    os.remove(dir)
    fs.mkdir(dir)
    fs.watch(dir):close() -- the loop keeps its inotify descriptors from the first one on
    open = descriptors()
  end)

  after_each(function()
    local function no_more() return descriptors() <= open end -- the watchdog may have had one open when they were counted
    assert.is_true(settled(no_more, true), "descriptors left open")
    fs.remove(dir, { recursive = true })
  end)

  describe("a file", function()
    it("reads, writes and keeps its position", function()
      local file <close> = fs.open(at "f", "w+")
      file:write "hello world"
      assert.equal(11, file:seek())
      assert.equal(6, file:seek("set", 6))
      assert.equal("wor", file:read(3))
      assert.equal(9, file:seek())
      assert.equal("ld", file:read())
      assert.is_nil(file:read())
      assert.equal(8, file:seek("end", -3))
      file:write "LD!!"
      assert.equal(11, file:seek("cur", -1))
      assert.equal("hello woLD!!", fs.read(at "f"))
      assert.equal("llo", file:read_at(2, 3))
      assert.equal("!", file:read())
      file:sync()
      assert.equal(at "f", file.path)
      assert.matches("f%)$", tostring(file))
    end)

    it("refuses options that are unknown or of the wrong type by their name", function()
      local path = at "f"
      fs.write(path, "x")
      for options, message in pairs {
        [{ sync = "yes" }] = "sync: boolean expected, got string", [{ mode = "rw" }] = "mode: permission bits expected",
        [{ mode = 8.5 }] = "mode: permission bits expected", [{ synch = true }] = "did you mean 'sync'?",
      } do assert.error_matches(function() fs.write(path, "y", options) end, message, 1, true) end
      assert.error_matches(function() fs.remove(path, { recursive = 1 }) end, "recursive: boolean expected, got number", 1, true)
      assert.equal("x", fs.read(path))
    end)

    it("knows the modes of fopen", function()
      fs.write(at "f", "abc")
      raises("EBADF", function()
        local file <close> = fs.open(at "f")
        file:write "x"
      end)
      do
        local file <close> = fs.open(at "f", "ab")
        file:write "d"
        file:write "e"
        assert.equal(5, file:seek())
      end
      do
        local file <close> = fs.open(at "f", "a+")
        assert.equal("abcde", file:read())
        file:write "f"
        file:seek "set"
        assert.equal("abcdef", file:read())
      end
      do
        local file <close> = fs.open(at "f", "r+b")
        file:write "X"
      end
      assert.equal("Xbcdef", fs.read(at "f"))
      fs.open(at "f", "w"):close()
      assert.equal("", fs.read(at "f"))
      raises("EEXIST", fs.open, at "f", "wx")
      for _, mode in ipairs { "", "q", "rx", "rw", "r?" } do
        assert.error_matches(function() fs.open(at "f", mode) end, "invalid mode")
      end
    end)

    it("fails with its path", function()
      assert.matches("^fs.open: .*/none: no such file", raises("ENOENT", fs.open, at "none").message)
      raises("EISDIR", fs.open, dir)
      raises("ENOTDIR", function()
        fs.write(at "f", "")
        fs.open(at("f", "g"))
      end)
      assert(os.execute("mkfifo " .. at "pipe"))
      raises("EINVAL", fs.open, at "pipe")
      local file <close> = fs.open(at "f")
      assert.matches("f: invalid", raises("EINVAL", file.seek, file, "set", -1).message)
      raises("EINVAL", file.seek, file, "end", -1)
      assert.error_matches(function() file:read(0) end, "bytes")
      assert.error_matches(function() file:seek "here" end, "invalid option")
    end)

    it("reads a device, which has no position", function()
      local file <close> = fs.open "/dev/zero"
      assert.equal(("\0"):rep(100), file:read(100))
      raises("ESPIPE", file.seek, file, "set", 0)
    end)

    it("is over after close", function()
      local file = fs.open(at "f", "w")
      file:close()
      file:close()
      assert.matches("closed", tostring(file))
      for _, name in ipairs { "read", "read_at", "write", "seek", "sync" } do
        local argument = name == "write" and "" or name == "read_at" and 0 or nil
        raises("EBADF", file[name], file, argument)
      end
    end)

    it("is shared by tasks: each write is whole, each byte read once", function()
      local file <close> = fs.open(at "f", "w+")
      local tasks = {}
      for i = 1, 100 do tasks[i] = task.spawn(file.write, file, ("%03d\n"):format(i):rep(1000)) end
      for _, one in ipairs(tasks) do one:join() end
      assert.equal(400000, file:seek "end")
      file:seek "set"
      local seen = {}
      for i = 1, 100 do tasks[i] = task.spawn(file.read, file, 4000) end
      for i, one in ipairs(tasks) do
        local block = one:join()
        assert.equal(block:sub(1, 4):rep(1000), block)
        seen[i] = block:sub(1, 3)
      end
      table.sort(seen)
      for i = 1, 100 do assert.equal(("%03d"):format(i), seen[i]) end
    end)

    it("loses nothing to a read that was cancelled", function()
      fs.write(at "f", ("x"):rep(100) .. "end")
      local file <close> = fs.open(at "f")
      for _ = 1, ROUNDS do
        local readers = {}
        for i = 1, 4 do readers[i] = task.spawn(file.read, file, 100) end
        for _, one in ipairs(readers) do task.spawn(one.cancel, one):join() end
        local taken = 0
        for _, one in ipairs(readers) do
          local ok, got = pcall(one.join, one)
          if ok and got then taken = taken + #got end
        end
        assert.equal(taken, file:seek())
        file:seek "set"
      end
    end)

    it("may be closed while others use it", function()
      local file = fs.open(at "f", "w+")
      local writers = {}
      for i = 1, 10 do writers[i] = task.spawn(file.write, file, "0123456789") end
      task.spawn(function() file:close() end):join()
      for _, one in ipairs(writers) do one:join() end
      assert.equal(100, #fs.read(at "f"))
    end)

    it("is closed when it is collected", function()
      for _ = 1, 5 do fs.open(at "f", "w") end
      collectgarbage()
      collectgarbage()
      assert.is_true(settled(descriptors, open))
    end)
  end)

  describe("cancelling", function()
    -- At every point of its way, roughly: after more and more turns of the loop.
    local function cancel_everywhere(f)
      for turns = 0, ROUNDS do
        local one = task.spawn(f)
        for _ = 1, turns do task.sleep(0) end
        one:cancel()
        local ok, err = pcall(one.join, one)
        assert.is_true(ok or fault.is(err, "ECANCELED"), tostring(err))
      end
    end

    it("a write leaves the old file or the new one, and nothing else", function()
      local old, new = ("o"):rep(3000000), ("n"):rep(3000000)
      fs.write(at "f", old, { sync = false })
      cancel_everywhere(function() fs.write(at "f", new, { sync = false }) end)
      assert.is_true(settled(function() return count(dir) end, 1))
      local now = fs.read(at "f")
      assert.is_true(now == old or now == new)
    end)

    it("a copy leaves all of it or nothing", function()
      fs.mkdir(at "from/a/b", { parents = true })
      for i = 1, 20 do fs.write(at("from/a", "f" .. i), ("x"):rep(100000), { sync = false }) end
      cancel_everywhere(function()
        local ok, err = pcall(fs.copy, at "from", at "to", { recursive = true })
        if not ok and err.code ~= "EEXIST" then error(err, 0) end
      end)
      local function complete()
        local names = fs.list(dir)
        return #names == 1 or (#names == 2 and names[2].name == "to" and count(at "to/a") == 21)
      end
      assert.is_true(settled(complete, true))
    end)

    it("temporary files and folders leave nothing", function()
      cancel_everywhere(function()
        local file <close> = fs.temp_file(dir)
        file:write "x"
        local folder <close> = fs.temp_dir(dir)
        fs.write(fs.join(folder.path, "y"), "y")
      end)
      assert.is_true(settled(function() return count(dir) end, 0))
    end)

    it("a read, a removal and an open leave no descriptor", function()
      fs.write(at "f", ("x"):rep(1000000))
      cancel_everywhere(function()
        fs.read(at "f")
        local file <close> = fs.open(at "f", "r+")
        file:read(1000000)
        fs.mkdir(at "d/e/f", { parents = true })
        fs.remove(at "d", { recursive = true })
      end)
    end)
  end)

  describe("write", function()
    it("is whole to every reader, and one of those written, with 100 tasks at it", function()
      local size = 50000
      local tasks = {}
      fs.write(at "f", ("."):rep(size))
      local writing = true
      local reader = task.spawn(function()
        local reads = 0
        repeat
          local text = fs.read(at "f")
          assert(#text == size and text == text:sub(1, 1):rep(size), "half a file")
          reads = reads + 1
        until not writing
        return reads
      end)
      for i = 1, 100 do tasks[i] = task.spawn(fs.write, at "f", string.char(32 + i % 90):rep(size), { sync = i % 10 == 0 }) end
      for _, one in ipairs(tasks) do one:join() end
      writing = false
      assert.is_true(reader:join() >= 1)
      assert.equal(1, count(dir))
    end)

    it("leaves nothing when it fails", function()
      fs.mkdir(at "d")
      raises("EISDIR", fs.write, at "d", "x")
      raises("ENOENT", fs.write, at "none/f", "x")
      fs.write(at "f", "x")
      raises("ENOTDIR", fs.write, at "f/g", "x")
      raises("ENAMETOOLONG", fs.write, at(("x"):rep(300)), "x")
      fs.symlink("loop", at "loop")
      raises("ELOOP", fs.write, at "loop", "x")
      assert(os.execute("mkfifo " .. at "pipe"))
      raises("EINVAL", fs.write, at "pipe", "x")
      raises("EINVAL", fs.write, "/dev/null", "x")
      assert.equal("char", fs.stat("/dev/null").type)
      assert.equal(4, count(dir))
    end)
  end)

  describe("append", function()
    it("loses no line of many tasks", function()
      local tasks = {}
      for i = 1, 100 do tasks[i] = task.spawn(fs.append, at "log", ("%03d\n"):format(i)) end
      for _, one in ipairs(tasks) do one:join() end
      local lines = {}
      for line in fs.read(at "log"):gmatch "%d+" do lines[#lines + 1] = line end
      table.sort(lines)
      assert.equal(100, #lines)
      for i, line in ipairs(lines) do assert.equal(("%03d"):format(i), line) end
    end)
  end)

  describe("links", function()
    local function outside()
      fs.mkdir(at "outside")
      fs.write(at "outside/keep", "keep")
      fs.mkdir(at "tree/sub", { parents = true })
      fs.symlink(at "outside", at "tree/out")
      fs.symlink("../../outside", at "tree/sub/out")
      fs.symlink("../outside/keep", at "tree/file")
    end

    it("are removed, not followed", function()
      outside()
      fs.symlink("tree", at "link")
      fs.remove(at "link/", { recursive = true })
      assert.is_nil(fs.lstat(at "link"))
      assert.equal(3, count(at "tree"))
      fs.remove(at "tree", { recursive = true })
      assert.is_false(fs.exists(at "tree"))
      assert.equal("keep", fs.read(at "outside/keep"))
    end)

    it("are copied as links", function()
      outside()
      fs.copy(at "tree", at "copy", { recursive = true })
      assert.equal("link", fs.lstat(at "copy/out").type)
      assert.equal("../../outside", fs.readlink(at "copy/sub/out"))
      fs.symlink("outside", at "dest")
      raises("EEXIST", fs.copy, at "tree", at "dest", { recursive = true })
      assert.equal(1, count(at "outside"))
    end)

    it("lead nowhere when a folder is swapped for one under a removal", function()
      outside()
      local swapping = true
      local swapper = task.spawn(function()
        while swapping do
          pcall(fs.rename, at "tree/sub", at "aside")
          pcall(fs.symlink, at "outside", at "tree/sub")
          pcall(fs.remove, at "tree/sub")
          pcall(fs.rename, at "aside", at "tree/sub")
        end
      end)
      for _ = 1, ROUNDS do
        pcall(fs.remove, at "tree", { recursive = true })
        pcall(fs.mkdir, at "tree/sub/deep", { parents = true })
      end
      swapping = false
      swapper:join()
      assert.equal("keep", fs.read(at "outside/keep"))
    end)
  end)

  describe("trees", function()
    it("are removed and copied only so deep", function()
      local function chain(n) return ("a/"):rep(n) end
      fs.mkdir(at("deep", chain(300)), { parents = true })
      raises("ELOOP", fs.copy, at "deep", at "copy", { recursive = true })
      assert.equal(1, count(dir))
      raises("ELOOP", fs.remove, at "deep", { recursive = true })
      fs.remove(at("deep", chain(100)), { recursive = true })
      fs.remove(at "deep", { recursive = true })
    end)

    it("can be copied into themselves", function()
      fs.mkdir(at "a/b", { parents = true })
      fs.write(at "a/f", "f")
      fs.copy(at "a", at "a/copy", { recursive = true })
      assert.equal("f", fs.read(at "a/copy/f"))
      assert.equal(2, count(at "a/copy"))
    end)

    it("name the part that failed", function()
      fs.mkdir(at "a/b", { parents = true })
      assert(os.execute("mkfifo " .. at "a/b/pipe"))
      local err = raises("EINVAL", fs.copy, at "a", at "c", { recursive = true })
      assert.matches("a/b/pipe: invalid", err.message)
      assert.equal(1, count(dir))
    end)
  end)

  describe("temporary", function()
    it("files are gone after close", function()
      local path
      do
        local file <close> = fs.temp_file(dir)
        path = file.path
        assert.equal(tonumber("600", 8), fs.stat(path).mode)
        file:write "x"
        file:seek "set"
        assert.equal("x", file:read())
      end
      assert.is_false(fs.exists(path))
    end)

    it("folders are gone after close, with all that is in them", function()
      local path
      do
        local folder <close> = fs.temp_dir(dir)
        path = folder.path
        assert.equal(path, tostring(folder))
        assert.equal(tonumber("700", 8), fs.stat(path).mode)
        fs.mkdir(fs.join(path, "a/b"), { parents = true })
        fs.write(fs.join(path, "a/f"), "x")
      end
      assert.is_false(fs.exists(path))
    end)

    it("things are gone when their task was cancelled, and when they were forgotten", function()
      local made = task.semaphore(1)
      made:acquire()
      local one = task.spawn(function()
        local file <close> = fs.temp_file(dir)
        local folder <close> = fs.temp_dir(dir)
        assert(file and folder)
        made:release()
        task.sleep(60)
      end)
      made:acquire()
      assert.equal(2, count(dir))
      one:cancel()
      raises("ECANCELED", one.join, one)
      assert.is_true(settled(function() return count(dir) end, 0))
      fs.temp_dir(dir)
      fs.temp_file(dir)
      collectgarbage()
      collectgarbage()
      assert.is_true(settled(function() return count(dir) end, 0))
    end)

    it("places must exist", function()
      raises("ENOENT", fs.temp_file, at "none")
      raises("ENOENT", fs.temp_dir, at "none")
    end)
  end)

  describe("watch", function()
    local function expect(watch, name, event)
      for _ = 1, 20 do
        local change = watch:next(10)
        if change.name == name and change.event == event then return end
      end
      error(("no %s of %s"):format(event, name))
    end

    it("sees what is created, changed and removed in a folder", function()
      local watch <close> = fs.watch(dir)
      fs.append(at "f", "")
      expect(watch, "f", "create")
      fs.append(at "f", "x")
      expect(watch, "f", "change")
      fs.remove(at "f")
      expect(watch, "f", "remove")
    end)

    it("follows a file that is replaced, and sees only that", function()
      fs.write(at "f", "1")
      local watch <close> = fs.watch(at "f")
      for i = 2, 4 do
        fs.write(at "g", tostring(i))
        fs.write(at "f", tostring(i))
        expect(watch, "f", "create")
      end
      fs.append(at "g", "x")
      raises("ETIMEDOUT", watch.next, watch, 0.05)
    end)

    it("ends with its loop", function()
      local watch, _, _, closing = fs.watch(dir)
      fs.append(at "f", "x")
      for change in watch, nil, nil, closing do
        assert.equal("f", change.name)
        break
      end
      assert.is_nil(watch:next(10))
    end)

    it("wakes who waits when it is closed", function()
      local watch = fs.watch(dir)
      local waiter = task.spawn(function()
        for change in watch do error("saw " .. change.name) end
        return "over"
      end)
      outcome.waiting(waiter)
      raises("EBUSY", watch.next, watch)
      watch:close()
      watch:close()
      assert.equal("over", waiter:join())
      assert.is_nil(watch:next())
    end)

    it("can be cancelled, and goes on for the next", function()
      local watch <close> = fs.watch(dir)
      local waiter = task.spawn(watch.next, watch)
      task.sleep(0)
      waiter:cancel()
      raises("ECANCELED", waiter.join, waiter)
      raises("ETIMEDOUT", watch.next, watch, 0.01)
      fs.append(at "f", "x")
      expect(watch, "f", "create")
    end)

    it("says when it lost events nobody asked for", function()
      local watch <close> = fs.watch(dir)
      for i = 1, 1100 do fs.symlink("x", at("f" .. i)) end
      local events, last = 0, nil
      repeat
        last = watch:next(10)
        events = events + 1
      until last.event == "lost"
      assert.equal(1025, events)
      fs.append(at "g", "x")
      expect(watch, "g", "create")
    end)

    it("needs something to watch", function() assert.matches("none", raises("ENOENT", fs.watch, at "none").message) end)
  end)
end)
