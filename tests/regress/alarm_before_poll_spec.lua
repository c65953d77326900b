-- SPDX-License-Identifier: MIT
-- A sleep was lost: uv_run(ONCE) runs timers before it polls, so an alarm that was due already fired there,
-- and the poll then blocked with no alarm set until something else happened on the loop. Seen with a
-- statement running on the thread pool, which keeps the loop alive.
local sqlite = require "green.db.sqlite"
local task = require "green.task"

local ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

describe("a short sleep beside a pool job that does not end", function()
  it("ends", function()
    local c = sqlite.open ":memory:"
    local t = task.spawn(c.query, c, 30, nil, ENDLESS)
    for _ = 1, 2000 do task.sleep(0) end
    for _ = 1, 20 do task.sleep(0.001) end
    t:cancel()
    assert.is_false((pcall(t.join, t)))
    c:close()
  end)
end)
