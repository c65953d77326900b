-- SPDX-License-Identifier: MIT
-- Internal.
-- Cron expressions, in UTC: minute, hour, day of the month, month, day of the week. As in every cron, a day is one of both when the day of the
-- month and that of the week are both restricted.
local M = {}

local MINUTE, DAY = 60, 86400 -- seconds
local FARTHEST = 366 * 41     -- days in which anything that ever comes does: a 29th of February on a Monday may be 40 years away

local LONGEST = 200           -- bytes of an expression

local MONTHS = { jan = 1, feb = 2, mar = 3, apr = 4, may = 5, jun = 6, jul = 7, aug = 8, sep = 9, oct = 10, nov = 11, dec = 12 }
local WEEKDAYS = { sun = 0, mon = 1, tue = 2, wed = 3, thu = 4, fri = 5, sat = 6 }

local FIELDS = {
  { name = "minute", from = 0, to = 59 },
  { name = "hour", from = 0, to = 23 },
  { name = "day of the month", from = 1, to = 31 },
  { name = "month", from = 1, to = 12, words = MONTHS },
  { name = "day of the week", from = 0, to = 7, words = WEEKDAYS },
}

local SHORT = {
  ["@yearly"] = "0 0 1 1 *", ["@annually"] = "0 0 1 1 *", ["@monthly"] = "0 0 1 * *", ["@weekly"] = "0 0 * * 0", ["@daily"] = "0 0 * * *",
  ["@midnight"] = "0 0 * * *", ["@hourly"] = "0 * * * *",
}

-- ---- reading ----

local function number(field, text)
  local n = field.words and field.words[text:lower()] or text:find "^%d%d?$" and tonumber(text)
  if not n or n < field.from or n > field.to then return nil, ("'%s' is no %s"):format(text, field.name) end
  return n
end

-- "5", "1-5", "*" -> first and last; nil and what is wrong.
local function range(field, text, stepped)
  if text == "*" then return field.from, field.words == WEEKDAYS and 6 or field.to end
  local first, last = text:match "^(%w+)%-(%w+)$"
  local from, why = number(field, first or text)
  if not from then return nil, why end
  if not first then return from, stepped and field.to or from end -- 5/15 goes on to the end
  local to
  to, why = number(field, last)
  if not to then return nil, why end
  if to < from then return nil, ("'%s' ends before it begins"):format(text) end
  return from, to
end

-- Adds what one part of a list says. Returns nil and what is wrong.
local function add(set, field, text)
  local body, step = text:match "^([^/]+)/(%d+)$"
  local by = step and math.tointeger(tonumber(step)) or 1
  if text:find("/", 1, true) and (not body or by < 1 or by > field.to) then return nil, ("'%s': a step, such as */5, expected"):format(text) end
  local from, to = range(field, body or text, step)
  if not from then return nil, to end
  for n = from, to, by do set[n] = true end
  return true
end

local function read_field(field, text)
  local set = {}
  if ("," .. text .. ","):find(",,", 1, true) then return nil, ("'%s': a list expected"):format(text) end
  for part in text:gmatch "[^,]+" do
    local ok, why = add(set, field, part)
    if not ok then return nil, why end
  end
  if field.words == WEEKDAYS and set[7] then set[0] = true end
  return set
end

local function sorted(set)
  local list = {}
  for n in pairs(set) do list[#list + 1] = n end
  table.sort(list)
  return list
end

-- ---- days and times ----

local function matches(spec, day)
  local date = os.date("!*t", day * DAY)
  if not spec.months[date.month] then return false end
  local by_month, by_week = spec.days[date.day], spec.weekdays[date.wday - 1]
  if spec.either then return by_month or by_week end
  return by_month and by_week
end

-- Returns the first time of a day, in seconds, that is later than `after`; nil for none.
local function first_after(spec, after)
  for _, hour in ipairs(spec.hours) do
    for _, minute in ipairs(spec.minutes) do
      local at = hour * 3600 + minute * MINUTE
      if at > after then return at end
    end
  end
end

-- Returns the last time of a day that is not later than `limit`; nil for none.
local function last_until(spec, limit)
  for h = #spec.hours, 1, -1 do
    for m = #spec.minutes, 1, -1 do
      local at = spec.hours[h] * 3600 + spec.minutes[m] * MINUTE
      if at <= limit then return at end
    end
  end
end

-- Returns the first time after `t`; nil if it never comes.
function M.next(spec, t)
  local day = t // DAY
  for i = 0, FARTHEST do
    local at = matches(spec, day + i) and first_after(spec, i == 0 and t - day * DAY or -1)
    if at then return (day + i) * DAY + at end
  end
end

-- Returns the last time that is not after `t`.
function M.previous(spec, t)
  local day = t // DAY
  for i = 0, FARTHEST do
    local at = matches(spec, day - i) and last_until(spec, i == 0 and t - day * DAY or DAY)
    if at then return (day - i) * DAY + at end
  end
end

-- Returns what an expression means, for `next` and `previous`; nil and what is wrong with it.
function M.read(text)
  local words, sets = {}, {}
  for word in (SHORT[text] or text):gmatch "%S+" do words[#words + 1] = word end
  if text:find "^@" and not SHORT[text] then return nil, "@hourly, @daily, @weekly, @monthly or @yearly expected" end
  if #text > LONGEST or #words ~= #FIELDS then return nil, ("%d fields expected (minute, hour, day, month, weekday), not %d"):format(#FIELDS, #words) end
  for i, field in ipairs(FIELDS) do
    local set, why = read_field(field, words[i])
    if not set then return nil, why end
    sets[i] = set
  end
  local spec = {
    text = table.concat(words, " "), minutes = sorted(sets[1]), hours = sorted(sets[2]), days = sets[3], months = sets[4], weekdays = sets[5],
    either = words[3]:sub(1, 1) ~= "*" and words[5]:sub(1, 1) ~= "*",
  }
  if not M.next(spec, 0) then return nil, "there is no such day" end
  return spec
end

return M
