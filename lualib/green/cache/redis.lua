-- SPDX-License-Identifier: MIT
-- Internal.
-- The store of a cache in Redis, which all processes share. How long an entry stays there says how fresh it is: no clock is compared with
-- another machine's.
local Store = {}
Store.__index = Store

--- Returns the text and whether it is fresh; nil when there is none. Waits, as all here do.
function Store:get(key)
  local text = self.redis:get(key)
  if not text then return nil end
  local stale, rest = text:match "^(%d+) (.*)$"
  if not stale then return nil end -- somebody else's
  stale = tonumber(stale)
  if stale == 0 then return rest, true end
  local left = self.redis:pttl(key)
  return rest, left > stale
end

--- Keeps a text, which is fresh for `ttl` seconds, and there for `stale` seconds more.
function Store:set(key, text, ttl, stale)
  local ms = math.max(1, math.ceil((ttl + stale) * 1000))
  self.redis:set(key, ("%d %s"):format(math.ceil(stale * 1000), text), "PX", ms)
end

function Store:delete(key) self.redis:del(key) end

return function(redis) return setmetatable({ redis = redis }, Store) end
