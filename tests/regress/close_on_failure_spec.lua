-- SPDX-License-Identifier: MIT
-- A task that failed or was cancelled left its <close> variables open: lua_resume leaves a failed coroutine
-- as it fell, and only lua_resetthread closes what is pending on it.
local task = require "green.task"

local function closing(log, wait)
  return setmetatable({}, { __close = function(_, err)
    if wait then task.sleep(0) end
    log[#log + 1] = tostring(err)
  end })
end

describe("the <close> variables of a task", function()
  it("are closed when it fails, latest first, and may wait for it", function()
    local log = {}
    local failed = task.spawn(function()
      local _ <close> = closing(log, true)
      local _ <close> = closing(log, true)
      task.sleep(0)
      error("x", 0)
    end)
    local ok, err = pcall(failed.join, failed)
    assert.is_false(ok)
    assert.equal("x", err)
    assert.same({ "x", "x" }, log)
  end)

  it("are closed when it is cancelled", function()
    local log = {}
    local waiting = task.spawn(function()
      local _ <close> = closing(log)
      task.sleep(100)
    end)
    task.sleep(0)
    waiting:cancel()
    pcall(waiting.join, waiting)
    assert.same({ "task.sleep: the task was cancelled" }, log)
    assert.equal("cancelled", waiting:status())
  end)

  it("are closed when it is cancelled where it cannot yield", function()
    local log = {}
    local waiting = task.spawn(function()
      local _ <close> = closing(log)
      table.sort({ 1, 2 }, function() task.sleep(100) end)
    end)
    task.sleep(0)
    waiting:cancel()
    pcall(waiting.join, waiting)
    assert.same({ "task.sleep: the task was cancelled" }, log)
  end)

  it("may replace the error", function()
    local failed = task.spawn(function()
      local _ <close> = setmetatable({}, { __close = function() error("second", 0) end })
      error("first", 0)
    end)
    local ok, err = pcall(failed.join, failed)
    assert.is_false(ok)
    assert.equal("second", err)
  end)
end)
