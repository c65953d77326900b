-- SPDX-License-Identifier: MIT
-- A site with a bit of everything, for the load that visitors.lua makes.
local task = require "green.task"
local http = require "green.http"
local hub = require "green.hub"
local process = require "green.process"
local response = require "green.response"
local fs = require "green.fs"

-- db: a pool with a table `counts`; folder: with a file "large".
return function(db, folder)
  local app = require "green.app".new { request_timeout = 5, write_timeout = 2, header_timeout = 2, body_timeout = 2, keepalive_timeout = 3,
    cpu_limit = 5, max_connections = 500 }

  -- What is no fault of the site: its clients leave, its time is up.
  app:use(function(req, next)
    local ok, answer = pcall(next, req)
    if ok then return answer end
    if type(answer) ~= "table" or not answer.code then error(answer, 0) end
    return response.status(503)
  end)

  app:get("/text", function() return "text" end)
  app:get("/json", function(req)
    local list = {}
    for i = 1, tonumber(req.query.n) or 10 do list[i] = { id = i, third = i / 3, name = "row " .. i } end
    return list
  end)
  app:get("/large", function() return ("x"):rep(400000) end)
  app:post("/echo", function(req) return req:body() end)
  app:post("/pieces", function(req)
    local n = 0
    for piece in req:chunks() do n = n + #piece end
    return tostring(n)
  end)
  app:get("/stream", function()
    return response.stream(function(out)
      for i = 1, 20 do
        out:write(("%d "):format(i):rep(1000))
        if i % 5 == 0 then task.sleep(0.0005) end
      end
    end)
  end)
  app:get("/events", function()
    return response.events(function(events)
      for i = 1, 10 do
        events:send { data = { i }, id = i }
        task.sleep(0.0005)
      end
    end)
  end)
  app:get("/file", function() return response.file(folder .. "/large") end)
  app:get("/slow", function() task.sleep(0.02) return "slow" end, { cancel_on_disconnect = true })
  app:get("/busy", function()
    local sum = 0
    for i = 1, 30000 do sum = sum + i end
    return tostring(sum)
  end)
  app:get("/late", function() return task.deadline(0.001, task.sleep, 1) end)
  app:get("/group", function()
    local sums = task.map({ 1, 2, 3 }, function(i) task.sleep(0.0003) return i end, { max = 2 })
    return sums
  end)
  app:get("/rows", function()
    local rows = {}
    for row in db:rows "SELECT name, n FROM counts ORDER BY name LIMIT 20" do rows[#rows + 1] = row end
    return rows
  end)
  app:post("/count", function(req)
    db:transaction(function()
      db:exec("INSERT INTO counts (name, n) VALUES ($1, 1) ON CONFLICT (name) DO UPDATE SET n = n + 1", req.query.name)
      if req.query.wait then task.sleep(0.001) end
    end)
    return "counted"
  end)
  app:get("/command", function() return process.capture({ "cat" }, { input = "through", timeout = 5 }) end)
  app:get("/publish", function() return tostring(hub.publish("news", "to all")) end)
  app:get("/again", function(req)
    return http.get(app:url "/text", { timeout = 2 }).body .. (req.query.x or "")
  end)
  app:get("/written", function()
    local file <close> = fs.temp_file(folder)
    file:write(("y"):rep(5000))
    file:seek("set", 0)
    return tostring(#file:read(5000))
  end)
  app:ws("/ws", function(socket)
    hub.join(socket, "news")
    for message in socket:messages() do
      if message == "leave" then return end
      socket:send(message)
    end
  end)
  app:ws("/push", function(socket)
    for i = 1, 1000 do
      socket:send(("tick %d"):format(i))
      task.sleep(0.0005)
    end
  end)
  return app
end
