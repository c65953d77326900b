-- SPDX-License-Identifier: MIT
-- Internal.
-- What a pool (green.pool.lending) counts, for its stats.
local scope = require "green.scope.native"

local M = {}

function M.new()
  return { opened = 0, closed = 0, broken = 0, expired = 0, waits = 0, wait_time = 0, longest_wait = 0, timeouts = 0 }
end

local function add_up(count, name, n)
  local _ <close> = scope.atomic()
  count[name] = count[name] + n
end

-- Counts, unless memory has run out: what is lent must not be lost for that.
function M.add(pool, name, n) pcall(add_up, pool.count, name, n) end

-- Counts a wait of so many seconds.
function M.add_wait(pool, seconds)
  M.add(pool, "waits", 1)
  M.add(pool, "wait_time", seconds)
  if seconds > pool.count.longest_wait then pool.count.longest_wait = seconds end
end

-- Returns what there is, and what there was (green.pool.stats).
function M.stats(pool)
  local count, lent = pool.count, pool.size - pool.permits:available()
  return {
    max = pool.size, min = pool.min, idle = #pool.idle, lent = lent, open = #pool.idle + lent, waiting = #pool.line, opened = count.opened,
    closed = count.closed, broken = count.broken, expired = count.expired, waits = count.waits, wait_time = count.wait_time,
    longest_wait = count.longest_wait, timeouts = count.timeouts,
  }
end

return M
