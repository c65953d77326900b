-- SPDX-License-Identifier: MIT
-- COPY, both ways: rows arrive whole and in order, the server waits for a slow reader, and a copy that fails or is left, anywhere, gives its
-- connection back, idle, with all of its rows kept or none. CUTS=all cuts connections at every byte.
-- Needs: databases
local connect = require "green.db".connect
local cutter = require "peers.cutter"
local debug = require "green.debug"
local null = require "green.json".null
local outcome = require "outcome"
local postgres = require "peers.postgres"
local task = require "green.task"

local failure, waiting, await = outcome.failure, outcome.waiting, outcome.eventually
local STEP = os.getenv "CUTS" == "all" and 1 or 7
local MANY = 500 -- more waits than anything here has
local IN, OUT = "COPY t FROM STDIN", "COPY (SELECT * FROM t ORDER BY id) TO STDOUT"
local ENDLESS = "COPY (SELECT i, repeat('x', 100) FROM (SELECT generate_series(1, 100000000) AS i) AS s) TO STDOUT"
local pg, place, db

postgres.around(_ENV, { size = 2, wait = 60 }, function(...)
  pg, place, db = ...
  db:exec "CREATE TABLE t (id int, v text)"
end)

after_each(function() if pg.frozen then pg:thaw() end end)

local function count() return db:value "SELECT count(*) FROM t" end

local function check_settled()
  await(function() return db:stats().writer.lent == 0 end, "all connections are back")
  pg:settled(place.name)
end

local function lines(n, text)
  local i = 0
  return function()
    i = i + 1
    if i <= n then return ("%d\t%s\n"):format(i, text or "some text") end
  end
end

