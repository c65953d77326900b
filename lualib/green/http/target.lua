-- SPDX-License-Identifier: MIT
-- Internal.
-- This file finds out what a request is for: it takes a URL apart, puts a relative one below a client's base_url, and adds the query.
local err = require "green.error"
local failure = require "green.http.failure"
local redirect = require "green.http.redirect"
local url = require "green.url"

local M = {}

-- Returns a URL's parts. Raises EINVAL for what is no URL with http or https.
local function parts_of(op, target)
  local ok, parts = pcall(url.parse, target)
  if not ok and not err.is(parts, "EINVAL") then error(parts, 0) end -- memory or a library is missing
  if not ok then failure.raise(op, "request", "EINVAL", "%s", (parts.message:gsub("^url%.parse: ", ""))) end
  if not parts.scheme or not parts.host then failure.raise(op, "request", "EINVAL", "'%s' is not a URL with http:// or https://", target) end
  if not redirect.PORTS[parts.scheme] then failure.raise(op, "request", "EINVAL", "unsupported scheme '%s': only http and https", parts.scheme) end
  return parts
end

--- Returns the parts of a URL, without its credentials, and these as { user, password } or nil. Letters that are not ASCII are escaped.
function M.check(op, target)
  local parts = parts_of(op, target)
  local credentials = parts.user and { parts.user, parts.password or "" } or nil
  parts.user, parts.password = nil, nil
  for _, name in ipairs { "path", "query", "fragment" } do parts[name] = parts[name] and parts[name]:gsub("[\128-\255]", url.encode) end
  return parts, credentials
end

-- Returns the absolute URL. With a base_url, other servers are refused, since the client's headers may be secrets.
local function on_base(settings, op, target)
  local base = settings.base_url
  if not base then return target end
  if not target:find "^%a[%w+.-]*://" then
    if target == "" or target:find "^[?#]" then return base .. target end
    return (base:gsub("/$", "")) .. "/" .. (target:gsub("^/", ""))
  end
  if redirect.origin(parts_of(op, target)) ~= redirect.origin(parts_of(op, base)) then
    failure.raise(op, "request", "EINVAL", "%s is on another server than this client's base_url", target)
  end
  return target
end

local function add_query(parts, query)
  local text = url.encode_query(query)
  if text ~= "" then parts.query = parts.query and parts.query .. "&" .. text or text end
end

--- Returns the target of the request line, escaped as browsers escape it.
function M.line(parts)
  local path = url.normalize_path(parts.path == "" and "/" or parts.path):gsub('["<>^`{}]', url.encode)
  return path .. (parts.query and "?" .. parts.query:gsub("[\"<>']", url.encode) or "")
end

-- For each client's settings, `kept` holds the URLs that were asked for, since taking a URL apart costs more than all else in a request.
local kept = setmetatable({}, { __mode = "k", __index = function(all, settings)
  all[settings] = { urls = {}, count = 0 }
  return all[settings]
end })

local MANY, LONG = 256, 256 -- URLs, and bytes of one

local function understand(op, settings, text)
  local parts, credentials = M.check(op, on_base(settings, op, text))
  return { parts = parts, url = url.build(parts), target = M.line(parts), credentials = credentials }
end

-- Returns a URL as { parts, url, target, credentials }. Requests share this table, so that nobody may change it. URLs with credentials
-- are not kept.
local function understood(op, settings, text)
  local known = kept[settings]
  if known.urls[text] then return known.urls[text] end
  local it = understand(op, settings, text)
  if #text > LONG or it.credentials then return it end
  if known.count >= MANY then known.urls, known.count = {}, 0 end
  known.urls[text], known.count = it, known.count + 1
  return it
end

local function with_query(it, query)
  local parts = {}
  for name, value in pairs(it.parts) do parts[name] = value end
  add_query(parts, query)
  return { parts = parts, url = url.build(parts), target = M.line(parts), credentials = it.credentials }
end

--- Returns what a request with these settings and query (nil: none) is for: { parts, url (absolute, without credentials), target (of the request
--- line), credentials ({ user, password } or nil) }. Nobody may change the table.
function M.of(op, settings, text, query)
  if type(text) ~= "string" then err.misuse("%s: url: a string expected, got %s", op, type(text)) end
  local it = understood(op, settings, text)
  return query and with_query(it, query) or it
end

--- Refuses TLS options for a URL that is not https, when no redirect can lead to one that is: their author takes the connection for a safe one.
function M.check_tls(op, parts, opts, redirects)
  if parts.scheme == "https" or redirects ~= 0 then return end
  for _, name in ipairs { "tls", "ca" } do
    if opts[name] then failure.raise(op, "request", "EINVAL", "option '%s': the URL is http://, and no redirect is followed", name) end
  end
end

return M
