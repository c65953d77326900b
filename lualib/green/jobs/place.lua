-- SPDX-License-Identifier: MIT
-- Internal.
-- Which database the jobs of this process are in, and how it works on them: what jobs.configure says, else the database of the app.
local fault = require "green.error"

local M = {
  concurrency = 10, -- jobs at once
  poll = 1,         -- seconds between two looks at the database
  lease = 60,       -- seconds after which another process takes over what a dead one has left
  served = false,   -- is this a process that serves an app, and so works on its jobs?
}

local of_app, configured -- databases
local store -- the one that is used, for `store.db`

-- app:database calls this.
function M.note_app(db) of_app = db end

function M.configure(given)
  configured = given.db or configured
  for _, name in ipairs { "concurrency", "poll", "lease" } do M[name] = given[name] or M[name] end
end

-- Returns the database, or nil if nobody has said which.
function M.db() return configured or of_app end

-- Returns the store in it.
function M.store(where)
  local db = M.db()
  if not db then fault.misuse("%s: which database? app:database(db) says so, or jobs.configure { db = db }", where) end
  if not store or store.db ~= db then store = require "green.jobs.store"(db) end
  return store
end

-- Returns how many jobs this process may run at once: what the environment says goes before what the app says.
function M.at_once()
  local text = os.getenv "GREENLUA_JOBS"
  if not text then return M.concurrency end
  if text == "off" then return 0 end
  local number = text:find "^%d+$" and math.tointeger(tonumber(text))
  return number or fault.raise("jobs", "EINVAL", "GREENLUA_JOBS: 'off' or a number of jobs to run at once expected, not '%s'", text)
end

return M
