-- SPDX-License-Identifier: MIT
-- How many connections a task has was counted by reading and writing in two lines, where a system task that gives back what
-- the first abandoned could come between: a count was lost, and giving back failed on nil; and a connection that came back
-- while its pool was closed stayed open. Here tasks are switched at random instructions.
local debug = require "green.debug"
local Pool = require "green.pool.lending"
local task = require "green.task"

local function connection(open)
  local conn = {}
  open[conn] = true
  function conn.clean() return true end
  function conn.close() open[conn] = nil end
  return conn
end

local function shaken(seed, test)
  debug.shake(seed)
  local _ <close> = setmetatable({}, { __close = function() debug.shake(0) end })
  test()
end

describe("a pool whose users are interrupted", function()
  for seed = 1, 8 do
    it("counts right, whoever gives back (seed " .. seed .. ")", function()
      local open = {}
      local pool = Pool.new { name = "fake", size = 3, wait = 10, open = function() return connection(open) end }
      shaken(seed, function()
        local users = {}
        for u = 1, 4 do
          users[u] = task.spawn(function()
            for _ = 1, 30 do
              local first = pool:take()
              local helper = task.spawn(function() first:give() end) -- as the system task for an abandoned lease
              local second = pool:take()
              second:give()
              helper:join()
            end
          end)
        end
        for _, one in ipairs(users) do one:join() end
      end)
      for _, held in pairs(pool.held) do assert.equal(0, type(held) == "table" and #held or held) end
      assert.equal(3, pool.permits:available())
      pool:close()
      assert.is_nil((next(open)))
    end)

    it("leaves nothing open when it is closed meanwhile (seed " .. seed .. ")", function()
      local open = {}
      local pool = Pool.new { name = "fake", size = 3, wait = 10, open = function() return connection(open) end }
      shaken(seed, function()
        local leases, givers = {}, {}
        for l = 1, 3 do leases[l] = task.spawn(pool.take, pool):join() end
        for l = 1, 3 do givers[l] = task.spawn(function() leases[l]:give() end) end
        local closer = task.spawn(pool.close, pool)
        for _, one in ipairs(givers) do one:join() end
        closer:join()
      end)
      assert.is_nil((next(open)))
    end)
  end
end)
