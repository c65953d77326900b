-- SPDX-License-Identifier: MIT
-- Internal.
-- This file takes a Set-Cookie line apart as browsers do (RFC 6265bis, 5.6): a malformed attribute is ignored, and a cookie is
-- refused only for control characters and its size.
local MAX, MAX_ATTRIBUTE = 4096, 1024 -- bytes

local M = {}

--- Tells whether a text has control characters other than a tab, or a ";", which would begin an attribute.
function M.is_bad(text) return text:find "[\0-\8\10-\31\127;]" ~= nil end

local function trim(text) return (text:match "^[ \t]*(.*)$"):match "^(.*[^ \t])" or "" end

-- ---- dates (5.1.1) ----

local MONTHS = { jan = 1, feb = 2, mar = 3, apr = 4, may = 5, jun = 6, jul = 7, aug = 8, sep = 9, oct = 10, nov = 11, dec = 12 }
local DAYS = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

-- Reads one token of a date into `date`: as the time, the day, the month or the year, whichever fits first and is not known yet.
local function take_token(date, token)
  if not date.hour then
    local hour, min, sec = token:match "^(%d%d?):(%d%d?):(%d%d?)%f[%D]"
    if hour then
      date.hour, date.min, date.sec = tonumber(hour), tonumber(min), tonumber(sec)
      return
    end
  end
  if not date.day then
    date.day = tonumber((token:match "^(%d%d?)%f[%D]"))
    if date.day then return end
  end
  if not date.month then
    date.month = MONTHS[token:sub(1, 3):lower()]
    if date.month then return end
  end
  if not date.year then date.year = tonumber((token:match "^(%d%d%d?%d?)%f[%D]")) end
end

local function is_leap(year) return year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0) end

-- Returns the days from 1970 to a date of the proleptic Gregorian calendar.
local function days_since_1970(year, month, day)
  if month <= 2 then year = year - 1 end
  local era, shifted = year // 400, (month + 9) % 12
  local of_era = year - era * 400
  return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + (153 * shifted + 2) // 5 + day - 1 - 719468
end

--- Returns the seconds since 1970, nil when the text is no date.
function M.date(text)
  local date = {}
  for token in text:gmatch "[%w:\128-\255]+" do take_token(date, token) end
  local year = date.year
  if not (year and date.month and date.day and date.hour) then return nil end
  if year >= 70 and year <= 99 then year = year + 1900 elseif year <= 69 then year = year + 2000 end
  if year < 1601 or date.hour > 23 or date.min > 59 or date.sec > 59 then return nil end
  local longest = date.month == 2 and is_leap(year) and 29 or DAYS[date.month]
  if date.day < 1 or date.day > longest then return nil end
  return days_since_1970(year, date.month, date.day) * 86400 + date.hour * 3600 + date.min * 60 + date.sec
end

-- ---- attributes; the last of a name counts ----

local SAME_SITE = { strict = "Strict", lax = "Lax", none = "None" }

local attributes = {
  expires = function(cookie, value) cookie.expires = M.date(value) or cookie.expires end,
  ["max-age"] = function(cookie, value)
    if not value:find "^-?%d+$" then return end
    cookie.max_age = value:sub(1, 1) == "-" and -1 or tonumber(value) == 0 and -1 or math.min(tonumber(value), 1e12) // 1
  end,
  domain = function(cookie, value) cookie.domain = value end,
  path = function(cookie, value) cookie.path = value:sub(1, 1) == "/" and value or nil end,
  secure = function(cookie) cookie.secure = true end,
  httponly = function(cookie) cookie.http_only = true end,
  samesite = function(cookie, value) cookie.same_site = SAME_SITE[value:lower()] end,
}

-- Splits "a = b" into "a" and "b"; without a "=" returns nil and the whole text.
local function pair(text)
  local at = text:find("=", 1, true)
  if not at then return nil, trim(text) end
  return trim(text:sub(1, at - 1)), trim(text:sub(at + 1))
end

--- Returns { name, value, domain, path, secure, http_only, same_site, max_age (seconds), expires }, nil when the line sets no cookie.
function M.parse(line)
  if line:find "[\0-\8\10-\31\127]" then return nil end
  local front, rest = line:match "^([^;]*);?(.*)$"
  local name, value = pair(front)
  name = name or ""
  if name == "" and value == "" or #name + #value > MAX then return nil end
  local cookie = { name = name, value = value, secure = false, http_only = false }
  for text in rest:gmatch "[^;]+" do
    local attribute, given = pair(text)
    if not attribute then attribute, given = given, "" end
    local take = attributes[attribute:lower()]
    if take and #given <= MAX_ATTRIBUTE then take(cookie, given) end
  end
  return cookie
end

return M
