-- SPDX-License-Identifier: MIT
-- Internal.
-- One run of a job. Two tasks: the function runs in one of its own, so that whatever ends it, be it somebody at a prompt, is told from
-- what ends the program; the other waits for it and says to the store what became of it.
--
--     running --the function returned----------------------------> finish
--        |   '--it raised, was out of time, was cancelled--------> fail: once more, or dead
--        |--give_back (the worker stops), or the program ends----> release, unless it returned meanwhile
--        '--lose (the store says that it is another's, or gone)--> nothing
--
-- The store is told until it answers. All are daemons: a script does not go on for the sake of jobs that others can do.
local definitions = require "green.jobs.definitions"
local fault = require "green.error"
local json = require "green.json"
local native = require "green.task.native"
local scope = require "green.scope.native"
local task = require "green.task"
local valid = require "green.valid"

local Run = {}
Run.__index = Run

local CLEAN_UP = 2          -- seconds in which a run is given back when the program ends
local FIRST, LONGEST = 0.1, 5 -- seconds between two attempts to reach the store
local LONGEST_ERROR = 8192  -- bytes that are kept

local function ends_task(err) return fault.is(err, "ECANCELED") or fault.is(err, "EDEADLINE") end

local function seconds_text(seconds) return seconds < 10 and ("%.1f s"):format(seconds) or ("%.0f s"):format(seconds) end

function Run:log(format, ...)
  local subject = ("job %s %d, attempt %d"):format(self.job.name, self.job.id, self.job.attempt)
  native.log(subject, format:format(...), self.trace)
end

-- ---- the function ----

-- What a function gets as its second argument.
local Job = { __name = "green.Job" }
Job.__index = Job

local check = fault.receiver(Job, "job")
local runs = setmetatable({}, { __mode = "k" }) -- by job

-- Says that the job is done, in the transaction of the caller: both are committed, or neither.
function Job:complete()
  check(self, "complete")
  local run = runs[self]
  if run.complete then return end
  if not run.store:finish(self.id, self.attempt) then
    fault.raise("job:complete", "ESTALE", "job %s %d: attempt %d is not the latest any more", self.name, self.id, self.attempt)
  end
  run.store.db:after_commit(function() run.complete = true end)
end

function Job:__tostring() return ("job %s %d, attempt %d"):format(self.name, self.id, self.attempt) end

local function with_trace(err) return { err = err, trace = debug.traceback("", 2):sub(2) } end

local function perform(run)
  local _ <close> = scope.enter(run.definition.timeout)
  local args = json.decode(run.text)
  if args == json.null then args = nil end
  return run.definition.fn(args, run.job)
end

local function call(run) return xpcall(perform, with_trace, run) end

-- Waits for the function. Returns true, or false and what it raised; nil if it is this task that is to end.
local function await(run)
  local ok, returned, failure = pcall(run.body.join, run.body)
  if ok then
    if returned then return true end
    run.trace = failure.trace
    return false, failure.err
  end
  local how = run.body:status()
  if how == "failed" or how == "cancelled" then return false, returned end -- it could not even begin
  return nil
end

-- ---- what became of it ----

-- An error may be anything, also what cannot be shown.
local function shown(err)
  local ok, text = pcall(tostring, err)
  return ok and text or "an error whose __tostring fails"
end

-- PostgreSQL takes no zero bytes, and nothing but UTF-8.
local function kept(run)
  local text = shown(run.err)
  if run.trace then text = text .. "\n" .. run.trace end
  text = valid(text):gsub("%z", "\\0")
  return #text <= LONGEST_ERROR and text or valid(text:sub(1, LONGEST_ERROR - 3)) .. "..."
end

local function fail(run)
  local job = run.job
  if run.failed == nil then -- the second attempt to say so says the same
    run.failed, run.pause = true, definitions.pause(run.definition, job.failures + 1)
    run:log("%s%s", shown(run.err), run.pause and ("; once more in %s"):format(seconds_text(run.pause))
      or ("; it is dead, after %d failures"):format(job.failures + 1))
  end
  return run.store:fail(job.id, job.attempt, run.pause, kept(run))
end

-- Says to the store what became of the run. Returns whether it was the latest.
local function say(run)
  local store, job = run.store, run.job
  if run.lost or run.complete then return true end
  if run.returned then return store:finish(job.id, job.attempt) end
  if run.giving_back then return store:release(job.id, job.attempt) end
  return fail(run)
end

local function say_once(run)
  run.tries = run.tries + 1
  if say(run) or run.tries > 1 then return end -- an attempt that failed may have reached the store
  run.trace = nil
  run:log "somebody else has taken it over, or dropped it, while it ran"
end

-- Returns once the store knows, or the program ends.
local function settle(run)
  local pause = FIRST
  while true do
    local ok, err = pcall(say_once, run)
    if ok then return end
    if ends_task(err) then break end
    if run.tries == 1 then run:log("the database is not told yet what became of it: %s", shown(err)) end
    if not pcall(task.sleep, pause) then break end
    pause = math.min(2 * pause, LONGEST)
  end
  pcall(task.shield, CLEAN_UP, say_once, run)
end

local function supervise(run)
  local _ <close> = run
  run.returned, run.err = await(run)
  if run.returned == nil then
    run.giving_back = true
    run.body:cancel()
    local ok, returned = pcall(task.shield, CLEAN_UP, await, run)
    run.returned = ok and returned
  end
  if run.complete and not run.returned and not run.giving_back then
    run:log("%s; but it had said that it is done, and is not repeated", shown(run.err))
  end
  settle(run)
end

function Run:__close() self.over(self) end

-- ---- for the worker ----

-- Gives the job back: the function is cancelled.
function Run:give_back()
  self.giving_back = true
  self.body:cancel()
end

-- The job is another worker's, or was dropped.
function Run:lose()
  if self.lost or self.returned ~= nil then return end
  self.lost = true
  self:log "it was dropped, or taken over by another worker: its lease could not be renewed in time"
  self.body:cancel()
end

-- Starts a run of a row that was claimed; over(run) is called when it is over. Does not wait.
return function(store, row, over)
  local definition = definitions.named(row.name)
  local job = setmetatable({
    id = row.id, name = row.name, attempt = row.attempt, failures = row.failures, retries = definition.retries, enqueued = row.enqueued,
  }, Job)
  local run = setmetatable({ store = store, definition = definition, text = row.args, job = job, over = over, tries = 0 }, Run)
  runs[job] = run
  run.body = native.spawn_named(("job %s %d"):format(row.name, row.id), call, run)
  native.spawn_named(("end of job %s %d"):format(row.name, row.id), supervise, run)
  return run
end