local function read(sql)
  local all = {}
  for line in db:copy_out(sql or OUT) do all[#all + 1] = line end
  return table.concat(all), #all
end

describe("db:copy_in", function()
  it("takes lines, and lists of values, from a function, a list, or all in one string", function()
    assert.equal(3, db:copy_in(IN, { "1\ta\n", { 2, "b" }, { 3, null } }))
    assert.equal(2, db:copy_in(IN, lines(2)))
    assert.equal(1, db:copy_in("COPY t (id) FROM STDIN (FORMAT csv, HEADER)", "id\n7\n"))
    assert.equal(0, db:copy_in(IN, {}))
    assert.equal(0, db:copy_in(IN, ""))
    assert.equal(6, count())
    assert.equal(1, db:value "SELECT count(*) FROM t WHERE id = 3 AND v IS NULL")
    assert.equal(0, db:stats().writer.closed)
  end)

  it("keeps every character of a value", function()
    local values = { "", "\\", "\\N", "\\.", "\t\n\r\b\f\v", "'\"", "é€😀", " x ", "\\x41", ("long "):rep(50000) }
    local rows = {}
    for i, value in ipairs(values) do rows[i] = { i, value } end
    assert.equal(#values, db:copy_in(IN, rows))
    local back = db:query "SELECT v FROM t ORDER BY id"
    for i, value in ipairs(values) do assert.equal(value, back[i].v) end
    db:exec "CREATE TABLE kinds (i bigint, f float8, b boolean)"
    db:copy_in("COPY kinds FROM STDIN", { { math.maxinteger, 0.1, true }, { math.mininteger, -1e300, false } })
    local kinds = db:query "SELECT * FROM kinds"
    assert.same({ math.maxinteger, 0.1, true, math.mininteger, -1e300, false }, { kinds[1].i, kinds[1].f, kinds[1].b, kinds[2].i, kinds[2].f, kinds[2].b })
  end)

  it("carries more than the connection holds, from a source that waits", function()
    local n = 0
    assert.equal(3000, db:copy_in(IN, function()
      n = n + 1
      if n % 100 == 0 then assert(db:value("SELECT $1::int", n) == n) end -- over another connection
      if n <= 3000 then return ("%d\t%s\n"):format(n, ("x"):rep(2000)) end
    end))
    assert.equal(3000 * 2000, db:value "SELECT sum(length(v)) FROM t")
  end)

  it("keeps nothing of what fails: a wrong row, an error of the source, a wrong item", function()
    local err = failure(db.copy_in, db, IN, { "1\ta\n", "x\ta\n", "2\ta\n" })
    assert.same({ "22P02", "db.copy_end" }, { err.code, err.op })
    err = failure(db.copy_in, db, IN, function() error "of the source" end)
    assert.matches("of the source$", err)
    assert.matches("row 2: a string or a list of values expected, not a number", failure(db.copy_in, db, IN, { "1\ta\n", 2 }))
    assert.matches("row 1, column 2: .* not a table", tostring(failure(db.copy_in, db, IN, { { 1, {} } })))
    check_settled()
    assert.equal(0, count())
    assert.equal(0, db:stats().writer.closed)
  end)

  it("belongs to the transaction of its task, and dooms it when it fails", function()
    db:transaction(function()
      db:copy_in(IN, lines(3))
      assert.equal(3, count())
    end)
    assert.equal(3, count())
    pcall(db.transaction, db, function()
      db:copy_in(IN, lines(3))
      error "no"
    end)
    assert.equal(3, count())
    local err = failure(db.transaction, db, function() pcall(db.copy_in, db, IN, { "x\n" }) end)
    assert.equal("25P02", err.code)
    db:transaction(function()
      pcall(db.transaction, db, db.copy_in, db, IN, { "x\n" })
      pcall(db.transaction, db, function() db:copy_in(IN, function() error "no" end) end)
      db:copy_in(IN, { "9\t\n" })
    end)
    assert.equal(4, count())
    check_settled()
  end)

  it("refuses other statements on its connection meanwhile", function()
    local codes = {}
    db:transaction(function()
      local n = 0
      db:copy_in(IN, function()
        n = n + 1
        if n > 3 then return end
        codes[n] = failure(n == 1 and db.query or n == 2 and db.exec or db.value, db, "SELECT 1").code
        return n .. "\tx\n"
      end)
    end)
    assert.same({ "EBUSY", "EBUSY", "EBUSY" }, codes)
    assert.equal(3, count())
  end)
end)

describe("db:copy_out", function()
  it("gives each row, whole, and in order", function()
    db:copy_in(IN, lines(20000))
    local n = 0
    for line in db:copy_out(OUT) do
      n = n + 1
      assert(line == ("%d\tsome text\n"):format(n))
    end
    assert.equal(20000, n)
    assert.equal("", read "COPY (SELECT 1 WHERE false) TO STDOUT")
    assert.equal("a\n7\n", read "COPY (SELECT 7 AS a) TO STDOUT (FORMAT csv, HEADER)")
    assert.equal(1, #read "COPY (SELECT) TO STDOUT")
    assert.equal("PGCOPY\n", read "COPY (SELECT 7 AS a) TO STDOUT (FORMAT binary)":sub(1, 7))
    local text = read "COPY (SELECT repeat('x', 3000000)) TO STDOUT"
    assert.equal(3000001, #text)
    assert.equal(0, db:stats().writer.closed)
  end)

  it("goes into db:copy_in as it is", function()
    db:copy_in(IN, { { 1, "a\tb\\c\n" }, { 2, null } })
    db:exec "CREATE TABLE u (id int, v text)"
    local next_row, copy = db:copy_out(OUT)
    assert.equal(2, db:copy_in("COPY u FROM STDIN", function() return next_row(copy) end))
  end)

  it("waits for a slow reader, and what is left early is stopped on the server", function()
    for i = 1, 3 do
      local n = 0
      for line in db:copy_out(ENDLESS) do
        n = n + 1
        assert(line == ("%d\t%s\n"):format(n, ("x"):rep(100)))
        if n == 1000 then
          task.sleep(0.05)
          assert.equal(1, pg:sessions(place.name, "state = 'active'"))
        end
        if n == 3000 * i then break end
      end
      check_settled()
    end
    assert.equal(0, db:stats().writer.closed)
  end)

  it("raises what fails on its way, after the rows before it", function()
    local n = 0
    local err = failure(function()
      for _ in db:copy_out "COPY (SELECT 1 / (50000 - i) FROM generate_series(1, 60000) AS s (i)) TO STDOUT" do n = n + 1 end
    end)
    assert.same({ "22012", "db.copy_out" }, { err.code, err.op })
    assert.is_true(n > 1000 and n < 50000)
    check_settled()
    assert.equal("42P01", failure(read, "COPY nowhere TO STDOUT").code)
  end)

  it("left early in a transaction dooms that, or the savepoint", function()
    local err = failure(db.transaction, db, function()
      db:copy_in(IN, lines(1))
      for _ in db:copy_out(ENDLESS) do break end
      db:value "SELECT 1"
    end)
    assert.equal("25P02", err.code)
    assert.equal(0, count())
    db:transaction(function()
      db:copy_in(IN, lines(1))
      db:transaction(function() for _ in db:copy_out "COPY t TO STDOUT" do end end)
      pcall(db.transaction, db, function()
        for _ in db:copy_out(ENDLESS) do break end
        db:value "SELECT 1"
      end)
    end)
    assert.equal(1, count())
    check_settled()
  end)

  it("sees what its transaction wrote, and refuses other statements meanwhile", function()
    db:transaction(function()
      db:copy_in(IN, lines(2))
      local _, n = read()
      assert.equal(2, n)
      n = 0
      for _ in db:copy_out((ENDLESS:gsub("100000000", "20000"))) do
        n = n + 1
        if n == 1 then assert.equal("EBUSY", failure(db.value, db, "SELECT 1").code) end
      end
      assert.equal(20000, n)
      assert.equal(1, db:value "SELECT 1")
    end)
  end)
end)

describe("a statement that is no COPY, or none in this direction,", function()
  it("is refused", function()
    for _, sql in ipairs { "SELECT 1", "INSERT INTO t VALUES (1)", OUT } do assert.equal("EINVAL", failure(db.copy_in, db, sql, {}).code) end
    for _, sql in ipairs { "SELECT 1", IN } do assert.equal("EINVAL", failure(read, sql).code) end
    assert.equal("42601", failure(read, "nonsense").code)
    for _, fn in ipairs { db.query, db.exec, db.value } do
      for _, sql in ipairs { IN, OUT, ENDLESS } do assert.equal("ENOTSUP", failure(fn, db, sql).code) end
    end
    check_settled()
    assert.equal(0, db:stats().writer.closed)
    for _, wrong in ipairs { function() db:copy_in(IN) end, function() db:copy_in(7, {}) end, function() db:copy_out() end } do
      assert.matches("^tests/db/postgres/copy_spec.lua:%d+: ", failure(wrong))
    end
  end)

  it("does not hide a second one", function()
    pcall(read, "COPY (SELECT 1) TO STDOUT; COPY (SELECT 2) TO STDOUT")
    pcall(db.copy_in, db, "COPY t FROM STDIN; COPY t FROM STDIN", lines(1))
    pcall(db.copy_in, db, "COPY t FROM STDIN; SELECT 1", lines(1))
    check_settled()
    assert.equal(1, db:value "SELECT 1")
  end)

  it("and SQLite has none", function()
    local one <close> = connect "sqlite::memory:"
    assert.equal("ENOTSUP", failure(one.copy_in, one, IN, {}).code)
    assert.equal("ENOTSUP", failure(one.copy_out, one, OUT).code)
  end)
end)

-- ---- interrupted ----

local STEPS = {
  { "copy_in", function() db:copy_in(IN, lines(3000, ("x"):rep(100))) end },
  { "copy_out", function() read() end },
  { "copy_out that is left", function() for _ in db:copy_out(ENDLESS) do break end end },
  { "both in a transaction", function()
    db:transaction(function()
      db:copy_in(IN, lines(10))
      read()
    end)
  end },
}

local function interrupt(step, n, how)
  local left
  local one = task.spawn(function()
    debug.cancel_at(n, how)
    local ok, err = pcall(step)
    left = debug.cancel_at(0)
    if not ok then error(err, 0) end
  end)
  local ok, err = pcall(one.join, one)
  if not ok then assert.equal(how == "cancel" and "ECANCELED" or "EDEADLINE", type(err) == "table" and err.code or err) end
  return ok and left > 0
end

for _, how in ipairs { "cancel", "deadline" } do
  describe("interrupted in each of its waits (" .. how .. "),", function()
    for _, step in ipairs(STEPS) do
      it(step[1] .. " gives its connection back, idle", function()
        db:copy_in(IN, lines(5))
        for n = 1, MANY do
          local complete = interrupt(step[2], n, how)
          check_settled()
          if complete then return end
        end
        error "it never ended"
      end)
    end
  end)
end

it("memory that runs out at any place gives the connection back, idle", function()
  for _, step in ipairs(STEPS) do
    for n = 1, 300, 3 do
      debug.fail_alloc(n)
      pcall(step[2])
      debug.fail_alloc(0)
    end
    check_settled()
    db:exec "TRUNCATE t"
  end
  assert.equal(1, db:value "SELECT 1")
end)

it("a silent server is waited for no longer than `timeout`", function()
  local hasty = db:with { timeout = 2 }
  local err = failure(function()
    local n = 0
    for _ in hasty:copy_out(ENDLESS) do
      n = n + 1
      if n == 10 then pg:freeze() end
    end
  end)
  assert.same({ "ETIMEDOUT", "db.copy_out" }, { err.code, err.op })
  pg:thaw()
  check_settled()
  local text = ("x"):rep(100000)
  local n = 0
  err = failure(hasty.copy_in, hasty, IN, function()
    n = n + 1
    if n == 10 then pg:freeze() end
    return n .. "\t" .. text .. "\n"
  end)
  assert.same({ "ETIMEDOUT", "db.copy_in" }, { err.code, err.op })
  pg:thaw()
  check_settled()
  assert.equal(0, count())
end)

it("a server that is killed, or ends the session, is an error", function()
  local function end_session() pg:ask(("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = '%s'"):format(place.name)) end
  local n = 0
  assert.is_string(failure(function() for _ in db:copy_out(ENDLESS) do n = n + 1 if n == 10 then end_session() end end end).code)
  n = 0
  local err = failure(db.copy_in, db, IN, function()
    n = n + 1
    if n == 10 then end_session() end
    return n .. "\tx\n"
  end)
  assert.is_string(err.code)
  n = 0
  err = failure(function() for _ in db:copy_out(ENDLESS) do n = n + 1 if n == 10 then pg:kill() end end end)
  assert.is_string(err.code)
  pg:restart()
  check_settled()
  assert.equal(0, count())
end)

it("a database that is closed meanwhile gets its connection back", function()
  local begun = task.channel(0)
  local one = task.spawn(function()
    local n = 0
    for _ in db:copy_out(ENDLESS) do
      n = n + 1
      if n == 10 then
        begun:send(true)
        begun:receive()
        break
      end
    end
    return n
  end)
  begun:receive()
  db:close()
  begun:send(true)
  assert.equal(10, one:join(60))
  await(function() return pg:sessions(place.name) == 0 end, "its session ends")
end)

it("two tasks cannot share a copy by accident", function()
  db:pin(function()
    for _ in db:copy_out(ENDLESS) do
      local other = waiting(task.spawn(db.value, db, "SELECT 7"))
      assert.equal(7, other:join(60))
      break
    end
  end)
  check_settled()
end)

describe("a connection that is cut", function()
  local proxy

  before_each(function() proxy = cutter(pg.port) end)
  after_each(function() proxy:close() end)

  local function proxied()
    return connect((place.url:gsub(":%d+/", (":%d/"):format(proxy.port))) .. "&sslmode=disable&gssencmode=disable", { size = 1, wait = 60 })
  end

  -- Returns how many rows were acknowledged, and how many came, each nil if there was an error.
  local function session(one, where)
    local kept, n = pcall(one.copy_in, one, IN, lines(30))
    local seen = 0
    local whole, err = pcall(function()
      for line in one:copy_out "COPY (SELECT i, repeat('x', 20) FROM generate_series(1, 30) AS s (i)) TO STDOUT" do
        seen = seen + 1
        assert(line == ("%d\t%s\n"):format(seen, ("x"):rep(20)), "a wrong row")
      end
    end)
    for _, each in ipairs { { kept, n }, { whole, err } } do
      if not each[1] then
        assert.is_string(type(each[2]) == "table" and each[2].code or nil, where .. ": " .. tostring(each[2]))
        assert.is_true(each[2].code ~= "ETIMEDOUT", where .. ": it was not noticed")
      end
    end
    return kept and n, whole and seen, n
  end

  for _, direction in ipairs { "up", "down" } do
    it(("at any byte (%s) keeps all rows or none, and never ends rows early"):format(direction), function()
      proxy:pass()
      local bytes
      do
        local one <close> = proxied()
        assert.same({ 30, 30, 30 }, { session(one, "whole") })
        bytes = proxy.first[direction]
      end
      db:exec "TRUNCATE t"
      for n = math.random(0, STEP - 1), bytes + 8, STEP do
        local where = direction .. " " .. n
        proxy:cut(direction, n)
        do
          local one <close> = proxied()
          local kept, seen, err = session(one, where)
          if seen then assert.equal(30, seen, where) end
          await(function() return pg:sessions(place.name, "state <> 'idle' AND pid <> pg_backend_pid()") == 0 end, "the server has noticed")
          local there = count()
          assert.is_true(there == 0 or there == 30, where .. ": a part of the rows")
          if kept then assert.same({ 30, 30 }, { kept, there }, where) end
          if not kept and there == 30 then assert.equal("db.copy_end", err.op, where .. ": kept, and an error said otherwise") end
        end
        db:exec "TRUNCATE t"
      end
    end)
  end
end)
