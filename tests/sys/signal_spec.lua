-- SPDX-License-Identifier: MIT
local debug = require "green.debug"
local eventually = require("outcome").eventually
local signal = require "green.signal"
local task = require "green.task"

-- How many tasks wait for a signal.
local function waiters()
  local n = 0
  for _, one in ipairs(debug.tasks()) do
    if one.waits_for and one.waits_for:find "^signal%.wait" then n = n + 1 end
  end
  return n
end

-- Sends signals, from a task of its own, once so many wait for one: one that nobody waits for may end the process.
local function send(names, count)
  return task.spawn(function()
    eventually(function() return waiters() == (count or 1) end, "tasks wait for a signal")
    os.execute(names:gsub("%u[%u%d]*", "kill -%0 $PPID; "))
  end)
end

local function code_of(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return err.code
end

describe("green.signal", function()
  it("waits for a signal and names it", function()
    send "USR1"
    assert.equal("USR1", signal.wait "USR1")
  end)

  it("waits for any of several, with or without the prefix", function()
    send "USR2"
    assert.equal("USR2", signal.wait("USR1", "SIGUSR2", "HUP"))
  end)

  it("tells every task that waits", function()
    local first, second = task.spawn(signal.wait, "USR1"), task.spawn(signal.wait, "USR1", "USR2")
    send("USR1", 2)
    assert.equal("USR1", first:join())
    assert.equal("USR1", second:join())
  end)

  it("takes one of two signals that come at once, and survives the other", function()
    local other = task.spawn(signal.wait, "USR2")
    send("USR1 USR2", 2)
    local name = signal.wait("USR1", "USR2")
    assert.is_truthy(name == "USR1" or name == "USR2")
    assert.equal("USR2", other:join())
  end)

  it("times out", function()
    assert.equal("ETIMEDOUT", code_of(signal.wait, "USR1", 0.01))
  end)

  it("is cancelled with its task", function()
    local waiting = task.spawn(signal.wait, "USR1")
    task.sleep(0)
    waiting:cancel()
    assert.equal("ECANCELED", code_of(waiting.join, waiting))
  end)

  it("ignores a signal", function()
    signal.ignore "USR1"
    os.execute "kill -USR1 $PPID"
    send "USR2"
    assert.equal("USR2", signal.wait("USR2"))
  end)

  it("refuses what is no signal", function()
    assert.error_matches(function() signal.wait() end, "bad argument #1")
    assert.error_matches(function() signal.wait("USR1", "NOPE") end, "bad argument #2.*unknown signal 'NOPE'")
    assert.error_matches(function() signal.wait("USR1", -1) end, "timeout")
    assert.error_matches(function() signal.ignore "NOPE" end, "unknown signal")
  end)
end)
