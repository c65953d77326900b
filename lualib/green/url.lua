-- SPDX-License-Identifier: MIT
-- URLs after RFC 3986: take apart, put together, percent-encode. Pure Lua.
local err = require "green.error"

local M = {}

local escapes = {}
for byte = 0, 255 do escapes[string.char(byte)] = ("%%%02X"):format(byte) end

function M.encode(text)
  return (tostring(text):gsub("[^%w%-._~]", escapes))
end

local function unescape(hex) return string.char(tonumber(hex, 16)) end

function M.decode(text)
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
  local first, pairs_in_order = {}, {}
  for field in text:gmatch("[^&]+") do
    local name, value = field:match("^([^=]*)=?(.*)$")
    name, value = decode_plus(name), decode_plus(value)
    if first[name] == nil then first[name] = value end
    pairs_in_order[#pairs_in_order + 1] = { name, value }
  end
  return first, pairs_in_order
end

-- ---- whole URLs ----

local function cut(text, mark)
  local at = text:find(mark, 1, true)
  if not at then return text, nil end
  return text:sub(1, at - 1), text:sub(at + 1)
end

local function parse_authority(url, authority, text)
  local userinfo, hostport = authority:match("^(.*)@(.*)$")
  hostport = hostport or authority
  if userinfo then
    local user, password = cut(userinfo, ":")
    url.user, url.password = M.decode(user), password and M.decode(password)
  end
  local host, port = hostport:match("^(%[[%x:.]+%]):?(%d*)$")
  if not host then host, port = hostport:match("^([^:%[%]]*):?(%d*)$") end
  if not host then err.raise("url.parse", "EINVAL", "bad host or port in '%s'", text) end
  url.host = host:lower()
  url.port = math.tointeger(tonumber(port))
  if url.port and url.port > 65535 then err.raise("url.parse", "EINVAL", "bad port in '%s'", text) end
end

function M.parse(text)
  local bad = text:find("[%c ]")
  if bad then err.raise("url.parse", "EINVAL", "a space or control character at position %d of a URL", bad) end
  local url, rest = {}
  rest, url.fragment = cut(text, "#")
  rest, url.query = cut(rest, "?")
  local scheme, after = rest:match("^(%a[%w+.-]*):(.*)$")
  if scheme then url.scheme, rest = scheme:lower(), after end
  local authority, path = rest:match("^//([^/]*)(.*)$")
  if authority then parse_authority(url, authority, text) end
  url.path = path or rest
  return url
end

local function build_authority(url)
  local out = "//"
  if url.user then
    out = out .. M.encode(url.user) .. (url.password and ":" .. M.encode(url.password) or "") .. "@"
  end
  return out .. url.host .. (url.port and ":" .. url.port or "")
end

function M.build(url)
  local query = url.query
  if type(query) == "table" then query = M.encode_query(query) end
  local path = url.path or ""
  if url.host and path ~= "" and path:sub(1, 1) ~= "/" then path = "/" .. path end
  return (url.scheme and url.scheme .. ":" or "")
    .. (url.host and build_authority(url) or "")
    .. path
    .. (query and query ~= "" and "?" .. query or "")
    .. (url.fragment and "#" .. url.fragment or "")
end

return M
