-- SPDX-License-Identifier: MIT
-- Internal.
-- Logs the tasks that keep a connection of a pool (green.pool.lending) for longer than `leak_after` seconds, each lease once: a lease that
-- nobody gives back, or a transaction that waits for something else, is found before the connections run out.
local alarm = require "green.pool.alarm"
local holders = require "green.pool.holders"
local native = require "green.task.native"
local timer = require "green.timer.native"

local M = {}

-- Sets the alarm, unless it goes off earlier.
local function set(self, due, look)
  if self.leaks_due and self.leaks_due <= due then return end
  self.leaks_alarm = self.leaks_alarm or alarm(self, look)
  self.leaks_alarm:set(math.max(due - timer.now(), 0))
  self.leaks_due = due
end

-- Logs what has been lent for too long since the last look, and looks again when the next one will have been.
local function look(self)
  self.leaks_due = nil -- from here on, what is lent meanwhile sets the alarm
  local now, late, due = timer.now(), {}, nil
  for _, entry in ipairs(holders.lent(self)) do
    local ends = entry.taken + self.leak_after
    if ends > now then
      due = ends
      break
    end
    if ends > self.leaks_seen then late[#late + 1] = entry end
  end
  self.leaks_seen = now
  if due then set(self, due, look) end
  for _, text in ipairs(holders.describe(late)) do native.log(("%s: a connection to %s is kept"):format(self.op, self.name), text) end
end

--- Takes notice of an entry that was lent just now. Raises (memory).
function M.watch(self, entry)
  if self.leaks_due then return end -- which is before this one's time
  self.leaks_seen = self.leaks_seen or -math.huge
  set(self, entry.taken + self.leak_after, look)
end

return M
