-- SPDX-License-Identifier: MIT
-- Internal.
-- This file makes the request that a redirect leads to, as WHATWG's fetch does (HTTP-redirect fetch). A request is { method, url, parts (of
-- the url), headers (a flat list of names and values), body (of green.http.body), own (names of the headers that come from the client's
-- settings, lower case), away (true once a redirect has left the origin that was asked for, even if a later one came back) }; one that is planned
-- (green.http.plans) has its plan and its call besides.
local auth = require "green.http.auth"
local fault = require "green.error"
local url = require "green.url"

local LEADS_ON = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }
local OF_THE_BODY = { ["content-encoding"] = true, ["content-language"] = true, ["content-location"] = true, ["content-type"] = true }
local CREDENTIALS = { authorization = true, cookie = true, ["proxy-authorization"] = true, host = true }
local HARMLESS = { accept = true, ["accept-encoding"] = true, ["accept-language"] = true, ["user-agent"] = true }

local PORTS = { http = 80, https = 443 }

local M = { PORTS = PORTS }

--- Returns the origin of a URL's parts, such as "https://h:443".
function M.origin(parts) return ("%s://%s:%d"):format(parts.scheme, parts.host, parts.port or PORTS[parts.scheme]) end

--- Returns the values of an answer's Location headers if the answer is a redirect that has any, else nil.
function M.location(status, headers, repeated)
  if not LEADS_ON[status] or not headers.location then return nil end
  return repeated and repeated.location or { headers.location }
end

local function without(headers, unwanted)
  local kept = {}
  for i = 1, #headers, 2 do
    if not unwanted(headers[i]:lower()) then table.move(headers, i, i + 1, #kept + 1, kept) end
  end
  return kept
end

-- Returns the parts of the URL that a Location means. Servers write spaces and non-ASCII letters as they are, so that these are escaped.
local function target(request, locations, fail)
  for i = 2, #locations do
    if locations[i] ~= locations[1] then fail("EPROTO", "it leads to two places, '%s' and '%s'", locations[1], locations[i]) end
  end
  local text = ((locations[1]:match "^%s*(.*)$"):match "^(.*%S)" or ""):gsub("[\0-\32\127]", url.encode)
  local front, rest = text:match "^([^/?#]*//[^/?#]*)(.*)$" -- a host becomes ASCII by IDNA, not by escapes
  text = (front or "") .. (rest or text):gsub("[\128-\255]", url.encode)
  local ok, whole = pcall(url.resolve, request.url, text)
  if not ok and not fault.is(whole) then error(whole, 0) end
  if not ok then fail("EINVAL", "it leads to '%s': %s", text, whole.message) end
  local parts = url.parse(whole)
  if not PORTS[parts.scheme] or not parts.host then fail("EINVAL", "it leads to '%s': only http and https are followed", text) end
  parts.fragment = parts.fragment or request.parts.fragment
  return parts
end

local function is_changed_to_get(status, method)
  if status == 303 then return method ~= "GET" and method ~= "HEAD" end
  return (status == 301 or status == 302) and method == "POST"
end

--- Returns the request that a redirect leads to. fail(code, format, ...) raises.
function M.follow(request, status, locations, fail)
  local parts = target(request, locations, fail)
  local user, password = parts.user, parts.password
  parts.user, parts.password = nil, nil
  local next = {
    method = request.method, url = url.build(parts), parts = parts, headers = request.headers, own = request.own,
    body = request.body, away = request.away,
  }
  if is_changed_to_get(status, request.method) then
    next.method, next.body = "GET", nil
    next.headers = without(next.headers, function(name) return OF_THE_BODY[name] end)
  elseif request.body and request.body.once then
    fail("EINVAL", "it leads on, and the body cannot be sent a second time")
  end
  if M.origin(parts) ~= M.origin(request.parts) then
    next.away = true
    local own = request.own or {}
    next.headers = without(next.headers, function(name) return CREDENTIALS[name] or own[name] and not HARMLESS[name] end)
  end
  if user then
    next.headers = without(next.headers, function(name) return name == "authorization" end)
    table.move({ "Authorization", auth.basic(user, password) }, 1, 2, #next.headers + 1, next.headers)
  end
  return next
end

return M
