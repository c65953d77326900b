-- SPDX-License-Identifier: MIT
local connect = require "green.db".connect
local database = require "specification.database"
local dialects = require "specification.dialects"
local outcome = require "outcome"

local failure = outcome.failure

for _, dialect in ipairs { dialects.memory, dialects.file } do
  describe("green.db " .. dialect.name, function() database(_ENV, dialect) end)
end

describe("green.db on a file", function()
  it("is in WAL mode, with foreign keys, whichever way its URL is written", function()
    local place = dialects.file.fresh()
    do
      local db <close> = connect(place.url)
      db:exec "CREATE TABLE t (v); INSERT INTO t VALUES (1)"
      assert.equal("wal", db:value "PRAGMA journal_mode")
      assert.equal(1, db:value "PRAGMA foreign_keys")
    end
    do
      local db <close> = connect((place.url:gsub("^sqlite:", "sqlite://")))
      assert.equal(1, db:value "SELECT v FROM t")
    end
    place.close()
  end)
end)

describe("green.db", function()
  it("refuses what it does not know", function()
    local err = failure(connect, "oracle://localhost/x")
    assert.equal("EPROTONOSUPPORT", err.code)
    assert.matches("oracle", err.message)
    assert.equal("EPROTONOSUPPORT", failure(connect, "kitchen.db").code)
    assert.equal("EINVAL", failure(connect, "sqlite:").code)
    assert.matches("a database URL expected", failure(connect))
    assert.matches("unknown option 'poolsize'", failure(connect, "sqlite::memory:", { poolsize = 3 }))
    local db <close> = connect "sqlite:/proc/nowhere/at/all.db"
    assert.equal("SQLITE_CANTOPEN", failure(db.query, db, "SELECT 1").code)
    assert.equal("SQLITE_CANTOPEN", failure(db.query, db, "SELECT 1").code) -- and no connection is lost
    assert.equal(4, db.readers.permits:available())
  end)
end)
