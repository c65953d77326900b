-- SPDX-License-Identifier: MIT
-- The kitchen: what greenlua is for, in one file. An order is saved, sent to another service, announced to the
-- user's browser and answered, in four plain lines, while the process goes on serving everybody else. The kitchen
-- itself is a service of the same app: one process calls itself over HTTP while it waits. Try it: scripts/run.
local green = require "green"
local app = require "green.app".new()
local http = require "green.http"
local hub = require "green.hub"
local model = require "green.model"
local response = require "green.response"
local db = require "green.db".connect(os.getenv "DATABASE_URL" or "sqlite:kitchen.db")

local here = (arg and arg[0] or ""):match "^(.*)/[^/]*$" or "."
local patience = tonumber(os.getenv "KITCHEN_TIMEOUT") or 10 -- seconds
local function kitchen_url() return os.getenv "KITCHEN_URL" or app:url "/kitchen/orders" end

db:exec [[
  CREATE TABLE IF NOT EXISTS orders (
    id INTEGER PRIMARY KEY, user TEXT NOT NULL, details TEXT NOT NULL, status TEXT NOT NULL, mins INTEGER)]]

local Order = model(db, "orders")

-- Form or JSON; what is missing is the client's to know.
local function input(req)
  local kind = (req:header "content-type" or ""):lower()
  local data = kind:find("json", 1, true) and req:json() or req:form()
  return type(data) == "table" and data or {}
end

local function text(value) return type(value) == "string" and value:match "%S" and value or nil end

function Order.prepare(req)
  local data = input(req)
  if not text(data.user) then return nil, "user is missing" end
  if not text(data.details) then return nil, "details is missing" end
  return Order:new { user = data.user, details = data.details, status = "placed" }
end

function Order:as_table() return { order_id = self.id, user = self.user, details = self.details } end

-- The order is kept, marked failed: somebody will call the user.
local function kitchen_error(order)
  order.status = "failed"
  order:save()
  return response.json({ error = "the kitchen did not take the order", order_id = order.id }, 502)
end

app:get("/", function() return response.file(here .. "/page.html") end)

app:ws("/connect", function(ws, req)
  if not text(req.query.user) then return ws:close(1008, "who are you? /connect?user=NAME") end
  hub.attach(req.query.user, ws)
  for _ in ws:messages() do end -- until the page is closed
end)

app:post("/orders", function(req)
  local order, missing = Order.prepare(req)
  if not order then return response.json({ error = missing }, 400) end
  order:save()                                                        -- waits for the database
  local resp = green.try(http.post, kitchen_url(),                    -- waits for another service, not too long
    { form = order:as_table(), timeout = patience, max_body = 65536 })
  local when = resp and resp.status == 201 and green.try(resp.json, resp)
  if type(when) ~= "table" or math.type(when.mins) ~= "integer" then return kitchen_error(order) end
  order.status, order.mins = "cooking", when.mins
  order:save()
  hub.send(order.user, ("Order #%d will be delivered in %d minutes."):format(order.id, when.mins))
  return { order_id = order.id, mins = when.mins }                    -- a table: JSON
end)

app:get("/orders/:id", function(req)
  local order = Order:find(math.tointeger(req.params.id) or 0)
  if not order then return response.json({ error = "no such order" }, 404) end
  return { order_id = order.id, user = order.user, details = order.details, status = order.status, mins = order.mins }
end)

app:post("/kitchen/orders", function(req)
  local order = req:form()
  return response.json({ order_id = math.tointeger(order.order_id), mins = math.random(30, 60) }, 201)
end)

return app
