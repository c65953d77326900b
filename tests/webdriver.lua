-- SPDX-License-Identifier: MIT
-- Real browsers for specs: Chromium without a window, driven by chromedriver, spoken to with our own HTTP client
-- (https://www.w3.org/TR/webdriver2/). A browser is gone with its variable, and so are its files:
--
--     local driver <close> = webdriver.start()
--     local page <close> = driver:browser()
--     page:open(url)
--     page:find("#details"):type "tea"
--     page:await "document.querySelector('#answer').textContent != ''"
local http = require "green.http"

local LIMIT = 60 -- seconds no command takes
local ELEMENT = "element-6066-11e4-a52e-4f735466cecf" -- the standard's name for a reference to one
local FLAGS = {
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=900,760",
  "--remote-debugging-pipe", -- else the driver looks for it on "localhost", which not every container knows
}

local function installed(name) return (os.execute("command -v " .. name .. " > /dev/null")) end

-- One command of the protocol. A failure raises what the driver says.
local function command(method, url, parameters)
  local opts = { timeout = LIMIT }
  if method == "POST" then opts.json = parameters or { _ = 0 } end -- an object, also when it is empty
  local resp = http.request(method, url, opts)
  local value = resp:json().value
  if resp.status ~= 200 then error(("%s: %s"):format(value.error, value.message), 0) end
  return value
end

-- ---- elements ----

local Element = {}
Element.__index = Element

function Element:click() command("POST", self.url .. "/click") end
function Element:type(text) command("POST", self.url .. "/value", { text = text }) end
function Element:clear() command("POST", self.url .. "/clear") end
function Element:text() return command("GET", self.url .. "/text") end

-- ---- browsers ----

local Browser = {}
Browser.__index = Browser

function Browser:open(url) command("POST", self.url .. "/url", { url = url }) end

function Browser:find(selector)
  local found = command("POST", self.url .. "/element", { using = "css selector", value = selector })
  return setmetatable({ url = self.url .. "/element/" .. found[ELEMENT] }, Element)
end

-- Runs JavaScript in the page; what it returns.
function Browser:run(script) return command("POST", self.url .. "/execute/sync", { script = script, args = { "" } }) end

-- Waits, in the page, until a JavaScript expression is true.
function Browser:await(expression)
  local script = "const done = arguments[1], check = () => (%s) ? done() : setTimeout(check, 10); check();"
  command("POST", self.url .. "/execute/async", { script = script:format(expression), args = { "" } })
end

-- A command of Chromium's own protocol: Emulation.setEmulatedMedia, ...
function Browser:devtools(name, parameters)
  return command("POST", self.url .. "/goog/cdp/execute", { cmd = name, params = parameters })
end

local function decode_base64(text)
  local alphabet, values = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", { ["="] = 0 }
  for i = 1, 64 do values[alphabet:sub(i, i)] = i - 1 end
  local bytes = text:gsub("(.)(.)(.)(.)", function(a, b, c, d)
    return (">I3"):pack(values[a] << 18 | values[b] << 12 | values[c] << 6 | values[d])
  end)
  return bytes:sub(1, #bytes - #text:match "=*$")
end

-- A PNG of what the window shows.
function Browser:screenshot(path)
  local file <close> = assert(io.open(path, "wb"))
  file:write(decode_base64(command("GET", self.url .. "/screenshot")))
end

function Browser:__close()
  if self.closed then return end
  self.closed = true
  pcall(command, "DELETE", self.url)
  os.execute("rm -rf " .. self.profile)
end

-- ---- the driver ----

local Driver = {}
Driver.__index = Driver

-- A new browser with nothing in it, which may have a further flag.
function Driver:browser(flag)
  local profile = os.tmpname()
  os.remove(profile)
  local flags = table.move(FLAGS, 1, #FLAGS, 1, { [#FLAGS + 1] = "--user-data-dir=" .. profile, [#FLAGS + 2] = flag })
  local session = command("POST", self.url .. "/session", {
    capabilities = { alwaysMatch = { browserName = "chrome", ["goog:chromeOptions"] = { args = flags } } },
  })
  local browser = setmetatable({ url = self.url .. "/session/" .. session.sessionId, profile = profile }, Browser)
  self.browsers[#self.browsers + 1] = browser
  return browser
end

-- Takes along the browsers that a failed test left.
function Driver:__close()
  for _, browser in ipairs(self.browsers) do browser:__close() end
  os.execute("kill " .. self.pid)
  self.pipe:close()
end

local M = {}

-- Why there are no browsers here; nil if there are.
function M.missing()
  for _, name in ipairs { "chromedriver", "chromium" } do
    if not installed(name) then return name .. " is not installed: scripts/setup browser" end
  end
end

function M.start()
  local pipe = assert(io.popen "echo $$; exec chromedriver --port=0 2> /dev/null")
  local driver = setmetatable({ pipe = pipe, pid = pipe:read "n", browsers = {} }, Driver)
  for line in pipe:lines() do
    local port = line:match "started successfully on port (%d+)"
    if port then
      driver.url = "http://127.0.0.1:" .. port
      return driver
    end
  end
  driver:__close()
  error "chromedriver did not start"
end

return M
