-- SPDX-License-Identifier: MIT
-- Internal.
-- Jobs that are enqueued by the clock. Each process that works looks at its own clock; the database knows when an entry last was due, and who is
-- the first to say that it is due again enqueues the job, in the same transaction. Of times that passed while nobody looked, the last counts.
local cron = require "green.jobs.cron"

local M = {}

local entries = {} -- by name: { name =, expression =, spec =, job =, args = as JSON, overlap =, last = { [store] = time }, next = time }

-- Adds an entry, or replaces the one that says the same.
function M.add(expression, spec, job, args, overlap)
  local name = ("%s %s %s"):format(job, expression, args)
  entries[name] = {
    name = name, expression = expression, spec = spec, job = job, args = args, overlap = overlap, last = setmetatable({}, { __mode = "k" }), next = 0,
  }
end

-- Returns the entries, in the order of their names.
function M.list()
  local list = {}
  for _, entry in pairs(entries) do list[#list + 1] = entry end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

local function enqueue(store, entry)
  store:add(entry.job, entry.args, not entry.overlap and "cron " .. entry.expression .. " " .. entry.args or nil, nil, 0)
end

local function look(store, entry, now)
  local last = entry.last[store] or store:last(entry.name, now)
  local at = cron.previous(entry.spec, now)
  if at > last then
    store:due(entry.name, at, function() enqueue(store, entry) end)
    last = at
  end
  entry.last[store], entry.next = last, cron.next(entry.spec, now)
end

-- Enqueues what is due. Waits, if anything is.
function M.look(store)
  local now = os.time()
  for _, entry in ipairs(M.list()) do
    if not entry.last[store] or now >= entry.next then look(store, entry, now) end
  end
end

return M
