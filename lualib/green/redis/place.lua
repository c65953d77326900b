-- SPDX-License-Identifier: MIT
-- Internal.
-- Where a server is, and who asks: a URL and options, as settings that are complete.
local fault = require "green.error"
local options = require "green.options"
local url = require "green.url"

local M = {}

local OP = "redis.connect"
local PORT, SENTINEL_PORT = 6379, 26379

local KNOWN = {
  connect_timeout = "time", max_pinned = "count", max_reply = "count", name = "string", password = "string", timeout = "time",
  tls = "boolean|table", user = "string", wait = "seconds",
}

local TLS = {
  alpn = "string|table", ca = "string", cert = "string", key = "string", server_name = "string", timeout = "time", verify = "boolean",
}

local DEFAULTS = { connect_timeout = 5, max_pinned = 16, max_reply = 64 << 20, timeout = 5, wait = 5 }

local SCHEMES = {
  ["redis"] = {}, ["rediss"] = { tls = true }, ["redis+unix"] = { unix = true }, ["unix"] = { unix = true },
  ["redis+sentinel"] = { sentinel = true }, ["rediss+sentinel"] = { sentinel = true, tls = true },
}

local function refuse(text, why) fault.raise(OP, "EINVAL", "%s: %s", text, why) end

-- The number of a database: of "/2", or of "db=2".
local function database(text, of)
  if text == nil or text == "" then return 0 end
  local number = text:match "^%d+$" and math.tointeger(tonumber(text))
  if not number then refuse(of, ("'%s' is no number of a database"):format(text)) end
  return number
end

local function read_query(place, query, text)
  for name, value in pairs(url.decode_query(query or "")) do
    if name ~= "db" or type(value) ~= "string" then refuse(text, ("'%s' in the URL: only db=NUMBER is known"):format(name)) end
    place.db = database(value, text)
  end
end

-- "a,b:26380,[::1]" -> the places that are asked which server is the master.
local function sentinels(hosts, text)
  local list = {}
  for host in hosts:gmatch "[^,]+" do
    local parts = url.parse("redis://" .. host)
    if not parts.host or parts.host == "" then refuse(text, ("'%s' is no host"):format(host)) end
    list[#list + 1] = { host = parts.host:gsub("^%[(.*)%]$", "%1"), port = parts.port or SENTINEL_PORT }
  end
  if #list == 0 then refuse(text, "the hosts of sentinels expected") end
  return list
end

-- redis+sentinel://[user[:password]@]HOST[:PORT][,HOST...]/MASTER[/DB]
local function of_sentinels(place, text, rest)
  local authority, path = rest:match "^//([^/?]*)/([^?]*)$"
  local master = path and path:match "^[^/]+"
  local db = master and path:sub(#master + 1):match "^/?([^/]*)$"
  if not db then refuse(text, "redis+sentinel://HOST[:PORT],.../MASTER[/DB] expected") end
  local who, hosts = authority:match "^([^@]*)@([^@]*)$"
  hosts = hosts or authority
  if who then
    local parts = url.parse("redis://" .. who .. "@host")
    place.user, place.password = parts.user, parts.password
  end
  place.sentinels, place.master, place.db = sentinels(hosts, text), url.decode(master), database(db, text)
end

local function of_path(place, text, rest)
  local path, query = rest:gsub("^//", ""):match "^([^?]*)%??(.*)$"
  if path == "" then refuse(text, "unix:PATH expected") end
  place.path = url.decode(path)
  read_query(place, query, text)
end

local function of_host(place, of, text)
  local parts = url.parse(text)
  if not parts.host or parts.host == "" then refuse(of, "redis://HOST[:PORT][/DB] expected") end
  place.host, place.port = parts.host:gsub("^%[(.*)%]$", "%1"), parts.port or PORT
  place.user, place.password = parts.user, parts.password
  place.db = database(parts.path:match "^/(.*)$", of)
  if parts.query then read_query(place, parts.query, of) end
end

--- The settings: those of `options`, with their defaults, and host and port, path, or sentinels and master; user, password, db; shown, a
--- name without the password.
function M.read(text, given)
  options.argument(OP, "url", text, "string")
  given = options.check(OP, given, KNOWN)
  if type(given.tls) == "table" then options.check(OP .. ": tls", given.tls, TLS) end
  local place = { db = 0 }
  for name, default in pairs(DEFAULTS) do place[name] = default end
  local scheme, rest = text:match "^(%a[%w+.-]*):(.*)$"
  local kind = scheme and SCHEMES[scheme:lower()]
  local of = text:gsub("//[^/]*@", "//...@") -- what an error shows has no password
  if not kind then refuse(of, "redis://, rediss://, unix: or redis+sentinel:// expected") end
  place.tls = kind.tls
  if kind.unix then of_path(place, of, rest)
  elseif kind.sentinel then of_sentinels(place, of, rest)
  else of_host(place, of, text) end
  if place.user == "" then place.user = nil end
  for name, value in pairs(given) do place[name] = value end
  if place.user and not place.password then refuse(of, "a user without a password") end
  place.shown = of
  return place
end

return M
