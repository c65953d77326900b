-- SPDX-License-Identifier: MIT
-- A task that was cancelled in os.execute "sleep 77; true", or that failed with such a command open by io.popen, left the
-- command as an orphan: it was the shell that was killed, and the shell's child went on. What still runs goes with its
-- task; what a shell that has returned left in the background stays, as under lua.
local fs = require "green.fs"
local interpreter = require "interpreter"
local process = require "green.process"
local task = require "green.task"

local function read(path)
  local ok, text = pcall(fs.read, path)
  return ok and text:match "^(.-)\n" or nil
end

-- The first line of a file, once there is one.
local function await(path)
  local line
  task.deadline(60, function()
    repeat
      line = read(path)
      if not line then task.sleep(0.005) end
    until line
  end)
  return line
end

local function state(pid)
  local ok, stat = pcall(fs.read, ("/proc/%s/stat"):format(pid))
  return ok and stat:match "%) (%a)" or nil
end

-- Waits until a process has ended; who reaps it is another matter.
local function gone(pid)
  task.deadline(60, function()
    while state(pid) and state(pid) ~= "Z" do task.sleep(0.005) end
  end)
end

local function alive(pid) return state(pid) ~= nil and state(pid) ~= "Z" end

-- A command whose shell has a child that has one: each says its process id in a file.
local DEEP = [[sh -c 'sh -c "echo \$\$ >%s/deep; exec sleep 77"; true' ; true]]

describe("a command goes with its task:", function()
  local dir
  before_each(function() dir = fs.temp_dir() end)
  after_each(function() dir:close() end)

  it("os.execute that is cancelled", function()
    local running = task.spawn(os.execute, DEEP:format(dir.path))
    local pid = await(dir.path .. "/deep")
    running:cancel()
    assert.is_false(pcall(running.join, running))
    gone(pid)
  end)

  it("os.execute at a deadline", function()
    local seconds = 0.1
    repeat -- until that was enough for it to begin
      seconds = 3 * seconds
      local ok, err = pcall(task.deadline, seconds, os.execute, DEEP:format(dir.path))
      assert.same({ false, "EDEADLINE" }, { ok, err.code })
      local pid = read(dir.path .. "/deep")
    until pid
    gone(read(dir.path .. "/deep"))
  end)

  for name, ends in pairs { fails = function() error "its own" end, ["is cancelled"] = function() task.sleep(100) end } do
    it("io.popen of a task that " .. name, function()
      local file
      local running = task.spawn(function()
        file = io.popen(DEEP:format(dir.path))
        await(dir.path .. "/deep")
        ends()
      end)
      local pid = await(dir.path .. "/deep")
      if name ~= "fails" then running:cancel() end
      assert.is_false(pcall(running.join, running))
      gone(pid)
      assert.same({ nil, "signal", 15 }, { file:close() })
    end)
  end

  it("and so does what ignores a polite end, after a grace", function()
    local running = task.spawn(function()
      local file <close> = io.popen(([[sh -c 'trap "" TERM; echo $$ >%s/deep; while :; do sleep 0.05; done'; true]]):format(dir.path))
      file:read "a"
    end)
    local pid = await(dir.path .. "/deep")
    running:cancel()
    assert.is_false(pcall(running.join, running))
    gone(pid)
  end)

  it("but not io.popen of a task that returns", function()
    assert(os.execute(("mkfifo %s/fifo"):format(dir.path)))
    local file = task.spawn(function()
      return io.popen(([[echo $$ >%s/deep; read line <%s/fifo; echo "$line"]]):format(dir.path, dir.path))
    end)
    file = file:join()
    assert.is_true(alive(await(dir.path .. "/deep")))
    assert(os.execute(("echo told >%s/fifo"):format(dir.path)))
    assert.equal("told", file:read())
    assert.is_true(file:close())
  end)

  it("nor what a shell has left in the background", function()
    local returned
    local running = task.spawn(function()
      os.execute(([[sleep 77 >/dev/null 2>&1 & echo $! >%s/deep]]):format(dir.path))
      returned = true
      task.sleep(100)
    end)
    local pid = await(dir.path .. "/deep")
    while not returned do task.sleep(0.001) end
    running:cancel()
    pcall(running.join, running)
    assert.is_true(alive(pid))
    os.execute("kill " .. pid)
  end)
end)

describe("os.exit(code, true)", function()
  local dir
  before_each(function() dir = fs.temp_dir() end)
  after_each(function() dir:close() end)

  it("waits for the commands of io.popen, as lua does", function()
    local script = [[f = io.popen("cat >out; sleep 0.2; echo done >>out", "w") f:write "text\n" g = io.popen "exec sleep 0.2; echo done >out2" os.exit(3, true)]]
    local got = process.capture({ interpreter, "-e", script }, { cwd = dir.path, timeout = 30 })
    assert.equal(3, got.code)
    assert.equal("text\ndone\n", fs.read(dir.path .. "/out"))
  end)
end)
