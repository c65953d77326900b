-- SPDX-License-Identifier: MIT
-- Internal.
-- The store of a cache in a table of a database, which is made when it is first needed. Times are seconds of the clock on the wall.
local Store = {}
Store.__index = Store

local SWEEP = 100 -- one of so many entries that are kept sweeps those that are gone

local function prepare(self)
  if self.ready then return end
  self.db:exec "CREATE TABLE IF NOT EXISTS green_cache (key TEXT PRIMARY KEY, value TEXT NOT NULL, fresh REAL NOT NULL, gone REAL NOT NULL)"
  self.ready = true
end

--- Returns the text and whether it is fresh; nil when there is none. Waits, as all here do.
function Store:get(key)
  prepare(self)
  local now = os.time()
  local row = self.db:one("SELECT value, fresh FROM green_cache WHERE key = $1 AND gone > $2", key, now)
  if row then return row.value, row.fresh > now end
end

--- Keeps a text, which is fresh for `ttl` seconds, and there for `stale` seconds more: whole seconds, at least one.
function Store:set(key, text, ttl, stale)
  prepare(self)
  local now = os.time()
  local fresh = now + math.max(1, math.ceil(ttl))
  if math.random(SWEEP) == 1 then self.db:exec("DELETE FROM green_cache WHERE gone <= $1", now) end
  self.db:exec([[INSERT INTO green_cache (key, value, fresh, gone) VALUES ($1, $2, $3, $4)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, fresh = excluded.fresh, gone = excluded.gone]],
    key, text, fresh, fresh + math.ceil(stale))
end

function Store:delete(key)
  prepare(self)
  self.db:exec("DELETE FROM green_cache WHERE key = $1", key)
end

return function(db) return setmetatable({ db = db, ready = false }, Store) end
