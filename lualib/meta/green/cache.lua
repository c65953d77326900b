---@meta green.cache
-- SPDX-License-Identifier: MIT

---Caches: values that take long to compute, kept for a while in this process, in Redis or in a database.
---Values are what JSON can say. A thousand tasks that miss the same key at once compute it once. A store that fails is logged, and
---values are computed instead.
---```lua
---local cache = require "green.cache".new()
---local function load(key) return { name = key:upper() } end
---print(cache:get("soup", 60, load).name, cache:get("soup", 60, load).name) --> SOUP  SOUP
---print(cache:stats().loads) --> 1
---```
---@class green.cache
local cache = {}

---@class green.cache.options
---@field redis? green.redis.Client keeps values in Redis, for all processes
---@field db? green.db.Database keeps values in the table `green_cache`, which is made when it is needed; times are whole seconds
---@field prefix? string before each key in the store ("cache:")
---@field max_entries? integer in this process (10000): what was used longest ago goes first
---@field max_bytes? integer in this process (64 MiB)

---A cache; in this process unless `redis` or `db` says otherwise.
---Does not wait.
---Raises: a message for unknown or mistyped options.
---```lua
---local small = require "green.cache".new { max_entries = 1 }
---small:set("a", 1, 60)
---small:set("b", 2, 60)
---print(small:peek "a", small:peek "b") --> nil  2
---```
---@param options? green.cache.options
---@return green.Cache
function cache.new(options) end

---A cache.
---@class green.Cache
local Cache = {}

---The value that is kept, else `loader(key)`, which is kept unless it is nil. Whoever asks for it meanwhile gets the same result, or
---the same error, which is not kept.
---With `stale` a value that is older than `ttl`, by up to so many seconds, is returned at once, and computed anew meanwhile.
---Waits for the store, and as `loader` does.
---Raises: what `loader` raises; EJSON for a value that JSON cannot say.
---```lua
---local cache = require "green.cache".new()
---local function price(key) return #key end
---print(cache:get("tea", 0.5, price, { stale = 60 })) --> 3
---```
---@param key string
---@param ttl number seconds
---@param loader fun(key: string): any
---@param options? { stale?: number } seconds
---@return any
function Cache:get(key, ttl, loader, options) end

---The value that is kept; nil when there is none.
---Waits for the store.
---```lua
---print(require "green.cache".new():peek "tea") --> nil
---```
---@param key string
---@return any
function Cache:peek(key) end

---Keeps a value.
---Waits for the store.
---Raises: EJSON for a value that JSON cannot say.
---```lua
---local cache = require "green.cache".new()
---cache:set("tea", { price = 3 }, 60)
---print(cache:peek("tea").price) --> 3
---```
---@param key string
---@param value any not nil
---@param ttl number seconds
function Cache:set(key, value, ttl) end

---Forgets a value.
---Waits for the store.
---```lua
---local cache = require "green.cache".new()
---cache:set("tea", 3, 60)
---cache:delete "tea"
---print(cache:peek "tea") --> nil
---```
---@param key string
function Cache:delete(key) end

---@class green.cache.stats
---@field hits integer values that were there
---@field misses integer values that were not
---@field loads integer calls of a loader
---@field errors integer failures of the store

---What this process asked of the cache so far.
---Does not wait.
---```lua
---print(require "green.cache".new():stats().hits) --> 0
---```
---@return green.cache.stats
function Cache:stats() end

return cache
