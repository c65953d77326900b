-- SPDX-License-Identifier: MIT
-- Internal.
-- A worker: it claims jobs that are due, runs them beside each other, and renews their leases while they run.
--
--     working --stop(grace)--> finishing: nothing is claimed, leases are renewed --none runs------------------------> ended
--        '                                    '--grace is over, or is given up--> giving back: runs are cancelled ------^
--        '--the program ends, and with it this task------------------------------>'
--
-- It looks at the database every `poll` seconds, and at once when something in this process rings: a job was enqueued here and committed,
-- one is over, stop. Whoever hears of jobs in other processes rings, too (M.ring).
local definitions = require "green.jobs.definitions"
local fault = require "green.error"
local native = require "green.task.native"
local place = require "green.jobs.place"
local run = require "green.jobs.run"
local schedule = require "green.jobs.schedule"
local scope = require "green.scope.native"
local task = require "green.task"
local timer = require "green.timer.native"

local Worker = {}
Worker.__index = Worker

local CLEAN_UP = 1      -- seconds for functions that were cancelled, and as many for the database to be told
local PATIENCE = 0.1    -- seconds in which it should notice by itself that its grace is over
local RENEWALS = 3      -- times in a lease
local LONGEST_PAUSE = 5 -- seconds between two looks at a database that is away

local function ends_task(err) return fault.is(err, "ECANCELED") or fault.is(err, "EDEADLINE") end

-- ---- the name ----

-- Returns the first line of a file, or "?".
local function first_line(path)
  local file <close> = io.open(path)
  return file and file:read "l" or "?"
end

local number = 0 -- of the last worker

-- Returns a name that no other worker has, on any machine: host, process, number, and chance, since containers have the same names and
-- numbers again and again. Waits.
local function new_name()
  number = number + 1
  local host, process = first_line "/proc/sys/kernel/hostname", first_line("/proc/self/stat"):match "^%d+" or "?"
  return ("%s/%s/%d/%08x"):format(host, process, number, math.random(0, 0xffffffff))
end

-- ---- the bell ----

function Worker:ring() self.bell:try_send(true) end

-- Waits for the bell, at most so long.
local function listen(self, seconds)
  local ok, err = pcall(self.bell.receive, self.bell, math.max(0, seconds))
  if not ok and not fault.is(err, "ETIMEDOUT") then error(err, 0) end
end

-- ---- what it runs ----

local function over(self, one)
  do
    local _ <close> = scope.atomic()
    if self.running[one.job.id] == one then self.running[one.job.id] = nil end
    self.count = self.count - 1
    self.done = self.done + 1
  end
  self:ring()
end

-- A job that has taken its process with it as often as it may fail is not tried once more.
local function bury(self, store, row)
  native.log(("job %s %d"):format(row.name, row.id), ("%s; it is dead, after %d failures"):format(row.error, row.failures))
  store:fail(row.id, row.attempt, nil, row.error)
end

local function begin(self, store, row)
  if row.failures > definitions.named(row.name).retries then return bury(self, store, row) end
  local _ <close> = scope.atomic() -- it is counted before it can be over
  local other = self.running[row.id]
  if other then other.lost = true end -- the lease of our own run was over, too: that run counts no more
  self.running[row.id] = run(store, row, function(one) over(self, one) end)
  self.count = self.count + 1
end

local function claim(self, store)
  local free, names = self.most() - self.count, definitions.names()
  if free <= 0 or #names == 0 then return end
  local rows = store:claim(self.name, names, free, place.lease)
  local now = timer.now()
  if #rows > 0 then self.renew_at = math.min(self.renew_at, now + place.lease / RENEWALS) end
  for _, row in ipairs(rows) do begin(self, store, row) end
end

-- An app that was loaded anew may have opened its database once more: each run knows the store that it came from.
local function by_store(self)
  local ids = {}
  for id, one in pairs(self.running) do
    ids[one.store] = ids[one.store] or {}
    table.insert(ids[one.store], id)
  end
  return ids
end

