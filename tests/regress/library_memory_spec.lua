-- SPDX-License-Identifier: MIT
-- What SQLite and OpenSSL allocate was the process's, and nobody's: with --max-memory 64M a database in memory grew to whatever it
-- liked, and so did a sorter, and connections with TLS weighed nothing. It is counted like what Lua allocates: SQLite is told no as
-- a script is, and so is who wants TLS on one connection more.
local certificates = require "net.certificates"
local sh = require "shell"

local function run(script, limit)
  local out, err = sh(("$lua %s script.lua"):format(limit and "--max-memory " .. limit or ""), { ["script.lua"] = script })
  assert.equal("", err)
  return out
end

-- 2 GB, unless somebody says no.
local GROW = [[
  local db = require "green.db".connect "sqlite::memory:"
  local ok, err = pcall(function()
    db:exec "CREATE TABLE t (v)"
    for i = 1, 2000 do db:exec "INSERT INTO t VALUES (zeroblob(1 << 20))" end
  end)
  print(ok, err.code, err.op)
]]

local SORT = [[
  local db = require "green.db".connect("sqlite::memory:", { init_sql = "PRAGMA temp_store = memory", timeout = 60 })
  local ok, err = pcall(db.query, db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 30000) SELECT max(v) FROM (SELECT zeroblob(10000) AS v FROM n ORDER BY random() LIMIT 29999)")
  print(ok, err.code, err.op)
]]

describe("with --max-memory", function()
  it("a database in memory grows no further than that", function()
    assert.equal("false\tSQLITE_NOMEM\tdb.exec\n", run(GROW, "64M"))
  end)

  it("nor does what a statement sorts", function()
    assert.equal("false\tSQLITE_NOMEM\tdb.query\n", run(SORT, "64M"))
  end)

  it("and the memory is there again when the database is gone", function()
    assert.equal("false\tSQLITE_NOMEM\tdb.exec\ntrue\ntrue\n", run(GROW .. [[
      db:close()
      local used
      for _ = 1, 1000 do -- it is closed on the pool
        used = require "green.debug".memory().used
        if used < 8 << 20 then break end
        require "green.task".sleep(0.01)
      end
      print(used < 8 << 20)
      print(#("x"):rep(16 << 20) == 16 << 20)
    ]], "64M"))
  end)
end)

describe("debug.memory", function()
  it("counts connections with TLS, and gives them back", function()
    local certs <close> = certificates()
    local script = ([[
      local debug, net, task = require "green.debug", require "green.net", require "green.task"
      local N <const> = 50
      local function used()
        collectgarbage()
        collectgarbage()
        return debug.memory().used
      end
      local function open(listener, n)
        local ends = {}
        for _ = 1, n do
          local accepted = task.spawn(listener.accept, listener, 20)
          ends[#ends + 1] = net.connect(listener:address(), { tls = { ca = CA, server_name = "localhost" }, timeout = 20 })
          ends[#ends + 1] = accepted:join()
        end
        return ends
      end
      local listener = net.listen("127.0.0.1:0", { tls = { cert = CERT, key = KEY } })
      for _, s in ipairs(open(listener, 2)) do s:close() end -- what is once in the process
      task.sleep(0)
      local before = used()
      local ends = open(listener, N)
      local with = used()
      for i, s in ipairs(ends) do s:close() ends[i] = nil end
      local late = task.now() + 60
      while used() - before >= N * 2 * 1000 and task.now() < late do task.sleep(0.01) end
      print(with - before > N * 2 * 10000, used() - before < N * 2 * 1000)
    ]]):gsub("CA", ("%q"):format(certs.ca)):gsub("CERT", ("%q"):format(certs.site.cert)):gsub("KEY", ("%q"):format(certs.site.key))
    assert.equal("true\ttrue\n", run(script))
  end)
end)
