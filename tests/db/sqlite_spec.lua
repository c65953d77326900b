-- SPDX-License-Identifier: MIT
local null = require "green".null
local outcome = require "outcome"
local sqlite = require "green.db.sqlite"
local task = require "green.task"

local failure, waiting = outcome.failure, outcome.waiting

local T = 10 -- seconds: far more than anything here takes
local ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

describe("green.db.sqlite", function()
  local c, path

  local function query(sql, ...) return c:query(T, nil, sql, ...) end
  local function one(sql, ...) return query(sql, ...)[1] end

  before_each(function()
    path = os.tmpname()
    c = sqlite.open(path)
    c:exec(T, "CREATE TABLE t (id INTEGER PRIMARY KEY, v, u TEXT UNIQUE, n TEXT CHECK (n <> ''))")
  end)

  after_each(function()
    c:close()
    for _, suffix in ipairs { "", "-wal", "-shm" } do os.remove(path .. suffix) end
  end)

  describe("values", function()
    local cases = {
      { "integer", 42 }, { "integer", math.maxinteger }, { "integer", math.mininteger }, { "integer", (1 << 53) + 1 },
      { "real", 0.1 }, { "real", 3.0 }, { "real", -1e300 }, { "real", math.huge },
      { "text", "" }, { "text", "Grüße" }, { "text", "a\0b" }, { "text", ("x"):rep(300000) }, { "text", "'; DROP TABLE t; --" },
    }
    for i, case in ipairs(cases) do
      it(("%d: %s comes back as it went in"):format(i, case[1]), function()
        query("INSERT INTO t (v) VALUES ($1)", case[2])
        local row = one "SELECT v, typeof(v) AS kind FROM t"
        assert.equal(case[1], row.kind)
        assert.equal(case[2], row.v)
        assert.equal(math.type(case[2]), math.type(row.v))
      end)
    end

    it("NULL is an absent key, from nil and from green.null", function()
      local row = one("SELECT $1 AS a, $2 AS b, $3 AS c, typeof($1) || typeof($2) AS kinds", nil, null, 1)
      assert.same({ c = 1, kinds = "nullnull" }, row)
    end)

    it("booleans are 0 and 1, blobs strings", function()
      assert.same({ a = 1, b = 0, c = "\0\255", kind = "blob" },
        one("SELECT $1 AS a, $2 AS b, $3 AS c, typeof($3) AS kind", true, false, sqlite.blob "\0\255"))
    end)

    it("a parameter may be used twice and in any order", function()
      assert.same({ a = 2, b = 1, c = 2 }, one("SELECT $2 AS a, $1 AS b, $2 AS c", 1, 2))
    end)

    it("a trailing nil counts", function()
      assert.same({ a = 1 }, one("SELECT $1 AS a, $2 AS b", 1, nil))
    end)

    it("what cannot be stored names the parameter", function()
      assert.matches("parameter %$2 is a table", failure(query, "SELECT $1, $2", 1, {}))
      assert.matches("parameter %$1 is a function", failure(query, "SELECT $1", print))
    end)
  end)

  describe("results", function()
    it("has rows, columns, affected and last_id", function()
      local r = query "INSERT INTO t (v) VALUES (1), (2), (3)"
      assert.same({ 0, 3, 3 }, { #r, r.affected, r.last_id })
      r = query "SELECT id, v AS value FROM t ORDER BY id"
      assert.same({ { id = 1, value = 1 }, { id = 2, value = 2 }, { id = 3, value = 3 } }, { r[1], r[2], r[3] })
      assert.same({ "id", "value" }, r.columns)
      assert.same({ 0, nil }, { r.affected, r.last_id })
      assert.equal(2, query("UPDATE t SET v = 0 WHERE id > $1", 1).affected)
      assert.equal(0, query "CREATE TABLE other (x)".affected)
    end)

    it("has the columns of no rows too, and those of a schema that changed", function()
      assert.same({ "v" }, query "SELECT v FROM t WHERE 0".columns)
      assert.same({ "id", "v", "u", "n" }, query "SELECT * FROM t".columns)
      c:exec(T, "ALTER TABLE t ADD COLUMN late DEFAULT 5; INSERT INTO t (v) VALUES (1)")
      local r = query "SELECT * FROM t"
      assert.same({ "id", "v", "u", "n", "late" }, r.columns)
      assert.equal(5, r[1].late)
    end)

    it("stops at its limit", function()
      local err = failure(c.query, c, T, 10000, "SELECT zeroblob(6000) UNION ALL SELECT zeroblob(6000) UNION ALL SELECT zeroblob(6000)")
      assert.equal("SQLITE_TOOBIG", err.code)
      assert.matches("larger than 10000 bytes", err.message)
    end)

    it("survives more statements than it keeps prepared", function()
      for round = 1, 2 do
        for i = 1, 150 do assert.equal(i + round, one(("SELECT %d + $1 AS x"):format(i), round).x) end
      end
    end)
  end)

  describe("errors", function()
    it("name the statement and the reason", function()
      local err = failure(query, "SELECT  nope\n FROM t")
      assert.equal("db.query: no such column: nope, in: SELECT nope FROM t", err.message)
      assert.same({ "SQLITE_ERROR", "db.query", "SELECT  nope\n FROM t" }, { err.code, err.op, err.sql })
      assert.matches('near "SELEC": syntax error', failure(query, "SELEC 1").message)
    end)

    it("show a long statement without half a character, in messages and where it waited", function()
      for _, letter in ipairs { "\u{e9}", "\u{20ac}", "\u{1d11e}" } do
        for shift = 1, 4 do
          local text = ("x"):rep(shift) .. letter:rep(120)
          local message = failure(query, ("SELECT nope FROM t WHERE v = '%s'"):format(text)).message
          assert.matches(letter .. "%.%.%.$", message)
          assert.truthy(utf8.len(message), message)
          local late = failure(c.query, c, 0.001, nil, ("SELECT '%s', (%s)"):format(text, ENDLESS)).message
          assert.truthy(utf8.len(late) and late:find(letter, 1, true), late)
        end
      end
    end)

    it("a name in double quotes is never a string", function()
      assert.matches("no such column", failure(query, 'SELECT * FROM t WHERE v = "typo"').message)
    end)

    it("carry the constraint as their code", function()
      c:exec(T, "CREATE TABLE child (t INTEGER REFERENCES t (id)); INSERT INTO t (u) VALUES ('a')")
      assert.equal("SQLITE_CONSTRAINT_UNIQUE", failure(query, "INSERT INTO t (u) VALUES ('a')").code)
      assert.equal("SQLITE_CONSTRAINT_PRIMARYKEY", failure(query, "INSERT INTO t (id) VALUES (1)").code)
      assert.equal("SQLITE_CONSTRAINT_CHECK", failure(query, "INSERT INTO t (n) VALUES ('')").code)
      assert.equal("SQLITE_CONSTRAINT_FOREIGNKEY", failure(query, "INSERT INTO child VALUES (99)").code)
    end)

    it("count the parameters", function()
      assert.matches("the statement has 2 parameters, 1 given", failure(query, "SELECT $1, $2", 1).message)
      assert.matches("the statement has 1 parameter, 2 given", failure(query, "SELECT $1", 1, nil).message)
      assert.matches("the statement has 0 parameters, 1 given", failure(query, "SELECT 1", 1).message)
      assert.matches("has parameters, none given", failure(c.exec, c, T, "INSERT INTO t (v) VALUES ($1)").message)
    end)

    it("refuse other kinds of parameters", function()
      for _, sql in ipairs { "SELECT ?", "SELECT ?1", "SELECT :a", "SELECT @a", "SELECT $a", "SELECT $0" } do
        assert.matches("parameters are written $1", failure(query, sql, 1).message, 1, true)
      end
    end)

    it("refuse several statements, or none", function()
      assert.matches("one statement at a time", failure(query, "SELECT 1; SELECT 2").message)
      assert.matches("one statement at a time", failure(query, "SELECT 1; nonsense").message)
      assert.equal(1, one "SELECT 1 AS a; -- and a comment\n ; /* more */ ".a)
      assert.matches("no statement", failure(query, " -- nothing").message)
      assert.matches("NUL", failure(query, "SELECT 1\0"))
    end)

    it("of opening name the file", function()
      local err = failure(sqlite.open, "/proc/nowhere/at/all.db")
      assert.equal("SQLITE_CANTOPEN", err.code)
      assert.equal("db.connect: /proc/nowhere/at/all.db: unable to open database file", err.message)
    end)
  end)

  describe("exec", function()
    it("runs a script, up to the statement that fails", function()
      assert.equal(3, (c:exec(T, "INSERT INTO t (v) VALUES (1); -- one\n INSERT INTO t (v) VALUES (2), (3);  ")))
      local err = failure(c.exec, c, T, "INSERT INTO t (v) VALUES (4); INSERT INTO nope VALUES (1); INSERT INTO t (v) VALUES (5)")
      assert.matches("no such table: nope, in: INSERT INTO nope", err.message)
      assert.equal(4, one "SELECT count(*) AS n FROM t".n)
    end)
  end)

  describe("cursors", function()
    it("read in batches, and are clean when read to the end", function()
      local cursor = c:cursor("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) SELECT i FROM n", 250)
      local sizes, last = {}, nil
      for i = 1, 3 do
        local batch = cursor:fetch(T)
        sizes[i], last = #batch, batch[#batch].i
        assert.equal(i == 3, c:clean())
      end
      assert.same({ { 100, 100, 50 }, 250 }, { sizes, last })
      assert.is_true(c:clean())
      assert.is_nil(cursor:fetch(T))
    end)

    it("limit a batch by bytes as well", function()
      local cursor = c:cursor("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT zeroblob(200000) FROM n")
      assert.equal(2, #cursor:fetch(T))
      cursor:close()
    end)

    it("keep their place beside other statements, and end with the connection's reset", function()
      for i = 1, 150 do query("INSERT INTO t (v) VALUES ($1)", i) end
      local a, b = c:cursor "SELECT v FROM t ORDER BY id", c:cursor "SELECT v FROM t ORDER BY id"
      assert.same({ 100, 100 }, { #a:fetch(T), #b:fetch(T) })
      query "UPDATE t SET u = id"
      assert.same({ 50, 50 }, { #a:fetch(T), #b:fetch(T) })
      local open = c:cursor "SELECT v FROM t"
      open:fetch(T)
      c:reset()
      assert.is_true(c:clean())
      assert.equal("ECLOSED", failure(open.fetch, open, T).code)
      open:close()
    end)

    it("that were closed or collected leave the connection clean after the next job", function()
      for i = 1, 150 do query("INSERT INTO t (v) VALUES ($1)", i) end
      local a = c:cursor "SELECT v FROM t"
      a:fetch(T)
      a:close()
      c:cursor("SELECT v FROM t"):fetch(T)
      collectgarbage()
      collectgarbage()
      query "SELECT 1"
      assert.is_true(c:clean())
      assert.is_nil(a:fetch(T))
    end)
  end)

  describe("a connection for reading", function()
    it("says of a statement that writes that it does", function()
      local r <close> = setmetatable({ c = sqlite.open(path, { reads = true }) }, { __close = function(self) self.c:close() end })
      assert.equal(0, r.c:query(T, nil, "SELECT count(*) AS n FROM t")[1].n)
      assert.is_false(r.c:query(T, nil, "INSERT INTO t (v) VALUES (1)"))
      assert.is_false(r.c:cursor("WITH x AS (SELECT 1) DELETE FROM t RETURNING id"):fetch(T))
      assert.is_true(r.c:clean())
      assert.equal(0, one "SELECT count(*) AS n FROM t".n)
    end)
  end)

  describe("stopping", function()
    it("a timeout stops the statement and leaves the connection usable", function()
      local err = failure(c.query, c, 0.02, nil, ENDLESS)
      assert.equal("ETIMEDOUT", err.code)
      assert.equal(1, one "SELECT 1 AS a".a)
    end)

    it("a cancel does, even of a job that has not begun", function()
      for _ = 1, 20 do
        local a = waiting(task.spawn(query, ENDLESS))
        local b = waiting(task.spawn(query, ENDLESS))
        b:cancel()
        a:cancel()
        assert.equal("ECANCELED", failure(a.join, a).code)
        assert.equal("ECANCELED", failure(b.join, b).code)
      end
      assert.equal(1, one "SELECT 1 AS a".a)
    end)

    it("stops only the statement in question", function()
      for i = 1, 150 do query("INSERT INTO t (v) VALUES ($1)", i) end
      local cursor = c:cursor "SELECT v FROM t"
      cursor:fetch(T)
      assert.equal("ETIMEDOUT", failure(c.query, c, 0.02, nil, ENDLESS).code)
      assert.equal(50, #cursor:fetch(T))
    end)

    describe("dooms the transaction it was in:", function()
      local function doomed()
        assert.equal("SQLITE_ABORT", failure(c.exec, c, T, "INSERT INTO t (v) VALUES (2)").code)
        local err = failure(c.commit, c, T)
        assert.equal("SQLITE_ABORT", err.code)
        assert.matches("only be rolled back", err.message)
        c:rollback(T)
        assert.equal(0, one "SELECT count(*) AS n FROM t".n)
      end

      before_each(function()
        c:begin(T)
        c:exec(T, "INSERT INTO t (v) VALUES (1)")
      end)

      it("a write, half way", function()
        local sql = "INSERT INTO t (v) SELECT i FROM (" .. ENDLESS:gsub("SELECT count.*", "SELECT i FROM n") .. ")"
        assert.equal("ETIMEDOUT", failure(c.exec, c, 0.02, sql).code)
        doomed()
      end)

      it("a read", function()
        assert.equal("ETIMEDOUT", failure(c.query, c, 0.02, nil, ENDLESS).code)
        doomed()
      end)

      it("a statement that had not begun", function()
        local a = waiting(task.spawn(query, (ENDLESS:gsub("FROM n%)", "FROM n LIMIT 300000)"))))
        local b = waiting(task.spawn(query, "INSERT INTO t (v) VALUES (3)"))
        b:cancel()
        assert.equal("ECANCELED", failure(b.join, b).code)
        pcall(a.join, a) -- it may have begun in time, or not
        doomed()
      end)

      it("not the next one", function()
        failure(c.query, c, 0.02, nil, ENDLESS)
        doomed()
        c:begin(T)
        c:exec(T, "INSERT INTO t (v) VALUES (1)")
        c:commit(T)
        assert.equal(1, one "SELECT count(*) AS n FROM t".n)
      end)
    end)

    it("waits its turn when two tasks share the connection", function()
      local tasks = {}
      for i = 1, 20 do tasks[i] = task.spawn(query, "INSERT INTO t (v) VALUES ($1)", i) end
      for i = 1, 20 do tasks[i]:join() end
      assert.equal(210, one "SELECT sum(v) AS n FROM t".n)
    end)

    it("close lets what runs end first, and what comes later is told", function()
      local t = waiting(task.spawn(query, "SELECT 5 AS five"))
      c:close()
      assert.equal(5, t:join()[1].five)
      assert.equal("ECLOSED", failure(query, "SELECT 1").code)
    end)

    it("a connection that is collected in the middle closes by itself", function()
      local handles = require "green.debug".census().handles
      local t = waiting(task.spawn(function() sqlite.open(path):query(T, nil, ENDLESS) end))
      t:cancel()
      assert.is_false((pcall(t.join, t)))
      t = nil
      while require "green.debug".census().handles > handles do
        collectgarbage()
        task.sleep(0)
      end
    end)
  end)

  describe("locks", function()
    it("are waited for without a thread: a dozen writers, and the holder still gets through", function()
      local tasks, conns = {}, {}
      c:begin(T)
      for i = 1, 12 do
        conns[i] = sqlite.open(path)
        tasks[i] = waiting(task.spawn(function() conns[i]:exec(T, "INSERT INTO t (v) VALUES ($1)", i) end))
      end
      for _ = 1, 50 do c:exec(T, "INSERT INTO t (v) VALUES ($1)", 0) end
      c:commit(T)
      for i = 1, 12 do
        tasks[i]:join()
        conns[i]:close()
      end
      assert.same({ n = 62, s = 78 }, one "SELECT count(*) AS n, sum(v) AS s FROM t")
    end)

    it("a job that waits for one can be cancelled", function()
      local other = sqlite.open(path)
      c:begin(T)
      local t = waiting(task.spawn(other.exec, other, T, "INSERT INTO t (v) VALUES (1)"))
      task.sleep(0.005)
      t:cancel()
      assert.equal("ECANCELED", failure(t.join, t).code)
      c:rollback()
      other:close()
      assert.equal(0, one "SELECT count(*) AS n FROM t".n)
    end)
  end)

  it("does not block the loop: another task takes a hundred steps while one statement runs", function()
    local t = waiting(task.spawn(query, ENDLESS))
    for _ = 1, 100 do task.sleep(0) end
    assert.equal("waiting", t:status())
    t:cancel()
    assert.is_false((pcall(t.join, t)))
  end)
end)