local function renew(self)
  self.renew_at = timer.now() + place.lease / RENEWALS
  for store, ids in pairs(by_store(self)) do
    local attempts = {}
    for _, id in ipairs(ids) do attempts[id] = self.running[id] and self.running[id].job.attempt end
    local own = store:renew(self.name, ids, place.lease)
    for id, attempt in pairs(attempts) do
      local one = self.running[id]
      if one and one.job.attempt == attempt and own[id] ~= attempt then one:lose() end
    end
  end
end

-- ---- the loop ----

local function look(self)
  local store = place.store "jobs"
  store:prepare()
  if self.count == 0 then self.renew_at = math.huge elseif timer.now() >= self.renew_at then renew(self) end
  if self.stopping then return end
  schedule.look(store)
  claim(self, store)
end

-- Returns after how many seconds to look again.
local function try(self)
  local ok, err = pcall(look, self)
  if ok then
    if self.away then native.log("jobs", ("%s is back after %.1f s"):format(tostring(place.db()), timer.now() - self.away)) end
    self.away, self.pause = false, place.poll
    return place.poll
  end
  if ends_task(err) then error(err, 0) end
  if not self.away then
    self.away = timer.now()
    native.log(("jobs: they wait: %s"):format(tostring(place.db())), err)
  end
  self.renew_at = math.min(self.renew_at, timer.now() + place.poll) -- what failed may have been that
  self.pause = math.min(2 * self.pause, LONGEST_PAUSE)
  return self.pause * (0.5 + math.random() / 2)
end

local function work(self)
  self.name = new_name()
  while not self.stopping or self.count > 0 and timer.now() < self.until_ do
    local pause = try(self)
    if self.away then -- the bell would have it asked again and again
      task.sleep(self.stopping and 0.05 or pause)
    else
      local next_one = math.min(pause, self.renew_at - timer.now())
      listen(self, self.stopping and math.min(next_one, self.until_ - timer.now()) or next_one)
    end
  end
end

local function is_idle(self) return self.count == 0 end

local function wait_until_idle(self)
  local last = timer.now() + CLEAN_UP
  while not is_idle(self) and timer.now() < last do listen(self, last - timer.now()) end
end

-- Cancels what runs, and gives it all back; what does not end in time goes on for as long as the process does, and will be repeated.
local function give_back(self)
  for _, one in pairs(self.running) do one:give_back() end
  wait_until_idle(self)
  for store in pairs(by_store(self)) do store:release_all(self.name) end
end

local function main(self)
  local ok, err = pcall(work, self)
  self.stopping = true
  if not is_idle(self) then
    local told, why = pcall(task.shield, 2 * CLEAN_UP, give_back, self)
    if not told then native.log(("jobs: %d are not given back, and wait until their leases end"):format(self.count), why) end
  end
  self.ended = true
  if not ok and not fault.is(err, "ECANCELED") then error(err, 0) end
end

-- Starts the task of a worker.
function Worker:start() self.task = native.spawn_named("jobs", main, self) end

-- Claims nothing more, and returns when nothing runs: what still does after `grace` seconds is cancelled and given back.
function Worker:stop(grace)
  self.until_ = timer.now() + grace
  self.stopping = true
  self:ring()
  if pcall(self.task.wait, self.task, grace + PATIENCE) then return end
  self.task:cancel() -- it may wait for a database that does not answer
  self.task:wait()
end

local function run_all(self, store)
  self.name = new_name()
  repeat
    if self.count == 0 then self.renew_at = math.huge elseif timer.now() >= self.renew_at then renew(self) end
    claim(self, store)
    local idle = self.count == 0
    if not idle then listen(self, math.min(place.poll, self.renew_at - timer.now())) end
  until idle
end

-- Runs what is due until nothing is, and returns how many runs that were. The worker has not been started.
function Worker:drain()
  local store = place.store "jobs.drain"
  store:prepare()
  local ok, err = pcall(run_all, self, store)
  if ok then return self.done end
  pcall(task.shield, 2 * CLEAN_UP, give_back, self)
  error(err, 0)
end

-- Makes a worker that runs at most most() jobs at once.
return function(most)
  return setmetatable({
    most = most, bell = task.channel(1), running = {}, count = 0, done = 0, stopping = false, ended = false, until_ = math.huge,
    renew_at = math.huge, away = false, pause = place.poll,
  }, Worker)
end
