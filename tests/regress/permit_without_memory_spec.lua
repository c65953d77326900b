-- SPDX-License-Identifier: MIT
-- A task that was refused memory just after it had got a permit of a pool lost it: the permit came back only when the half-made lease
-- was collected. Here each allocation of a take is refused in turn, and nothing is collected.
local debug = require "green.debug"
local Pool = require "green.pool.lending"
local task = require "green.task"

local function fake()
  return { clean = function() return true end, close = function() end }
end

it("a take that is refused memory leaves its permit in the pool at once", function()
  local pool = Pool.new { op = "db", name = "fake", size = 2, wait = 10, open = fake }
  local refused, taken = 0, false
  collectgarbage "stop"
  local _ <close> = setmetatable({}, { __close = function() collectgarbage "restart" end })
  for n = 1, 200 do
    local lease
    task.spawn(function() -- whose entry in the pool's lists is new
      debug.fail_alloc(n)
      local ok, got = pcall(pool.take, pool)
      debug.fail_alloc(0)
      if not ok then refused = refused + 1 else lease = got end
    end):join()
    if lease then lease:give() end
    assert.equal(2, pool:stats().max - pool:stats().lent, "allocation " .. n)
    taken = taken or lease ~= nil
    if taken and n > refused + 10 then break end
  end
  pool:close()
  assert.is_true(taken)
  assert.is_true(refused >= 3)
end)
