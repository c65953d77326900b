-- SPDX-License-Identifier: MIT
-- Several things at once: each task reads like a script of its own, and join waits for its result. Three shops are
-- asked for a price; the answer takes as long as the slowest of them, not all three together.
local app = require "green.app".new()
local green = require "green"
local http = require "green.http"
local task = require "green.task"

local SHOPS = { "corner", "market", "wholesale" }
local SECONDS = { corner = 0.1, market = 0.3, wholesale = 0.2 } -- how long they think

app:get("/shops/:name", function(req)
  local seconds = SECONDS[req.params.name] or error { status = 404, message = "no such shop" }
  task.sleep(seconds)
  return { price = math.random(100, 200) }
end)

local function ask(shop)
  return http.get(app:url("/shops/" .. shop), { timeout = 5 }):raise_for_status():json().price
end

app:get("/", function()
  local started, prices, asking = task.now(), {}, {}
  for _, shop in ipairs(SHOPS) do asking[shop] = task.spawn(ask, shop) end
  for shop, one in pairs(asking) do
    prices[shop] = green.try(one.join, one) -- a shop that fails has no price; the others do
  end
  return { prices = prices, seconds = task.now() - started }
end)

return app
