-- SPDX-License-Identifier: MIT
-- Internal.
-- What is special about some commands: those that wait in the server, those that change their connection, and those that only read.
local M = {}

local function set(names)
  local all = {}
  for name in names:gmatch "%S+" do all[name] = true end
  return all
end

local function last(...) return tonumber((select(select("#", ...), ...))) end
local function first(...) return tonumber((...)) end

-- XREAD [COUNT n] BLOCK milliseconds STREAMS ...: nil without BLOCK
local function option_block(...)
  for i = 1, select("#", ...) - 1 do
    local word = select(i, ...)
    if type(word) == "string" and word:upper() == "STREAMS" then return nil end
    if type(word) == "string" and word:upper() == "BLOCK" then
      local ms = tonumber((select(i + 1, ...)))
      return ms and ms / 1000
    end
  end
end

local function milliseconds(...)
  local ms = last(...)
  return ms and ms / 1000
end

--- Commands that wait in the server, and hold up whatever follows on their connection: name -> function(arguments) -> seconds, 0 for
--- ever, nil when this call does not wait.
M.blocking = {
  BLMOVE = last, BLPOP = last, BRPOP = last, BRPOPLPUSH = last, BZPOPMAX = last, BZPOPMIN = last,
  BLMPOP = first, BZMPOP = first, WAIT = milliseconds, WAITAOF = milliseconds, XREAD = option_block, XREADGROUP = option_block,
}

--- Commands that change their connection for all who share it: name -> what to do instead.
M.refused = {}
for name in pairs(set "MULTI EXEC DISCARD") do M.refused[name] = "use redis:multi(fn)" end
for name in pairs(set "WATCH UNWATCH") do M.refused[name] = "use redis:watch(keys, fn)" end
for name in pairs(set "SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE") do
  M.refused[name] = "use redis:subscribe(...), redis:psubscribe(...) or redis:ssubscribe(...)"
end
for name in pairs(set "SELECT AUTH HELLO") do M.refused[name] = "say it in the URL" end
for name in pairs(set "QUIT RESET") do M.refused[name] = "use redis:close()" end
M.refused.MONITOR = "it never ends; use redis-cli"

--- Of those, what is refused even where a task has the connection to itself: what never answers, or not as a command does.
M.never = set "SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE MONITOR QUIT HELLO"

--- Commands that only read: what was lost with a connection is asked again.
M.reads = set [[
  BITCOUNT BITPOS DBSIZE DUMP ECHO EXISTS EXPIRETIME GEODIST GEOHASH GEOPOS GEOSEARCH GET GETBIT GETRANGE HEXISTS HGET HGETALL HKEYS HLEN
  HMGET HRANDFIELD HSCAN HSTRLEN HVALS INFO KEYS LINDEX LLEN LPOS LRANGE MGET PEXPIRETIME PFCOUNT PING PTTL RANDOMKEY SCAN SCARD SDIFF
  SINTER SISMEMBER SMEMBERS SMISMEMBER SRANDMEMBER SSCAN STRLEN SUNION TIME TTL TYPE XLEN XRANGE XREVRANGE ZCARD ZCOUNT ZLEXCOUNT
  ZMSCORE ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZRANK ZREVRANGE ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE
]]

--- The words of a method's name: "get" -> "GET"; "client_info" -> "CLIENT", "INFO"; "eval_ro" -> "EVAL_RO".
function M.words(method)
  local name = method:upper()
  if name:find "_RO$" then return name end
  local command, rest = name:match "^([^_]+)_(.+)$"
  if not command then return name end
  return command, (rest:gsub("_", "-"))
end

return M
