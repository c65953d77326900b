-- SPDX-License-Identifier: MIT
-- Migrations of a file of SQLite (specification.migrations), and the command lines that deal with them.
local dialects = require "specification.dialects"
local migrations = require "specification.migrations"
local sh = require "shell"

local ORDERS = [[
-- migrate:up
CREATE TABLE orders (id INTEGER PRIMARY KEY, pizza TEXT);
CREATE TABLE users (id INTEGER PRIMARY KEY);

-- migrate:down
DROP TABLE orders;
DROP TABLE users;
]]

describe("migrations", function() migrations(_ENV, dialects.file) end)

describe("greenlua migrate", function()
  -- Runs a shell command line in a folder with an app; files whose names begin with a digit are its migrations.
  local function app_sh(command, files)
    return sh("mkdir migrations; mv [0-9]*.* migrations; " .. command, files)
  end

  local APP = [[
    local app = require "green.app".new()
    local db = require "green.db".connect "sqlite:a.db"
    local Order = require "green.model"(db, "orders")
    app:database(db)
    app:get("/", function() return Order:all() end)
    require "green.task".spawn(function() while true do require "green.task".sleep(60) end end)
    return app
  ]]

  it("applies, undoes, shows and marks", function()
    local out, err, code = app_sh([[
      $lua migrate app.lua status && $lua migrate app.lua && $lua migrate app.lua up && $lua migrate app.lua status | cut -c 1-9
      $lua migrate app.lua down && $lua migrate app.lua mark 1 applied && $lua migrate app.lua status | cut -c 1-17]],
      { ["app.lua"] = APP, ["1_orders.sql"] = ORDERS })
    assert.equal("", err)
    assert.equal("pending  1_orders\napplied\t1_orders\nnothing to do\napplied  \nundone\t1_orders\napplied  1_orders\n", out)
    assert.equal(0, code)
  end)

  local function complains(pattern, words, files)
    local _, err, code = sh("$lua migrate " .. words, files or { ["app.lua"] = APP })
    assert.matches("^greenlua: migrate: " .. pattern, err)
    assert.equal(1, code)
    assert.not_matches("traceback", err)
  end

  it("says what is wrong", function()
    complains("an app expected\nusage: greenlua migrate APP ", "")
    complains("unrecognized option '%-%-all'\nusage:", "--all")
    complains("app: cannot open nope%.lua: No such file", "nope.lua")
    complains("'upp' is nothing that migrate does\nusage:", "app.lua upp")
    complains("new: an argument is missing\nusage:", "app.lua new")
    complains("up: too many arguments\nusage:", "app.lua up 2")
    complains("down: a number of migrations expected, not 'all'\n", "app.lua down all")
    complains("mark: a version expected, digits, not 'x'\n", "app.lua mark x applied")
    complains("mark: 'applied' or 'pending' expected, not 'done'\n", "app.lua mark 1 done")
    complains("app: a%.lua: it returns no app", "a.lua", { ["a.lua"] = "" })
    complains("app: a%.lua: the app does not say which database it has: app:database%(db%)\n", "a.lua",
      { ["a.lua"] = "return require 'green.app'.new()" })
  end)

  it("finds the migrations beside the app, from wherever it is started", function()
    local out = app_sh("mkdir app && mv app.lua migrations app && $lua migrate app/app.lua status",
      { ["app.lua"] = APP, ["1_orders.sql"] = ORDERS })
    assert.equal("pending  1_orders\n", out)
  end)

  it("applies each once when several processes begin at once", function()
    local out, err = app_sh("for i in 1 2 3 4; do $lua migrate app.lua & done; wait",
      { ["app.lua"] = APP, ["1_orders.sql"] = ORDERS, ["2_row.sql"] = "INSERT INTO users (id) VALUES (1)" })
    assert.equal("", err)
    assert.equal(2, select(2, out:gsub("applied\t", "")))
    assert.equal(1, select(2, out:gsub("1_orders", "")))
  end)

  it("says that one was killed in the middle of what no transaction held", function()
    local out, err = app_sh([[
      ($lua migrate app.lua; true) > killed 2>&1
      $lua -e 'local m, db = require "green.migrations", require "green.db".connect "sqlite:a.db"
        print(m.status(db, "migrations")[1].state) print(pcall(m.up, db, "migrations", { wait = 0 }))']],
      { ["app.lua"] = APP, ["1_kill.lua"] = [[return { transaction = false, up = function() os.execute "kill -9 $PPID" end }]] })
    assert.equal("", err)
    assert.matches("^running\nfalse\tmigrations: 1_kill is being run by another process, .* if that process is gone, ", out)
  end)
end)

describe("greenlua db", function()
  it("begins a prompt with the app, its database and its models", function()
    local out = sh("echo 'print(models.orders:count(), #app:routes(), db)' | $lua db app.lua", { ["app.lua"] = [[
      local db = require "green.db".connect "sqlite::memory:"
      db:exec "CREATE TABLE orders (id INTEGER PRIMARY KEY)"
      require "green.model"(db, "orders")
      local app = require "green.app".new()
      app:database(db)
      return app:get("/", function() end)]] })
    assert.matches("db: sqlite::memory:, models: orders\n", out)
    assert.matches("0\t1\tdb: sqlite::memory:\n", out)
  end)

  it("says what is wrong", function()
    local _, err, code = sh("$lua db nope.lua")
    assert.matches("^greenlua: db: app: cannot open nope%.lua", err)
    assert.equal(1, code)
  end)
end)
