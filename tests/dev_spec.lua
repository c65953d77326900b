-- SPDX-License-Identifier: MIT
-- --dev: what changed is live on the next request, what is broken is shown, and none of it happens without.
local capture = require "green.dev.capture"
local fs = require "green.fs"
local http = require "green.http"
local json = require "green.json"
local net = require "green.net"
local serve = require "process"
local sh = require "shell"
local task = require "green.task"

local LIMIT = 60 -- seconds no step of these tests needs

local function read_all(socket)
  local pieces = {}
  for bytes in function() return socket:read(nil, LIMIT) end do pieces[#pieces + 1] = bytes end
  return table.concat(pieces)
end

describe("--dev", function()
  local dir

  before_each(function() dir = fs.temp_dir() end)
  after_each(function() dir:close() end)

  local function path(name) return fs.join(dir.path, name) end

  -- As editors do: another file in its place.
  local function edit(name, text)
    fs.mkdir(fs.dirname(path(name)), { parents = true })
    fs.write(path(name), text)
  end

  local function start(flags)
    return serve(path "app.lua", { LUA_PATH = path "?.lua" .. ";;" }, { flags = flags or "--dev" })
  end

  local function get(app, target, headers)
    return http.get(app.url .. (target or "/"), { headers = headers, timeout = LIMIT })
  end

  local function body(app, target) return get(app, target).body end

  -- What it says, up to a line that matches.
  local function said(app, pattern)
    local lines = {}
    for line in app.line, app do
      lines[#lines + 1] = line
      if line:find(pattern) then return table.concat(lines, "\n") end
    end
    error("it did not say " .. pattern .. ", but:\n" .. table.concat(lines, "\n"))
  end

  describe("says that migrations are pending", function()
    local APP = [[
      local app = require "green.app".new()
      app:database(require "green.db".connect("sqlite:" .. os.getenv "DB"))
      return app:get("/", function() return "one" end)]]

    local function start_app()
      edit("app.lua", APP)
      return serve(path "app.lua", { DB = path "a.db" }, { flags = "--dev" })
    end

    it("when it starts, and when another comes", function()
      edit("migrations/1_a.sql", "CREATE TABLE a (b)")
      local app <close> = start_app()
      assert.matches("migrations: 1_a is pending; run `greenlua migrate .-app%.lua`$", said(app, "migrations"))
      edit("migrations/2_b.sql", "CREATE TABLE c (d)")
      body(app)
      assert.matches("migrations: 1_a is pending, 2_b is pending; run", said(app, "2_b"))
    end)

    it("not without a folder of them", function()
      local app <close> = start_app()
      assert.equal("one", body(app))
      app:signal "TERM"
      assert.not_matches("migrations", (select(2, app:wait())))
    end)
  end)

  describe("reloads", function()
    it("the script", function()
      edit("app.lua", "return function() return 'one' end")
      local app <close> = start()
      assert.equal("one", body(app))
      edit("app.lua", "return function() return 'two' end")
      assert.equal("two", body(app))
      said(app, "app.lua changed: reloaded")
      local file <close> = io.open(path "app.lua", "w") -- in place
      file:write "local app = require 'green.app'.new() app:get('/', function() return 'three' end) return app"
      file:close()
      assert.equal("three", body(app))
    end)

    it("its modules, and those of its modules", function()
      edit("app.lua", "local m = require 'lib.m' return function() return m end")
      edit("lib/m.lua", "return require 'inner' .. '!'")
      edit("inner.lua", "return 'one'")
      local app <close> = start()
      assert.equal("one!", body(app))
      edit("inner.lua", "return 'two'")
      assert.equal("two!", body(app))
      edit("lib/m.lua", "return require 'inner' .. '?'")
      assert.equal("two?", body(app))
    end)

    it("a module that a handler asked for", function()
      edit("app.lua", "return function() return require 'late' end")
      edit("late.lua", "return 'one'")
      local app <close> = start()
      assert.equal("one", body(app))
      edit("late.lua", "return 'two'")
      assert.equal("two", body(app))
    end)

    it("templates", function()
      edit("app.lua", ("local t = require 'green.template'.load %q return function() return t { n = 1 } end"):format(path "t.html"))
      edit("t.html", "one {{ n }}")
      local app <close> = start()
      assert.equal("one 1", body(app))
      edit("t.html", "two {{ n }}")
      assert.equal("two 1", body(app))
    end)

    it("request scripts", function()
      edit("app.lua", ([[
        local app = require "green.app".new()
        local loads = 0
        app:script("/one", %q):scripts("/all", %q)
        return app]]):format(path "s/one.lua", path "s"))
      edit("s/one.lua", "return 'one'")
      local app <close> = start()
      assert.same({ "one", "one" }, { body(app, "/one"), body(app, "/all/one") })
      edit("s/one.lua", "return 'two'")
      assert.same({ "two", "two" }, { body(app, "/one"), body(app, "/all/one") })
      edit("s/one.lua", "return return")
      assert.same({ "two", "two" }, { body(app, "/one"), body(app, "/all/one") })
      assert.matches("cannot be loaded; the old code goes on serving: .*unexpected symbol near 'return'", said(app, "unexpected symbol"))
      edit("s/one.lua", "return 'three'")
      assert.same({ "three", "three" }, { body(app, "/one"), body(app, "/all/one") })
    end)

    it("static files, which browsers ask for again", function()
      edit("app.lua", ("return require 'green.app'.new():static('/', %q, { max_age = 3600 })"):format(path "web"))
      edit("web/a.css", "one")
      local app <close> = start()
      assert.equal("no-cache", get(app, "/a.css").headers["cache-control"])
      edit("web/a.css", "two")
      assert.equal("two", body(app, "/a.css"))
    end)

    it("with the script's arguments and the same limits", function()
      edit("app.lua", "local a = ... return function() return 'one ' .. tostring(a) end")
      local app <close> = serve(path "app.lua" .. " word", nil, { flags = "--dev" })
      assert.equal("one word", body(app))
      edit("app.lua", "local a = ... return function() return 'two ' .. tostring(a) end")
      assert.equal("two word", body(app))
    end)

    it("only when something changed", function()
      edit("app.lua", "local n = 0 return function() n = n + 1 return tostring(n) end")
      local app <close> = start()
      for i = 1, 5 do assert.equal(tostring(i), body(app)) end
    end)

    it("once, when many ask", function()
      local text = "local n = 0 return function() n = n + 1 return '%s ' .. n end"
      edit("app.lua", text:format "one")
      local app <close> = start()
      edit("app.lua", text:format "two")
      local answers = task.map({ 1, 2, 3, 4, 5, 6, 7, 8 }, function() return body(app) end)
      table.sort(answers)
      for i = 1, 8 do assert.equal("two " .. i, answers[i]) end
    end)
  end)

  it("lets requests in flight finish on the old code", function()
    local text = "return function(req) if req.method == 'POST' then io.stderr:write 'begun\\n' return '%s ' .. req:body() end return '%s' end"
    edit("app.lua", text:format("old", "old"))
    local app <close> = start()
    local slow <close> = net.connect(app.address, { timeout = LIMIT })
    slow:write "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 4\r\n\r\n"
    said(app, "begun")
    edit("app.lua", text:format("new", "new"))
    assert.equal("new", body(app))
    slow:write "body"
    assert.matches("\r\n\r\nold body$", read_all(slow))
  end)

  it("keeps the tasks of the old script while its requests need them", function()
    local text = [[
      local task = require "green.task"
      local questions = task.channel(1)
      task.spawn(function()
        while true do
          local reply = questions:receive()
          reply:send "%s"
        end
      end)
      local function ask()
        local reply = task.channel(1)
        questions:send(reply)
        return reply:receive()
      end
      return function(req)
        if req.path == "/stream" then
          return require "green.response".stream(function(out)
            out:write "begun "
            while not io.open "%s" do task.sleep(0.01) end
            out:write(ask())
          end)
        end
        if req.method == "POST" then io.stderr:write "begun\n" req:body() end
        return ask()
      end]]
    edit("app.lua", text:format("old", path "go"))
    local app <close> = start()
    local slow <close> = net.connect(app.address, { timeout = LIMIT })
    slow:write "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 4\r\n\r\n"
    said(app, "begun")
    local stream = http.get(app.url .. "/stream", { stream = true, timeout = LIMIT })
    local chunks, source = stream:chunks()
    assert.equal("begun ", chunks(source))
    edit("app.lua", text:format("new", path "go"))
    assert.equal("new", body(app))
    slow:write "body"
    assert.matches("\r\n\r\nold$", read_all(slow))
    edit("go", "")
    assert.equal("old", chunks(source))
    assert.is_nil(chunks(source))
  end)

  it("ends the tasks that the old script had started", function()
    local text = [[
      local task = require "green.task"
      task.spawn(function()
        task.spawn(function()
          local _ <close> = setmetatable({}, { __close = function() io.stderr:write "ended\n" end })
          task.sleep(1e6)
        end):join()
      end)
      return function(req)
        if req.path == "/spawn" then task.spawn(function() task.sleep(0) end) end
        return "%s"
      end]]
    edit("app.lua", text:format "one")
    local app <close> = start()
    assert.equal("one", body(app, "/spawn"))
    edit("app.lua", text:format "two")
    assert.equal("two", body(app))
    said(app, "^ended$")
  end)

  describe("of a broken edit", function()
    local function keeps(broken, pattern)
      edit("app.lua", "local m = require 'm' return function() return m end")
      edit("m.lua", "return 'one'")
      local app <close> = start()
      assert.equal("one", body(app))
      for name, text in pairs(broken) do edit(name, text) end
      assert.equal("one", body(app))
      assert.equal("one", body(app)) -- said once
      local words = said(app, pattern)
      assert.matches("^greenlua: .*changed, and cannot be loaded; the old code goes on serving: ", words)
      for name in pairs(broken) do edit(name, name == "m.lua" and "return 'two'" or "local m = require 'm' return function() return m .. m end") end
      assert.equal(broken["m.lua"] and "two" or "oneone", body(app))
      assert.matches("^[^\n]*changed: reloaded$", said(app, "reloaded"):match "([^\n]*)$")
    end

    it("serves the old code: a syntax error", function() keeps({ ["app.lua"] = "return return" }, "app.lua:1: unexpected symbol near 'return'") end)
    it("serves the old code: one in a module", function() keeps({ ["m.lua"] = "return return" }, "m.lua:1: unexpected symbol near 'return'") end)
    it("serves the old code: an error while it is loaded", function() keeps({ ["app.lua"] = "local m = require 'm'\nerror 'oops'" }, "app.lua:2: oops") end)
    it("serves the old code: no app", function() keeps({ ["app.lua"] = "local none" }, "returns no app") end)
    it("serves the old code: a conflict of routes", function()
      keeps({ ["app.lua"] = "local a = require 'green.app'.new() a:get('/', print) a:get('/', print) return a" }, "app.lua:1: route GET / conflicts")
    end)
  end)

  it("warns when others can connect", function()
    if not os.execute "unshare -rn true 2> /dev/null" then return pending "no network of its own to listen in" end
    local command = "export lua; unshare -rn sh -c 'ip link set lo up; exec $lua --dev --listen %s app.lua' & pid=$!;"
      .. " while ! grep -q serving .err && kill -0 $pid; do sleep 0.01; done; kill $pid; wait $pid"
    local files = { ["app.lua"] = "return print" }
    local _, err = sh(command:format "0.0.0.0:8080", files)
    assert.matches("^greenlua: warning: %-%-dev shows source code and variables to everybody who reaches 0.0.0.0:8080\n", err)
    _, err = sh(command:format "127.0.0.1:8080 --listen [::1]:8080 --listen unix:a.sock", files)
    assert.matches("^greenlua: serving app.lua on http://127.0.0.1:8080\n", err)
  end)

  it("fails as ever when the first load does", function()
    local _, err, code = sh("$lua --dev app.lua", { ["app.lua"] = "local x\nerror 'oops'" })
    assert.matches("^greenlua: app.lua:2: oops\nstack traceback:\n", err)
    assert.equal(1, code)
    _, err, code = sh("$lua --dev app.lua", { ["app.lua"] = "x = = 1" })
    assert.matches("^greenlua: app.lua:1: unexpected symbol near '='", err)
    assert.equal(1, code)
    _, err, code = sh("$lua --dev app.lua", { ["app.lua"] = "local x" })
    assert.matches("^greenlua: %-%-dev: nothing to serve", err)
    assert.equal(1, code)
  end)

  -- ---- what a failed handler answers ----

  local FAILING = [[
local app = require "green.app".new()
local task = require "green.task"
local function deep(text, password)
  local list = { 1, 2, name = "<i>tea</i>", token = "xy" .. "zzy" }
  error("no " .. text .. #list)
end
app:any("/fail/:id", function(req)
  if req.method == "POST" then req:form() end
  local id = req.params.id
  local generate = coroutine.wrap(function(what) deep(what, "plu" .. "gh") end)
  task.spawn(function() local inside = 5 generate("<b>" .. id .. inside) end):join()
end)
app:get("/told", function() require "green.error".status(418, "app", "EINVAL", "a teapot") end)
app:get("/cyclic", function() local t = {} t[1] = t return t end)
app:get("/number", function() return 7 end)
return app
]]

  describe("of a failed handler", function()
    it("shows message, source, frames with variables, and the request", function()
      edit("app.lua", FAILING)
      local app <close> = start()
      local resp = get(app, "/fail/7?q=1&api_key=frobnitz", { accept = "text/html,*/*", cookie = "a=secretcookie", authorization = "Basic abc" })
      assert.equal(500, resp.status)
      assert.equal("text/html; charset=utf-8", resp.headers["content-type"])
      local html = resp.body
      for _, text in ipairs {
        "no &lt;b&gt;752", 'class="bad"', ">  error%(&quot;no &quot; .. text .. #list%)", "in upvalue &#39;deep&#39;",
        "coroutine resumed by", "spawned at .*joined by", "<dt>inside</dt><dd>5</dd>", "<dt>id</dt><dd>&quot;7&quot;</dd>",
        "<dt>password</dt><dd>%(hidden%)</dd>", "token = %(hidden%)", "name = &quot;&lt;i&gt;tea&lt;/i&gt;&quot;",
        "<dt>authorization</dt><dd>%(hidden%)</dd>", "<dt>cookie</dt><dd>%(hidden%)</dd>", "<dt>q</dt><dd>1</dd>",
      } do
        assert.matches(text, html)
      end
      for _, secret in ipairs { "xyzzy", "plugh", "secretcookie", "Basic abc", "frobnitz", "<b>7", "<i>tea" } do
        assert.is_nil(html:find(secret, 1, true) and secret)
      end
      assert.is_nil(html:find("green/dev", 1, true)) -- no frames of ours below the handler
    end)

    it("says the same as text, to whom asks for it, and on stderr", function()
      edit("app.lua", FAILING)
      local app <close> = start()
      local resp = http.post(app.url .. "/fail/8", { form = { name = "tea", password = "plugh" }, timeout = LIMIT })
      assert.same({ 500, "text/plain; charset=utf-8" }, { resp.status, resp.headers["content-type"] })
      assert.matches("\n>    5    error%(\"no \" .. text .. #list%)\n", resp.body)
      assert.matches("\t    inside = 5\n", resp.body)
      assert.matches("name=tea&password=%(hidden%)", resp.body)
      assert.is_nil(resp.body:find("plugh", 1, true))
      local words = said(app, "in function <[^>]*app.lua:7>")
      assert.matches("^greenlua: POST /fail/8: .*no <b>852\nstack traceback:\n", words)
      assert.is_nil(words:find "inside = 5")
    end)

    it("shows what the server finds wrong with an answer", function()
      edit("app.lua", FAILING)
      local app <close> = start()
      assert.matches("^[^\n]*json", body(app, "/cyclic"))
      assert.matches("^a handler must return .* not a number", body(app, "/number"))
    end)

    it("leaves alone what clients are told", function()
      edit("app.lua", FAILING)
      local app <close> = start()
      local resp = get(app, "/told", { accept = "text/html" })
      assert.equal(418, resp.status)
      assert.matches("<p>a teapot</p>\n$", resp.body)
      assert.equal(404, get(app, "/none", { accept = "text/html" }).status)
    end)

    it("shows the line of a request script, a middleware, a template", function()
      edit("app.lua", ([[
        local app = require "green.app".new()
        local template = require "green.template"
        app:use(function(req, next)
          if req.query.stop then error "stopped" end
          return next(req)
        end)
        app:script("/script", %q)
        app:get("/template", function() return template.load(%q) {} end)
        return app]]):format(path "s.lua", path "t.html"))
      edit("s.lua", "local req = ...\nlocal here = 1\nerror 'in script'")
      edit("t.html", "<p>\n{{ none.more }}</p>")
      local app <close> = start()
      assert.matches("\n>    3  error 'in script'\n.*\n\t    here = 1\n", body(app, "/script"))
      assert.matches("\n>    4 +if req.query.stop", body(app, "/script?stop=1"))
      assert.matches("\n>    2  {{ none.more }}</p>\n", body(app, "/template"))
    end)

    it("goes on serving", function()
      edit("app.lua", [[
        local function forever(n) return 1 + forever(n + 1) end
        return function(req)
          if req.path == "/deep" then return forever(1) end
          if req.path == "/object" then error(setmetatable({}, { __tostring = function() error "no" end })) end
          if req.path == "/nil" then error() end
          return "fine"
        end]])
      local app <close> = start()
      assert.matches("^[^\n]*stack overflow", body(app, "/deep"))
      assert.matches("levels%)", body(app, "/deep"))
      assert.matches("^table: ", body(app, "/object"))
      assert.matches("^nil\n", body(app, "/nil"))
      assert.equal("fine", body(app))
    end)
  end)

  it("is the only way to see any of that", function()
    edit("app.lua", FAILING .. "\n-- </body>")
    edit("page.html", "<body>a page</body>")
    edit("app.lua", (FAILING:gsub("return app", ("app:get('/page', function() return require 'green.response'.file %q end) return app"):format(path "page.html"))))
    local app <close> = start "--grace 1"
    local resp = get(app, "/fail/7", { accept = "text/html" })
    assert.equal(500, resp.status)
    assert.matches("<h1>500 Internal Server Error</h1>\n<p>internal server error</p>\n$", resp.body)
    assert.equal("<body>a page</body>", body(app, "/page"))
    assert.equal(404, get(app, "/.greenlua/dev").status)
    assert.equal(404, get(app, "/.greenlua/dev.js").status)
    edit("app.lua", "return print")
    assert.equal("<body>a page</body>", body(app, "/page"))
  end)

  -- ---- browsers ----

  describe("in pages", function()
    local PAGES = [[
local app = require "green.app".new()
local response = require "green.response"
app:any("/page", function(req) return response.html "<body>page</BODY>\n" end)
app:get("/bare", function(req) return response.html "page" end)
app:get("/csp", function(req) return response.html "page":header("content-security-policy", req.query.p) end)
app:get("/stream", function() return response.stream(function(out) out:write "<body>" end, { type = "text/html" }) end)
app:get("/json", function() return { "</body>" } end)
return app
]]
    local SCRIPT = '<script src="/%.greenlua/dev%.js%?[%w.-]+"></script>'

    it("puts a script that waits for news", function()
      edit("app.lua", PAGES)
      local app <close> = start()
      assert.matches("^<body>page" .. SCRIPT .. "</BODY>\n$", body(app, "/page"))
      assert.equal("no-store", get(app, "/page").headers["cache-control"])
      assert.matches("^page" .. SCRIPT .. "$", body(app, "/bare"))
      assert.matches("^<body>" .. SCRIPT .. "$", body(app, "/stream"))
      assert.matches("^<body>" .. SCRIPT .. "$", body(app, "/stream"))
      assert.equal('["</body>"]', (body(app, "/json"):gsub("\\/", "/")))
      assert.equal("<body>page</BODY>\n", http.post(app.url .. "/page").body)
      assert.equal("<body>page</BODY>\n", get(app, "/page", { ["sec-fetch-dest"] = "empty" }).body)
      assert.matches("EventSource", body(app, "/.greenlua/dev.js?1"))
    end)

    it("into answers that are made once and given often", function()
      edit("app.lua", "local r = require 'green.response' local page, list = r.html 'page', r.json { 1 } "
        .. "local stream = r.stream(function(out) out:write 'parts' end, { type = 'text/html' }) "
        .. "return function(req) return req.path == '/json' and list or req.path == '/stream' and stream or page end")
      local app <close> = start()
      for _ = 1, 3 do
        assert.matches("^page" .. SCRIPT .. "$", body(app))
        assert.equal("[1]", body(app, "/json"))
        assert.matches("^parts" .. SCRIPT .. "$", body(app, "/stream"))
      end
    end)

    it("but for those whose policy forbids it", function()
      edit("app.lua", PAGES)
      local app <close> = start()
      local function is_added(policy)
        return http.get(app.url .. "/csp", { query = { p = policy }, timeout = LIMIT }).body ~= "page"
      end
      for _, policy in ipairs { "default-src 'self'", "img-src 'none'", "script-src 'self' 'nonce-a'; connect-src *", "script-src https: 'self'" } do
        assert.is_true(is_added(policy), policy)
      end
      for _, policy in ipairs { "default-src 'none'", "script-src 'nonce-a'", "default-src 'self'; connect-src 'none'", "script-src 'self' 'strict-dynamic'" } do
        assert.is_false(is_added(policy), policy)
      end
    end)

    -- The news as they come: { event =, data = }.
    local function news(app, seen)
      local resp = http.get(app.url .. "/.greenlua/dev?" .. seen, { stream = true, timeout = LIMIT })
      local text = ""
      return coroutine.wrap(function()
        for chunk in resp:chunks() do
          text = text .. chunk
          while text:find("\n\n", 1, true) do
            local one, rest = text:match "^(.-)\n\n(.*)$"
            text = rest
            coroutine.yield { event = one:match "event: (%w+)", data = one:match "data: (.*)$" }
          end
        end
      end)
    end

    local function stamp(app) return body(app, "/page"):match "dev%.js%?([%w.-]+)" end

    it("tells of pending migrations for as long as they are", function()
      edit("app.lua", [[
        local app = require "green.app".new()
        app:database(require "green.db".connect "sqlite::memory:")
        return app:get("/page", function() return require "green.response".html "<p>one</p>" end)]])
      edit("migrations/1_a.sql", "CREATE TABLE a (b)")
      local app <close> = start()
      said(app, "migrations: 1_a is pending") -- before that, the first news is that nothing is wrong
      local next_one = news(app, stamp(app))
      assert.same({ title = "The database is not what the migrations say.", problem = "1_a is pending" }, json.decode(next_one().data))
      fs.remove(path "migrations/1_a.sql")
      assert.same({ data = '{"problem":false}' }, next_one())
    end)

    it("tells of edits, broken ones too, without a request", function()
      edit("app.lua", PAGES)
      local app <close> = start()
      local first = stamp(app)
      local next_one = news(app, first)
      assert.same({ data = '{"problem":false}' }, next_one())
      edit("app.lua", "local x\nreturn return")
      local problem = json.decode(next_one().data).problem
      assert.matches("unexpected symbol near 'return'\n", problem)
      assert.matches("\n>    2  return return", problem)
      edit("app.lua", PAGES)
      assert.equal("reload", next_one().event)
      assert.is_nil(next_one())
      assert.not_equal(first, stamp(app))
      assert.equal("reload", news(app, first)().event) -- who comes late
    end)

    it("tells of files that are sent as they are", function()
      edit("web/a.html", "<link rel=stylesheet href=a.css>")
      edit("web/a.css", "one")
      edit("app.lua", ("return require 'green.app'.new():static('/', %q)"):format(path "web"))
      local app <close> = start()
      edit("web/large.html", ("<p>large\n"):rep(50000))
      assert.matches("^<p>large\n<p>.*<p>large\n" .. SCRIPT .. "$", body(app, "/large.html"))
      local page = get(app, "/a.html")
      assert.equal("one", body(app, "/a.css"))
      assert.is_nil(page.headers.etag)
      local next_one = news(app, page.body:match "dev%.js%?([%w.-]+)")
      next_one()
      edit("web/a.css", "two")
      assert.equal("reload", next_one().event)
    end)

    it("does not keep the server from stopping", function()
      edit("app.lua", PAGES)
      local app <close> = serve(path "app.lua", nil, { flags = "--dev --grace 1000" })
      local next_one = news(app, stamp(app))
      next_one()
      assert.equal(0, (app:stop()))
    end)
  end)
end)

describe("the README", function()
  it("tests an app with busted as it says", function()
    local root = arg[0]:match "^(.*)/tests/[^/]*$" or "."
    local text = fs.read(root .. "/README.md")
    local files = {}
    for name, code in text:gmatch "```lua\n%-%- ([%w_]+%.lua)\n(.-)```" do files[name] = code end
    local out, err, code = sh('$lua "$(command -v busted)" menu_spec.lua', files)
    assert.matches("1 success / 0 failures / 0 errors", out)
    assert.same({ "", 0 }, { err, code })
  end)
end)

describe("a value in a report", function()
  it("is short, and asks nobody", function()
    local function never() error "asked" end
    local meta = { __index = never, __tostring = never, __pairs = never, __len = never, __name = "Thing", __metatable = "locked" }
    assert.equal("Thing { 1, a = 2 }", capture.show(setmetatable({ 1, a = 2 }, meta)))
    assert.equal('"a\\n\\"\\\\\\0ä"', capture.show 'a\n"\\\0ä')
    assert.equal('"\\255"', capture.show "\xff")
    assert.matches('^"x+"%.%.%. %(1000 bytes%)$', capture.show(("x"):rep(1000)))
    assert.is_true(utf8.len(capture.show(("ä"):rep(1000))) ~= nil)
    assert.equal("{ 1, 2, 3, 4, 5, 6, 7, 8, ... }", capture.show { 1, 2, 3, 4, 5, 6, 7, 8, 9 })
    assert.equal("{ { { {...} } } }", capture.show { { { { 1 } } } })
    local many = {}
    for i = 1, 8 do many[i] = { ("x"):rep(150), ("y"):rep(150), ("z"):rep(150) } end
    assert.is_true(#capture.show { many, many, many } < 2000)
    assert.equal("{ [1.5] = true }", capture.show { [1.5] = true })
    assert.equal("{ Password = (hidden) }", capture.show { Password = "x" })
    assert.matches("^file_handle: 0x", (capture.show(io.stdout):gsub("^FILE%*", "file_handle")))
    assert.equal("function: builtin", capture.show(print))
    assert.matches("^function: .*dev_spec.lua:%d+$", capture.show(never))
    assert.same({ "nil", "1", "1.5", "true" }, { capture.show(nil), capture.show(1), capture.show(1.5), capture.show(true) })
  end)
end)
