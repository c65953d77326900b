-- SPDX-License-Identifier: MIT
-- Internal.
-- The date of HTTP headers, "Sun, 06 Nov 1994 08:49:37 GMT", to and from seconds since 1970.
local fields = require "green.http.fields.native"

local DAYS = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" }
local MONTHS = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" }

local M = {}

local FIRST, LAST = -62135596800, 253402300799 -- the years 1 to 9999: files may be said to be of others

-- By hand: os.date's names follow the locale.
function M.format(seconds)
  local t = os.date("!*t", math.floor(math.max(FIRST, math.min(seconds, LAST))))
  return ("%s, %02d %s %04d %02d:%02d:%02d GMT"):format(DAYS[t.wday], t.day, MONTHS[t.month], t.year, t.hour, t.min, t.sec)
end

-- nil for what is no date in one of the three forms that are understood (RFC 9110, 5.6.7).
M.parse = fields.date

return M
