-- SPDX-License-Identifier: MIT
-- The story: a task that caught the error that told it to end used up its time for clean-up with going on. What it then closed, once an
-- error had got through, was killed at the end of the slice that was under way: a lease was not given back, half a row was written.
-- Whether it got that far was a matter of how much of the slice was left. Now what closes has time of its own, and less after each error
-- that it costs, so that there is an end. Each closing here goes on beyond a slice of its task: the other one has had the CPU meanwhile.
local greendebug = require "green.debug"
local task = require "green.task"

local SLICES = 2 -- of both tasks

local function hog() while true do end end
local function catch_all() while true do pcall(function() while true do pcall(hog) end end) end end

describe("what is closed by a task that caught the errors which told it to end", function()
  local closed, other

  before_each(function()
    closed = {}
    other = task.spawn(hog)
  end)

  after_each(function()
    other:cancel()
    pcall(other.join, other)
  end)

  local function slow(name, work)
    return setmetatable({}, { __close = function()
      local before = greendebug.preempted()
      repeat if work then work() end until greendebug.preempted() >= before + SLICES
      closed[#closed + 1] = name
    end })
  end

  local function endless() return setmetatable({}, { __close = hog }) end

  local function few_steps()
    for _ = 1, 1000 do end
  end

  local places = {
    { "its own frames", function()
      local _ <close> = slow "closed"
      catch_all()
    end },
    { "a pcall", function()
      pcall(function()
        local _ <close> = slow "closed"
        catch_all()
      end)
    end },
    { "an xpcall where Lua cannot yield", function()
      table.sort({ 1, 2 }, function()
        xpcall(function()
          local _ <close> = slow "closed"
          catch_all()
        end, debug.traceback)
        return false
      end)
    end },
    { "a coroutine", function()
      coroutine.wrap(function()
        local _ <close> = slow "closed"
        catch_all()
      end)()
    end },
    { "a coroutine that is closed", function()
      local co = coroutine.create(function()
        local _ <close> = slow "closed"
        coroutine.yield()
      end)
      coroutine.resume(co)
      local _ <close> = setmetatable({}, { __close = function() coroutine.close(co) end })
      catch_all()
    end },
    { "a pcall, in coroutines of its own", function()
      pcall(function()
        local _ <close> = slow("closed", coroutine.wrap(function()
          while true do
            coroutine.wrap(few_steps)()
            coroutine.yield()
          end
        end))
        catch_all()
      end)
    end },
    { "a block that is left", function()
      local guard = slow "closed"
      local function catch_one() pcall(hog) end
      catch_one() catch_one() catch_one() catch_one() catch_one() catch_one() -- no loop: an error is raised where one repeats
      do local _ <close> = guard end
    end },
    { "its own frames, after what never ends", function()
      local _ <close> = slow "closed"
      local _ <close> = endless()
      catch_all()
    end },
    { "a pcall, after what never ends", function()
      pcall(function()
        local _ <close> = slow "closed"
        local _ <close> = endless()
        catch_all()
      end)
    end },
  }

  for _, place in ipairs(places) do
    for _, way in ipairs { "cancel", "deadline", "CPU limit" } do
      it("is closed in " .. place[1] .. ", at a " .. way, function()
        local t = task.spawn(function()
          if way == "CPU limit" then task.cpu_limit(0.01) end
          if way == "deadline" then task.deadline(0.01, place[2]) else place[2]() end
        end)
        if way == "cancel" then t:cancel() end
        pcall(t.join, t, 60)
        assert.equal("closed", closed[1])
      end)
    end
  end

  it("has an end, however much there is to close", function()
    local t = task.spawn(function()
      while true do
        pcall(function()
          local _ <close> = endless()
          local _ <close> = endless()
          hog()
        end)
      end
    end)
    t:cancel()
    assert.equal("ECANCELED", select(2, pcall(t.join, t, 60)).code)
  end)
end)
