-- SPDX-License-Identifier: MIT
-- The main example as its users run it: a process of its own over a database file, driven over HTTP. Where
-- another kitchen is needed it is served here: an order's details say how it answers.
local app_new = require("green.app").new
local db = require "green.db"
local frames = require "http.frames"
local green = require "green"
local http = require "green.http"
local json = require "green.json"
local response = require "green.response"
local serve = require "process"
local task = require "green.task"

local APP = "scripts/kitchen/app.lua"
local LIMIT = 60 -- seconds nothing here takes

-- A new database file, removed after the test. Returns the URL.
local function new_database()
  local path = os.tmpname()
  finally(function()
    for _, suffix in ipairs { "", "-wal", "-shm", "-journal" } do os.remove(path .. suffix) end
  end)
  return "sqlite:" .. path
end

local function start(env)
  env = env or {}
  env.DATABASE_URL = env.DATABASE_URL or new_database()
  local app = serve(APP, env)
  app.database = env.DATABASE_URL
  return app
end

local function stored(app)
  local database <close> = db.connect(app.database)
  return database:query "SELECT * FROM orders ORDER BY id"
end

local function order(app, user, details) return http.post(app.url .. "/orders", { form = { user = user, details = details }, timeout = LIMIT }) end

-- The WebSocket of a page.
local function page(app, query) return frames.connect(app.address, { path = "/connect" .. query }) end

