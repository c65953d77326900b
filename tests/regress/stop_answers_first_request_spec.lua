-- SPDX-License-Identifier: MIT
-- SIGTERM dropped the connections that were just made: 64 clients connected, the signal came, they sent their first request
-- a moment later, and none was answered. A client that connects is about to ask; a load balancer that learns of the stop later
-- must not see a reset. While stopping, a connection that was accepted or waits in the backlog gets its first request answered.
local raw = require "http.raw"
local serve = require "process"

local CLIENTS = 64

local function app()
  local path = os.tmpname()
  finally(function() os.remove(path) end)
  local file <close> = assert(io.open(path, "w"))
  file:write [[return function() return "fine" end]]
  return path
end

local function connect_all(address)
  local clients = {}
  for i = 1, CLIENTS do clients[i] = raw.connect(address) end
  return clients
end

local function assert_answered(clients)
  for _, client in ipairs(clients) do client:send(raw.GET) end
  for _, client in ipairs(clients) do
    local answer = client:answer()
    assert.equal("fine close", answer and answer.body .. " " .. answer.headers.connection)
    client:close()
  end
end

describe("a server told to stop", function()
  it("answers the first request of connections it had accepted", function()
    local server <close> = serve(app())
    local clients = connect_all(server.address)
    assert.equal("fine", raw.ask(server.address, raw.GET).body) -- it has accepted them by now
    server:signal "TERM"
    assert.equal("greenlua: stopping (SIGTERM)", server:line())
    assert_answered(clients)
    assert.same({ 0, "" }, { server:wait() })
  end)

  it("answers the first request of connections that wait in the backlog", function()
    local server <close> = serve(app())
    server:signal "STOP"
    local clients = connect_all(server.address)
    server:signal "TERM"
    server:signal "CONT"
    assert.equal("greenlua: stopping (SIGTERM)", server:line())
    assert_answered(clients)
    assert.same({ 0, "" }, { server:wait() })
  end)

  it("waits for no second request", function()
    local server <close> = serve(app())
    local client <close> = raw.connect(server.address)
    client:send(raw.GET)
    assert.equal("fine", client:answer().body)
    server:signal "TERM"
    assert.equal("", client:rest())
    assert.same({ 0, "greenlua: stopping (SIGTERM)\n" }, { server:wait() })
  end)

  it("waits for no first request longer than the grace", function()
    local server <close> = serve(app(), nil, { flags = "--grace 0.1" })
    local client <close> = raw.connect(server.address)
    assert.equal("fine", raw.ask(server.address, raw.GET).body)
    server:signal "TERM"
    assert.equal("", client:rest())
    assert.same({ 0, "greenlua: stopping (SIGTERM)\n" }, { server:wait() })
  end)
end)
