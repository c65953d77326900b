-- SPDX-License-Identifier: MIT
-- SQL alone crashed the process: Debian's SQLite has fts3_tokenizer on, which takes the address of a table of functions from
-- whoever can write a SELECT, and tells one. Whatever SQL a connection gets: it reaches the database and nothing beyond.
local connect = require "green.db".connect
local outcome = require "outcome"
local sh = require "shell"

local failure = outcome.failure

describe("a connection to SQLite", function()
  local db

  before_each(function() db = connect "sqlite::memory:" end)
  after_each(function() db:close() end)

  it("calls no address that SQL names, and tells none", function()
    local address = "x'4141414141414141'"
    assert.matches("fts3_tokenizer%(%) is not allowed", failure(db.query, db, ("SELECT fts3_tokenizer('mine', %s)"):format(address)).message)
    assert.matches("not allowed", failure(db.query, db, "SELECT hex(fts3_tokenizer('simple'))").message)
    assert.matches("not allowed", failure(db.value, db, "SELECT fts3_tokenizer($1, $2)", "mine", ("A"):rep(8)).message)
    assert.matches("not allowed", failure(db.exec, db, ("SELECT 1; SELECT fts3_tokenizer('mine', %s)"):format(address)).message)
    assert.matches("not allowed", failure(function()
      for _ in db:rows "SELECT fts3_tokenizer('simple')" do end
    end).message)
    db:exec "CREATE VIEW v AS SELECT fts3_tokenizer('simple') AS a"
    assert.is_false((pcall(db.query, db, "SELECT * FROM v")))
  end)

  it("loads no code", function()
    assert.matches("load_extension", failure(db.query, db, "SELECT load_extension('x.so')").message)
  end)

  it("writes nothing but rows into the file, and not into what others keep there", function()
    db:exec "CREATE VIRTUAL TABLE f USING fts5 (a); CREATE TABLE t (a)"
    assert.matches("may not be modified", failure(db.exec, db, "DELETE FROM f_data").message)
    assert.is_false((pcall(db.exec, db, "UPDATE sqlite_master SET sql = 'nonsense'")))
    assert.is_false((pcall(db.transaction, db, function()
      db:exec "PRAGMA writable_schema = ON"
      db:exec "UPDATE sqlite_master SET sql = 'nonsense'"
    end)))
    assert.is_false((pcall(db.exec, db, "UPDATE sqlite_dbpage SET data = zeroblob(4096) WHERE pgno = 1")))
    db:exec "INSERT INTO f VALUES ('funghi')"
    assert.equal("funghi", db:value "SELECT a FROM f WHERE f MATCH 'funghi'")
  end)

  it("does not change what is the process's, nor its own locks", function()
    for _, name in ipairs { "soft_heap_limit", "hard_heap_limit", "trusted_schema", "temp_store_directory" } do
      for _, sql in ipairs { "PRAGMA %s = 1", "SELECT 1; PRAGMA %s = 1; SELECT 2" } do
        assert.matches("is not allowed: it reaches beyond the database", failure(db.exec, db, sql:format(name)).message)
      end
      assert.matches("not allowed", failure(db.transaction, db, function() db:exec(("PRAGMA %s = 1"):format(name)) end).message)
    end
  end)

  it("has limits", function()
    assert.equal("SQLITE_TOOBIG", failure(db.query, db, "SELECT length(zeroblob(300000000))").code)
    assert.matches("LIKE or GLOB pattern too complex", failure(db.query, db, "SELECT 'a' LIKE $1", ("%a"):rep(10000)).message)
  end)
end)

describe("a database that is not to be written", function()
  local path

  before_each(function()
    path = os.tmpname()
    local db <close> = connect("sqlite:" .. path)
    db:exec "CREATE TABLE t (a); INSERT INTO t VALUES (42)"
  end)

  after_each(function()
    for _, suffix in ipairs { "", "-wal", "-shm" } do os.remove(path .. suffix) end
  end)

  local function content()
    local file <close> = io.open(path, "rb")
    return file:read "a"
  end

  it("mode=ro reads it, and leaves its journal as it is", function()
    local before
    do
      local db <close> = connect("sqlite:" .. path .. "?mode=rw", { init_sql = "PRAGMA journal_mode = DELETE" })
      assert.equal("delete", db:value "PRAGMA journal_mode")
    end
    before = content()
    local db <close> = connect("sqlite:" .. path .. "?mode=ro")
    assert.same({ 42, "delete" }, { db:value "SELECT a FROM t", db:value "PRAGMA journal_mode" })
    assert.equal("SQLITE_READONLY", failure(db.exec, db, "INSERT INTO t VALUES (1)").code)
    assert.equal("SQLITE_READONLY", failure(db.transaction, db, function() db:exec "DELETE FROM t" end).code)
    assert.equal(before, content())
  end)

  it("mode=ro and mode=rw make no file", function()
    for _, mode in ipairs { "ro", "rw" } do
      local missing <close> = connect("sqlite:" .. path .. "-missing?mode=" .. mode)
      assert.equal("SQLITE_CANTOPEN", failure(missing.query, missing, "SELECT 1").code)
      assert.is_nil(io.open(path .. "-missing"))
    end
  end)

  it("immutable=1 reads it without anything beside it", function()
    local db <close> = connect("sqlite:" .. path .. "?immutable=1&mode=ro")
    assert.equal(42, db:value "SELECT a FROM t")
    assert.is_nil(io.open(path .. "-shm"))
  end)

  it("on a read-only file system it is read", function()
    local _, _, can = sh "unshare -rm true"
    if can ~= 0 then return pending "no namespaces here" end
    local out, err = sh([[unshare -rm sh -c 'mount --bind . . && mount -o remount,ro,bind . && cd "$PWD" && '"$lua"' main.lua']], {
      ["main.lua"] = ([[
        local connect = require "green.db".connect
        local db = connect "sqlite:a%23?b.db"
        print(db:value "SELECT a FROM t")
        print(select(2, pcall(db.exec, db, "DELETE FROM t")).code)
      ]]):gsub("%?", "%%3f"),
      ["a#?b.db"] = content(),
    })
    assert.same({ "42\nSQLITE_READONLY\n", "" }, { out, err })
  end)

  it("what the URL asks for is checked", function()
    for _, query in ipairs { "mode=r", "mod=ro", "immutable=yes", "mode" } do
      assert.matches("mode=ro, mode=rw, mode=rwc or immutable=1 expected", failure(connect, "sqlite:" .. path .. "?" .. query).message)
    end
    assert.matches("a database in memory has no 'mode=ro'", failure(connect, "sqlite::memory:?mode=ro").message)
  end)
end)
