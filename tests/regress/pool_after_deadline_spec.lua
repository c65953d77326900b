-- SPDX-License-Identifier: MIT
-- A deadline or a cancel inside a database call poisoned the pool: the task that was to put the connection right was spawned
-- inside the very deadline that had passed, was refused its first wait, and dropped the connection with its transaction open.
-- Every later write found the database locked until a collection came by; a database in memory was gone with its connection.
-- Whatever ends a call, however: the next write works at once, and nothing that was not committed is there.
local connect = require "green.db".connect
local task = require "green.task"

local ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
local SLOW_WRITE = "INSERT INTO t (v) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
local STREAM = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000) SELECT i FROM n"

local function insert(db, v) return db:exec("INSERT INTO t (v) VALUES ($1)", v) end

-- Each waits for ever, or until it is ended, in `stay` or in a statement.
local calls = {
  exec = function(db) db:exec(SLOW_WRITE) end,
  ["exec of a script"] = function(db) db:exec("BEGIN; INSERT INTO t (v) VALUES ('never'); " .. SLOW_WRITE) end,
  query = function(db) db:query(ENDLESS) end,
  ["query that writes"] = function(db) db:query(SLOW_WRITE .. " RETURNING v") end,
  rows = function(db, stay)
    for _ in db:rows(STREAM) do stay() end
  end,
  ["rows, in a fetch"] = function(db)
    for _ in db:rows(ENDLESS) do end
  end,
  transaction = function(db, stay)
    db:transaction(function()
      insert(db, "never")
      stay()
    end)
  end,
  ["transaction, in a statement"] = function(db)
    db:transaction(function()
      insert(db, "never")
      db:exec(SLOW_WRITE)
    end)
  end,
  ["transaction in rows"] = function(db, stay)
    for _ in db:rows(STREAM) do
      db:transaction(function()
        insert(db, "never")
        stay()
      end)
    end
  end,
  ["nested savepoint"] = function(db, stay)
    db:transaction(function()
      insert(db, "never")
      db:transaction(function()
        insert(db, "never either")
        stay()
      end)
    end)
  end,
}

-- Each runs call(stay) and ends it while it waits.
local endings = {
  deadline = function(call)
    local ok, err = pcall(task.deadline, 0.03, call, function() task.sleep(60) end)
    assert.is_false(ok)
    assert.equal("EDEADLINE", err.code)
  end,
  ["deadline of the task"] = function(call)
    local ok, err = pcall(task.deadline, 0.03, function()
      local t = task.spawn(call, function() task.sleep(60) end)
      return task.shield(60, t.join, t)
    end)
    assert.is_false(ok)
    assert.equal("EDEADLINE", err.code)
  end,
  cancel = function(call)
    local t = task.spawn(call, function() task.sleep(60) end)
    for _ = 1, 20 do task.sleep(0.001) end -- somewhere inside, wherever that is
    t:cancel()
    assert.equal("ECANCELED", select(2, pcall(t.join, t)).code)
  end,
  ["cancel of its group"] = function(call)
    local ok, err = pcall(task.group, function(group)
      group:spawn(call, function() task.sleep(60) end)
      task.sleep(0.02)
      error "out"
    end)
    assert.is_false(ok)
    assert.matches("out", err)
  end,
  error = function(call)
    pcall(task.deadline, 0.03, call, function() error "out" end)
  end,
}

local function write_works_at_once(db)
  db.writer.wait = 20 -- where the connection is lost, none comes free
  db.readers.wait = 20
  assert.equal(1, (insert(db, "after")))
  assert.equal(1, db:value "SELECT count(*) FROM t")
  assert.equal("after", db:transaction(function() return db:value "SELECT v FROM t" end))
end

for _, kind in ipairs { "file", "memory" } do
  describe("after a call to a database (" .. kind .. ") that was ended by", function()
    local db, path

    before_each(function()
      path = os.tmpname()
      db = connect(kind == "file" and "sqlite:" .. path or "sqlite::memory:", { timeout = 20 })
      db:exec "CREATE TABLE t (v)"
    end)

    after_each(function()
      db:close()
      for _, suffix in ipairs { "", "-wal", "-shm", "-journal" } do os.remove(path .. suffix) end
    end)

    for ending, stop in pairs(endings) do
      for name, call in pairs(calls) do
        it(ending .. ": " .. name, function()
          for _ = 1, 2 do stop(function(stay) return call(db, stay) end) end
          write_works_at_once(db)
        end)
      end

      it(ending .. ": the wait for a connection", function()
        local free = task.channel(1)
        local held
        local holder = task.spawn(db.transaction, db, function()
          held = true
          free:receive(60)
        end)
        while not held do task.sleep(0.001) end
        stop(function() insert(db, "never") end)
        free:send(true)
        holder:join()
        write_works_at_once(db)
      end)
    end

    it("its own timeout", function()
      db.timeout = 0.03
      for name, call in pairs(calls) do
        if name ~= "rows" and name ~= "transaction" and name ~= "transaction in rows" and name ~= "nested savepoint" then
          local ok, err = pcall(call, db)
          assert.is_false(ok)
          assert.equal("ETIMEDOUT", err.code, name)
        end
      end
      db.timeout = 20
      write_works_at_once(db)
    end)

    it("a deadline within a transaction that goes on", function()
      db:transaction(function()
        insert(db, "after")
        for _, stay in ipairs { function() task.sleep(60) end, function() db:query(ENDLESS) end } do
          local ok, err = pcall(task.deadline, 0.03, db.transaction, db, function()
            insert(db, "never")
            stay()
          end)
          assert.same({ false, "EDEADLINE" }, { ok, err.code })
        end
      end)
      assert.equal("after", db:value "SELECT v FROM t")
      assert.equal(1, db:value "SELECT count(*) FROM t")
    end)

    it("a deadline that stops what writes within a transaction: SQLite rolls all of it back", function()
      local ok, err = pcall(db.transaction, db, function()
        insert(db, "never")
        pcall(task.deadline, 0.03, db.transaction, db, function() db:exec(SLOW_WRITE) end)
        insert(db, "never either")
      end)
      assert.same({ false, "SQLITE_ABORT" }, { ok, err.code })
      write_works_at_once(db)
    end)

    it("a deadline within a transaction in a rows loop that goes on", function()
      local seen = 0
      for _ in db:rows(STREAM) do
        seen = seen + 1
        if seen == 3 then break end
        pcall(task.deadline, 0.03, db.transaction, db, function()
          insert(db, "never")
          task.sleep(60)
        end)
        assert.equal(0, db:value "SELECT count(*) FROM t")
      end
      assert.equal(3, seen)
      write_works_at_once(db)
    end)
  end)
end
