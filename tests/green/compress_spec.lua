-- SPDX-License-Identifier: MIT
-- Answers that are compressed on their way out: which, for whom, and that nothing of them is lost or held back.
local compress = require "green.compress"
local encoders = require "coding.encoders"
local frames_of = require "green.coding.native"
local fs = require "green.fs"
local http = require "green.http"
local json = require "green.json"
local new_app = require("green.app").new
local outcome = require "outcome"
local process = require "green.process"
local raw = require "http.raw"
local response = require "green.response"
local sh = require "shell"
local task = require "green.task"

local LONG = ("a line that is much like the others\n"):rep(200)
local T = 60

local function undone(coding, bytes)
  local decoder <close> = frames_of.decoder(coding)
  decoder:feed(bytes)
  local out = {}
  for piece in function() return decoder:pull() or nil end do out[#out + 1] = piece end
  assert.is_true(decoder:ended())
  return table.concat(out)
end

-- An app whose answer to / is that of the handler.
local function app_of(handler, options)
  local app = new_app()
  app:use(compress.new(options))
  app:get("/", handler)
  return app
end

local function asked(handler, accept, options, headers)
  local all = { ["accept-encoding"] = accept }
  for name, value in pairs(headers or {}) do all[name] = value end
  return app_of(handler, options):inject { path = "/", headers = all }
end

-- Is the answer left as it is?
local function is_left(answer, options, accept)
  return asked(function() return answer end, accept or "gzip", options).body == (answer.body or "")
end

describe("answers", function()
  it("are compressed as the client likes, with what says so", function()
    for accept, coding in pairs {
      gzip = "gzip", ["x-gzip"] = "gzip", zstd = "zstd", ["gzip, deflate, br, zstd"] = "zstd", ["zstd;q=0.5, gzip"] = "gzip", ["*"] = "zstd",
      ["gzip;q=0.5, identity;q=0.5"] = "gzip", ["*;q=0.1, zstd;q=0"] = "gzip",
    } do
      local res = asked(function() return response.html(LONG) end, accept)
      assert.same({ coding, "accept-encoding", "text/html; charset=utf-8" }, { res.headers["content-encoding"], res.headers.vary, res.headers["content-type"] })
      assert.equal(LONG, undone(coding, res.body))
      assert.is_true(#res.body < #LONG // 5)
    end
    for _, accept in ipairs { "", "br", "gzip;q=0", "identity", "gzip;q=0.1, identity", "deflate" } do
      local res = asked(function() return response.html(LONG) end, accept)
      assert.same({ LONG, "accept-encoding" }, { res.body, res.headers.vary })
      assert.is_nil(res.headers["content-encoding"])
    end
    assert.equal("gzip", asked(function() return LONG end, "gzip, zstd", { codings = { "gzip" } }).headers["content-encoding"])
  end)

  it("of every kind are: strings, tables, JSON, streams", function()
    local rows = {}
    for i = 1, 200 do rows[i] = { id = i, name = "row" } end
    for _, handler in ipairs {
      function() return rows end, function() return response.json(rows) end, function() return response.json(rows, 201) end,
    } do
      local res = asked(handler, "zstd")
      assert.same({ "zstd", "application/json" }, { res.headers["content-encoding"], res.headers["content-type"] })
      assert.same(rows, json.decode(undone("zstd", res.body)))
    end
    assert.equal(LONG, undone("gzip", asked(function() return LONG end, "gzip").body))
    local res = asked(function() return response.stream(function(out)
      for line in LONG:gmatch "[^\n]*\n" do out:write(line) end
      out:trailers { ["x-sum"] = "7" }
    end, { type = "text/plain" }) end, "gzip")
    assert.same({ LONG, "7" }, { undone("gzip", res.body), res.trailers["x-sum"] })
  end)

  it("that are short, compressed already or no text stay as they are", function()
    local function with(headers, body, status) return response.of(response.text(body or LONG, status)):header(table.unpack(headers)) end
    for _, answer in ipairs {
      response.text(LONG:sub(1, 1023)), with { "content-type", "image/png" }, with { "content-type", nil }, with { "content-encoding", "br" },
      with { "cache-control", "private, No-Transform" }, with { "cache-control", { "private", "no-transform" } }, with { "content-digest", "sha-256=:x:" },
      with { "content-range", "bytes 0-1/2" }, with({ "x", "y" }, LONG, 206), response.status(204), response.status(304),
      with { "set-cookie", "a=b" }, response.of(response.text(LONG)):header("digest", "x"),
    } do
      assert.is_true(is_left(answer), json.encode(answer.headers))
    end
    assert.is_false(is_left(response.text(LONG:sub(1, 1024))))
    assert.is_false(is_left(response.text(LONG:sub(1, 500)), { min = 500 }))
    assert.is_false(is_left(response.text(LONG, 404)))
  end)

  it("that a handler returns again and again are left as they were", function()
    local dir <close> = fs.temp_dir()
    fs.write(dir.path .. "/a.txt", LONG)
    for _, kept in ipairs { response.text(LONG):header("etag", '"x"'), response.file(dir.path .. "/a.txt"), response.json { text = LONG } } do
      local app = app_of(function() return kept end)
      local first
      for i = 1, 3 do
        local plain = app:inject "/"
        first = first or plain
        assert.same(first.headers, plain.headers)
        assert.equal(first.body, plain.body)
        local accept = i == 1 and "gzip" or "zstd"
        local res = app:inject { path = "/", headers = { ["accept-encoding"] = accept } }
        assert.equal(plain.body, undone(accept, res.body))
      end
    end
  end)

  it("that set a cookie are not, unless the app says that none of them has both a secret and what a client wrote", function()
    local answer = response.text(LONG):cookie("a", "b")
    assert.is_true(is_left(answer))
    assert.is_false(is_left(answer, { cookies = true }))
  end)

  it("that do not become smaller stay as they are", function()
    local noise = {}
    for i = 1, 300 do noise[i] = string.pack("i8", math.random(0)) end
    assert.is_true(is_left(response.text(table.concat(noise)), nil, "zstd"))
  end)

  it("keep their other headers, and weaken their tag", function()
    local function answer() return response.text(LONG):header("etag", '"x"'):header("vary", "Accept"):header("accept-ranges", "bytes"):header("x-a", { "b", "c" }) end
    local res = asked(answer, "gzip")
    assert.same({ 'W/"x"', "Accept, accept-encoding", nil }, { res.headers.etag, res.headers.vary, res.headers["accept-ranges"] })
    res = asked(answer, "br")
    assert.same({ '"x"', "Accept, accept-encoding", "bytes" }, { res.headers.etag, res.headers.vary, res.headers["accept-ranges"] })
    assert.equal('W/"y"', asked(function() return answer():header("etag", 'W/"y"') end, "gzip").headers.etag)
    assert.equal("*", asked(function() return answer():header("vary", "*") end, "gzip").headers.vary)
    assert.same({ "Accept-Encoding", "x" }, asked(function() return answer():header("vary", { "Accept-Encoding", "x" }) end, "gzip").headers.vary)
  end)

  it("to HEAD have the head of GET", function()
    for _, handler in ipairs { function() return LONG end, function() return response.stream(function(out) out:write(LONG) end, { type = "text/plain" }) end } do
      local app = app_of(handler)
      local headers = { ["accept-encoding"] = "gzip" }
      local got, head = app:inject { path = "/", headers = headers }, app:inject { method = "HEAD", path = "/", headers = headers }
      assert.same(got.headers, head.headers)
      assert.equal("", head.body)
    end
  end)

  it("that are files are, their ranges are not, and a compressed neighbour goes as it is", function()
    local dir <close> = fs.temp_dir()
    fs.write(dir.path .. "/small.txt", LONG)
    fs.write(dir.path .. "/large.txt", LONG:rep(100))
    fs.write(dir.path .. "/there.txt", LONG)
    fs.write(dir.path .. "/there.txt.gz", encoders.gzip "a neighbour")
    fs.write(dir.path .. "/x.png", LONG)
    local app = new_app()
    app:use(compress.new())
    app:static("/", dir.path)
    local function get(path, headers, method)
      headers = headers or {}
      headers["accept-encoding"] = "gzip"
      return app:inject { path = path, headers = headers, method = method }
    end
    local small = get "/small.txt"
    assert.same({ LONG, "accept-encoding", nil }, { undone("gzip", small.body), small.headers.vary, small.headers["accept-ranges"] })
    assert.is_true(undone("gzip", get("/large.txt").body) == LONG:rep(100))
    assert.is_nil(get("/large.txt").headers["content-length"])
    assert.same(get("/large.txt").headers, get("/large.txt", nil, "HEAD").headers)
    assert.equal("a neighbour", undone("gzip", get("/there.txt").body))
    assert.equal(LONG, get("/x.png").body)
    local part = get("/large.txt", { range = "bytes=0-3" })
    assert.same({ 206, LONG:sub(1, 4), nil }, { part.status, part.body, part.headers["content-encoding"] })
    assert.equal(304, get("/small.txt", { ["if-none-match"] = small.headers.etag }).status)
    assert.equal(412, get("/small.txt", { ["if-match"] = small.headers.etag }).status) -- a weak tag names no bytes
    assert.equal(404, get("/none").status)
  end)

  it("of other servers are, unless those have done so", function()
    raw.serve(function(req)
      return req.path == "/coded" and response.text(encoders.gzip(LONG)):header("content-encoding", "gzip") or LONG
    end, nil, function(address)
      local app = new_app()
      app:use(compress.new())
      app:get("/*path", function() return response.proxy("http://" .. address) end)
      for _, path in ipairs { "/", "/coded" } do
        assert.equal(LONG, undone("gzip", app:inject({ path = path, headers = { ["accept-encoding"] = "gzip" } }).body), path)
      end
    end)
  end)

  it("reach curl, and our own client", function()
    local app = app_of(function() return LONG end)
    local server = app:listen "127.0.0.1:0"
    local url = "http://" .. server:address() .. "/"
    local got = process.capture({ "curl", "-sS", "--compressed", "-D", "-", url }, { timeout = T })
    assert.matches("content%-encoding: zstd", got.stdout)
    assert.is_truthy(got.stdout:find(LONG, 1, true))
    assert.equal(LONG, http.get(url).body)
    server:abort()
    server:finish(T)
  end)
end)

describe("a compressed stream", function()
  local function stream_of(make)
    local turn = task.channel(1)
    return turn, app_of(function() return make(function(write)
      for piece in function() return turn:receive() end do write(piece) end
    end) end)
  end

  -- Sends the pieces one after the other; each is read, as `wanted` says, before the next is sent.
  local function step_by_step(app, turn, coding, pieces, wanted)
    local server = app:listen "127.0.0.1:0"
    turn:send(pieces[1])
    local client <close> = http.get("http://" .. server:address() .. "/", { stream = true, headers = { ["accept-encoding"] = coding } })
    local next, state = client:chunks()
    local function more() return next(state) end
    local got = ""
    for i, piece in ipairs(pieces) do
      if i > 1 then turn:send(piece) end
      while #got < #wanted(piece) do got = got .. assert(more()) end
      assert.equal(wanted(piece), got)
      got = ""
    end
    turn:close()
    assert.is_nil(more())
    server:finish(T)
    return client
  end

  it("holds nothing back", function()
    for _, coding in ipairs { "gzip", "zstd" } do
      local turn, app = stream_of(function(run) return response.stream(function(out) run(function(piece) out:write(piece) end) end, { type = "text/plain" }) end)
      step_by_step(app, turn, coding, { "a", "second", LONG }, function(piece) return piece end)
    end
  end)

  it("of events reaches its client event by event", function()
    local turn, app = stream_of(function(run) return response.events(function(events) run(function(text) events:send(text) end) end) end)
    local client = step_by_step(app, turn, "gzip", { "one", "two" }, function(text) return "data: " .. text .. "\n\n" end)
    assert.equal("text/event-stream", client.headers["content-type"])
  end)

  it("of wrong values says so, as others do, and two tasks cannot write it at once", function()
    local said = {}
    local app = app_of(function() return response.stream(function(out)
      said[1] = outcome.failure(out.write, out, {})
      out:write(7)
      local other = task.spawn(out.write, out, LONG:rep(10000))
      while not said[2] do
        local ok, err = pcall(out.write, out, "x")
        if not ok then said[2] = err.code end
        if other:status() == "dead" then break end
        task.sleep(0)
      end
      other:wait()
    end, { type = "text/plain" }) end)
    app:inject { path = "/", headers = { ["accept-encoding"] = "gzip" } }
    assert.matches("string expected, got table", tostring(said[1]))
  end)

  it("that fails is cut off, and one whose client leaves ends", function()
    local ended
    local app = app_of(function(req)
      return response.stream(function(out)
        local _ <close> = setmetatable({}, { __close = function() ended = true end })
        out:write(LONG)
        if req.query.fail then
          task.sleep(0.01) -- the head has left
          error "no"
        end
        while true do out:write(LONG) end
      end, { type = "text/plain" })
    end)
    app:on_error(function() end)
    local server = app:listen "127.0.0.1:0"
    local url = "http://" .. server:address() .. "/"
    assert.equal("ECONNRESET", outcome.failure(http.get, url .. "?fail=1").code)
    assert.is_true(ended)
    ended = nil
    local client = http.get(url, { stream = true })
    for _ in client:chunks() do break end
    client:close()
    raw.eventually(function() return ended end)
    server:finish(T)
  end)

  it("goes on after a deadline that ended a task in the middle of it", function()
    local app = app_of(function() return response.stream(function(out)
      out:write "begin "
      pcall(task.deadline, 0.001, function() while true do out:write(LONG) end end)
      out:write "end"
    end, { type = "text/plain" }) end)
    for _ = 1, 5 do
      local text = undone("gzip", app:inject({ path = "/", headers = { ["accept-encoding"] = "gzip" } }).body)
      assert.matches("^begin ", text)
      assert.matches("end$", text)
      local rest = (#text - 9) % #LONG
      assert.equal(text:sub(7, -4):sub(1, rest), LONG:sub(1, rest))
    end
  end)

  it("of a length that was announced is as long", function()
    local app = app_of(function() return response.stream(function(out)
      for line in LONG:gmatch "[^\n]*\n" do out:write(line) end
    end, { type = "text/plain", headers = { ["content-length"] = #LONG } }) end)
    local res = app:inject { path = "/", headers = { ["accept-encoding"] = "gzip" } }
    assert.equal(LONG, undone("gzip", res.body))
    assert.is_true(#res.body < 200) -- nothing was flushed in between
    assert.equal(LONG, app:inject("/").body)
  end)
end)

describe("compress.new", function()
  it("takes no other options", function()
    for why, options in pairs {
      ["unknown option 'mim'; did you mean 'min'?"] = { mim = 1 }, ["option 'min': a whole number >= 0 expected, not 'a'"] = { min = "a" },
      ["option 'codings' must name a coding"] = { codings = {} }, ["'gzip' or 'zstd' expected, got 'br'"] = { codings = { "br" } },
      ["'gzip' or 'zstd' expected, got number"] = { codings = { 1 } }, ["option 'cookies': a boolean expected"] = { cookies = 1 },
    } do
      local _, err = pcall(function() compress.new(options) end)
      assert.is_truthy(tostring(err):find(why, 1, true), tostring(err))
      assert.matches("compress_spec.lua:%d+: ", tostring(err))
    end
  end)

  it("says what it does under --dev: nothing", function()
    local out = sh("$lua script.lua", { ["script.lua"] = [[
      require("green.dev.files").on = true
      local app = require("green.app").new()
      app:use(require("green.compress").new())
      app:get("/", function() return ("x"):rep(5000) end)
      print(app:inject({ path = "/", headers = { ["accept-encoding"] = "gzip" } }).headers["content-encoding"])
    ]] })
    assert.equal("nil\n", out)
  end)
end)
