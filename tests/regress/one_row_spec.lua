-- SPDX-License-Identifier: MIT
-- db:one and db:value fetched every row behind the first: of a million, 2.1 s and 211 MB.
local connect = require "green.db".connect
local outcome = require "outcome"

local ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"

describe("one row", function()
  local db

  before_each(function() db = connect("sqlite::memory:", { max_result = 4096, timeout = 20 }) end)
  after_each(function() db:close() end)

  it("is all that one and value wait for", function()
    assert.same({ i = 1 }, db:one(ENDLESS))
    assert.equal(1, db:value(ENDLESS))
  end)

  it("of a statement that writes is returned when all is written", function()
    db:exec "CREATE TABLE t (id INTEGER PRIMARY KEY, v)"
    assert.equal(1, db:value "INSERT INTO t (v) VALUES (1), (2), (3) RETURNING id")
    assert.equal(3, db:value "SELECT count(*) FROM t")
    assert.same({ id = 1 }, db:one "DELETE FROM t RETURNING id")
    assert.equal(0, db:value "SELECT count(*) FROM t")
  end)

  it("may be too large as well", function()
    assert.equal("SQLITE_TOOBIG", outcome.failure(db.value, db, "SELECT zeroblob(8192)").code)
    assert.equal("SQLITE_TOOBIG", outcome.failure(db.query, db, "SELECT zeroblob(2048) UNION ALL SELECT zeroblob(2049)").code)
    assert.equal(2048, #db:value "SELECT zeroblob(2048) UNION ALL SELECT zeroblob(2049)")
  end)
end)
