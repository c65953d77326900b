-- SPDX-License-Identifier: MIT
-- --dev in a real browser: a page loads itself again after an edit, shows an edit that cannot be loaded, and the page of a
-- failed handler can be read. Screenshots are left in build/screenshots to be looked at.
-- Needs: browser
local fs = require "green.fs"
local http = require "green.http"
local serve = require "process"
local task = require "green.task"
local webdriver = require "webdriver"

local SHOTS = "build/screenshots"
local LIMIT = 20 -- seconds no step of these tests needs

local missing = webdriver.missing()
if missing then
  io.stderr:write("\n*** NO BROWSER TESTS: ", missing, " ***\n")
  describe("--dev in a browser", function() pending(missing) end)
  return
end

local APP = [[
local app = require "green.app".new()
local response = require "green.response"
local task = require "green.task"

app:get("/", function()
  return response.html "<!doctype html><title>menu</title><body><h1>%s</h1></body>"
end)

local Order = {}
Order.__index = Order

function Order:price(discount)
  local total = 0
  for _, item in ipairs(self.items) do
    total = total + item.price * (1 - discount)
  end
  return total
end

local function cook(order, password)
  local steps = coroutine.wrap(function(first)
    local note = "<b>no onions</b>"
    return first:price(note and 0.1)
  end)
  return steps(order), password
end

app:get("/orders/:id", function(req)
  local order = setmetatable({ id = math.tointeger(req.params.id), items = { { name = "soup", price = 4.5 }, { name = "käse" } } }, Order)
  local oven = task.spawn(function() return cook(order, "plugh") end)
  return "price: " .. oven:join()
end)

app:static("/web", "%s")
return app
]]

describe("--dev in a browser", function()
  local driver, dir

  setup(function()
    os.execute("mkdir -p " .. SHOTS)
    driver = webdriver.start()
  end)

  teardown(function() driver:__close() end)
  before_each(function() dir = fs.temp_dir() end)
  after_each(function() dir:close() end)

  local function path(name) return fs.join(dir.path, name) end

  local function edit(headline, name) fs.write(path(name or "app.lua"), name and headline or APP:format(headline, dir.path)) end

  local function start(flags) return serve(path "app.lua", nil, { flags = flags or "--dev" }) end

  -- Asks again and again: a script that waits in the page is gone when the page is loaded again.
  local function await(page, expression)
    task.deadline(LIMIT, function()
      repeat
        task.sleep(0.02)
        local ok, holds = pcall(page.run, page, ("return Boolean(%s)"):format(expression))
      until ok and holds
    end)
  end

  local function shows(page, text)
    await(page, ("document.querySelector('h1')?.textContent == '%s' && document.readyState == 'complete'"):format(text))
  end

  it("loads the page again after an edit", function()
    edit "Soup"
    local app <close> = start()
    local page <close> = driver:browser()
    page:open(app.url)
    shows(page, "Soup")
    edit "Bread"
    shows(page, "Bread")
    edit "Cheese"
    shows(page, "Cheese")
  end)

  it("loads the page again when its style changes", function()
    edit "Soup"
    edit("<link rel=stylesheet href=a.css><h1>Styled</h1>", "a.html")
    edit("h1 { color: rgb(1, 2, 3) }", "a.css")
    local app <close> = start()
    local page <close> = driver:browser()
    page:open(app.url .. "/web/a.html")
    await(page, "document.querySelector('h1') && getComputedStyle(document.querySelector('h1')).color == 'rgb(1, 2, 3)'")
    edit("h1 { color: rgb(4, 5, 6) }", "a.css")
    await(page, "document.querySelector('h1') && getComputedStyle(document.querySelector('h1')).color == 'rgb(4, 5, 6)'")
  end)

  it("shows an edit that cannot be loaded, until it is mended", function()
    edit "Soup"
    local app <close> = start()
    local page <close> = driver:browser()
    page:open(app.url)
    shows(page, "Soup")
    fs.write(path "app.lua", (APP:format("<Bread>", dir.path):gsub("local total = 0", "local total = = 0")))
    await(page, "document.querySelector('#greenlua-dev')")
    local text = page:run "return document.querySelector('#greenlua-dev').textContent"
    assert.matches("The old code goes on serving%..*app.lua:13: unexpected symbol near '='", text)
    assert.matches("\n>   13    local total = = 0\n", text)
    assert.equal("Soup", page:find("h1"):text())
    page:screenshot(SHOTS .. "/dev-broken.png")
    edit "Tea"
    shows(page, "Tea")
    assert.is_true(page:run "return !document.querySelector('#greenlua-dev')")
  end)

  it("finds the server again", function()
    edit "Soup"
    local app <close> = start()
    local page <close> = driver:browser()
    page:open(app.url)
    shows(page, "Soup")
    assert.equal(0, (app:stop()))
    edit "Tea"
    local _ <close> = serve(path "app.lua", nil, { flags = "--dev", listen = app.address })
    shows(page, "Tea")
  end)

  it("shows why a handler failed, and the answer once it is mended", function()
    edit "Soup"
    local app <close> = start()
    local page <close> = driver:browser()
    page:open(app.url .. "/orders/7?table=4&token=frobnitz")
    local text = page:run "return document.body.innerText"
    for _, part in ipairs {
      "attempt to perform arithmetic on a nil value %(field 'price'%)", "total = total %+ item.price", "coroutine resumed by",
      "joined by", "item%s+{ name = \"käse\" }", "table%s+4", "password", "%(hidden%)",
    } do
      page:run "document.querySelectorAll('details').forEach(one => one.open = true)"
      text = page:run "return document.body.innerText"
      assert.matches(part, text)
    end
    assert.is_nil(text:find("frobnitz", 1, true))
    assert.equal("15", page:run "return document.querySelector('.bad').dataset.n")
    page:open(app.url .. "/orders/7?table=4&token=frobnitz")
    page:screenshot(SHOTS .. "/dev-error.png")
    page:devtools("Emulation.setEmulatedMedia", { features = { { name = "prefers-color-scheme", value = "dark" } } })
    page:run "window.scrollTo(0, 420)"
    page:screenshot(SHOTS .. "/dev-error-dark.png")
    page:devtools("Emulation.setDeviceMetricsOverride", { width = 380, height = 700, deviceScaleFactor = 1, mobile = false })
    page:run "window.scrollTo(0, 0)"
    assert.is_true(page:run "return document.documentElement.scrollWidth <= innerWidth")
    page:screenshot(SHOTS .. "/dev-error-narrow.png")
    page:run "document.querySelector('#traceback').scrollIntoView()"
    page:screenshot(SHOTS .. "/dev-error-narrow-2.png")
    fs.write(path "app.lua", (APP:format("Soup", dir.path):gsub('name = "käse"', "%0, price = 1")))
    await(page, "document.body.innerText.startsWith('price: 4.95')")
  end)

  it("shows nothing of it without the flag", function()
    edit "Soup"
    local app <close> = start ""
    local page <close> = driver:browser()
    page:open(app.url .. "/orders/7")
    assert.matches("^500 Internal Server Error%s+internal server error%s*$", page:run "return document.body.innerText")
    assert.is_nil(http.get(app.url, { timeout = LIMIT }).body:find "script")
  end)
end)
