-- SPDX-License-Identifier: MIT
-- An app that listens to the topics of the environment's TOPICS, and tells what it heard; for the specs of hubs with a broker.
local app = require "green.app".new()
local hub = require "green.hub"
local task = require "green.task"

local heard, loops = {}, {}

for topic in (os.getenv "TOPICS" or ""):gmatch "%S+" do
  heard[topic], loops[topic] = {}, hub.subscribe(topic, { max_messages = 100000 })
  task.spawn(function()
    for message in loops[topic] do table.insert(heard[topic], message) end
  end)
end

app:get("/heard/:topic", function(req) return { n = #heard[req.params.topic], list = table.concat(heard[req.params.topic], " ") } end)

app:post("/publish/:topic", function(req)
  local last = 0
  for message in req:body():gmatch "%S+" do last = hub.publish(req.params.topic, message) end
  return { sent = last }
end)

app:post("/send/:user", function(req) return { sent = hub.send(req.params.user, req:body()) } end)

app:post("/close/:topic", function(req) loops[req.params.topic]:close() end)

local function counted(fn, name)
  local ok, count, silent = pcall(fn, name)
  if not ok then return { code = count.code, message = tostring(count) } end
  return { count = count, silent = silent }
end

app:get("/count/:topic", function(req) return counted(hub.count, req.params.topic) end)
app:get("/present/:user", function(req) return counted(hub.present, req.params.user) end)
app:get("/stats", hub.stats)

app:ws("/live", function(ws, req)
  hub.attach(req.query.user, ws)
  ws:send "attached"
  for _ in ws:messages() do end
end)

return app
