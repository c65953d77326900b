-- SPDX-License-Identifier: MIT
-- Every waiting function of greenlua, for the transparency matrix: { name, function }. The function sets up
-- what it needs, waits at least once (another task must get to run) and asserts its result. It may be called
-- from fifty tasks at once, and in any of the contexts. `finalizer`: in a finalizer it does not wait, but works.
local signal = require "green.signal"
local task = require "green.task"

local db = require "green.db"
local model = require "green.model"

-- A named pipe, open at both ends: one task reads what another writes.
local function pipe()
  local path = os.tmpname()
  os.remove(path)
  assert(os.execute("mkfifo " .. path))
  local file = assert(io.open(path, "r+"))
  os.remove(path)
  return file
end

local function write_later(file, text)
  task.spawn(function() if io.type(file) == "file" then file:write(text):flush() end end)
end

return {
  { "db.query", function()
    local d <close> = db.connect "sqlite::memory:"
    assert(d:query("SELECT $1 AS a", 5)[1].a == 5)
  end },
  { "db.exec", function()
    local d <close> = db.connect "sqlite::memory:"
    assert(d:exec "CREATE TABLE t (v); INSERT INTO t VALUES (1), (2)" == 2)
  end },
  { "db.rows", function()
    local d <close> = db.connect "sqlite::memory:"
    local n = 0
    for row in d:rows "VALUES (1), (2)" do n = n + row.column1 end
    assert(n == 3)
  end },
  { "db.transaction", function()
    local d <close> = db.connect "sqlite::memory:"
    local seven = d:transaction(function()
      d:exec "CREATE TABLE t (v)"
      return d:value "SELECT 7"
    end)
    assert(seven == 7)
  end },
  { "model.save", function()
    local d <close> = db.connect "sqlite::memory:"
    d:exec "CREATE TABLE t (id INTEGER PRIMARY KEY, v)"
    local T = model(d, "t")
    assert(T:find(T:new { v = 3 }:save().id).v == 3)
  end },
  { "file:read", function()
    local p <close> = pipe()
    write_later(p, "12 rest\nlast")
    local number, line = p:read("n", "L")
    assert(number == 12 and line == " rest\n")
    assert(p:read(4) == "last")
  end },
  { "file:write", function()
    task.sleep(0) -- refused in a finalizer, where a write goes on by itself
    local p <close> = pipe()
    local reader = task.spawn(function() return #p:read(300000) end)
    assert(p:write(("x"):rep(300000)) == p and p:flush())
    assert(reader:join() == 300000)
  end },
  { "file:lines", function()
    local p <close> = pipe()
    write_later(p, "a\nb\n")
    local got = {}
    for line in p:lines() do
      got[#got + 1] = line
      if #got == 2 then break end
    end
    assert(got[1] == "a" and got[2] == "b")
  end },
  { "io.open", function()
    local path = os.tmpname()
    local f <close> = assert(io.open(path, "w"))
    assert(f:write("text"):flush() and f:seek("set", 1) == 1)
    assert(f:close())
    assert(os.remove(path))
  end, finalizer = true },
  { "os.rename", function()
    local path = os.tmpname()
    assert(os.rename(path, path .. "x"))
    assert(os.remove(path .. "x"))
    assert(select(3, os.remove(path)) == 2)
  end, finalizer = true },
  { "semaphore.acquire", function()
    local permits = task.semaphore(1)
    permits:acquire()
    task.spawn(permits.release, permits)
    permits:acquire(5)
    assert(not permits:try())
  end },
  { "signal.wait", function() -- a signal that is ignored when it comes too late
    task.spawn(os.execute, "kill -WINCH $PPID")
    assert(signal.wait("USR1", "WINCH") == "WINCH")
  end },
  { "task.join", function()
    local first, second = task.spawn(function(...) return ... end, "a", nil):join()
    assert(first == "a" and second == nil)
  end },
  { "task.sleep", function()
    local before = task.now()
    task.sleep(0.0005)
    assert(task.now() - before >= 0.0005)
  end },
}
