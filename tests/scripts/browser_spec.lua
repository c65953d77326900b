-- SPDX-License-Identifier: MIT
-- The page of the main example in real browsers: two people order, each reads only what is theirs. Screenshots are
-- left in build/screenshots to be looked at.
-- Needs: browser
local app_new = require("green.app").new
local http = require "green.http"
local response = require "green.response"
local serve = require "process"
local task = require "green.task"
local webdriver = require "webdriver"

local SHOTS = "build/screenshots"

local missing = webdriver.missing()
if missing then
  io.stderr:write("\n*** NO BROWSER TESTS: ", missing, " ***\n")
  describe("the kitchen's page", function() pending(missing) end)
  return
end

local CONNECTED = "document.querySelector('#state').textContent == 'connected'"

describe("the kitchen's page", function()
  local driver, database

  setup(function()
    os.execute("mkdir -p " .. SHOTS)
    driver = webdriver.start()
  end)

  teardown(function() driver:__close() end)

  before_each(function() database = os.tmpname() end)

  after_each(function()
    for _, suffix in ipairs { "", "-wal", "-shm" } do os.remove(database .. suffix) end
  end)

  local function start(env, options)
    env = env or {}
    env.DATABASE_URL = "sqlite:" .. database
    return serve("scripts/kitchen/app.lua", env, options)
  end

  local function visit(app, user)
    local page = driver:browser()
    page:open(app.url .. "/?user=" .. user)
    page:await(CONNECTED)
    return page
  end

  -- Types an order, sends it, and returns what the page answers.
  local function order(page, details)
    local field = page:find "#details"
    field:clear()
    field:type(details)
    page:find("#order button"):click()
    page:await "!document.querySelector('#order button').disabled"
    return page:find("#answer"):text()
  end

  local function messages(page)
    return page:run "return [...document.querySelectorAll('#messages li:not(.none) span')].map(item => item.textContent)"
  end

  local function await_messages(page, n)
    page:await(("document.querySelectorAll('#messages li:not(.none)').length >= %d"):format(n))
    return messages(page)
  end

  local function shoot(page, name) page:screenshot(SHOTS .. "/" .. name .. ".png") end

  it("shows two people their own orders", function()
    local app <close> = start()
    local ann <close> = visit(app, "ann")
    local bob <close> = visit(app, "bob")
    assert.equal("Order #1 is being cooked.", order(ann, "Two margheritas"))
    assert.equal("Order #2 is being cooked.", order(bob, "Käsespätzle & <b>salad</b>"))
    assert.equal("Order #3 is being cooked.", order(ann, "A tiramisù"))
    local both, one = await_messages(ann, 2), await_messages(bob, 1)
    assert.equal(2, #both)
    assert.matches("^Order #3 will be delivered in %d+ minutes%.$", both[1])
    assert.matches("^Order #1 will be delivered in %d+ minutes%.$", both[2])
    assert.equal(1, #one)
    assert.matches("^Order #2 will be delivered in %d+ minutes%.$", one[1])
    assert.equal("Käsespätzle & <b>salad</b>", http.get(app.url .. "/orders/2"):json().details)
    shoot(ann, "ann")
    shoot(bob, "bob")
  end)

  it("works while many order at once", function()
    local app <close> = start()
    local ann <close> = visit(app, "ann")
    local bob <close> = visit(app, "bob")
    local one, two = task.spawn(order, ann, "Soup"), task.spawn(order, bob, "Bread")
    local others = {}
    for i = 1, 20 do others[i] = task.spawn(http.post, app.url .. "/orders", { form = { user = "ann", details = "wine " .. i } }) end
    for _, other in ipairs(others) do assert.equal(200, other:join().status) end
    assert.matches("is being cooked", one:join())
    assert.matches("is being cooked", two:join())
    assert.equal(21, #await_messages(ann, 21))
    assert.equal(1, #await_messages(bob, 1))
  end)

  it("says what went wrong", function()
    local kitchen = app_new()
    kitchen:post("/", function() return response.status(500) end)
    local server = kitchen:listen "127.0.0.1:0"
    local app <close> = start { KITCHEN_URL = kitchen:url "/" }
    local page <close> = visit(app, "ann")
    assert.equal("That did not work: details is missing.", order(page, "   "))
    assert.equal("bad", page:run "return document.querySelector('#answer').className")
    assert.equal("That did not work: the kitchen did not take the order.", order(page, "tea"))
    assert.equal("tea", page:run "return document.querySelector('#details').value")
    assert.same({}, messages(page))
    shoot(page, "error")
    app:stop()
    server:finish(10)
    assert.equal("That did not work: nobody answers; please try again.", order(page, "tea"))
  end)

  it("connects again when the server is back", function()
    local app <close> = start()
    local page <close> = visit(app, "ann")
    assert.equal(0, (app:stop()))
    page:await "document.querySelector('#state').textContent == 'reconnecting'"
    shoot(page, "reconnecting")
    local _ <close> = start(nil, { listen = app.address })
    page:await(CONNECTED)
    assert.equal("Order #1 is being cooked.", order(page, "tea"))
    assert.equal(1, #await_messages(page, 1))
  end)

  it("takes names as they are", function()
    local app <close> = start()
    local page <close> = visit(app, "%3Cimg src=x onerror=document.title=1%3E%26user=bob")
    local other <close> = visit(app, "bob")
    assert.equal("<img src=x onerror=document.title=1>&user=bob", page:find("#user"):text())
    order(page, "tea")
    assert.equal(1, #await_messages(page, 1))
    assert.same({}, messages(other))
    assert.matches("^The kitchen: <img", page:run "return document.title")
  end)

  it("gives a name to who has none, and keeps it", function()
    local app <close> = start()
    local page <close> = visit(app, "")
    local name = page:find("#user"):text()
    assert.matches("^guest%-%w+$", name)
    page:open(app.url)
    assert.equal(name, page:find("#user"):text())
  end)

  it("fits a narrow window, by day and by night", function()
    local app <close> = start()
    local page <close> = visit(app, "ann")
    page:devtools("Emulation.setDeviceMetricsOverride", { width = 380, height = 700, deviceScaleFactor = 1, mobile = false })
    order(page, "A margherita that is named at such length that no narrow window could show it in one line")
    await_messages(page, 1)
    assert.is_true(page:run "return document.documentElement.scrollWidth <= innerWidth")
    shoot(page, "narrow")
    local light = page:run "return getComputedStyle(document.body).backgroundColor"
    page:devtools("Emulation.setEmulatedMedia", { features = { { name = "prefers-color-scheme", value = "dark" } } })
    assert.not_equal(light, page:run "return getComputedStyle(document.body).backgroundColor")
    shoot(page, "narrow-dark")
  end)
end)
