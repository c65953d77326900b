-- SPDX-License-Identifier: MIT
-- A job that found the database locked was tried again for five seconds also when nobody waited for it any more (a connect, a begin
-- or a commit whose task had timed out while it ran): it could still do in the end what its caller had been told had failed, and
-- whoever shared its connection waited behind it.
local debug = require "green.debug"
local outcome = require "outcome"
local sqlite = require "green.db.sqlite"
local task = require "green.task"

local failure, waiting = outcome.failure, outcome.waiting

local T = 20
local SLOW = "CREATE TEMP TABLE s AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000) SELECT count(*) FROM n;"

describe("a job that nobody waits for", function()
  it("is not tried again when it finds the database locked", function()
    local path = os.tmpname()
    local c, other = sqlite.open(path), sqlite.open(path)
    c:exec(T, "CREATE TABLE t (v)")
    c:begin(T)
    local contender = waiting(task.spawn(other.exec, other, T, "INSERT INTO t VALUES (1)")) -- gives up first, if both go on
    local before = debug.census()
    assert.equal("ETIMEDOUT", failure(sqlite.open, path, { init_sql = SLOW .. "INSERT INTO t VALUES ('late')" }, 0.001).code)
    while debug.census().ops > before.ops do
      assert.is_true(contender:status() ~= "failed", "the abandoned job goes on")
      task.sleep(0.001)
    end
    contender:cancel()
    assert.equal("ECANCELED", failure(contender.join, contender).code)
    c:rollback(T)
    c:close()
    other:close()
    os.remove(path)
  end)
end)
