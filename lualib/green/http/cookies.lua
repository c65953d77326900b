-- SPDX-License-Identifier: MIT
-- Internal.
-- A cookie jar (RFC 6265bis) decides which cookies of an answer are kept, and which of the kept ones a request carries.
local fault = require "green.error"
local native = require "green.domain.native"
local options = require "green.options"
local set_cookie = require "green.http.set_cookie"
local url = require "green.url"

local PER_DOMAIN, IN_ALL = 180, 3000 -- cookies; browsers have the same limits
local LONGEST = 400 * 86400 -- seconds a cookie is kept at most

local Jar = { __name = "green.http.jar" }
Jar.__index = Jar

local is_jar = fault.receiver(Jar, "jar")

local M = { is = function(value) return getmetatable(value) == Jar end }

-- ---- what matches what ----

local function is_address(host) return host:find("^%[") or host:find("^%d+%.%d+%.%d+%.%d+$") end

-- Tells whether the host is the domain or a name below it.
local function domain_matches(host, domain)
  return host == domain or host:sub(-#domain - 1) == "." .. domain and not is_address(host)
end

local function path_matches(path, prefix)
  if path == prefix then return true end
  return path:sub(1, #prefix) == prefix and (prefix:sub(-1) == "/" or path:sub(#prefix + 1, #prefix + 1) == "/")
end

local function default_path(path)
  local folder = path:match "^(/.*)/[^/]*$"
  return folder or "/"
end

local function parts_of(op, target)
  local parts = url.parse(target)
  if not parts.scheme or not parts.host then fault.raise(op, "EINVAL", "'%s' is not a URL with http:// or https://", target) end
  if parts.path == "" then parts.path = "/" end
  return parts
end

-- ---- the store: a list of cookies for each domain ----

local function find(list, cookie)
  for i, known in ipairs(list) do
    if known.name == cookie.name and known.path == cookie.path and known.host_only == cookie.host_only then return i end
  end
end

local function is_over(cookie, now) return cookie.expires and cookie.expires <= now end

local function remove(jar, list, i)
  local cookie = table.remove(list, i)
  jar.count = jar.count - 1
  if #list == 0 then jar.domains[cookie.domain] = nil end
  local named = jar.secure[cookie.name]
  if not named then return end
  named[cookie] = nil
  if not next(named) then jar.secure[cookie.name] = nil end
end

local function insert(jar, list, cookie)
  list[#list + 1] = cookie
  jar.domains[cookie.domain] = list
  jar.count = jar.count + 1
  if not cookie.secure then return end
  jar.secure[cookie.name] = jar.secure[cookie.name] or {}
  jar.secure[cookie.name][cookie] = true
end

local function drop(jar, list, is_unwanted)
  for i = #list, 1, -1 do
    if is_unwanted(list[i]) then remove(jar, list, i) end
  end
end

-- Drops the cookie of the list that was used longest ago.
local function drop_oldest(jar, list)
  local oldest = 1
  for i = 2, #list do
    if list[i].used < list[oldest].used then oldest = i end
  end
  remove(jar, list, oldest)
end

-- Drops a quarter of a full jar: the search goes through the whole jar, and its cost is shared by the many cookies stored after it.
local function drop_quarter(jar)
  local used = {}
  for _, list in pairs(jar.domains) do
    for _, cookie in ipairs(list) do used[#used + 1] = cookie.used end
  end
  table.sort(used)
  local last = used[IN_ALL // 4]
  for _, list in pairs(jar.domains) do drop(jar, list, function(cookie) return cookie.used <= last end) end
end

local function make_room(jar, list, now)
  local function is_expired(cookie) return is_over(cookie, now) end
  if #list >= PER_DOMAIN then drop(jar, list, is_expired) end
  if #list >= PER_DOMAIN then drop_oldest(jar, list) end
  if jar.count < IN_ALL then return end
  for _, each in pairs(jar.domains) do drop(jar, each, is_expired) end
  if jar.count >= IN_ALL then drop_quarter(jar) end
end

local function put(jar, cookie, now)
  local list = jar.domains[cookie.domain] or {}
  local at = find(list, cookie)
  if at then
    cookie.created = list[at].created
    remove(jar, list, at)
  end
  if is_over(cookie, now) then return end
  make_room(jar, list, now)
  jar.tick = jar.tick + 1
  cookie.created, cookie.used = cookie.created or jar.tick, jar.tick
  insert(jar, list, cookie)
end

-- ---- what may be kept ----

-- Returns the domain of a cookie that a host sets, and whether the cookie is for that host only; nil when the host may not set it.
local function domain_of(host, attribute)
  local domain = attribute and attribute:gsub("^%.", ""):lower() or ""
  if domain == "" then return host, true end
  if domain:find "[\128-\255]" then domain = native.to_ascii(domain) end
  if not domain or not domain_matches(host, domain) then return nil end
  if is_address(host) then return host, true end
  if native.is_public_suffix(domain) then
    if domain == host then return host, true end
    return nil
  end
  return domain, false
end

-- Tells whether a cookie that came in the clear would stand before a secure one of the same name, which only TLS may replace.
local function would_hide_secure(jar, cookie)
  for known in pairs(jar.secure[cookie.name] or {}) do
    local related = domain_matches(known.domain, cookie.domain) or domain_matches(cookie.domain, known.domain)
    if related and path_matches(cookie.path, known.path) then return true end
  end
  return false
end

local function has_its_prefix_right(cookie, given_path)
  local name = (cookie.name == "" and cookie.value or cookie.name):lower()
  local secure, host = name:find("__secure-", 1, true) == 1, name:find("__host-", 1, true) == 1
  if cookie.name == "" then return not secure and not host end
  if secure then return cookie.secure end
  return not host or cookie.secure and cookie.host_only and given_path == "/"
end

local function store(jar, parts, line, now)
  local given = set_cookie.parse(line)
  if not given then return false end
  local domain, host_only = domain_of(parts.host, given.domain)
  if not domain then return false end
  local secure = parts.scheme == "https" or parts.scheme == "wss"
  local expires = given.max_age and now + given.max_age or given.expires
  local cookie = {
    name = given.name, value = given.value, domain = domain, host_only = host_only, path = given.path or default_path(parts.path),
    secure = given.secure, http_only = given.http_only, same_site = given.same_site, expires = expires and math.min(expires, now + LONGEST),
  }
  if not secure and (cookie.secure or would_hide_secure(jar, cookie)) then return false end
  if not has_its_prefix_right(cookie, given.path) then return false end
  put(jar, cookie, now)
  return true
end

-- ---- what is sent ----

-- Calls visit(list) for the host and each domain above it.
local function each_list(jar, host, visit)
  local domain = host
  while domain do
    if jar.domains[domain] then visit(jar.domains[domain], domain == host) end
    domain = not is_address(domain) and domain:match "^[^.]*%.(.+)$"
  end
end

local function matching(jar, parts, now)
  local found, secure = {}, parts.scheme == "https" or parts.scheme == "wss"
  each_list(jar, parts.host, function(list, exact)
    for _, cookie in ipairs(list) do
      if (exact or not cookie.host_only) and (secure or not cookie.secure) and not is_over(cookie, now) and path_matches(parts.path, cookie.path) then
        jar.tick = jar.tick + 1
        cookie.used = jar.tick
        found[#found + 1] = cookie
      end
    end
  end)
  table.sort(found, function(a, b)
    if #a.path ~= #b.path then return #a.path > #b.path end
    return a.created < b.created
  end)
  return found
end

-- ---- what is public ----

--- Returns the value of the Cookie header for a request to this URL, nil when no cookie is for it.
function Jar:header(target)
  is_jar(self, "header")
  options.argument("jar:header", "url", target, "string")
  local list = matching(self, parts_of("jar:header", target), os.time())
  for i, cookie in ipairs(list) do list[i] = cookie.name == "" and cookie.value or cookie.name .. "=" .. cookie.value end
  return list[1] and table.concat(list, "; ")
end

--- Takes a Set-Cookie line of an answer from this URL. Returns whether the line had an effect: its cookie was kept, or deleted one.
function Jar:store(target, line)
  is_jar(self, "store")
  options.argument("jar:store", "url", target, "string")
  options.argument("jar:store", "line", line, "string")
  return store(self, parts_of("jar:store", target), line, os.time())
end

local FIELDS = {
  name = "string", value = "string", domain = "string", host_only = "boolean", path = "string", secure = "boolean", http_only = "boolean",
  same_site = "string", expires = "number",
}

--- Returns the cookies as plain tables, which http.cookies takes again.
function Jar:list()
  is_jar(self, "list")
  local all, now = {}, os.time()
  for _, list in pairs(self.domains) do
    for _, cookie in ipairs(list) do
      if not is_over(cookie, now) then all[#all + 1] = cookie end
    end
  end
  table.sort(all, function(a, b) return a.created < b.created end)
  for i, cookie in ipairs(all) do
    all[i] = {}
    for name in pairs(FIELDS) do all[i][name] = cookie[name] end
  end
  return all
end

function Jar:clear()
  is_jar(self, "clear")
  self.domains, self.secure, self.count = {}, {}, 0
end

function M.new(list)
  local jar = setmetatable({ domains = {}, secure = {}, count = 0, tick = 0 }, Jar) -- secure maps a name to the set of its secure cookies
  native.is_public_suffix "localhost" -- raises now, not at the first answer, where libpsl is missing
  for i, given in ipairs(options.argument("http.cookies", "list", list or {}, "table")) do
    local cookie = {}
    for name, value in pairs(options.check(("http.cookies: cookie %d"):format(i), given, FIELDS, "field")) do cookie[name] = value end
    if not cookie.name or not cookie.value or not cookie.domain then fault.misuse("http.cookies: cookie %d: name, value and domain expected", i) end
    cookie.domain, cookie.path, cookie.host_only = cookie.domain:lower(), cookie.path or "/", cookie.host_only ~= false
    if set_cookie.is_bad(cookie.name .. cookie.value) then fault.misuse("http.cookies: cookie %d: control characters in it", i) end
    put(jar, cookie, os.time())
  end
  return jar
end

return M
