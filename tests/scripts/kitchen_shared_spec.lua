-- SPDX-License-Identifier: MIT
-- The kitchen as three processes over one database, SQLite or PostgreSQL, and one Redis: a user is told of an order whichever
-- process it reached.
-- Needs: databases
local await = require("outcome").eventually
local frames = require "http.frames"
local http = require "green.http"
local redis = require "green.redis"
local serve = require "process"
local start = require "peers.databases"

local WAIT = 60 -- seconds, for what is bound to come

describe("the kitchen's processes with one Redis", function()
  local function tell(servers, database)
    local url = ("redis://127.0.0.1:%d"):format(servers.redis.port)
    local function kitchen() return serve("scripts/kitchen/app.lua", { DATABASE_URL = database, GREENLUA_HUB = url }) end
    local a <close> = kitchen()
    local b <close> = kitchen()
    local c <close> = kitchen()
    local apps = { a, b, c }
    local ann = frames.connect(a.address, { path = "/connect?user=ann" })

    local function is_known()
      local ok, known = pcall(function()
        local client = redis.connect(url, { wait = WAIT, timeout = WAIT })
        local count = client:pubsub_numsub("green:hub:0:u:ann")[2]
        client:close()
        return count == 1
      end)
      return ok and known
    end

    local function order_from_all()
      for _, app in ipairs(apps) do
        local answer = http.post(app.url .. "/orders", { form = { user = "ann", details = "tea" }, timeout = WAIT }):json()
        local kept = http.get(a.url .. "/orders/" .. answer.order_id, { timeout = WAIT }):json()
        assert.same({ order_id = answer.order_id, user = "ann", details = "tea", status = "cooking", mins = answer.mins }, kept)
        assert.equal(("Order #%d will be delivered in %d minutes."):format(answer.order_id, answer.mins), ann:message())
      end
    end

    await(is_known, "ann is known")
    order_from_all()
    servers.redis.child:kill "KILL"
    servers.redis.child:wait(WAIT)
    servers.redis:restart()
    await(is_known, "ann is known again")
    order_from_all()
    ann:close()
  end

  it("tell a user of every order, whichever of them it reached, also when Redis is restarted in between", function()
    local servers <close> = start "redis"
    local path = os.tmpname()
    finally(function()
      for _, suffix in ipairs { "", "-wal", "-shm", "-journal" } do os.remove(path .. suffix) end
    end)
    tell(servers, "sqlite:" .. path)
  end)

  it("do so over PostgreSQL, too", function()
    local servers <close> = start "redis postgres"
    tell(servers, servers.postgres.url)
  end)
end)
