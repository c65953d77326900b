-- SPDX-License-Identifier: MIT
-- Migrations: each is applied once, whoever starts at the same time, and whatever ends one halfway leaves no half of it unsaid:
-- migrations(_ENV, dialect), in a spec; specification.dialects says what a dialect is, of which this needs one that is shared.
local assert = require "luassert"
local connect = require "green.db".connect
local debug = require "green.debug"
local fs = require "green.fs"
local migrations = require "green.migrations"
local task = require "green.task"

local function states(list)
  local words = {}
  for i, one in ipairs(list) do words[i] = one.name .. " " .. one.state end
  return table.concat(words, ", ")
end

local ORDERS = [[
-- The first table.
-- migrate:up
CREATE TABLE orders (id INTEGER PRIMARY KEY, pizza TEXT);
CREATE TABLE users (id INTEGER PRIMARY KEY);

-- migrate:down
DROP TABLE orders;
DROP TABLE users;
]]

local TOTAL = [[
return {
  up = function(db) db:exec "ALTER TABLE orders ADD COLUMN total INTEGER" end,
  down = function(db) db:exec "ALTER TABLE orders DROP COLUMN total" end,
}
]]

return function(spec, dialect)
  local describe, it, before_each, after_each = spec.describe, spec.it, spec.before_each, spec.after_each
  local place, dir, folder, db

  before_each(function()
    dir = fs.temp_dir()
    folder = fs.join(dir.path, "migrations")
    fs.mkdir(folder)
    place = dialect.fresh()
    db = connect(place.url)
  end)

  after_each(function()
    db:close()
    place.close()
    dir:close()
  end)

  local function file(name, text) fs.write(fs.join(folder, name), text) end
  local function up(opts) return table.concat(migrations.up(db, folder, opts), " ") end
  local function down(n) return table.concat(migrations.down(db, folder, n), " ") end
  local function status() return states(migrations.status(db, folder)) end

  local function refused(code, pattern, fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    assert.matches(pattern, tostring(err))
    assert.equal(code, err.code)
  end

  local function has_table(name) return #db:columns(name) > 0 end

  it("are applied once, in the order of their versions", function()
    file("10_total.lua", TOTAL)
    file("002_orders.sql", ORDERS)
    assert.equal("002_orders pending, 10_total pending", status())
    assert.equal("002_orders 10_total", up())
    assert.equal("", up())
    assert.equal("002_orders applied, 10_total applied", status())
    db:exec "INSERT INTO orders (id, pizza, total) VALUES (1, 'funghi', 7)"
    file("003_late.sql", "CREATE TABLE late (id INTEGER)") -- of another branch
    assert.equal("003_late", up())
    assert.matches("^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d$", migrations.status(db, folder)[1].applied_at)
  end)

  it("are undone from the newest on", function()
    file("1_orders.sql", ORDERS)
    file("2_total.lua", TOTAL)
    up()
    assert.equal("2_total", down())
    assert.equal("1_orders applied, 2_total pending", status())
    assert.equal("2_total", up())
    assert.equal("2_total 1_orders", down(7))
    assert.is_false(has_table "users")
    assert.equal("", down())
  end)

  it("roll back as a whole when they fail, and say where in the file", function()
    file("1_orders.sql", ORDERS)
    file("2_bad.sql", "-- migrate:up\nCREATE TABLE one (id INTEGER);\n\n-- the mistake:\nCREATE TABEL two (id INTEGER);\nCREATE TABLE three (id INTEGER);\n")
    refused(dialect.codes.syntax, "migrations/2_bad%.sql:4: .*near \"TABEL\"", migrations.up, db, folder)
    assert.is_false(has_table "one")
    assert.equal("1_orders applied, 2_bad pending", status())
    file("2_bad.sql", "-- migrate:up\nCREATE TABLE one (id INTEGER);")
    assert.equal("2_bad", up())
  end)

  it("of Lua that raise leave with their own error", function()
    file("1_bad.lua", "return { up = function(db)\n  db:exec 'CREATE TABLE one (id INTEGER)'\n  error 'no'\nend }")
    local ok, err = pcall(migrations.up, db, folder)
    assert.is_false(ok)
    assert.matches("migrations/1_bad%.lua:3: no$", err)
    assert.is_false(has_table "one")
  end)

  describe("outside of transactions", function()
    it("run what no transaction can hold", function()
      local sql = dialect.untransacted
      file("1_vacuum.sql", ("-- migrate:up transaction:false\n%s;\n%s;\n-- migrate:down transaction:false\n%s;\n"):format(sql, sql, sql))
      file("2_vacuum.lua", ("return { transaction = false, up = function(db) db:exec '%s' end }"):format(sql))
      assert.equal("1_vacuum 2_vacuum", up())
      refused("EINVAL", "2_vacuum%.lua: it cannot be undone: it has no 'down'", migrations.down, db, folder)
      migrations.mark(db, folder, 2, "pending")
      assert.equal("1_vacuum", down())
    end)

    local function fail_halfway()
      file("1_half.sql", "-- migrate:up transaction:false\nCREATE TABLE one (id INTEGER);\nCREATE TABEL two;\n")
      refused(dialect.codes.syntax, "1_half%.sql:3: ", migrations.up, db, folder)
    end

    it("stop everything when they failed halfway, until somebody says what is so", function()
      fail_halfway()
      file("0_first.sql", "CREATE TABLE first (id INTEGER)")
      assert.equal("0_first pending, 1_half failed", status())
      refused("EINVAL", "1_half failed halfway, .* mark 1 applied, or mark 1 pending$", migrations.up, db, folder)
      refused("EINVAL", "1_half failed halfway", migrations.down, db, folder)
      assert.is_false(has_table "first")
      migrations.mark(db, folder, "001", "applied")
      assert.equal("0_first", up())
      assert.equal("0_first applied, 1_half applied", status())
    end)

    it("can be said not to have been", function()
      fail_halfway()
      db:exec "DROP TABLE one"
      migrations.mark(db, folder, "1", "pending")
      file("1_half.sql", "-- migrate:up transaction:false\nCREATE TABLE one (id INTEGER);\n")
      assert.equal("1_half", up())
    end)

    it("wait for another process that is at it, and no longer than they may", function()
      file("1_slow.lua", "return { transaction = false, up = function() _G.slow_migration() end }")
      local gate, started = task.channel(), task.channel()
      function _G.slow_migration()
        started:send(true)
        gate:receive()
      end
      local first = task.spawn(up)
      started:receive()
      assert.equal("1_slow running", status())
      refused("ETIMEDOUT", "1_slow is being run by another process, for more than 0 s; .* mark 1 applied", migrations.up, db, folder, { wait = 0 })
      local second = task.spawn(up)
      gate:send(true)
      assert.equal("1_slow", first:join())
      assert.equal("", second:join())
      _G.slow_migration = nil
    end)

    it("that are cancelled, or out of time, have failed", function()
      local function out_of_time()
        local seconds = 0.05
        repeat -- until it was enough to begin
          pcall(task.deadline, seconds, up)
          seconds = 2 * seconds
        until not status():find "pending"
        error "out of time"
      end
      for n, fn in ipairs { out_of_time, function()
        local one = task.spawn(up)
        while #migrations.status(db, folder) == 0 or not status():find "running" do task.sleep(0.001) end
        one:cancel()
        one:join()
      end } do
        local name = ("%d_long"):format(n)
        file(name .. ".lua", "return { transaction = false, up = function() require 'green.task'.sleep(60) end }")
        assert.is_false((pcall(fn)))
        assert.matches(name .. " failed", status())
        migrations.mark(db, folder, n, "applied")
      end
    end)
  end)

  it("interrupted in any wait are applied as a whole, or not at all", function()
    db:close()
    db = connect(place.url, dialect.alone)
    file("1_orders.sql", ORDERS)
    file("2_total.lua", TOTAL)
    local n, ended = 0, false
    while not ended do
      n = n + 1
      local one = task.spawn(function()
        debug.cancel_at(n)
        up()
      end)
      ended = pcall(one.join, one)
      db:transaction(function() end) -- what the task has left behind is decided once others may write
      local now = status()
      assert.equal(has_table "orders", has_table "users")
      assert.equal(has_table "orders", now:find "1_orders applied" ~= nil)
      local columns = {}
      for _, column in ipairs(db:columns "orders") do columns[column.name] = true end
      assert.equal(columns.total or false, now:find "2_total applied" ~= nil)
      if not ended then
        down(2)
        assert(n < 1000)
      end
    end
    assert.is_true(n > 5)
  end)

  it("are not applied twice by tasks or connections that begin at once", function()
    file("1_orders.sql", ORDERS)
    file("2_row.sql", "INSERT INTO users (id) VALUES (1)")
    file("3_alone.sql", "-- migrate:up transaction:false\nINSERT INTO users (id) VALUES (2)")
    local others, tasks, applied = {}, {}, 0
    for i = 1, 8 do
      others[i] = connect(place.url)
      tasks[i] = task.spawn(migrations.up, others[i], folder)
    end
    for i, one in ipairs(tasks) do
      applied = applied + #one:join()
      others[i]:close()
    end
    assert.equal(3, applied)
    assert.equal(2, db:value "SELECT count(*) FROM users")
  end)

  describe("are refused when", function()
    it("they were edited after they were applied", function()
      file("1_orders.sql", ORDERS)
      up()
      file("1_orders.sql", ORDERS:gsub("pizza TEXT", "pizza BLOB"))
      file("2_total.lua", TOTAL)
      assert.equal("1_orders edited, 2_total pending", status())
      refused("EINVAL", "migrations/1_orders%.sql:3: edited after it was applied", migrations.up, db, folder)
      refused("EINVAL", "migrations/1_orders%.sql:3: edited after it was applied", migrations.down, db, folder)
      migrations.mark(db, folder, 1, "applied")
      assert.equal("2_total", up())
    end)

    it("line ends alone do not count as an edit", function()
      file("1_orders.sql", ORDERS)
      up()
      file("1_orders.sql", ORDERS:gsub("\n", "\r\n"))
      assert.equal("1_orders applied", status())
    end)

    it("their file is gone and they are to be undone", function()
      file("1_orders.sql", ORDERS)
      up()
      fs.remove(fs.join(folder, "1_orders.sql"))
      assert.equal("1_orders missing", status())
      assert.equal("", up())
      refused("ENOENT", "1_orders is applied, and there is no such file in ", migrations.down, db, folder)
    end)

    local REFUSED = {
      { "orders.sql", "", "EINVAL", "orders%.sql: a migration is called VERSION_NAME%.sql" },
      { "1_a.sql", "CREATE TABLE a (b);\n-- migrate:up\n", "EINVAL", "1_a%.sql:1: a statement before 'migrate:up'" },
      { "1_a.sql", "-- migrate:down\n", "EINVAL", "1_a%.sql:1: no 'migrate:up'" },
      { "1_a.sql", "-- migrate:up\n-- migrate:up\n", "EINVAL", "1_a%.sql:2: a second 'migrate:up'" },
      { "1_a.sql", "-- migrate:upp\n", "EINVAL", "1_a%.sql:1: 'migrate:upp': migrate:up or migrate:down expected" },
      { "1_a.sql", "-- migrate:up transactions:false\n", "EINVAL", "1_a%.sql:1: 'transactions:false': transaction:false or nothing expected" },
      { "1_a.lua", "return {", "EINVAL", "1_a%.lua:1: " },
      { "1_a.lua", "return 7", "EINVAL", "1_a%.lua: a table with a function 'up' expected" },
    }
    for _, row in ipairs(REFUSED) do
      it(row[4]:gsub("%%", ""), function()
        file(row[1], row[2])
        refused(row[3], row[4], migrations.up, db, folder)
        assert.equal(0, #db:columns "orders")
      end)
    end

    it("a field of Lua is mistyped", function()
      file("1_a.lua", "return { up = function() end, donw = function() end }")
      assert.error_matches(function() up() end, "1_a%.lua: unknown field 'donw'; did you mean 'down'%?")
    end)

    it("two have one version", function()
      file("1_a.sql", "")
      file("001_b.sql", "")
      refused("EEXIST", "migrations/001_b%.sql and .*migrations/1_a%.sql are of the same version", migrations.up, db, folder)
    end)

    it("there is no folder", function()
      refused("ENOENT", "nowhere: there is no such folder of migrations", migrations.up, db, fs.join(dir.path, "nowhere"))
    end)
  end)

  it("begin as an empty file", function()
    local path = migrations.new(fs.join(dir.path, "fresh"), "add_total")
    assert.matches("/fresh/%d%d%d%d%d%d%d%d%d%d%d%d%d%d_add_total%.sql$", path)
    local lua = migrations.new(fs.join(dir.path, "fresh"), "fill.lua")
    assert.equal(2, #migrations.up(db, fs.join(dir.path, "fresh")))
    refused("EINVAL", "'a b': letters, digits", migrations.new, folder, "a b")
    assert.matches("_fill%.lua$", lua)
  end)
end
