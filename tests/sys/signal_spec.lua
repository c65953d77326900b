-- SPDX-License-Identifier: MIT
local signal = require "green.signal"
local task = require "green.task"

-- From a task of its own: it runs when the one that spawned it waits.
local function send(name)
  return task.spawn(os.execute, "kill -" .. name .. " $PPID")
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
    send "USR1"
    assert.equal("USR1", first:join())
    assert.equal("USR1", second:join())
  end)

  it("takes one of two signals that come at once, and survives the other", function()
    local other = task.spawn(signal.wait, "USR2")
    task.spawn(os.execute, "kill -USR1 $PPID; kill -USR2 $PPID")
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
