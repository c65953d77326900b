-- SPDX-License-Identifier: MIT
-- Needs: databases
-- The kitchen, written with LuaSocket and luasql and no word of green.* (kitchen/orders.lua), takes 200 orders at once: its own other
-- service, which it asks over HTTP, answers none of them before all are there. Under a server that blocks, the first would wait for ever.
require "helper"
local fs = require "green.fs"
local http = require "green.http"
local json = require "green.json"
local new_app = require "green.app".new
local orders = require "libc.kitchen.orders"
local start = require "peers.databases"
local task = require "green.task"

local ORDERS = 200
local WAIT = 110 -- seconds for what takes a few
local TABLE = "CREATE TABLE orders (id INTEGER PRIMARY KEY, who TEXT, details TEXT, status TEXT, mins INTEGER)"

-- What the table holds: user -> { id =, mins = }.
local function rows_of(conn)
  local rows, cursor = {}, assert(conn:execute "SELECT who, id, mins, status FROM orders")
  for who, id, mins, status in function() return cursor:fetch() end do
    assert.equal("cooking", status)
    rows[who] = { id = math.tointeger(tonumber(id)), mins = math.tointeger(tonumber(mins)) }
  end
  cursor:close()
  return rows
end

local function take_orders(kitchen)
  local app = new_app { request_timeout = WAIT }
  app:wsapi("/", kitchen.run)
  local server = app:listen "127.0.0.1:0"
  local _ <close> = setmetatable({}, { __close = function() server:abort() end })
  kitchen.kitchen = app:url "/kitchen"
  local numbers = {}
  for i = 1, ORDERS do numbers[i] = i end
  local client = http.client { timeout = WAIT }
  return task.map(numbers, function(i)
    local answer = client:post(app:url "/orders", { json = { id = i, user = "user " .. i, details = "it's " .. i } })
    assert(answer.status == 201, answer.body)
    return { i = i, status = answer.status, said = json.decode(answer.body) }
  end, { max = ORDERS })
end

local function check(answers, rows)
  local n = 0
  for _, answer in ipairs(answers) do
    local row = rows["user " .. answer.i]
    assert.equal(201, answer.status)
    assert.equal(answer.i, row.id)
    assert.same({ id = row.id, user = "user " .. answer.i, mins = row.id % 60 }, answer.said)
    assert.equal(row.id % 60, row.mins)
    n = n + 1
  end
  assert.equal(ORDERS, n)
end

local KINDS = {
  { "PostgreSQL", server = "postgres", driver = function() return require "luasql.postgres".postgres() end, connect = function(env, place)
    local how = "host=127.0.0.1 port=%d user=green dbname=postgres gssencmode=disable" -- Kerberos' library leaves tables behind
    return env:connect(how:format(place.postgres.port))
  end },
  { "SQLite", server = "", driver = function() return require "luasql.sqlite3".sqlite3() end, connect = function(env, place)
    local conn = assert(env:connect(place.dir.path .. "/orders.db"))
    assert(conn:execute "PRAGMA synchronous = OFF")
    return conn
  end },
}

describe("the kitchen with LuaSocket and luasql", function()
  for _, kind in ipairs(KINDS) do
    it("takes 200 orders at once, and keeps them by one connection to " .. kind[1], function()
      local dir <close> = fs.temp_dir()
      local servers <close> = start(kind.server)
      local env = kind.driver()
      local place = { dir = dir, postgres = servers.postgres }
      local conn, reader = assert(kind.connect(env, place)), assert(kind.connect(env, place))
      assert(conn:execute(TABLE))
      check(take_orders(orders.new(conn, ORDERS)), rows_of(reader))
      reader:close()
      conn:close()
      env:close()
    end)
  end
end)
