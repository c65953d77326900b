-- SPDX-License-Identifier: MIT
-- The date of HTTP headers, "Sun, 06 Nov 1994 08:49:37 GMT", to and from seconds since 1970.
local DAYS = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" }
local MONTHS = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" }
local NUMBER = {}
for i, name in ipairs(MONTHS) do NUMBER[name] = i end

local M = {}

-- By hand: os.date's names follow the locale.
function M.format(seconds)
  local t = os.date("!*t", math.floor(seconds))
  return ("%s, %02d %s %04d %02d:%02d:%02d GMT"):format(DAYS[t.wday], t.day, MONTHS[t.month], t.year, t.hour, t.min, t.sec)
end

-- Days from 1970-01-01 in the Gregorian calendar, years counted from March.
local function days_of(y, m, d)
  if m <= 2 then y, m = y - 1, m + 12 end
  return 365 * y + y // 4 - y // 100 + y // 400 + (153 * (m - 3) + 2) // 5 + d - 719469
end

-- nil for anything but the one form that may be sent.
function M.parse(text)
  local d, month, y, h, min, s = text:match("^%a%a%a, (%d%d) (%a%a%a) (%d%d%d%d) (%d%d):(%d%d):(%d%d) GMT$")
  local m = month and NUMBER[month]
  if not m then return nil end
  return days_of(tonumber(y), m, tonumber(d)) * 86400 + h * 3600 + min * 60 + s
end

return M
