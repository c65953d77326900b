-- SPDX-License-Identifier: MIT
-- A real browser, which speaks HTTP/2 with a server over TLS: a page, what it fetches at once, an upload, events, and a WebSocket.
-- Needs: browser
local certificates = require "net.certificates"
local new_app = require "green.app".new
local response = require "green.response"
local task = require "green.task"
local webdriver = require "webdriver"

local missing = webdriver.missing()
if missing then
  io.stderr:write("\n*** NO BROWSER TESTS: ", missing, " ***\n")
  describe("HTTP/2 of a browser", function() pending(missing) end)
  return
end

local PAGE = [[<!doctype html><title>h2</title><script>
window.got = {}
const note = (name) => (value) => { got[name] = value }
Promise.all([...Array(30).keys()].map((i) => fetch("/part/" + i).then((r) => r.text()))).then((all) => note("parts")(all.join()))
fetch("/size", { method: "POST", body: new Uint8Array(3000000) }).then((r) => r.text()).then(note("size"))
const events = new EventSource("/events"), seen = []
events.onmessage = (e) => { seen.push(e.data); if (seen.length == 3) { events.close(); note("events")(seen.join()) } }
const socket = new WebSocket("wss://" + location.host + "/socket")
socket.onopen = () => socket.send("hello")
socket.onmessage = (e) => note("socket")(e.data)
</script>]]

local function app_of(versions)
  local app = new_app { max_body = 1 << 24 }
  app:use(function(req, next)
    versions[req.path:match "^/%a*"] = req.version
    return next(req)
  end)
  app:get("/", function() return response.html(PAGE) end)
  app:get("/part/:n", function(req)
    task.sleep(0.001)
    return req.params.n
  end)
  app:post("/size", function(req) return tostring(#req:body()) end)
  app:get("/events", function()
    return response.events(function(events)
      for i = 1, 3 do events:send(tostring(i)) end
    end)
  end)
  app:ws("/socket", function(socket)
    for message in socket:messages() do socket:send(message .. " back") end
  end)
  return app
end

describe("HTTP/2 of a browser", function()
  it("is the site's, with all that there is on it", function()
    local certs <close> = certificates()
    local versions = {}
    local app = app_of(versions)
    local server = app:listen("127.0.0.1:0", { tls = certs.site })
    local driver <close> = webdriver.start()
    local page <close> = driver:browser "--ignore-certificate-errors"
    page:open("https://" .. server:address() .. "/")
    page:await "got.parts && got.size && got.events && got.socket"
    local parts = {}
    for i = 0, 29 do parts[i + 1] = tostring(i) end
    local got = page:run "return got"
    assert.same({ table.concat(parts, ","), "3000000", "1,2,3", "hello back" }, { got.parts, got.size, got.events, got.socket })
    assert.equal("h2", page:run "return performance.getEntriesByType('navigation')[0].nextHopProtocol")
    for _, path in ipairs { "/", "/part", "/size", "/events", "/socket" } do assert.equal("2", versions[path], path) end
    page:__close()
    server:abort()
    server:finish(20)
  end)
end)
