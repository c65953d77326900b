-- SPDX-License-Identifier: MIT
-- C modules that block, as Debian has them, with real servers: many calls at once under greenlua, and one after the other under lua5.4.
--     build/greenlua tests/bench/libc.lua [ROUNDS]
-- BESIDE names another binary of greenlua, whose times stand for the prototype's then.
local here = arg[0]:match "^(.*)/[^/]*$"
package.path = here .. "/?.lua;" .. here .. "/../?.lua;" .. package.path

local certificates = require "net.certificates"
local process = require "green.process"
local rows = require "libc_rows"
local start = require "peers.databases"
local start_program = require "peers.start"

local ROUNDS = math.tointeger(tonumber(arg[1] or 5))
local GREENLUA, BESIDE = arg[-1], os.getenv "BESIDE"

local certs <close> = certificates()
local servers <close> = start "postgres mariadb redis"
local _ <close>, plain, secure = start_program.printing { GREENLUA, here .. "/libc_server.lua", certs.site.cert, certs.site.key }

-- The seconds of one row, and the worst stall in ms.
local function run(interpreter, i)
  local got = process.capture({ interpreter, here .. "/libc_rows.lua", tostring(i), ("http://127.0.0.1:%d/"):format(plain),
    ("https://127.0.0.1:%d/"):format(secure), tostring(servers.postgres.port), tostring(servers.mariadb.port), tostring(servers.redis.port) },
    { timeout = 120 })
  local seconds, stall = got.stdout:match "^(%S+)%s+(%S+)%s*$"
  if got.code ~= 0 or not seconds then error(rows[i][1] .. " under " .. interpreter .. ":\n" .. got.stdout .. got.stderr) end
  return tonumber(seconds), tonumber(stall)
end

-- The least seconds and the median of the worst stalls of all rounds.
local function best(rounds)
  local least, stalls = math.huge, {}
  for i, round in ipairs(rounds) do
    least, stalls[i] = math.min(least, round[1]), round[2]
  end
  table.sort(stalls)
  return least, stalls[(#stalls + 1) // 2]
end

-- ROUNDS rounds of ours, and as many of the other binary in turns.
local function measure(i)
  local ours, others = {}, {}
  for round = 1, ROUNDS do
    ours[round] = { run(GREENLUA, i) }
    if BESIDE then others[round] = { run(BESIDE, i) } end
  end
  return ours, others
end

print(("%-34s %7s %9s %9s %7s   %s"):format("seconds", "lua5.4", "greenlua", "stall", "ratio", BESIDE or "prototype, elsewhere"))
local within = 0
for i, row in ipairs(rows) do
  local stock, ours, others = run("lua5.4", i), measure(i)
  local seconds, stall = best(ours)
  local aim, aims_stall = row.prototype, nil
  if BESIDE then aim, aims_stall = best(others) end
  if seconds <= 1.2 * aim then within = within + 1 end
  print(("%-34s %7.2f %9.2f %6.0f ms %7.1f   %.2f%s, %.2f times it"):format(("%d x %s"):format(row[2], row[1]), stock, seconds, stall,
    stock / seconds, aim, aims_stall and (" (%.0f ms)"):format(aims_stall) or "", seconds / aim))
  io.stdout:flush()
end
print(("\n%d of %d rows are within 20 %% of the times in the last column."):format(within, #rows))
