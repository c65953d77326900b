-- SPDX-License-Identifier: MIT
-- Internal.
-- The store of a cache in this process: the entry that was used longest ago goes when there are too many, or too many bytes.
-- Entries are in a ring, { key =, text =, fresh =, gone = when (task.now()), before =, behind = } around `head`: the newest is head.behind.
local scope = require "green.scope.native"
local timer = require "green.timer.native"

local Memory = {}
Memory.__index = Memory

local OVERHEAD = 200 -- bytes of an entry, about, beside key and text

local function size_of(entry) return #entry.key + #entry.text + OVERHEAD end

local function unlink(entry)
  entry.before.behind, entry.behind.before = entry.behind, entry.before
end

local function link(self, entry)
  local head = self.head
  entry.before, entry.behind = head, head.behind
  head.behind.before, head.behind = entry, entry
end

local function remove(self, entry)
  unlink(entry)
  self.by_key[entry.key] = nil
  self.count, self.bytes = self.count - 1, self.bytes - size_of(entry)
end

--- Returns the text and whether it is fresh; nil when there is none.
function Memory:get(key)
  local _ <close> = scope.atomic()
  local entry, now = self.by_key[key], timer.now()
  if not entry then return nil end
  if entry.gone <= now then
    remove(self, entry)
    return nil
  end
  unlink(entry)
  link(self, entry)
  return entry.text, entry.fresh > now
end

--- Keeps a text, which is fresh for `ttl` seconds, and there for `stale` seconds more.
function Memory:set(key, text, ttl, stale)
  local now = timer.now()
  local entry = { key = key, text = text, fresh = now + ttl, gone = now + ttl + stale }
  local _ <close> = scope.atomic()
  if self.by_key[key] then remove(self, self.by_key[key]) end
  self.by_key[key] = entry
  link(self, entry)
  self.count, self.bytes = self.count + 1, self.bytes + size_of(entry)
  while self.count > 1 and (self.count > self.max_entries or self.bytes > self.max_bytes) do remove(self, self.head.before) end
end

function Memory:delete(key)
  local _ <close> = scope.atomic()
  local entry = self.by_key[key]
  if entry then remove(self, entry) end
end

return function(max_entries, max_bytes)
  local head = {}
  head.before, head.behind = head, head
  return setmetatable({ head = head, by_key = {}, count = 0, bytes = 0, max_entries = max_entries, max_bytes = max_bytes }, Memory)
end
