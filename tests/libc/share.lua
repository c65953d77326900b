-- SPDX-License-Identifier: MIT
-- One connection in a module, which many tasks use, as blocking code does: TASKS tasks make CALLS calls each, of which many have a
-- deadline that may pass anywhere. Each answer must be its asker's, or an error.
local assert = require "luassert"
local task = require "green.task"

local M = {}

M.TASKS = tonumber(os.getenv "TASKS") or 20
M.CALLS = tonumber(os.getenv "CALLS") or 10
local WAIT = 120 -- seconds, for what is bound to come

-- Calls call(text) from all tasks, with a text of its own each time.
local function each_call(call)
  local tasks = {}
  for i = 1, M.TASKS do
    tasks[i] = task.spawn(function()
      for k = 1, M.CALLS do
        local one = ("%d %d"):format(i, k)
        if math.random(4) == 1 then pcall(task.deadline, math.random() * 0.02, call, one)
        else call(one) end
      end
    end)
  end
  for i = 1, M.TASKS do tasks[i]:join(WAIT) end
end

-- The connection, which whoever finds it broken has made anew.
local function shared(connect)
  local one, mutex = { connection = connect(), answers = 0, rows = {} }, task.mutex()
  function one.renew(broken) -- which others may still be about to use; it is closed as garbage
    local _ <close> = mutex:lock()
    if one.connection == broken then one.connection = connect() end
  end
  return one
end

-- Shares a connection on which ask(connection, text) gives the text back; or nil. `also(one, connection, text)`: what is called after each.
function M.echo(connect, ask, also)
  local one = shared(connect)
  each_call(function(text)
    local connection = one.connection
    local answer = ask(connection, text)
    if answer then
      assert.equal(text, answer)
      one.answers = one.answers + 1
    else
      one.renew(connection)
    end
    if also then also(one, connection, text) end
  end)
  assert.is_true(one.answers > 0)
  return one
end

return M
