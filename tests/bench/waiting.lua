-- SPDX-License-Identifier: MIT
-- What tasks that wait weigh, as lines "name<TAB>tasks<TAB>bytes each<TAB>resident bytes of the process": asleep, where
-- they yield; and within a sort comparator, where each leaves a C stack standing. The handle of each task is kept.
-- tests/core/memory_spec.lua holds the figures against the aims.
local task = require "green.task"

local function resident()
  for line in io.lines "/proc/self/status" do
    local kb = line:match "^VmRSS:%s+(%d+)"
    if kb then return tonumber(kb) * 1024 end
  end
end

local arrived = 0

local function asleep()
  arrived = arrived + 1
  task.sleep(1000)
end

local function parked() table.sort({ 1, 2 }, asleep) end

local function measure(name, n, fn)
  local handles = {}
  collectgarbage()
  local before = resident()
  for i = 1, n do handles[i] = task.spawn(fn) end
  repeat task.sleep(0.01) until arrived == n
  local after = resident()
  print(("%s\t%d\t%.0f\t%d"):format(name, n, (after - before) / n, after))
  for _, one in ipairs(handles) do one:cancel() end
  for _, one in ipairs(handles) do one:wait() end
end

-- One kind in a process: what one leaves behind would be the other's.
local kinds = { asleep = { 100000, asleep }, parked = { 10000, parked } }
local name = arg[1] or "asleep"
local kind = kinds[name]
measure(name, tonumber(arg[2]) or kind[1], kind[2])
