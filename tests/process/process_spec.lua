-- SPDX-License-Identifier: MIT
local outcome = require "outcome"
local process = require "green.process"
local task = require "green.task"

local function error_of(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return err
end

local function code_of(...) return error_of(...).code end

local function sh(script) return { "sh", "-c", script } end

local eventually, is_waiting = outcome.eventually, outcome.waiting

-- The state letter of a process, nil if there is none; Z = it has ended and is not reaped.
local function state(pid)
  return process.capture({ "cat", ("/proc/%d/stat"):format(pid) }).stdout:match "%) (%a)"
end

local function alive(pid)
  local letter = state(pid)
  return letter ~= nil and letter ~= "Z"
end

-- How many processes have a line "state parent group session" that matches.
local function count_processes(pattern)
  return process.capture(sh("cat /proc/[0-9]*/stat 2>/dev/null | sed 's/.*) //' | grep -c \"" .. pattern .. "\"")).stdout
end

local function open_files()
  local n = 0
  for _ in process.capture({ "ls", "/proc/self/fd" }).stdout:gmatch "[^\n]+" do n = n + 1 end
  return n
end

-- How many descriptors this very process has.
local function descriptors()
  return tonumber(process.capture({ "sh", "-c", "ls /proc/$PPID/fd | wc -l" }).stdout)
end

local function zombies() return count_processes "^Z $PPID " end

describe("process.spawn", function()
  it("talks in both directions at once, with back-pressure", function()
    local child <close> = process.spawn({ "cat" }, { stdin = "pipe", stdout = "pipe" })
    local line = ("x"):rep(9999)
    task.spawn(function()
      for _ = 1, 300 do child.stdin:write(line .. "\n") end
      child.stdin:close()
    end)
    local n = 0
    for got in child.stdout:lines() do
      assert(got == line)
      n = n + 1
    end
    assert.equal(300, n)
    assert.same({ 0 }, { child:wait() })
  end)

  it("makes the writer wait for a reader who takes its time", function()
    local child <close> = process.spawn(sh "read go; cat", { stdin = "pipe", stdout = "pipe" })
    local wrote = false
    local writer = task.spawn(function()
      child.stdin:write "go\n"
      child.stdin:write(("x"):rep(3000000))
      wrote = true
      child.stdin:close()
    end)
    local first = child.stdout:read(1)
    task.sleep(0.01)
    assert.is_false(wrote)
    assert.equal(3000000, #(first .. child.stdout:read "a"))
    writer:join()
  end)

  it("reads what is there, at most n bytes, lines and all", function()
    local child <close> = process.spawn(sh "echo one; echo two; echo three; printf end", { stdout = "pipe" })
    assert.equal("on", child.stdout:read(2))
    assert.equal("e", child.stdout:read "l")
    assert.equal("two\n", child.stdout:read "L")
    assert.equal("three\nend", child.stdout:read "a")
    assert.is_nil(child.stdout:read())
    assert.is_nil(child.stdout:read "l")
    assert.equal("", child.stdout:read "a")
  end)

  it("says how it ended: code or signal, again and again, to each who waits", function()
    local child <close> = process.spawn(sh "read x; exit 7", { stdin = "pipe" })
    local other = task.spawn(child.wait, child)
    child.stdin:close()
    assert.same({ 7 }, { child:wait() })
    assert.same({ 7 }, { child:wait() })
    assert.equal(7, (other:join()))
    local killed <close> = process.spawn { "sleep", "100" }
    assert.is_true(killed:kill "KILL")
    local code, signal = killed:wait()
    assert.is_nil(code)
    assert.equal("KILL", signal)
    assert.is_false(killed:kill())
  end)

  it("sends signals by name, with the prefix, by number", function()
    for name, value in pairs { HUP = "HUP", USR1 = "SIGUSR1", TERM = 15 } do
      local child <close> = process.spawn { "sleep", "100" }
      child:kill(value)
      assert.same(name, select(2, child:wait()))
    end
    local child <close> = process.spawn { "sleep", "100" }
    assert.error_matches(function() child:kill "NOPE" end, "unknown signal 'NOPE'")
  end)

  it("has a pid, and a name for people", function()
    local child <close> = process.spawn { "sleep", "100" }
    assert.is_truthy(alive(child.pid))
    assert.equal(("process: %d (sleep)"):format(child.pid), tostring(child))
  end)

  it("runs in a folder and with an environment", function()
    local function said(script, opts)
      return process.capture(sh(script), opts).stdout
    end
    assert.equal("/\n", said("pwd", { cwd = "/" }))
    assert.equal("7\n" .. os.getenv "PATH" .. "\n", said("echo $GREEN_A; echo $PATH", { env = { GREEN_A = 7 } }))
    assert.equal("unset\n", said("echo ${HOME-unset}", { env = { HOME = false } }))
    assert.equal("A=1\n", process.capture({ "/usr/bin/env" }, { env = { A = 1 }, clear_env = true }).stdout)
  end)

  it("takes the command by name", function()
    assert.equal("a b\n", process.capture({ cmd = "echo", "a", "b" }).stdout)
  end)

  it("gives the child nothing to read unless told to", function()
    assert.equal("", process.capture({ "cat" }).stdout)
  end)

  it("gives it real pipes, which may be opened by name", function()
    assert.equal("x", process.capture({ "cat", "/dev/stdin" }, { input = "x" }).stdout)
  end)

  it("fails with an error that names the command, or the folder", function()
    local err = error_of(process.spawn, { "nosuch-command" })
    assert.equal("ENOENT", err.code)
    assert.equal("process.spawn: nosuch-command: no such file or directory", tostring(err))
    assert.equal("process.spawn: /nosuch: no such file or directory", tostring(error_of(process.spawn, { "ls" }, { cwd = "/nosuch" })))
    assert.equal("EACCES", code_of(process.spawn, { "/etc/passwd" }, { stdout = "pipe" }))
  end)

  it("refuses misuse by name", function()
    assert.error_matches(function() process.spawn "ls -l" end, "list of words")
    assert.error_matches(function() process.spawn {} end, "empty")
    assert.error_matches(function() process.spawn { "a", {} } end, "word 2 of the command is a string, not a table")
    assert.error_matches(function() process.spawn { "a", "b\0c" } end, "zero byte")
    assert.error_matches(function() process.spawn({ "a" }, { stdin = "file" }) end, "option 'stdin': 'pipe', 'inherit' or 'null' expected, not 'file'")
    assert.error_matches(function() process.spawn({ "a" }, { timeout = 1 }) end, "unknown option 'timeout'")
    assert.error_matches(function() process.spawn({ "a" }, { env = { ["A=B"] = 1 } }) end, "'A=B' is no name")
    assert.error_matches(function() process.run({ "a" }, { stdout = "pipe" }) end, "cannot be 'pipe'")
  end)

  it("times out waiting, reading and writing, and goes on", function()
    local child <close> = process.spawn(sh "read x; cat", { stdin = "pipe", stdout = "pipe" })
    assert.equal("ETIMEDOUT", code_of(child.wait, child, 0.01))
    assert.equal("ETIMEDOUT", code_of(child.stdout.read, child.stdout, 1, 0.01))
    child.stdin:write "go\n"
    local much = ("y"):rep(1000000)
    assert.equal("ETIMEDOUT", code_of(child.stdin.write, child.stdin, much, 0.05))
    task.spawn(function()
      child.stdin:write "end"
      child.stdin:close()
    end)
    assert.equal(much .. "end", child.stdout:read "a") -- nothing of it was lost or came twice
    assert.equal(0, (child:wait()))
  end)

  it("has one reader at a time; closing wakes it", function()
    local child <close> = process.spawn({ "cat" }, { stdin = "pipe", stdout = "pipe" })
    local reader = is_waiting(task.spawn(function() return child.stdout:read() end))
    assert.equal("EBUSY", code_of(child.stdout.read, child.stdout))
    child.stdout:close()
    assert.equal("ECANCELED", code_of(reader.join, reader))
    assert.equal("ECANCELED", code_of(child.stdout.read, child.stdout))
  end)

  it("says so when the child no longer reads", function()
    local child <close> = process.spawn({ "true" }, { stdin = "pipe" })
    child:wait()
    assert.equal("EPIPE", code_of(child.stdin.write, child.stdin, "x"))
  end)

  it("is cancelled with its task, at each of its waits", function()
    local waits = {
      function(child) child:wait() end,
      function(child) child.stdout:read() end,
      function(child) child.stdin:write(("x"):rep(10000000)) end,
    }
    for _, wait in ipairs(waits) do
      local pid
      local waiting = task.spawn(function()
        local child <close> = process.spawn({ "sleep", "100" }, { stdin = "pipe", stdout = "pipe" })
        pid = child.pid
        wait(child)
      end)
      eventually(function() return pid end)
      task.sleep(0.005)
      waiting:cancel()
      assert.equal("ECANCELED", code_of(waiting.join, waiting))
      eventually(function() return not alive(pid) end)
    end
  end)

  it("ends what will not end, after a grace", function()
    local child = process.spawn(sh "trap '' TERM; echo ready; while :; do sleep 0.1; done", { stdout = "pipe" })
    child.stdout:read "l"
    child:close(0.05)
    assert.equal("KILL", select(2, child:wait()))
  end)

  it("ends the whole group of a child that leads one", function()
    local child <close> = process.spawn(sh "sleep 100 & echo $!; wait", { stdout = "pipe", group = true })
    local pid = child.stdout:read "n"
    child:close()
    eventually(function() return not alive(pid) end)
  end)

  it("ends with the task that started it, returned or failed", function()
    for _, ending in ipairs { function() end, error } do
      local ended = task.spawn(function()
        _G.leaked = process.spawn { "sleep", "1000" } -- still referred to
        ending()
      end)
      pcall(ended.join, ended)
      local _, signal = _G.leaked:wait()
      assert.equal("TERM", signal)
    end
    _G.leaked = nil
  end)

  it("outlives it when it is to be kept", function()
    local kept <close> = task.spawn(function() return process.spawn({ "sleep", "1000" }, { keep = true }) end):join()
    assert.is_false((pcall(kept.wait, kept, 0.01)))
    kept:kill "KILL"
    assert.equal("KILL", select(2, kept:wait()))
  end)

  it("kills a child whose handle is collected", function()
    local pid = process.spawn({ "sleep", "100" }).pid
    collectgarbage()
    collectgarbage()
    eventually(function() return not alive(pid) end)
  end)
end)

describe("process.capture", function()
  it("returns code, signal and both outputs", function()
    assert.same({ code = 3, stdout = "out\n", stderr = "err\n" }, process.capture(sh "echo out; echo err >&2; exit 3"))
    assert.same({ signal = "TERM", stdout = "", stderr = "" }, process.capture(sh "kill $$"))
  end)

  it("feeds and reads at once, more than any pipe holds", function()
    local input = ("0123456789"):rep(500000)
    local got = process.capture({ "cat" }, { input = input })
    assert.equal(0, got.code)
    assert(got.stdout == input)
  end)

  it("does not mind a child that leaves its input unread", function()
    assert.equal(0, process.capture({ "true" }, { input = ("x"):rep(1000000) }).code)
  end)

  it("may join stderr with stdout, or let it go elsewhere", function()
    assert.same({ code = 0, stdout = "a\nb\n" }, process.capture(sh "echo a; echo b >&2", { stderr = "stdout" }))
    assert.same({ code = 0, stdout = "a\n" }, process.capture(sh "echo a; echo b >&2", { stderr = "null" }))
  end)

  it("times out, naming the command, and leaves nothing running", function()
    local file = os.tmpname()
    local err = error_of(process.capture, sh("echo $$ >" .. file .. "; sleep 100 & sleep 100; true"), { timeout = 2 }) -- enough for it to say its number
    assert.equal("ETIMEDOUT", err.code)
    assert.equal("process.capture: sh: timed out after 2.0 s", tostring(err))
    local pid = tonumber(process.capture({ "cat", file }).stdout)
    os.remove(file)
    assert.is_nil(state(pid))
    eventually(function() return count_processes(("^[^Z] [0-9]* [0-9]* %d "):format(pid)) == "0\n" end)
  end)

  it("refuses more output than it may take", function()
    local err = error_of(process.capture, { "yes" }, { max_output = 1000 })
    assert.equal("EMSGSIZE", err.code)
    assert.equal("process.capture: yes: more than 1000 bytes of output", tostring(err))
    assert.equal(1000, #process.capture({ "head", "-c", "1000", "/dev/zero" }, { max_output = 1000 }).stdout)
  end)

  it("kills the child when its task is cancelled, at once", function()
    local file, pid = os.tmpname(), nil
    local running = task.spawn(process.capture, sh("echo $$ >" .. file .. "; exec sleep 100"))
    eventually(function()
      pid = tonumber(process.capture({ "cat", file }).stdout)
      return pid
    end)
    os.remove(file)
    running:cancel()
    assert.equal("ECANCELED", code_of(running.join, running))
    eventually(function() return not alive(pid) end)
  end)

  it("says what could not be started", function()
    assert.equal("process.capture: nosuch: no such file or directory", tostring(error_of(process.capture, { "nosuch" })))
  end)
end)

describe("process.run", function()
  it("lets the child use our output, and says how it ended", function()
    assert.same({ code = 5 }, process.run(sh "exit 5"))
    assert.same({ code = 1 }, process.run({ "grep", "-q", "x" }, { input = "abc" }))
    assert.same({ code = 0 }, process.run({ "echo" }, { stdout = "null" }))
  end)

  it("times out", function()
    assert.equal("process.run: sleep: timed out after 0.01 s", tostring(error_of(process.run, { "sleep", "100" }, { timeout = 0.01 })))
  end)
end)

describe("children", function()
  it("leave no descriptor and no zombie behind, however they end", function()
    local ways = {
      function() process.capture({ "cat" }, { input = "x" }) end,
      function() pcall(process.capture, { "nosuch" }, { input = "x" }) end,
      function() pcall(process.capture, { "sleep", "9" }, { timeout = 0 }) end,
      function() pcall(process.capture, { "yes" }, { max_output = 10 }) end,
      function()
        local _ <close> = process.spawn({ "cat" }, { stdin = "pipe", stdout = "pipe", stderr = "pipe" })
      end,
      function() pcall(process.spawn, { "nosuch" }, { stdin = "pipe", stdout = "pipe", stderr = "pipe" }) end,
      function() process.spawn({ "cat" }, { stdin = "pipe" }) end,
      function() task.spawn(process.capture, { "sleep", "9" }):cancel() end,
      function() io.popen("cat >/dev/null", "w"):write(("x"):rep(100000)) end,
      function() os.execute "true" end,
    }
    local function try(times)
      for _, way in ipairs(ways) do
        for _ = 1, times do way() end
      end
      collectgarbage()
      collectgarbage()
    end
    try(1) -- some descriptors are opened once, when they are first needed
    assert.equal("x\n", io.popen("sleep 0.01; echo x"):read "a") -- and one when a pipe is first waited for
    local before, open = descriptors(), open_files()
    try(3)
    eventually(function() return descriptors() <= before end) -- fewer: what earlier tests left was still being closed
    assert.is_true(open_files() <= open) -- none is inherited either
    eventually(function() return zombies() == "0\n" end)
  end)

  it("run in great numbers at the same time", function()
    local tasks = {}
    for i = 1, 50 do
      tasks[i] = task.spawn(function() return process.capture(sh("sleep 0.01; echo " .. i)).stdout end)
    end
    for i = 1, 50 do assert.equal(i .. "\n", (tasks[i]:join())) end
  end)
end)
