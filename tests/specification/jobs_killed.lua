-- SPDX-License-Identifier: MIT
-- Two processes share the work on one database, are killed again and again in the middle of it, and enqueue jobs meanwhile: no job that was
-- acknowledged is lost, and none that says itself that it is done is done twice. jobs_killed(_ENV, dialect), in a spec.
local assert = require "luassert"
local connect = require "green.db".connect
local fs = require "green.fs"
local interpreter = require "interpreter"
local jobs = require "green.jobs"
local outcome = require "outcome"
local process = require "green.process"
local task = require "green.task"

local await = outcome.eventually
local WAIT = 60   -- seconds, for what is bound to come
local N = 150     -- jobs of each kind before the first is killed
local KILLS = 6

-- `move` is done in one transaction with what it does; `touch` is not, and may do it more than once.
local WORKER = [[
local jobs, task = require "green.jobs", require "green.task"
local db = require "green.db".connect(os.getenv "DATABASE_URL", { wait = 60 })
require "green.debug".report_stalls(false)
jobs.configure { db = db, poll = 0.02, lease = 1 }
local options = { retries = 1000, backoff = 0.05 }
jobs.define("move", function(n, job)
  db:transaction(function()
    db:exec("INSERT INTO moved (n) VALUES ($1)", n)
    task.sleep(0.002)
    job:complete()
  end)
end, options)
jobs.define("touch", function(n)
  task.sleep(0.002)
  db:exec("INSERT INTO touched (n) VALUES ($1)", n)
end, options)
jobs.start()
for n = tonumber(arg[1]), tonumber(arg[1]) + 20 do
  jobs.enqueue("move", n)
  print(n)
  io.stdout:flush()
  task.sleep(0.01)
end
print "all"
io.stdout:flush()
task.sleep(3600)]]

return function(spec, dialect)
  local it, before_each, after_each = spec.it, spec.before_each, spec.after_each
  local place, dir, db, started, acknowledged

  before_each(function()
    place, dir = dialect.fresh(), fs.temp_dir()
    fs.write(fs.join(dir.path, "worker.lua"), WORKER)
    db = connect(place.url, { wait = WAIT })
    jobs.configure { db = db }
    jobs.define("move", function() end)
    jobs.define("touch", function() end)
    db:exec "CREATE TABLE moved (n INTEGER); CREATE TABLE touched (n INTEGER)"
    started, acknowledged = 0, {}
  end)

  after_each(function()
    db:close()
    place.close()
    dir:close()
  end)

  -- A worker, which enqueues jobs of its own; those that it says are acknowledged.
  local function start()
    started = started + 1
    local child = process.spawn({ interpreter, fs.join(dir.path, "worker.lua"), tostring(started * 100000) },
      { stdout = "pipe", stderr = "null", env = { DATABASE_URL = place.url } })
    local self = { all = false }
    local reading = task.spawn(function()
      for line in child.stdout:lines("l", math.huge) do
        if line == "all" then self.all = true else acknowledged[math.tointeger(tonumber(line))] = true end
      end
    end)
    function self.kill()
      child:kill "KILL"
      child:wait(WAIT)
      reading:join(WAIT)
      child:close()
    end
    return self
  end

  local function count(name) return db:value("SELECT count(*) FROM " .. name) end

  local function counts(name)
    local by_n = {}
    for row in db:rows("SELECT n, count(*) AS times FROM " .. name .. " GROUP BY n") do by_n[row.n] = row.times end
    return by_n
  end

  it("survive kill -9 in the middle of their work", function()
    db:transaction(function()
      for n = 1, N do
        jobs.enqueue("move", n)
        jobs.enqueue("touch", n)
        acknowledged[n] = true
      end
    end)
    local workers = { start(), start() }
    for i = 1, KILLS do
      local before = count "moved"
      await(function() return count "moved" >= before + 10 end, "work goes on")
      local at = 1 + i % 2
      workers[at].kill()
      workers[at] = start()
    end
    await(function()
      local left = jobs.count()
      task.sleep(0.02)
      return workers[1].all and workers[2].all and not next(left)
    end, "all jobs are done")
    for _, one in ipairs(workers) do one.kill() end
    local moved, touched, acked = counts "moved", counts "touched", 0
    for n in pairs(acknowledged) do
      assert.is_true(moved[n] ~= nil, "acknowledged and lost: " .. n)
      acked = acked + 1
    end
    for n, times in pairs(moved) do assert.equal(1, times, "done more than once: " .. n) end
    for n = 1, N do assert.is_true(touched[n] ~= nil, "lost: " .. n) end
    assert.is_true(acked > N)
  end)
end
