-- SPDX-License-Identifier: MIT
-- Mixed load on a site, and then a look whether anything is left of it.
--   greenlua tests/machines/load.lua [SECONDS [SEED]]          a soak: ten minutes by default
--   greenlua tests/machines/load.lua SECONDS SEED shaken       tasks are switched at random, servers come and go
-- The seed settles who does what; when things happen is up to the machine. Resident memory is looked at in the soak only.
local here = arg[0]:match "^(.*)/[^/]*$" or "."
package.path = here .. "/?.lua;" .. here .. "/../?.lua;" .. package.path

local build = require "build"
local debug = require "green.debug"
local fs = require "green.fs"
local task = require "green.task"
local new_random = require "random"
local site = require "site"
local visit = require "visitors"

local seconds = tonumber(arg[1]) or 600
local seed = math.tointeger(tonumber(arg[2])) or os.time()
local shaken = arg[3] == "shaken"

local VISITORS = 24 -- at once
local ROUNDS = 4 -- after a first one, in which all has been used once: what is there then is the baseline
-- How much more may be in use in the end: of memory a part, of descriptors what the HTTP client keeps open for the next request.
local MARGIN = { lua = 1.1, resident = 1.25, descriptors = 1 }
local SLACK = { lua = 256 * 1024, resident = 24 * 1024 * 1024, descriptors = 8 }

debug.report_stalls(false)

-- ---- gauges ----

-- How many there are of each kind: "socket", "/tmp/site.db", ...
local function descriptors()
  local n, kinds = 0, {}
  for _, entry in ipairs(fs.list "/proc/self/fd") do
    local ok, what = pcall(fs.readlink, "/proc/self/fd/" .. entry.name)
    what = ok and what:gsub(":?%[%d+%]", "") or "gone"
    if what ~= "gone" then n, kinds[what] = n + 1, (kinds[what] or 0) + 1 end
  end
  return n, kinds
end

local function resident()
  return tonumber(fs.read("/proc/self/statm"):match "^%d+ (%d+)") * 4096
end

-- Where all of it is at rest: what closes takes a few turns, what failed is logged after a second.
local function gauges()
  for _ = 1, 3 do collectgarbage() end
  local out = debug.census()
  out.descriptors, out.kinds = descriptors()
  out.lua, out.resident = debug.memory().used, resident()
  return out
end

-- A sanitizer's own memory grows; and shaken, as many tasks are parked as there happen to be.
local measured = not shaken and not build.sanitized

local function exceeds(name, before, after)
  if not MARGIN[name] then return after > before end
  return after > before * MARGIN[name] + SLACK[name]
end

local function difference(before, after)
  local out = {}
  for name, n in pairs(after) do
    if name == "kinds" then goto continue end
    if exceeds(name, before[name], n) and not (name == "resident" and not measured) then out[#out + 1] = ("%s %d -> %d"):format(name, before[name], n) end
    ::continue::
  end
  for what, n in pairs(#out > 0 and after.kinds or {}) do
    if n > (before.kinds[what] or 0) then out[#out + 1] = ("%s: %d -> %d"):format(what, before.kinds[what] or 0, n) end
  end
  table.sort(out)
  return #out > 0 and table.concat(out, ", ") or nil
end

-- ---- the load ----

local served, refused = {}, {}

local function note(kind, err)
  local code = type(err) == "table" and err.code or err and tostring(err)
  if not err then served[kind] = (served[kind] or 0) + 1
  else refused[code] = (refused[code] or 0) + 1 end
end

local function visitors(site_address, number, until_time)
  task.group(function(group)
    for i = 1, VISITORS do
      group:spawn(function()
        local r = new_random(seed * 1000 + number * 100 + i)
        while task.now() < until_time do note(visit(r, site_address())) end
      end)
    end
  end)
end

-- The server goes, gently or not, while requests are on their way, and another comes.
local function renew(app, server, r)
  local new = app:listen "127.0.0.1:0"
  app:leave(server)
  if r:chance(50) then server:abort() end
  local stopping = task.spawn(function()
    pcall(server.finish, server, 0.05)
    server:abort()
    server:finish(60) -- shaken, with a sanitizer, on a machine with other work, a close takes its time
  end)
  return new, stopping
end

local function stop(app, server)
  app:leave(server)
  pcall(server.finish, server, 1)
  server:abort()
  server:finish(60)
end

-- Returns the server that is there in the end: in the soak the one that was.
local function round(app, server, number, length)
  local until_time, r, stopping = task.now() + length, new_random(seed + number), {}
  local changing = shaken and task.spawn(function()
    while task.now() < until_time do
      task.sleep(r:below(100) / 1000)
      server, stopping[#stopping + 1] = renew(app, server, r)
    end
  end)
  if shaken then debug.shake(seed + number) end
  visitors(function() return server:address() end, number, until_time)
  if changing then changing:join() end
  debug.shake(0)
  for _, each in ipairs(stopping) do each:join() end
  return server
end

local function settle(before)
  local left
  for _ = 1, 300 do -- half a minute
    left = difference(before, gauges())
    if not left then return nil end
    task.sleep(0.1)
  end
  return left
end

local function total(counts)
  local names, sum = {}, 0
  for name in pairs(counts) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do
    sum = sum + counts[name]
    names[i] = ("%s %d"):format(name, counts[name])
  end
  return sum, table.concat(names, ", ")
end

-- A site with its database and server comes, has so many rounds of visitors, and goes. Then all of it is at rest.
local function season(folder, first, rounds)
  do
    local db <close> = require "green.db".connect(("sqlite:%s/site%d.db"):format(folder, first))
    db:exec "CREATE TABLE counts (name TEXT PRIMARY KEY, n INTEGER)"
    local app = site(db, folder)
    local server = app:listen "127.0.0.1:0"
    for i = first, first + rounds - 1 do server = round(app, server, i, seconds / (ROUNDS + 1)) end
    stop(app, server)
  end
  task.sleep(1.2) -- a task that failed is logged after a second
end

local function main()
  print(("%s of %g s from seed %d"):format(shaken and "shaken load" or "load", seconds, seed))
  local folder <close> = fs.temp_dir()
  fs.write(folder.path .. "/large", ("f"):rep(300000))
  season(folder.path, 0, 1)
  local before = gauges()
  season(folder.path, 1, ROUNDS)
  local left = settle(before)
  local visits, kinds = total(served)
  local failures, codes = total(refused)
  print(("%d visits: %s\n%d of them refused: %s"):format(visits + failures, kinds, failures, codes))
  if left then io.stderr:write("left after the load: ", left, "\n") end
  print(("%d successes / %d failures / 0 errors / 0 pending : load from seed %d"):format(left and 0 or 1, left and 1 or 0, seed))
  return left == nil
end

os.exit(main(), true)
