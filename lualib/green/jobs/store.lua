-- SPDX-License-Identifier: MIT
-- Internal.
-- Where jobs are: a table of the application's database, a row for each that is not done.
--
--     (no row) --add--> waiting --claim--> running --finish-------------------> (no row)
--                          ^  ^              | |'----fail, for good------------> dead --drop--> (no row)
--                          |  '--fail: later-' '--claim by another: lease over--> running
--                          '-----release, retry (of a dead one, too)
--
--  1. `due` is when a job may be claimed: when it is to run; while it runs, when its worker's lease ends. So whoever is dead loses its jobs
--     to the next one who asks, by the same statement.
--  2. Each claim counts `attempt` up, and nothing ever counts it down: (id, attempt) names one run. What a worker says of a run that is no
--     longer the latest changes nothing.
--  3. `failures` counts what went wrong since the job was added, or retried by hand; a lease that ended is one, so that a job which
--     kills its process every time is dead some day. A release is none.
--  4. Of each (name, unique_key) at most one is not dead.
local dialects = require "green.jobs.dialect"
local fault = require "green.error"
local json = require "green.json"

local Store = {}
Store.__index = Store

-- ---- the tables ----

local TABLES = [[
CREATE TABLE green_jobs (id {key}, name TEXT NOT NULL, args TEXT NOT NULL, unique_key TEXT, state TEXT NOT NULL,
  due DOUBLE PRECISION NOT NULL, attempt INTEGER NOT NULL, failures INTEGER NOT NULL, worker TEXT, error TEXT, enqueued DOUBLE PRECISION NOT NULL);
CREATE INDEX green_jobs_due ON green_jobs (due) WHERE state <> 'dead';
CREATE UNIQUE INDEX green_jobs_unique ON green_jobs (name, unique_key) WHERE unique_key IS NOT NULL AND state <> 'dead';
CREATE TABLE green_jobs_cron (entry TEXT PRIMARY KEY, last DOUBLE PRECISION NOT NULL)]]

local function has_tables(db) return #db:columns "green_jobs_cron" > 0 end

-- Makes the tables if they are missing; whoever does so at the same time waits for the other. Waits.
--
-- It may be in a transaction of the caller's, which takes them back when it is rolled back: they count as made once it is committed.
function Store:prepare()
  if self.ready then return end
  local db = self.db
  if not has_tables(db) then
    db:transaction(function()
      if self.dialect.lock then db:query(self.dialect.lock) end
      if not has_tables(db) then db:exec(self:sql(TABLES)) end
    end)
  end
  db:after_commit(function() self.ready = true end)
end

-- ---- statements ----

-- Returns a statement with {now} and its like filled in.
function Store:sql(text)
  local known = self.texts[text]
  if known then return known end
  local dialect = self.dialect
  known = text:gsub("{(%a+)([$%d]*)}", function(name, parameter)
    local part = dialect[name]
    return type(part) == "function" and part(parameter) or part
  end)
  self.texts[text] = known
  return known
end

local ADD = [[
INSERT INTO green_jobs (name, args, unique_key, state, due, attempt, failures, enqueued)
VALUES ($1, $2, $3, 'waiting', coalesce(CAST($4 AS DOUBLE PRECISION), {now} + CAST($5 AS DOUBLE PRECISION)), 0, 0, {now})
ON CONFLICT (name, unique_key) WHERE unique_key IS NOT NULL AND state <> 'dead' DO NOTHING RETURNING id]]

local KNOWN = "SELECT id FROM green_jobs WHERE name = $1 AND unique_key = $2 AND state <> 'dead'"

local TRIES = 10 -- to find the job that is in the way of a unique one, and may be done by then

-- Adds a job and returns its id and true; or false with the id of the one with the same key. `run_at`: when, or nil for in `delay` seconds.
-- It is part of the caller's transaction, if there is one. Waits, as all here do.
function Store:add(name, args, unique_key, run_at, delay)
  self:prepare()
  for _ = 1, TRIES do
    local id = self.db:value(self:sql(ADD), name, args, unique_key or json.null, run_at or json.null, delay or 0)
    if id then return id, true end
    id = self.db:value(KNOWN, name, unique_key)
    if id then return id, false end
  end
  fault.raise("jobs.enqueue", "EAGAIN", "%s: jobs with this unique key come and go too fast", name)
end

local DUE = "state <> 'dead' AND due <= {now} AND name {texts$1}"
local PEEK = "SELECT 1 FROM green_jobs WHERE " .. DUE .. " LIMIT 1"
local CLAIM = [[
UPDATE green_jobs SET state = 'running', worker = $2, due = {now} + CAST($3 AS DOUBLE PRECISION), attempt = attempt + 1,
  failures = failures + CASE WHEN state = 'running' THEN 1 ELSE 0 END,
  error = CASE WHEN state = 'running' THEN 'attempt ' || attempt || ' was not finished: its worker ' || worker || ' is gone, or lost the database'
    ELSE error END
WHERE id {any} RETURNING id, name, args, attempt, failures, error, enqueued]]
local NEXT = "SELECT id FROM green_jobs WHERE " .. DUE .. " ORDER BY due, id LIMIT $4 {skip}"

-- Returns a statement in which {any} stands for what a subquery selects.
local function with_subquery(self, text, subquery)
  local any = self.dialect.any(self:sql(subquery))
  return self:sql((text:gsub("{any}", function() return any end)))
end

local function is_before(a, b) return a.id < b.id end