-- All that was sent to it before the server saw this ping: frames stay in order.
local function messages(client)
  local list = {}
  client:raw(frames.ping "here")
  while true do
    local opcode, payload = client:frame()
    if opcode == frames.PONG then return list end
    assert.equal(frames.TEXT, opcode)
    list[#list + 1] = payload
  end
end

local function each_in_a_task(list, fn)
  local tasks = {}
  for i, value in ipairs(list) do tasks[i] = task.spawn(fn, value, i) end
  for i, one in ipairs(tasks) do tasks[i] = one:join(LIMIT) end
  return tasks
end

-- A semaphore whose permits are all taken: acquire waits for a release.
local function closed_gate()
  local gate = task.semaphore(1000)
  for _ = 1, 1000 do gate:acquire() end
  return gate
end

local function numbers(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end

-- A kitchen on an address of its own.
local function start_kitchen(handler)
  local kitchen = app_new()
  kitchen:post("/", handler, { cancel_on_disconnect = true })
  local server = kitchen:listen "127.0.0.1:0"
  return setmetatable({ url = kitchen:url "/" }, { __close = function() server:finish(LIMIT) end })
end

describe("the kitchen", function()
  it("takes orders as forms and as JSON", function()
    local app <close> = start()
    local resp = order(app, "ann", "tea & 100% cake")
    assert.equal(200, resp.status)
    assert.equal("application/json", resp.headers["content-type"])
    local first = resp:json()
    assert.equal(1, first.order_id)
    assert.is_true(first.mins >= 30 and first.mins <= 60)
    local second = http.post(app.url .. "/orders", { json = { user = "bob", details = "käse\n\"now\"" } }):json()
    assert.equal(2, second.order_id)
    assert.same({
      { id = 1, user = "ann", details = "tea & 100% cake", status = "cooking", mins = first.mins },
      { id = 2, user = "bob", details = "käse\n\"now\"", status = "cooking", mins = second.mins },
    }, { table.unpack(stored(app)) })
  end)

  it("says what is wrong with an order, and keeps none", function()
    local app <close> = start()
    local function refused(status, why, opts)
      local resp = http.post(app.url .. "/orders", opts)
      assert.equal(status, resp.status, resp.body)
      assert.matches(why, resp:json().error)
    end
    refused(400, "^user is missing$", { form = { details = "tea" } })
    refused(400, "^user is missing$", { form = { user = "", details = "tea" } })
    refused(400, "^user is missing$", { form = { user = " \t\n", details = "tea" } })
    refused(400, "^details is missing$", { form = { user = "ann" } })
    refused(400, "^details is missing$", { form = { user = "ann", details = "" } })
    refused(400, "^details is missing$", { json = { user = "ann" } })
    refused(400, "^details is missing$", { json = { user = "ann", details = { "tea" } } })
    refused(400, "^details is missing$", { json = { user = "ann", details = json.null } })
    refused(400, "^user is missing$", { json = { user = 5, details = "tea" } })
    refused(400, "^user is missing$", { json = true })
    refused(400, "^user is missing$", { json = json.null })
    refused(400, "^user is missing$", { json = { "user", "details" } })
    local as_json = { ["content-type"] = "application/json" }
    refused(400, "JSON", { body = '{"user": "ann", "details"', headers = as_json })
    refused(400, "JSON", { body = "", headers = as_json })
    refused(400, "percent", { body = "user=%zz&details=tea", headers = { ["content-type"] = "application/x-www-form-urlencoded" } })
    refused(415, "not a form", { body = "user=ann&details=tea", headers = { ["content-type"] = "text/plain" } })
    refused(415, "not a form", { body = "user=ann&details=tea" })
    assert.equal(0, #stored(app))
  end)

  it("shows an order", function()
    local app <close> = start()
    local mins = order(app, "ann", "tea"):json().mins
    local resp = http.get(app.url .. "/orders/1")
    assert.equal(200, resp.status)
    assert.same({ order_id = 1, user = "ann", details = "tea", status = "cooking", mins = mins }, resp:json())
    for _, id in ipairs { "2", "0", "-1", "1.5", "one", "1x", "%20", "99999999999999999999", "'; DROP TABLE orders;--" } do
      local none = http.get(app.url .. "/orders/" .. id:gsub("[ ';]", { [" "] = "%20", ["'"] = "%27", [";"] = "%3B" }))
      assert.equal(404, none.status, id)
      assert.same({ error = "no such order" }, none:json())
    end
  end)

  it("serves its page", function()
    local app <close> = start()
    local resp = http.get(app.url .. "/")
    assert.equal(200, resp.status)
    assert.matches("^text/html", resp.headers["content-type"])
    assert.matches("<title>The kitchen</title>", resp.body, 1, true)
  end)

  it("wants to know who connects", function()
    local app <close> = start()
    for _, query in ipairs { "", "?user=", "?user=%20" } do
      local client = page(app, query)
      assert.equal(1008, (client:farewell()))
      client:close()
    end
  end)
end)

describe("the kitchen without its kitchen", function()
  local function failed(app, id, resp)
    assert.equal(502, resp.status, resp.body)
    assert.same({ error = "the kitchen did not take the order", order_id = id }, resp:json())
    assert.equal("failed", http.get(app.url .. "/orders/" .. id):json().status)
    assert.equal("failed", stored(app)[id].status)
  end

  it("keeps orders when nobody answers", function()
    local gone = app_new():listen "127.0.0.1:0"
    local refusing = "http://" .. gone:address()
    gone:finish(LIMIT)
    local app <close> = start { KITCHEN_URL = refusing }
    failed(app, 1, order(app, "ann", "tea"))
  end)

  local answers = {
    ["fails"] = function() return response.json({ error = "no" }, 500) end,
    ["answers 200"] = function() return { mins = 30 } end,
    ["answers nothing"] = function() return response.status(204) end,
    ["talks nonsense"] = function() return response.text("an hour or so", 201) end,
    ["breaks JSON off"] = function() return response.text('{"mins": 3', 201) end,
    ["forgets the minutes"] = function() return response.json({ order_id = 1 }, 201) end,
    ["spells the minutes"] = function() return response.json({ mins = "30" }, 201) end,
    ["halves the minutes"] = function() return response.json({ mins = 30.5 }, 201) end,
    ["answers a list"] = function() return response.json({ 30 }, 201) end,
    ["answers null"] = function() return response.json(nil, 201) end,
    ["answers at length"] = function() return response.json({ mins = 30, why = ("x"):rep(200000) }, 201) end,
    ["never stops"] = function()
      return response.stream(function(out)
        while true do out:write(("x"):rep(65536)) end
      end, { status = 201 })
    end,
    ["hangs up"] = function()
      return response.stream(function(out)
        out:write '{"mins": 30'
        error "a broken connection is what this test is about"
      end, { status = 201 })
    end,
    ["redirects in circles"] = function(req) return response.redirect(req.path, 307) end,
  }

  -- Stderr shows the error of "hangs up"; it is meant.
  it("keeps orders when the answer is none", function()
    local kitchen <close> = start_kitchen(function(req) return answers[req:form().details](req) end)
    local app <close> = start { KITCHEN_URL = kitchen.url }
    local client = page(app, "?user=ann")
    local names = {}
    for name in pairs(answers) do names[#names + 1] = name end
    table.sort(names)
    for id, name in ipairs(names) do
      failed(app, id, order(app, "ann", name))
      assert.equal(name, stored(app)[id].details)
    end
    assert.same({}, messages(client))
    client:close()
  end)

  it("keeps orders when the answer does not come, and serves others meanwhile", function()
    local kitchen <close> = start_kitchen(function(req)
      if req:form().details == "hang" then task.sleep(LIMIT) end
      return response.json({ mins = 5 }, 201)
    end)
    local app <close> = start { KITCHEN_URL = kitchen.url, KITCHEN_TIMEOUT = "3" }
    local slow = task.spawn(order, app, "ann", "hang")
    repeat until http.get(app.url .. "/orders/1").status == 200
    assert.equal("placed", http.get(app.url .. "/orders/1"):json().status)
    assert.equal(200, order(app, "bob", "tea").status)
    failed(app, 1, slow:join(LIMIT))
    assert.equal("cooking", stored(app)[2].status)
  end)
end)

describe("many orders at once", function()
  local USERS, ORDERS = 20, 200

  -- What it received: { [order id] = minutes }, each once.
  local function announced(client)
    local seen = {}
    for _, message in ipairs(messages(client)) do
      local id, mins = message:match "^Order #(%d+) will be delivered in (%d+) minutes%.$"
      assert(id, message)
      assert.is_nil(seen[tonumber(id)], "announced twice: " .. message)
      seen[tonumber(id)] = tonumber(mins)
    end
    return seen
  end

  it("are each answered, stored and announced once, to whom they belong", function()
    local app <close> = start()
    local clients, expected = {}, {}
    for user = 1, USERS do
      clients[user] = page(app, "?user=user" .. user)
      expected[user] = {}
    end
    local answered = each_in_a_task(numbers(ORDERS), function(i)
      return order(app, "user" .. i % USERS + 1, "order " .. i)
    end)
    local by_id = {}
    for i, resp in ipairs(answered) do
      assert.equal(200, resp.status, resp.body)
      local answer = resp:json()
      assert.is_nil(by_id[answer.order_id], "the same id twice")
      by_id[answer.order_id] = { i = i, mins = answer.mins }
      expected[i % USERS + 1][answer.order_id] = answer.mins
    end
    local rows = stored(app)
    assert.equal(ORDERS, #rows)
    for _, row in ipairs(rows) do
      local one = by_id[row.id]
      assert.same({ "user" .. one.i % USERS + 1, "order " .. one.i, "cooking", one.mins }, { row.user, row.details, row.status, row.mins })
    end
    for user, client in ipairs(clients) do
      assert.same(expected[user], announced(client))
      client:close()
    end
  end)

  it("reach every page of a user", function()
    local app <close> = start()
    local clients = { page(app, "?user=ann"), page(app, "?user=ann") }
    each_in_a_task(numbers(10), function(i) return order(app, "ann", "order " .. i) end)
    for _, client in ipairs(clients) do
      assert.equal(10, #messages(client))
      client:close()
    end
  end)

  it("may go through two processes over one database", function()
    local database = new_database()
    local a <close> = start { DATABASE_URL = database }
    local b <close> = start { DATABASE_URL = database }
    local answered = each_in_a_task(numbers(60), function(i) return order(i % 2 == 0 and a or b, "ann", "order " .. i) end)
    local seen = {}
    for i, resp in ipairs(answered) do
      assert.equal(200, resp.status, resp.body)
      local id = resp:json().order_id
      assert.is_nil(seen[id])
      seen[id] = true
      local other = http.get((i % 2 == 0 and b or a).url .. "/orders/" .. id)
      assert.equal("order " .. i, other:json().details)
      assert.equal("cooking", other:json().status)
    end
    assert.equal(60, #stored(a))
  end)
end)

describe("the end of the kitchen's process", function()
  it("waits for the orders in flight", function()
    local arrived, gate, everybody = 0, closed_gate(), closed_gate()
    local kitchen <close> = start_kitchen(function()
      arrived = arrived + 1
      if arrived == 20 then everybody:release() end
      gate:acquire()
      return response.json({ mins = 7 }, 201)
    end)
    local app <close> = start { KITCHEN_URL = kitchen.url }
    local tasks = {}
    for i = 1, 20 do tasks[i] = task.spawn(order, app, "ann", "order " .. i) end
    everybody:acquire(LIMIT)
    app:signal "TERM"
    assert.equal("greenlua: stopping (SIGTERM)", app:line())
    for _ = 1, 20 do gate:release() end
    for _, one in ipairs(tasks) do assert.equal(200, one:join(LIMIT).status) end
    assert.same({ 0, "" }, { app:wait() })
    local rows = stored(app)
    assert.equal(20, #rows)
    for _, row in ipairs(rows) do assert.same({ "cooking", 7 }, { row.status, row.mins }) end
  end)

  it("loses no order it acknowledged, even when it is killed", function()
    local app <close> = start()
    local acknowledged, first = {}, closed_gate()
    local tasks = {}
    for i = 1, 60 do
      tasks[i] = task.spawn(function()
        local resp = green.try(order, app, "ann", "order " .. i)
        if not resp then return end
        acknowledged[resp:json().order_id] = "order " .. i
        first:release()
      end)
    end
    first:acquire(LIMIT)
    app:signal "KILL"
    for _, one in ipairs(tasks) do one:join(LIMIT) end
    assert.equal(9, (app:wait()))
    local rows = {}
    for _, row in ipairs(stored(app)) do rows[row.id] = row end
    assert.is_truthy(next(acknowledged))
    for id, details in pairs(acknowledged) do
      assert.equal(details, rows[id].details)
      assert.equal("cooking", rows[id].status)
    end
  end)

  it("says goodbye to the pages", function()
    local app <close> = start()
    local client = page(app, "?user=ann")
    app:signal "TERM"
    assert.equal(1001, (client:farewell()))
    client:close()
    assert.equal(0, (app:wait()))
  end)
end)
