-- SPDX-License-Identifier: MIT
-- Internal.
-- This file decides which proxy a request goes through: the one of the options, or the environment's. HTTP_PROXY in capitals is not
-- read, since a CGI script finds its client's header "Proxy" there (httpoxy).
local fault = require "green.error"
local auth = require "green.http.auth"
local failure = require "green.http.failure"
local url = require "green.url"

local M = {}

-- ---- addresses as bytes ----

local function ipv4_bytes(text)
  local parts = table.pack(text:match "^(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)$")
  if not parts[1] then return nil end
  for i = 1, 4 do
    parts[i] = tonumber(parts[i])
    if parts[i] > 255 then return nil end
  end
  return string.char(table.unpack(parts))
end

local function groups(text)
  local bytes = {}
  for group in text:gmatch "[^:]+" do
    if group:find(".", 1, true) then bytes[#bytes + 1] = ipv4_bytes(group) or ""
    else bytes[#bytes + 1] = (">I2"):pack(tonumber(group, 16)) end
  end
  return table.concat(bytes)
end

local function ipv6_bytes(text)
  if not pcall(url.parse, "http://[" .. text .. "]/") then return nil end -- green.url alone decides what an address is
  local at = text:find("::", 1, true)
  if not at then return groups(text) end
  local front, back = groups(text:sub(1, at - 1)), groups(text:sub(at + 2))
  return front .. ("\0"):rep(16 - #front - #back) .. back
end

local function address_bytes(host)
  host = host:match "^%[(.*)%]$" or host
  if host:find(":", 1, true) then return ipv6_bytes(host) end
  return ipv4_bytes(host)
end

local function same_prefix(a, b, bits)
  if #a ~= #b or bits > #a * 8 then return false end
  local whole, rest = bits // 8, bits % 8
  if a:sub(1, whole) ~= b:sub(1, whole) then return false end
  return rest == 0 or (a:byte(whole + 1) ~ b:byte(whole + 1)) >> (8 - rest) == 0
end

-- ---- no_proxy ----

-- Returns an entry as a table: { bytes =, bits = } for a network, { name = } for a domain, and the `port` if the entry names one.
local function entry_of(text)
  local address, bits = text:match "^(.*)/(%d%d?%d?)$"
  local bytes = address_bytes(address or text)
  if bytes then return { bytes = bytes, bits = tonumber(bits) or #bytes * 8 } end
  local host, port = text:match "^(%[[^%]]*%]):(%d+)$"
  if not host then host, port = text:match "^([^:]*):(%d+)$" end
  if host then
    local entry = entry_of(host)
    entry.port = tonumber(port)
    return entry
  end
  return { name = text:gsub("^%*?%.", ""):gsub("%.$", ""):lower() }
end

local function entries_of(text)
  local entries = {}
  for word in text:gmatch "[^,%s]+" do
    if word == "*" then return { all = true } end
    entries[#entries + 1] = entry_of(word)
  end
  return entries
end

local read, read_entries -- the last value of no_proxy and its entries, since the value hardly ever changes

local function is_exempt(text, parts, port)
  if text ~= read then read, read_entries = text, entries_of(text) end
  local entries = read_entries
  if entries.all then return true end
  local host = parts.host:gsub("%.$", "")
  local bytes = address_bytes(host)
  for _, entry in ipairs(entries) do
    if entry.port and entry.port ~= port then goto continue end
    if entry.bytes then
      if bytes and same_prefix(bytes, entry.bytes, entry.bits) then return true end
    elseif host == entry.name or not bytes and host:sub(-#entry.name - 1) == "." .. entry.name then
      return true
    end
    ::continue::
  end
  return false
end

-- ---- the proxy ----

--- Takes a proxy's URL apart into scheme, host, port and authorization. Raises EINVAL by `op`; `whose` says where the URL came from.
function M.parse(op, whose, text)
  local ok, parts = pcall(url.parse, text:find("://", 1, true) and text or "http://" .. text)
  text = text:gsub("^(.*)@", "***@") -- a message must not show the password
  if not ok and not fault.is(parts, "EINVAL") then error(parts, 0) end
  if not ok or not parts.host or parts.host == "" then failure.raise(op, "request", "EINVAL", "%s: '%s' is no URL of a proxy", whose, text) end
  if parts.scheme ~= "http" then failure.raise(op, "request", "EINVAL", "%s: a proxy is spoken to by http://, not %s://", whose, parts.scheme) end
  return {
    scheme = "http", host = parts.host:match "^%[(.*)%]$" or parts.host, port = parts.port or 80,
    authorization = parts.user and auth.basic(parts.user, parts.password) or nil,
  }
end

-- The variables to look at, in order.
local OF_HTTP, OF_HTTPS = { "http_proxy", "all_proxy", "ALL_PROXY" }, { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY" }
local EXEMPT = { "no_proxy", "NO_PROXY" }

-- The environment's variables, read when they are first needed: Lua has no way to change them, and a request should not look for seven of them.
local environment = setmetatable({}, { __index = function(all, name)
  all[name] = os.getenv(name) or ""
  return all[name]
end })

local function of_environment(name) return environment[name] end

local function from(getenv, names)
  for i = 1, #names do
    local value = getenv(names[i])
    if value and value ~= "" then return value, names[i] end
  end
end

--- Returns the proxy for a URL's parts and port, or nil. `setting` is a proxy's URL, false for no proxy, or nil for the environment's.
function M.select(op, setting, parts, port, getenv)
  if setting == false then return nil end
  if setting then return M.parse(op, "proxy", setting) end
  getenv = getenv or of_environment
  local text, name = from(getenv, parts.scheme == "https" and OF_HTTPS or OF_HTTP)
  if not text then return nil end
  local exempt = from(getenv, EXEMPT)
  if exempt and is_exempt(exempt, parts, port) then return nil end
  return M.parse(op, name, text)
end

return M
