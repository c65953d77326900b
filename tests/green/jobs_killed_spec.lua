-- SPDX-License-Identifier: MIT
-- Jobs whose processes are killed, and whose database is: SQLite and PostgreSQL.
-- Needs: databases
local connect = require "green.db".connect
local dialects = require "specification.dialects"
local jobs = require "green.jobs"
local native = require "green.task.native"
local outcome = require "outcome"
local postgres = require "peers.postgres"
local specification = require "specification.jobs_killed"
local task = require "green.task"

local await = outcome.eventually
local pg

setup(function() pg = postgres.start() end)
teardown(function() pg:close() end)

describe("jobs on a file", function() specification(_ENV, dialects.file) end)
describe("jobs on PostgreSQL", function() specification(_ENV, dialects.postgres(function() return pg end)) end)

describe("jobs", function()
  it("of a PostgreSQL that is killed and started again are done, each once, and it is told once", function()
    local place = pg:place()
    local db = place.connect { size = 5, wait = 60 }
    local runs, gate, said, log = {}, task.channel(), {}, native.log
    jobs.configure { db = db, poll = 0.02, concurrency = 5, lease = 60 }
    jobs.define("send", function(n)
      runs[n] = (runs[n] or 0) + 1
      if n <= 5 then gate:receive(60) end
    end)
    db:transaction(function() for n = 1, 20 do jobs.enqueue("send", n) end end)
    native.log = function(subject, message) said[#said + 1] = subject .. ": " .. tostring(message) end -- luacheck: ignore 122
    jobs.start()
    await(function() return #runs == 5 end)
    pg:kill()
    for _ = 1, 5 do gate:send(true, 60) end
    local function times_away()
      local n = 0
      for _, text in ipairs(said) do n = n + (text:find "^jobs: they wait" and 1 or 0) end
      return n
    end
    await(function() return #said >= 6 and times_away() == 1 end)
    pg:restart()
    await(function() return #runs == 20 and not next(jobs.count()) end)
    native.log = log -- luacheck: ignore 122
    for n = 1, 20 do assert.equal(1, runs[n]) end
    assert.equal(1, times_away())
    jobs.stop()
    place.close()
  end)

  it("of a SQLite file that another program has locked for a while are done when it has not", function()
    local place = dialects.file.fresh()
    local db, other = connect(place.url, { wait = 60, timeout = 0.1 }), connect(place.url)
    local runs, said, log = {}, {}, native.log
    jobs.configure { db = db, poll = 0.02 }
    jobs.define("send", function(n) runs[n] = (runs[n] or 0) + 1 end)
    for n = 1, 5 do jobs.enqueue("send", n) end
    native.log = function(subject, message) said[#said + 1] = subject .. ": " .. tostring(message) end -- luacheck: ignore 122
    other:transaction(function()
      other:exec "CREATE TABLE t (v)"
      jobs.start()
      await(function() return said[1] end)
    end)
    await(function() return not next(jobs.count()) end)
    native.log = log -- luacheck: ignore 122
    for n = 1, 5 do assert.equal(1, runs[n]) end
    jobs.stop()
    other:close()
    db:close()
    place.close()
  end)
end)
