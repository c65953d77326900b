-- SPDX-License-Identifier: MIT
-- Cron expressions: what they mean, held against every minute of some years, and what is refused.
local canonical = require "green.jobs.canonical"
local cron = require "green.jobs.cron"
local interpreter = require "interpreter"
local jobs = require "green.jobs"
local process = require "green.process"

local MINUTE, HOUR, DAY = 60, 3600, 86400

-- "2026-11-30 20:41" in UTC, as seconds.
local function time(text)
  local y, m, d, hour, min = text:match "^(%d+)-(%d+)-(%d+) (%d+):(%d+)$"
  local days = 0
  for year = 1970, y - 1 do days = days + ((year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)) and 366 or 365) end
  local leap = y % 4 == 0 and (y % 100 ~= 0 or y % 400 == 0)
  local months = { 31, leap and 29 or 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }
  for month = 1, m - 1 do days = days + months[month] end
  return (days + d - 1) * DAY + hour * HOUR + min * MINUTE
end

local function shown(t) return t and os.date("!%Y-%m-%d %H:%M", t) end

-- Each process has the fields of a table in another order: an hourly job was enqueued by each, with arguments that only looked different.
describe("arguments in keys", function()
  it("are the same text in every process", function()
    local code = [[io.write(require "green.jobs.canonical"(require "green.json".encode { zeta = 1, b = { q = 1, w = 2, e = {} }, a = { 3, 1 }, n = 0.5 }))]]
    for _ = 1, 5 do
      assert.equal('{"a":[3,1],"b":{"e":{},"q":1,"w":2},"n":0.5,"zeta":1}', process.capture({ interpreter, "-e", code }).stdout)
    end
    for _, text in ipairs { "null", "[]", "{}", '"x"', "[null,1]", "1.0" } do assert.equal(text, canonical(text)) end
  end)
end)

describe("a cron expression", function()
  it("says what is next, and what was last", function()
    for _, row in ipairs {
      { "0 3 * * *", "2026-11-30 20:41", "2026-12-01 03:00", "2026-11-30 03:00" },
      { "0 3 * * *", "2026-11-30 03:00", "2026-12-01 03:00", "2026-11-30 03:00" },
      { "* * * * *", "2026-11-30 20:41", "2026-11-30 20:42", "2026-11-30 20:41" },
      { "*/15 * * * *", "2026-11-30 20:59", "2026-11-30 21:00", "2026-11-30 20:45" },
      { "5/20 * * * *", "2026-11-30 20:00", "2026-11-30 20:05", "2026-11-30 19:45" },
      { "0 9-17/4 * * mon-FRI", "2026-11-27 18:00", "2026-11-30 09:00", "2026-11-27 17:00" },
      { "30 4 1,15 * 5", "2026-11-30 20:41", "2026-12-01 04:30", "2026-11-27 04:30" }, -- the 1st, the 15th and each Friday
      { "0 0 29 feb *", "2026-11-30 20:41", "2028-02-29 00:00", "2024-02-29 00:00" },
      { "0 0 29 2 *", "2097-01-01 00:00", "2104-02-29 00:00", "2096-02-29 00:00" },
      { "0 0 * * 7", "2026-11-30 20:41", "2026-12-06 00:00", "2026-11-29 00:00" },
      { "0 0 * * 0", "2026-11-30 20:41", "2026-12-06 00:00", "2026-11-29 00:00" },
      { "0 0 */28 2 mon", "2077-01-01 00:00", "2077-02-01 00:00", "2072-02-29 00:00" }, -- the 1st or the 29th, and a Monday
      { "0 0 31 * *", "2026-11-30 20:41", "2026-12-31 00:00", "2026-10-31 00:00" },
      { "@hourly", "2026-12-31 23:30", "2027-01-01 00:00", "2026-12-31 23:00" },
      { "@weekly", "2026-11-30 20:41", "2026-12-06 00:00", "2026-11-29 00:00" },
      { "@yearly", "2026-11-30 20:41", "2027-01-01 00:00", "2026-01-01 00:00" },
    } do
      local spec = assert(cron.read(row[1]))
      assert.same({ row[1], row[3], row[4] }, { row[1], shown(cron.next(spec, time(row[2]))), shown(cron.previous(spec, time(row[2]))) })
    end
  end)

  it("agrees with itself in both directions, whatever it is", function()
    local function any(from, to)
      local kind = math.random(4)
      if kind == 1 then return "*" end
      if kind == 2 then return tostring(math.random(from, to)) end
      if kind == 3 then return "*/" .. math.random(1, math.min(12, to)) end
      local a = math.random(from, to)
      return a .. "-" .. math.random(a, to)
    end
    for _ = 1, 1000 do
      local text = table.concat({ any(0, 59), any(0, 23), any(1, 28), any(1, 12), any(0, 6) }, " ")
      local spec, t = assert(cron.read(text)), math.random(0, 4000000000)
      local after, before = cron.next(spec, t), cron.previous(spec, t)
      assert.is_true(before <= t and t < after, text)
      assert.equal(after, cron.next(spec, before), text)
      assert.equal(after, cron.previous(spec, after), text)
      assert.equal(before, cron.previous(spec, after - 1), text)
    end
  end)

  it("is refused where it was said", function()
    jobs.define("tidy", function() end)
    for text, pattern in pairs {
      [""] = "5 fields expected %(minute, hour, day, month, weekday%), not 0", ["* * * *"] = "not 4", ["* * * * * *"] = "not 6",
      ["60 * * * *"] = "'60' is no minute", ["* 24 * * *"] = "'24' is no hour", ["* * 0 * *"] = "'0' is no day of the month",
      ["* * * 13 *"] = "'13' is no month", ["* * * foo *"] = "'foo' is no month", ["* * * * 8"] = "'8' is no day of the week",
      ["5-1 * * * *"] = "'5%-1' ends before it begins", ["*/0 * * * *"] = "'%*/0': a step", ["*/x * * * *"] = "'%*/x': a step",
      ["1,,2 * * * *"] = "'1,,2': a list expected", [", * * * *"] = "a list expected", ["-5 * * * *"] = "'%-5' is no minute",
      ["0 0 30 2 *"] = "there is no such day", ["@often"] = "@hourly, @daily",
    } do
      local ok, err = pcall(function() jobs.cron(text, "tidy") end)
      assert.is_false(ok, text)
      assert.matches("^tests/green/jobs_cron_spec%.lua:%d+: jobs%.cron: '", err)
      assert.matches(pattern, err)
    end
    assert.error_matches(function() jobs.cron("@daily", "tidi") end, "jobs.cron: no job 'tidi' is defined; did you mean 'tidy'")
    assert.error_matches(function() jobs.cron("@daily", "tidy", ("x"):rep(500)) end, "its arguments are 502 bytes of JSON, and at most 400")
    assert.error_matches(function() jobs.cron("@daily", "tidy", nil, { overlaps = true }) end, "unknown option 'overlaps'; did you mean 'overlap'")
  end)
end)