-- Takes up to `most` jobs that are due, of these names, for `lease` seconds, and returns their rows.
function Store:claim(worker, names, most, lease)
  local list = json.encode(json.array(names))
  if self.dialect.peeks and not self.db:value(self:sql(PEEK), list) then return {} end
  self.claim_sql = self.claim_sql or with_subquery(self, CLAIM, NEXT)
  local rows = self.db:query(self.claim_sql, list, worker, lease, most)
  table.sort(rows, is_before)
  return rows
end

local OWN = "FROM green_jobs WHERE state = 'running' AND worker = $1 AND id {ids$2}"
local RENEW = "UPDATE green_jobs SET due = {now} + CAST($3 AS DOUBLE PRECISION) WHERE id {any}"

-- Prolongs the leases of jobs that a worker runs, and returns the attempt of each that is still its own, by id. It waits for no row that a
-- transaction has locked, such as one in which a job says that it is done: nobody else can take that job meanwhile, and the leases of the
-- others would end.
function Store:renew(worker, ids, lease)
  local list, own = json.encode(json.array(ids)), {}
  self.renew_sql = self.renew_sql or with_subquery(self, RENEW, "SELECT id " .. OWN .. " {skip}")
  self.db:exec(self.renew_sql, worker, list, lease)
  for _, row in ipairs(self.db:query(self:sql("SELECT id, attempt " .. OWN), worker, list)) do own[row.id] = row.attempt end
  return own
end

local FENCE = " WHERE id = $1 AND attempt = $2 AND state = 'running'"

-- Says that a run is done. Returns false if it is not the latest any more.
function Store:finish(id, attempt) return self.db:exec("DELETE FROM green_jobs" .. FENCE, id, attempt) == 1 end

local FAIL = [[
UPDATE green_jobs SET state = $3, due = {now} + CAST($4 AS DOUBLE PRECISION), failures = failures + 1, error = $5, worker = NULL]] .. FENCE

-- Says that a run failed: once more in `pause` seconds, or, if that is nil, the job is dead. Returns false as `finish` does.
function Store:fail(id, attempt, pause, err)
  return self.db:exec(self:sql(FAIL), id, attempt, pause and "waiting" or "dead", pause or 0, err) == 1
end

local RELEASE = "UPDATE green_jobs SET state = 'waiting', due = {now}, worker = NULL"

-- Gives a job back, for others to take at once.
function Store:release(id, attempt) return self.db:exec(self:sql(RELEASE .. FENCE), id, attempt) == 1 end

-- Gives back all that a worker has.
function Store:release_all(worker)
  return (self.db:exec(self:sql(RELEASE .. " WHERE worker = $1 AND state = 'running'"), worker))
end

-- ---- for people ----

-- Returns the conditions of a filter, and their values. An absent one is not said at all: PostgreSQL would have to guess the type of a NULL.
local function where(filter)
  local terms, values = { "" }, {}
  for _, column in ipairs { "id", "name", "state" } do
    if filter[column] then
      values[#values + 1] = filter[column]
      terms[#terms + 1] = ("%s = $%d"):format(column, #values)
    end
  end
  return table.concat(terms, " AND "), values
end

local LIST = [[
SELECT id, name, args, unique_key, state, due, attempt, failures, worker, error, enqueued FROM green_jobs WHERE 1 = 1%s ORDER BY due, id LIMIT $%d]]

-- Returns rows by `filter` = { id =, name =, state =, limit = }, those first that are due first.
function Store:list(filter)
  self:prepare()
  local terms, values = where(filter)
  values[#values + 1] = filter.limit
  return self.db:query(LIST:format(terms, #values), table.unpack(values))
end

-- Returns rows { name =, state =, n = }.
function Store:count()
  self:prepare()
  return self.db:query "SELECT name, state, count(*) AS n FROM green_jobs GROUP BY name, state ORDER BY name, state"
end

local RETRY = [[
UPDATE green_jobs SET state = 'waiting', due = {now}, failures = 0 WHERE state <> 'running' AND NOT EXISTS (
  SELECT 1 FROM green_jobs other WHERE other.name = green_jobs.name AND other.unique_key = green_jobs.unique_key AND other.id <> green_jobs.id
    AND (other.state <> 'dead' OR other.id > green_jobs.id))]]

-- Lets those run at once that are dead, or wait, as if nothing had failed yet, and returns how many those are. A dead one stays dead
-- while there is another one with its unique key, or a younger dead one.
function Store:retry(filter)
  self:prepare()
  local terms, values = where(filter)
  return (self.db:exec(self:sql(RETRY .. terms), table.unpack(values)))
end

-- Removes jobs, and returns how many. One that runs is cancelled when its worker finds out.
function Store:drop(filter)
  self:prepare()
  local terms, values = where(filter)
  return (self.db:exec("DELETE FROM green_jobs WHERE 1 = 1" .. terms, table.unpack(values)))
end

-- ---- cron ----

-- Returns when an entry last was due, for all processes; an entry that is new was due now.
function Store:last(entry, now)
  self.db:exec("INSERT INTO green_jobs_cron (entry, last) VALUES ($1, $2) ON CONFLICT DO NOTHING", entry, now)
  return self.db:value("SELECT last FROM green_jobs_cron WHERE entry = $1", entry)
end

-- Calls add() in the transaction in which this process is the first to say that the entry was due then. Returns false if it is not.
function Store:due(entry, at, add)
  return self.db:transaction(function()
    if self.db:exec("UPDATE green_jobs_cron SET last = $2 WHERE entry = $1 AND last < $2", entry, at) == 0 then return false end
    add()
    return true
  end)
end

return function(db)
  return setmetatable({ db = db, dialect = dialects[db.driver.name], ready = false, texts = {} }, Store)
end
