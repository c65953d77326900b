-- SPDX-License-Identifier: MIT
-- Rows of PostgreSQL, streamed: as many as there are in the memory of a few, and left at any time.
-- Needs: databases
local build = require "build"
local connect = require "green.db".connect
local fs = require "green.fs"
local outcome = require "outcome"
local postgres = require "peers.postgres"
local task = require "green.task"

local await = outcome.eventually
local pg, place, db

postgres.around(_ENV, { size = 3 }, function(...) pg, place, db = ... end)

local WIDE = "SELECT i, repeat('x', 1000) AS x FROM generate_series(1, $1::int) AS s (i)" -- 1 KB each

local function resident() return math.tointeger(tonumber(fs.read "/proc/self/statm":match "^%d+ (%d+)")) * 4096 end

local function check_settled()
  await(function() return db.writer.permits:available() == db.writer.size end, "all connections are back")
  pg:settled(place.name)
end

it("a million of them take the memory of a few", function()
  for _ in db:rows(WIDE, 2000) do end
  collectgarbage()
  local before, most, sum = resident(), 0, 0
  for row in db:rows "SELECT i, repeat('x', 100) AS x FROM generate_series(1, 1000000) AS s (i)" do
    sum = sum + row.i
    if row.i % 50000 == 0 then most = math.max(most, resident()) end
  end
  assert.equal(500000500000, sum)
  if not build.sanitized then assert.is_true(most - before < 32 << 20, ("%d MB more"):format((most - before) >> 20)) end
end)

it("the server waits for a slow loop", function()
  local before
  for row in db:rows(WIDE, 300000) do -- 300 MB, more than sockets hold
    if row.i == 10 then
      await(function() return pg:sessions(place.name, "wait_event = 'ClientWrite' OR state = 'idle in transaction'") == 1 end, "the server waits")
      before = resident()
      task.sleep(0.2)
      if not build.sanitized then assert.is_true(resident() - before < 16 << 20) end
      break
    end
  end
  check_settled()
end)

it("a slow loop's own time is not the statement's", function()
  local hasty, seen = db:with { timeout = 1 }, 0
  for row in hasty:rows(WIDE, 20000) do
    seen = seen + 1
    if row.i == 10 then task.sleep(1.2) end
  end
  assert.equal(20000, seen)
end)

it("left early the statement ends on the server, and the connection is used again", function()
  for i = 1, 30 do
    for row in db:rows(WIDE, 1000000) do
      if row.i == i * 10 then break end
    end
    assert.equal(i, db:value("SELECT $1::int", i))
  end
  check_settled()
  assert.is_true(pg:sessions(place.name) <= 3)
end)

it("of a loop that fails, is cancelled, or out of time likewise", function()
  local ends = {
    function(row) if row.i == 100 then error "no" end end,
    function(row, one) if row.i == 100 then one:cancel() end end,
    function(row) if row.i == 100 then task.deadline(0.01, task.sleep, 60) end end,
  }
  for _, stop in ipairs(ends) do
    local one
    one = task.spawn(function()
      for row in db:rows(WIDE, 1000000) do stop(row, one) end
    end)
    assert.is_false((pcall(one.join, one)))
    assert.equal(5, db:value "SELECT 5")
    check_settled()
  end
end)

it("of many loops at once, with statements between", function()
  local four <close> = connect(place.url, { size = 4, wait = 60 })
  four:exec "CREATE TABLE t (v int)"
  local sums = task.map({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, function(n)
    local sum = 0
    for row in four:rows("SELECT i FROM generate_series(1, $1::int) AS s (i)", n * 1000) do
      sum = sum + row.i
      if row.i % 500 == 0 then four:exec("INSERT INTO t VALUES ($1)", n) end
    end
    return sum
  end)
  for n, sum in ipairs(sums) do assert.equal(n * 1000 * (n * 1000 + 1) // 2, sum) end
  assert.equal(110, four:value "SELECT count(*) FROM t")
end)

it("that raise an error in the middle give those before it", function()
  local seen = 0
  local ok, err = pcall(function()
    for row in db:rows "SELECT i, 1 / (50001 - i) AS q, repeat('x', 100) AS x FROM generate_series(1, 100000) AS s (i)" do
      seen = seen + 1
      assert.equal(seen, row.i)
    end
  end)
  assert.same({ false, "22012" }, { ok, err.code })
  assert.is_true(seen <= 50000)
  check_settled()
end)

it("wide ones and many columns come whole", function()
  for row in db:rows "SELECT repeat('ab', 2000000) AS big, i FROM generate_series(1, 5) AS s (i)" do
    assert.equal(4000000, #row.big)
  end
end)

it("of a session that the server ends are a clear error, not an early end", function()
  local seen = 0
  local ok, err = pcall(function()
    for row in db:rows(WIDE, 100000) do
      seen = seen + 1
      if row.i == 10 then
        pg:ask(("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = '%s'"):format(place.name))
      end
    end
  end)
  assert.is_false(ok)
  assert.is_string(err.code)
  assert.is_true(seen < 100000)
  assert.equal(1, db:value "SELECT 1")
end)
