-- SPDX-License-Identifier: MIT
-- Internal.
-- The worker of this process. One that serves an app works on the jobs that are defined in it.
local definitions = require "green.jobs.definitions"
local native = require "green.task.native"
local place = require "green.jobs.place"
local worker = require "green.jobs.worker"

local M = {}
local current -- the worker, or nil

-- Has the worker look at once: there may be something to do.
function M.ring()
  if current then current:ring() end
end

-- Starts the worker, unless there is one, or the process is to have none. Returns whether there is one.
function M.start()
  if current and not current.ended then return true end
  if place.at_once() == 0 then return false end
  place.store "jobs.start"
  current = worker(place.at_once)
  current:start()
  return true
end

function M.stop(grace)
  local one = current
  if not one then return end
  one:stop(grace)
  if current == one then current = nil end
end

-- A job was defined, or the process begins to serve.
function M.defined()
  if not place.served or #definitions.names() == 0 then return end
  if place.db() then M.start()
  else native.log("jobs", "jobs are defined, and nobody works on them: app:database(db) says which database, or jobs.configure { db = db }") end
end

return M
