-- SPDX-License-Identifier: MIT
-- The kitchen as three processes over one database and one Redis: a user is told of an order whichever process it reached.
-- Needs: redis
local await = require("outcome").eventually
local frames = require "http.frames"
local http = require "green.http"
local redis = require "green.redis"
local serve = require "process"
local start = require "peers.databases"

local WAIT = 60 -- seconds, for what is bound to come

describe("the kitchen's processes with one Redis", function()
  it("tell a user of every order, whichever of them it reached, also when Redis is restarted in between", function()
    local servers <close> = start "redis"
    local url, path = ("redis://127.0.0.1:%d"):format(servers.redis.port), os.tmpname()
    finally(function()
      for _, suffix in ipairs { "", "-wal", "-shm", "-journal" } do os.remove(path .. suffix) end
    end)
    local function kitchen() return serve("scripts/kitchen/app.lua", { DATABASE_URL = "sqlite:" .. path, GREENLUA_HUB = url }) end
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
  end)
end)
