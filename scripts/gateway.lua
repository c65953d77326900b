-- SPDX-License-Identifier: MIT
-- A gateway in front of another server. Requests go on to that server and its answers come back, both piece by piece as fast as the
-- slower side takes them; between the two the gateway asks for a token, which it replaces by its own, and adds a header. A server that
-- is down or slow is a 502 or 504 for the client, and a line in the log. /gateway says how the server and the connections to it are.
--
--     build/greenlua --listen 127.0.0.1:9000 scripts/notes.lua &
--     UPSTREAM=http://127.0.0.1:9000 build/greenlua scripts/gateway.lua
--     curl -H 'Authorization: Bearer tea' localhost:8080/notes
local app = require "green.app".new()
local green = require "green"
local http = require "green.http"
local response = require "green.response"

local UPSTREAM = os.getenv "UPSTREAM" or "http://127.0.0.1:9000"
local USERS = { ["Bearer tea"] = "ann", ["Bearer coffee"] = "bob" } -- by what they send
local KEY = os.getenv "UPSTREAM_KEY" or "secret" -- known to the other server and nobody else

local upstream = http.client { base_url = UPSTREAM, timeout = 2, retry = { max = 2, backoff = 0.1 } } -- for questions of our own

app:get("/gateway", function()
  local answer, err = green.try(upstream.head, upstream, "/")
  return { upstream = answer and answer.status or err.code, connections = http.stats() }
end)

app:any("/*path", function(req)
  local user = USERS[req.headers.authorization]
  if not user then return response.json({ error = "who are you?" }, 401, { ["www-authenticate"] = "Bearer" }) end
  local headers = { authorization = "Bearer " .. KEY, ["x-user"] = user } -- in place of what the client sent
  return response.proxy(UPSTREAM, { headers = headers, timeout = 10 }):header("via", "1.1 gateway")
end)

return app
