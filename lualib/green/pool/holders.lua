-- SPDX-License-Identifier: MIT
-- Internal.
-- Who has the connections of a pool (green.pool.lending), for whoever waited for one in vain and for the log (green.pool.leaks): a leak, a
-- parent that joins its child in a transaction, a handler that takes long.
local scope = require "green.scope.native"
local timer = require "green.timer.native"

local MOST = 3  -- connections that a report names, those first that were taken first
local FRESH = 1 -- seconds for which a report is not made anew: thousands of tasks may give up at once, and to look at a task takes time

local M = {}

--- Returns what the lent entries say now, those first that were taken first. Nobody else touches the table meanwhile, and an entry may be
--- another task's after it.
function M.lent(self)
  local _ <close> = scope.atomic()
  local entries = {}
  for entry in pairs(self.lent) do
    if entry.task then entries[#entries + 1] = { task = entry.task, taken = entry.taken, place = entry.place } end
  end
  table.sort(entries, function(a, b) return a.taken < b.taken end)
  return entries
end

local function tasks_by_id()
  local tasks = {}
  for _, task in ipairs(require "green.debug".tasks()) do tasks[task.id] = task end
  return tasks
end

local function describe(entry, tasks, now)
  local task, taken = tasks[entry.task], entry.place and ", taken at " .. entry.place or ""
  local text = ("task %d has one for %.3g s%s"):format(entry.task, now - entry.taken, taken)
  if not task then return text .. ", and has ended" end
  local stands = task.line ~= "" and ", at " .. task.line or ""
  return ("%s: %s%s%s"):format(text, task.name, stands, task.waits_for and ", waiting for " .. task.waits_for or "")
end

--- Returns what is known of each of the entries, as texts.
function M.describe(entries)
  local now, tasks, texts = timer.now(), tasks_by_id(), {}
  for i, entry in ipairs(entries) do texts[i] = describe(entry, tasks, now) end
  return texts
end

--- Returns who has the connections, as a text: none while they are being made.
function M.text(self)
  local now = timer.now()
  if self.told and now - self.told.at < FRESH then return self.told.text end
  local entries = M.lent(self)
  local texts = M.describe({ table.unpack(entries, 1, MOST) })
  if #entries > MOST then texts[#texts + 1] = ("and %d more"):format(#entries - MOST) end
  self.told = { at = now, text = (#texts > 0 and ": " or "") .. table.concat(texts, "; ") }
  return self.told.text
end

return M
