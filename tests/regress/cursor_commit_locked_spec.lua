-- SPDX-License-Identifier: MIT
-- Rows of a statement that writes (INSERT ... RETURNING), whose commit at the end found the database locked: the job was tried again,
-- and the statement began anew. The rows of the first try came twice, and where a batch of them had been fetched before there was no
-- statement to begin any more: SIGSEGV. SQLite has undone all of it by then, so that only rows which nobody has seen yet can be given
-- again; else it is an error. Only without a write-ahead log does a commit wait for readers.
local outcome = require "outcome"
local sqlite = require "green.db.sqlite"
local task = require "green.task"

local T = 20
local ROWS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT %d) SELECT i FROM n"
local NO_WAL = { init_sql = "PRAGMA journal_mode = DELETE" }

describe("a cursor over what a statement writes", function()
  local path, a, b, reader

  before_each(function()
    path = os.tmpname()
    a, b = sqlite.open(path, NO_WAL), sqlite.open(path, NO_WAL)
    a:exec(T, "CREATE TABLE t (v)")
    a:exec(T, "INSERT INTO t " .. ROWS:format(1000))
    reader = a:cursor "SELECT v FROM t"
    reader:fetch(T) -- from now on nobody can commit
  end)

  after_each(function()
    a:close()
    b:close()
    os.remove(path)
  end)

  local function release()
    reader:close()
    a:query(T, nil, "SELECT 1")
  end

  local function count() return a:query(T, nil, "SELECT count(*) AS n FROM t")[1].n end

  for _, n in ipairs { 1, 50, 99 } do
    it(("gives each of %d rows once, and commits when it can"):format(n), function()
      local rows, seen = b:cursor("INSERT INTO t " .. ROWS:format(n) .. " RETURNING v"), {}
      local all = task.spawn(function()
        while true do
          local batch = rows:fetch(T)
          if not batch then return end
          for _, row in ipairs(batch) do seen[#seen + 1] = row.v end
        end
      end)
      outcome.waiting(all)
      task.sleep(0.01) -- tried some times by then
      release()
      all:join()
      assert.equal(n, #seen)
      for i = 1, n do assert.equal(i, seen[i]) end
      assert.equal(1000 + n, count())
    end)
  end

  for _, n in ipairs { 100, 101, 250 } do
    it(("fails, and writes nothing, when some of %d rows were given before"):format(n), function()
      local rows, seen = b:cursor("INSERT INTO t " .. ROWS:format(n) .. " RETURNING v"), 0
      local err
      repeat
        local ok, batch = pcall(rows.fetch, rows, T)
        if ok then seen = seen + #batch else err = batch end
      until err
      assert.equal("SQLITE_BUSY", err.code)
      assert.is_true(seen >= 100 and seen <= n, seen)
      assert.is_nil(rows:fetch(T))
      release()
      assert.equal(1000, count())
      b:exec(T, "INSERT INTO t VALUES (1)")
      assert.equal(1001, count())
    end)
  end

  it("writes nothing when it is cancelled before it can commit", function()
    local rows = b:cursor("INSERT INTO t " .. ROWS:format(50) .. " RETURNING v")
    assert.equal("ETIMEDOUT", outcome.failure(rows.fetch, rows, 0.02).code)
    -- The deadline may have come while the pool tried to commit: that try is over, and found the database locked, when the
    -- connection does what was queued behind it.
    assert.equal(1, b:query(T, nil, "SELECT 1 AS one")[1].one)
    release()
    assert.equal(1000, count())
    b:exec(T, "INSERT INTO t VALUES (1)")
    assert.equal(1001, count())
  end)
end)
