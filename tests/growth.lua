-- SPDX-License-Identifier: MIT
-- Is the CPU that something takes in proportion to its input? Both sizes are measured in one run and only compared; what grows with
-- the square takes 16 times as long for 4 times as much.
local M = {}

local SIZE = 4096 -- and four times that: what a header may hold
local LEAST = 0.004 -- seconds, so that the clock can tell
local TOO_MUCH = 9
local TRIES = 4 -- a busy machine may get in the way of some

local function cpu(fn, input, times)
  local start = os.clock()
  for _ = 1, times do fn(input) end
  return os.clock() - start
end

local function ratio(fn, small, large)
  local times, took = 1, cpu(fn, small, 1)
  while took < LEAST do
    times = times * (took < LEAST / 20 and 10 or 2)
    took = cpu(fn, small, times)
  end
  return cpu(fn, large, times) / took
end

local function inputs(make, size) return make(size or SIZE), make((size or SIZE) * 4) end

--- Does fn(make(n)) take much more than four times as long when n is four times as much? One try that says so is enough: a busy machine
--- makes others look better.
function M.is_more(fn, make, size)
  local small, large = inputs(make, size)
  for _ = 1, 2 * TRIES do
    if ratio(fn, small, large) >= TOO_MUCH then return true end
  end
  return false
end

--- fn(make(n)) takes no more than some four times as long when n is.
function M.is_linear(fn, make, size)
  local small, large = inputs(make, size)
  local best = math.huge
  for _ = 1, TRIES do
    collectgarbage()
    best = math.min(best, ratio(fn, small, large))
    if best < TOO_MUCH then return end
  end
  error(("four times as much takes %.1f times as long"):format(best), 2)
end

return M
