-- SPDX-License-Identifier: MIT
-- A pool of PostgreSQL connections under many tasks that are cancelled, and run out of time, anywhere. SEED=4711 repeats the choices;
-- TASKS=1000 is the long form.
-- Needs: databases
local debug = require "green.debug"
local outcome = require "outcome"
local postgres = require "peers.postgres"
local task = require "green.task"

local await = outcome.eventually
local TASKS = tonumber(os.getenv "TASKS") or 200
local SEED = tonumber(os.getenv "SEED") or os.time()
local ACCOUNTS, EACH = 10, 100
local pg, place, db

postgres.around(_ENV, { size = 5, wait = 60 }, function(...)
  pg, place, db = ...
  math.randomseed(SEED)
  db:exec "CREATE TABLE accounts (id int PRIMARY KEY, n int NOT NULL); CREATE TABLE done (id int PRIMARY KEY)"
  for i = 1, ACCOUNTS do db:exec("INSERT INTO accounts VALUES ($1, $2)", i, EACH) end
end)

-- Moves some from one account to another and notes that it did; locks in order, so that none waits for a lock of one who waits for it.
local function transfer(id)
  local from, to = math.random(ACCOUNTS), math.random(ACCOUNTS)
  local amount = math.random(9)
  local low, high = math.min(from, to), math.max(from, to)
  db:transaction(function()
    db:query("SELECT n FROM accounts WHERE id IN ($1, $2) ORDER BY id FOR UPDATE", low, high)
    db:exec("UPDATE accounts SET n = n - $2 WHERE id = $1", from, amount)
    pcall(db.transaction, db, function()
      db:exec("UPDATE accounts SET n = n + 1000 WHERE id = $1", to)
      error "no"
    end)
    db:exec("UPDATE accounts SET n = n + $2 WHERE id = $1", to, amount)
    db:exec("INSERT INTO done VALUES ($1)", id)
  end)
end

local function look(id)
  local answer = db:value("SELECT $1::int", id)
  if answer ~= id then error(("the answer of another: %s instead of %d"):format(answer, id)) end
end

local function stream(id)
  local seen = 0
  for row in db:rows("SELECT i + $1::int AS i FROM generate_series(1, 2000) AS s (i)", id) do
    seen = seen + 1
    if row.i ~= id + seen then error(("the row of another: %s instead of %d"):format(row.i, id + seen)) end
    if seen == id % 3000 then break end
  end
end

local function check_all(acked)
  await(function() return db.writer.permits:available() == 5 end, "all connections are back")
  pg:settled(place.name)
  assert.equal(ACCOUNTS * EACH, db:value "SELECT sum(n)::int FROM accounts", "seed " .. SEED)
  local there = {}
  for row in db:rows "SELECT id FROM done" do there[row.id] = true end
  for id in pairs(acked) do assert.is_true(there[id], ("acknowledged and lost: %d, seed %d"):format(id, SEED)) end
  assert.is_true(pg:sessions(place.name) <= 5)
end

local INTERRUPTED = { ECANCELED = true, EDEADLINE = true, ETIMEDOUT = true }

it("keeps all of what was acknowledged, and the sum, whatever is interrupted", function()
  local acked, tasks, ended = {}, {}, 0
  for i = 1, TASKS do
    tasks[i] = task.spawn(function()
      local kind = math.random(4)
      if kind == 1 then debug.cancel_at(math.random(30)) elseif kind == 2 then debug.cancel_at(math.random(30), "deadline") end
      for k = 1, 5 do
        local id = i * 100 + k
        local function work()
          transfer(id)
          acked[id] = true
          look(id)
          if k == 3 then stream(id) end
        end
        if kind == 3 then task.deadline(math.random() * 0.5, work) else work() end
      end
      debug.cancel_at(0)
      ended = ended + 1
    end)
  end
  local rude = task.spawn(function()
    for _ = 1, TASKS // 4 do
      task.sleep(math.random() * 0.01)
      tasks[math.random(TASKS)]:cancel()
    end
  end)
  for _, one in ipairs(tasks) do
    local ok, err = pcall(one.join, one, 100)
    if not ok then assert.is_true(type(err) == "table" and INTERRUPTED[err.code] or false, ("%s, seed %d"):format(err, SEED)) end
  end
  rude:join()
  assert.is_true(ended > 0)
  assert.is_true(next(acked) ~= nil)
  check_all(acked)
end)

it("loses nothing when connections are ended by the server all the time", function()
  local acked, tasks = {}, {}
  local going = true
  local killer = task.spawn(function()
    while going do
      task.sleep(math.random() * 0.02)
      pg:ask(([[SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE application_name = '%s'
        ORDER BY random() LIMIT 1) AS one]]):format(place.name))
    end
  end)
  for i = 1, TASKS // 4 do
    tasks[i] = task.spawn(function()
      for k = 1, 5 do
        local id = i * 100 + k
        local ok, err = pcall(function()
          transfer(id)
          acked[id] = true
          look(id)
        end)
        if not ok then assert.is_string(type(err) == "table" and err.code or nil, tostring(err)) end
      end
    end)
  end
  for _, one in ipairs(tasks) do one:join(100) end
  going = false
  killer:join()
  -- The last one may not have heard of its end yet, and what it is given then fails with it.
  pg:ask(("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = '%s'"):format(place.name))
  await(function() return pg:sessions(place.name) == 0 end, "all sessions end")
  assert.is_true(next(acked) ~= nil)
  check_all(acked)
end)

it("opens no more connections than it may", function()
  local most, left, tasks = 0, 50, {}
  for i = 1, 50 do
    tasks[i] = task.spawn(function()
      local _ <close> = setmetatable({}, { __close = function() left = left - 1 end })
      assert.equal(i, db:value("SELECT $1::int FROM pg_sleep(0.005)", i))
    end)
  end
  while left > 0 do
    most = math.max(most, pg:sessions(place.name))
    task.sleep(0.001)
  end
  for _, one in ipairs(tasks) do one:join() end
  assert.equal(5, most)
end)

it("closed with many at work ends all of them, and every session", function()
  local tasks = {}
  for i = 1, 20 do tasks[i] = task.spawn(function() while true do transfer(i * 1000 + math.random(999)) end end) end
  await(function() return db:value "SELECT count(*) FROM done" > 20 end, "work")
  db:close()
  for _, one in ipairs(tasks) do
    local err = outcome.failure(one.join, one, 60)
    assert.is_true(type(err) == "table" and (err.code == "ECLOSED" or err.code == "23505"), tostring(err))
  end
  await(function() return pg:sessions(place.name) == 0 end, "all sessions end")
end)

it("keeps as few sessions as it is told when they are not used, and those for as long as it is told", function()
  local other = place.connect { size = 5, min = 2, idle = 0.05, max_age = 3600 }
  task.map({ 1, 2, 3, 4, 5 }, function(i) assert(other:value("SELECT $1::int FROM pg_sleep(0.01)", i) == i) end)
  await(function() return pg:sessions(place.name) == 2 + 1 end, "two of them, and that of the other pool")
  other:value "SELECT pg_sleep(0.1)"
  assert.equal(2, other:stats().writer.open)
  local aging = place.connect { size = 2, min = 1, max_age = 0.05 }
  local first = aging:value "SELECT pg_backend_pid()"
  await(function() return aging:value "SELECT pg_backend_pid()" ~= first end, "another session")
end)
