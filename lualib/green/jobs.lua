-- SPDX-License-Identifier: MIT
-- Work that must happen after the answer, and survive a crash: jobs, in the application's own database. What is here checks what it is given;
-- green.jobs.store has the table, green.jobs.worker what works on it.
local canonical = require "green.jobs.canonical"
local cron = require "green.jobs.cron"
local definitions = require "green.jobs.definitions"
local fault = require "green.error"
local json = require "green.json"
local options = require "green.options"
local place = require "green.jobs.place"
local process = require "green.jobs.process"
local schedule = require "green.jobs.schedule"
local worker = require "green.jobs.worker"

local M = {}

local LARGEST = 1 << 20     -- bytes of arguments, as JSON
local LONGEST_KEY = 500     -- bytes of a unique key
local LISTED = 100          -- jobs, unless `limit` says otherwise

-- ---- what there is to do ----

function M.define(name, fn, given)
  definitions.define(name, fn, given)
  process.defined()
end

local CONFIGURE = { db = "table", concurrency = "bytes", poll = "time", lease = "time" }

function M.configure(given)
  given = options.check("jobs.configure", given, CONFIGURE)
  if given.db and not given.db.with then fault.misuse "jobs.configure: option 'db': a database (of db.connect) expected" end
  place.configure(given)
end

-- ---- enqueueing ----

-- Returns the arguments as JSON.
local function encoded(where, name, args)
  if args == nil then return "null" end
  local ok, text = pcall(json.encode, args)
  if not ok then
    if not fault.is(text, "EJSON") then error(text, 0) end
    fault.misuse("%s: '%s': its arguments travel as JSON: %s", where, name, (text.message:gsub("^json%.encode: ", "")))
  end
  if #text <= LARGEST then return text end
  fault.misuse("%s: '%s': its arguments are %d bytes of JSON, and at most %d may be: keep the data elsewhere, and say where", where, name, #text, LARGEST)
end

local ENQUEUE = { run_at = "number", delay = "seconds", unique = "string|boolean" }

-- Returns the key, or nil.
local function unique_key(where, name, unique, text)
  if not unique then return nil end
  local key = unique == true and canonical(text) or unique
  if #key <= LONGEST_KEY then return key end
  fault.misuse("%s: '%s': a unique key of %d bytes, and at most %d may be", where, name, #key, LONGEST_KEY)
end

function M.enqueue(name, args, given)
  given = options.check("jobs.enqueue", given, ENQUEUE)
  if given.run_at and given.delay then fault.misuse "jobs.enqueue: either run_at or delay, not both" end
  definitions.check("jobs.enqueue", name)
  local text = encoded("jobs.enqueue", name, args)
  local store = place.store "jobs.enqueue"
  local id, is_new = store:add(name, text, unique_key("jobs.enqueue", name, given.unique, text), given.run_at, given.delay)
  if is_new then store.db:after_commit(process.ring) end
  return id, is_new
end

local CRON = { overlap = "boolean" }
local LARGEST_OF_CRON = 400 -- bytes of arguments: they are part of a unique key

function M.cron(expression, name, args, given)
  options.argument("jobs.cron", "expression", expression, "string")
  given = options.check("jobs.cron", given, CRON)
  local spec, why = cron.read(expression)
  if not spec then fault.misuse("jobs.cron: '%s': %s", expression:sub(1, 100), why) end
  definitions.check("jobs.cron", name)
  local text = encoded("jobs.cron", name, args)
  if #text > LARGEST_OF_CRON then fault.misuse("jobs.cron: '%s': its arguments are %d bytes of JSON, and at most %d may be", name, #text, LARGEST_OF_CRON) end
  schedule.add(spec.text, spec, name, canonical(text), given.overlap or false)
end

-- ---- working ----

M.start = process.start

local STOP = 10 -- seconds

function M.stop(grace) process.stop(options.argument("jobs.stop", "grace", grace or STOP, "seconds")) end

function M.drain() return worker(function() return math.max(1, place.concurrency) end):drain() end

-- ---- looking, and putting right ----

local STATES = { "waiting", "running", "dead" }
local FILTER = { id = "integer", name = "string", state = STATES }
local LIST = { id = "integer", name = "string", state = STATES, limit = "count" }

local function with_args(row)
  local ok, args = pcall(json.decode, row.args)
  row.args = nil
  if ok and args ~= json.null then row.args = args end
  row.unique, row.unique_key = row.unique_key, nil
  return row
end

function M.list(filter)
  local all = options.over(options.check("jobs.list", filter, LIST), { limit = LISTED })
  local rows, list = place.store "jobs.list":list(all), {}
  for i, row in ipairs(rows) do list[i] = with_args(row) end
  return list
end

function M.count()
  local counts = {}
  for _, row in ipairs(place.store "jobs.count":count()) do
    counts[row.name] = counts[row.name] or { waiting = 0, running = 0, dead = 0 }
    counts[row.name][row.state] = row.n
  end
  return counts
end

-- Returns a filter, of which an id is the short form. An empty one would mean all jobs there are.
local function chosen(where, which)
  if math.type(which) == "integer" then return { id = which } end
  if type(which) ~= "table" then fault.misuse("%s: an id or a filter, such as { state = 'dead' }, expected, not %s", where, type(which)) end
  options.check(where, which, FILTER)
  if next(which) == nil then fault.misuse("%s: an empty filter would mean every job: say which, by id, name or state", where) end
  return which
end

function M.retry(which)
  which = chosen("jobs.retry", which)
  local store = place.store "jobs.retry"
  local n = store:retry(which)
  if n > 0 then store.db:after_commit(process.ring) end
  return n
end

function M.drop(which)
  which = chosen("jobs.drop", which)
  return place.store "jobs.drop":drop(which)
end

return M
