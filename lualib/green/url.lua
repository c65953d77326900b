-- SPDX-License-Identifier: MIT
-- This module takes URLs apart, puts them together and resolves them as RFC 3986 says. Only names that are not ASCII need C.
local err = require "green.error"

local M = {}

local escapes = setmetatable({}, { -- filled as characters are met, since a script that starts would pay for all 256
  __index = function(known, character)
    known[character] = ("%%%02X"):format(character:byte())
    return known[character]
  end,
})

function M.encode(text)
  return (tostring(text):gsub("[^%w%-._~]", escapes))
end

local function unescape(hex) return string.char(tonumber(hex, 16)) end

local function check_text(where, text)
  if type(text) ~= "string" then err.misuse("%s: a string expected, not %s", where, type(text)) end
end

function M.decode(text)
  check_text("url.decode", text)
  return (text:gsub("%%(%x%x)", unescape))
end

-- ---- query strings ----

local function scalar(name, value)
  local kind = type(value)
  if kind == "number" then return tostring(math.tointeger(value) or value) end
  if kind == "string" or kind == "boolean" then return tostring(value) end
  err.misuse("query parameter '%s': a string, a number or a boolean expected, got %s", name, kind)
end

local function add(out, name, value)
  if type(value) ~= "table" then
    out[#out + 1] = M.encode(name) .. "=" .. M.encode(scalar(name, value))
    return
  end
  for _, each in ipairs(value) do add(out, name, each) end
end

local function sorted_names(params)
  local names = {}
  for name in pairs(params) do
    if type(name) ~= "string" then err.misuse("query parameter names are strings, got %s", type(name)) end
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

function M.encode_query(params)
  if type(params) ~= "table" then err.misuse("url.encode_query: a table expected, not %s", type(params)) end
  local out = {}
  if type(params[1]) == "table" then
    for _, pair in ipairs(params) do add(out, pair[1], pair[2]) end
  else
    for _, name in ipairs(sorted_names(params)) do add(out, name, params[name]) end
  end
  return table.concat(out, "&")
end

local function decode_plus(text) return M.decode((text:gsub("+", " "))) end

function M.decode_query(text)
  check_text("url.decode_query", text)
  local first, pairs_in_order = {}, {}
  for field in text:gmatch("[^&]+") do
    local name, value = field:match("^([^=]*)=?(.*)$")
    name, value = decode_plus(name), decode_plus(value)
    if first[name] == nil then first[name] = value end
    pairs_in_order[#pairs_in_order + 1] = { name, value }
  end
  return first, pairs_in_order
end

-- ---- hosts ----

-- Browsers and HTTP libraries read URLs of these schemes, and each of them mends a malformed URL in its own way. A URL that two of them
-- could read differently is refused.
local STRICT = { http = true, https = true, ws = true, wss = true }

local function bad(what, ...) err.raise("url.parse", "EINVAL", what, ...) end

local function is_ipv4(text)
  local parts = table.pack(text:match "^(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)$")
  for i = 1, 4 do
    local part = parts[i]
    if not part or #part > 1 and part:byte() == 0x30 or tonumber(part) > 255 then return false end
  end
  return true
end

-- Returns how many of the 8 groups of an IPv6 address the text holds, nil when it holds anything else.
local function groups_of(text, may_end_in_ipv4)
  if text == "" then return 0 end
  local count, over = 0, false
  for group in (text .. ":"):gmatch "([^:]*):?" do
    if over then return nil end
    over = may_end_in_ipv4 and is_ipv4(group)
    if not over and not group:find "^%x%x?%x?%x?$" then return nil end
    count = count + (over and 2 or 1)
  end
  return count
end

local function is_ipv6(text)
  local at = text:find("::", 1, true)
  if not at then return groups_of(text, true) == 8 end
  local front, back = groups_of(text:sub(1, at - 1), false), groups_of(text:sub(at + 2), true)
  return front ~= nil and back ~= nil and front + back < 8
end

-- Returns a name with non-ASCII letters as the DNS looks it up (xn--...). A label that becomes plain ASCII (full-width letters, an
-- ideographic full stop) is refused, since other programs would read another name in it.
local function to_ascii(host)
  local ascii, why = require "green.domain.native".to_ascii(host)
  if not ascii then bad("host '%s': %s", host, why) end
  local next_label = ascii:gmatch "[^.]+"
  for label in host:gmatch "[^.]+" do
    local mapped = next_label()
    if label:find "[\128-\255]" and not (mapped and mapped:find "^xn%-%-") then
      bad("host '%s': '%s' is not written in ASCII, but means '%s'", host, label, ascii)
    end
  end
  if next_label() then bad("host '%s': it is read as '%s'", host, ascii) end
  return ascii
end

-- Refuses a name that two programs could read differently: one with escapes or characters that may be mapped to others, or one that ends in
-- a number and is no IPv4 address of four numbers.
local function check_name(host)
  if host == "" then bad "the URL has no host" end
  if host:find "[^%w._-]" or host:find "^%." or host:find("..", 1, true) or #host > 253 then bad("host '%s': a name or an address expected", host) end
  local last = host:gsub("%.$", "")
  last = last:match "^.*%.(.*)$" or last
  if (last:find "^%d+$" or last:find "^0[xX]%x*$") and not is_ipv4(host) then bad("host '%s': an IPv4 address is four numbers up to 255", host) end
end

-- Returns the host as it is looked up.
local function check_host(host, strict)
  if strict and host:find "[\128-\255]" then host = to_ascii(host) end
  local address = host:match "^%[(.*)%]$"
  if address then
    if not is_ipv6(address) then bad("host '%s': no IPv6 address", host) end
  elseif strict then
    check_name(host)
  elseif host:find "[/?#@%[%]:\\]" then
    bad("host '%s': a name or an address expected", host)
  end
  return host:lower()
end

-- ---- whole URLs ----

local function cut(text, mark)
  local at = text:find(mark, 1, true)
  if not at then return text, nil end
  return text:sub(1, at - 1), text:sub(at + 1)
end

local function parse_authority(url, authority, strict)
  local hostport, more
  local userinfo, after = cut(authority, "@")
  hostport = after or authority
  hostport, more = cut(hostport, "@")
  if more then bad "the URL has more than one '@' before its path" end
  if after then
    local user, password = cut(userinfo, ":")
    url.user, url.password = M.decode(user), password and M.decode(password)
  end
  local host, port = hostport:match "^(%[[^%]]*%])(.*)$"
  if not host then host, port = hostport:match "^([^:]*)(.*)$" end
  if not port:find "^:?%d*$" or #port > 6 or #port > 1 and tonumber(port:sub(2)) > 65535 then bad("host '%s': bad port '%s'", host, port:sub(2)) end
  url.host, url.port = check_host(host, strict), math.tointeger(tonumber(port:sub(2)))
end

function M.parse(text)
  check_text("url.parse", text)
  local at = text:find "[%c ]"
  if at then bad("a space or control character at position %d of a URL", at) end
  local url, rest = {}
  rest, url.fragment = cut(text, "#")
  rest, url.query = cut(rest, "?")
  if rest:find("\\", 1, true) then bad "a backslash in the URL" end
  local scheme, after = rest:match "^(%a[%w+.-]*):(.*)$"
  if scheme then url.scheme, rest = scheme:lower(), after end
  local authority, path = rest:match "^//([^/]*)(.*)$"
  local strict = not scheme or STRICT[url.scheme]
  if authority then parse_authority(url, authority, strict)
  elseif scheme and strict then bad("'%s:' without '//' and a host", url.scheme) end
  url.path = path or rest
  return url
end

local function build_authority(url)
  local host = check_host(url.host, STRICT[(url.scheme or "http"):lower()])
  local port = url.port
  if port and not (math.type(port) == "integer" and port >= 0 and port <= 65535) then bad("bad port '%s'", tostring(port)) end
  local out = "//"
  if url.user then
    out = out .. M.encode(url.user) .. (url.password and ":" .. M.encode(url.password) or "") .. "@"
  end
  return out .. host .. (port and ":" .. port or "")
end

-- Escapes the characters of `set`: each would end the part of the URL it stands in, or be refused by `parse`.
local function escaped(text, set) return (text:gsub(set, escapes)) end

-- Returns a path without a host before it, such that no part of the path is read as a host or a scheme.
local function lone_path(url, path)
  if path:find "^//" then return "/." .. path end
  if not url.scheme and path:find "^[^/]*:" then return "./" .. path end
  return path
end

function M.build(url)
  if type(url) ~= "table" then err.misuse("url.build: a table expected, not %s", type(url)) end
  local query, scheme = url.query, url.scheme
  if type(query) == "table" then query = M.encode_query(query) end
  if scheme and not scheme:find "^%a[%w+.-]*$" then bad("bad scheme '%s'", scheme) end
  local path = escaped(url.path or "", "[%c ?#\\]")
  if url.host and path ~= "" and path:sub(1, 1) ~= "/" then path = "/" .. path end
  return (scheme and scheme .. ":" or "")
    .. (url.host and build_authority(url) or "")
    .. (url.host and path or lone_path(url, path))
    .. (query and query ~= "" and "?" .. escaped(query, "[%c #]") or "")
    .. (url.fragment and "#" .. escaped(url.fragment, "[%c ]") or "")
end

-- ---- references ----

--- Returns a path without "." and ".." (RFC 3986, 5.2.4). A ".." at the root stays at the root.
function M.normalize_path(path)
  check_text("url.normalize_path", path)
  if not path:find("/.", 1, true) then return path end
  local kept, folder = {}, false
  for segment in path:gmatch "[^/]*" do
    folder = segment == "." or segment == ".."
    if not folder then kept[#kept + 1] = segment
    elseif segment == ".." and #kept > 1 then kept[#kept] = nil end
  end
  return table.concat(kept, "/") .. (folder and "/" or "")
end

local function merged(base, path)
  if path:sub(1, 1) == "/" then return path end
  return (base.path:match "^(.*/)" or "/") .. path
end

function M.resolve(base, reference)
  check_text("url.resolve", base)
  check_text("url.resolve", reference)
  base, reference = M.parse(base), M.parse(reference)
  if not (base.scheme and base.host) then bad "url.resolve: the base has no scheme and host" end
  if reference.scheme or reference.host then
    reference.scheme = reference.scheme or base.scheme
    if reference.host then reference.path = M.normalize_path(reference.path) end
    return M.build(reference)
  end
  local path, query = base.path, base.query
  if reference.path ~= "" then path, query = M.normalize_path(merged(base, reference.path)), nil end
  return M.build {
    scheme = base.scheme, user = base.user, password = base.password, host = base.host, port = base.port,
    path = path, query = reference.query or query, fragment = reference.fragment,
  }
end

return M
