-- SPDX-License-Identifier: MIT
-- The kitchen (scripts/kitchen), as it would have been written for any WSAPI server: with LuaSocket and luasql, which block, and with
-- nothing that knows on what it runs. An order is saved, sent to another service over HTTP, and saved again with what that said.
local http = require "socket.http"
local json = require "cjson"
local ltn12 = require "ltn12"
local socket = require "socket"

local M = {}

-- Makes the application. `conn`: its connection of luasql, `app.kitchen` the URL of the other service, which answers once so many
-- orders are there as `together` says.
function M.new(conn, together)
  local app, inside = {}, {}

  local function insert(order)
    return assert(conn:execute(("INSERT INTO orders (id, who, details, status) VALUES (%d, '%s', '%s', 'placed')")
      :format(order.id, conn:escape(order.user), conn:escape(order.details))))
  end

  local function update(id, mins)
    return assert(conn:execute(("UPDATE orders SET status = 'cooking', mins = %d WHERE id = %d"):format(mins, id)))
  end

  local function ask_kitchen(order)
    local body, answer = json.encode(order), {}
    local _, status = assert(http.request {
      url = app.kitchen, method = "POST", source = ltn12.source.string(body), sink = ltn12.sink.table(answer),
      headers = { ["content-length"] = #body, ["content-type"] = "application/json" },
    })
    assert(status == 201, status)
    return json.decode(table.concat(answer))
  end

  local function read(env) return json.decode(env.input:read(tonumber(env.CONTENT_LENGTH))) end

  local function answer(status, value)
    local text = json.encode(value)
    return status, { ["Content-Type"] = "application/json", ["Content-Length"] = #text }, coroutine.wrap(function() coroutine.yield(text) end)
  end

  local function place(env)
    local order = read(env)
    insert(order)
    local said = ask_kitchen(order)
    update(order.id, said.mins)
    return answer("201 Created", { id = order.id, user = order.user, mins = said.mins })
  end

  -- The service: it takes its time.
  local function cook(env)
    local order = read(env)
    table.insert(inside, order.id)
    while #inside < together do socket.sleep(0.05) end
    return answer(201, { mins = order.id % 60, id = order.id })
  end

  function app.run(env)
    if env.PATH_INFO == "/kitchen" then return cook(env) end
    if env.PATH_INFO == "/orders" then return place(env) end
    return answer(404, { error = "nothing here" })
  end

  return app
end

return M
