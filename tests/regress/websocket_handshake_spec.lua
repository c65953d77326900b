-- SPDX-License-Identifier: MIT
-- What the opening handshake and app:ws let pass: mistyped options, a body that came in the same segment, keys, versions and
-- origins twice, lists separated by blanks; and what they refused or said wrongly: a page of the same host whose Host has the
-- port of its scheme, error bodies that named an option or a function, app:inject. And what was counted over the whole life of
-- a socket, or refused only when there was more of it.
local app = require "green.app"
local frames = require "http.frames"
local task = require "green.task"

local TIMEOUT = 20

local function echo(socket)
  for message in socket:messages() do socket:send(message) end
end

local function with(handler, opts, test)
  local site = app.new()
  site:ws("/", handler, opts)
  local server = site:listen "127.0.0.1:0"
  local _ <close> = setmetatable({}, { __close = function() server:abort() end })
  test(server:address())
  server:finish(TIMEOUT)
end

describe("the handshake", function()
  -- Status, headers and body of the answer.
  local function ask(headers, opts, behind)
    local status, answer, body
    with(echo, opts, function(address)
      local client
      client, status, answer = frames.ask(address, { headers = headers, behind = behind })
      status = tonumber(status:match " (%d+) ")
      local n = tonumber(answer["content-length"] or 0)
      while client.have < n do
        local bytes = client.socket:read(65536, TIMEOUT)
        if not bytes then break end
        client.pieces[#client.pieces + 1], client.have = bytes, client.have + #bytes
      end
      body = (client.buffer:sub(client.at + 1) .. table.concat(client.pieces)):sub(1, n)
      client:close()
    end)
    return status, answer, body
  end

  it("has no body, also when that comes with it", function()
    assert.equal(400, (ask({ ["Content-Length"] = "5" }, nil, "hello")))
    assert.equal(400, (ask({ ["Transfer-Encoding"] = "chunked" }, nil, "0\r\n\r\n")))
    assert.equal(101, (ask { ["Content-Length"] = "0" }))
  end)

  it("says nothing twice", function()
    local key = "dGhlIHNhbXBsZSBub25jZQ=="
    assert.equal(400, (ask { ["Sec-WebSocket-Key"] = key .. "\r\nSec-WebSocket-Key: " .. key }))
    assert.equal(400, (ask { ["Sec-WebSocket-Version"] = "13\r\nSec-WebSocket-Version: 13" }))
    assert.equal(400, (ask { Origin = "http://here\r\nOrigin: http://here" }))
    assert.equal(400, (ask({ Origin = "http://here\r\nOrigin: http://evil.example" }, { origins = "*" })))
  end)

  it("reads lists by their commas", function()
    assert.equal(426, (ask { Connection = "keep-alive Upgrade" }))
    assert.equal(426, (ask { Upgrade = "h2c websocket" }))
    assert.equal(426, (ask { Upgrade = "websocket/14" }))
    assert.equal(101, (ask { Connection = "keep-alive ,,\tUpgrade\t,", Upgrade = ",websocket" }))
    local function chosen(offer)
      local _, answer = ask({ ["Sec-WebSocket-Protocol"] = offer }, { protocols = { "v2", "v1" } })
      return answer["sec-websocket-protocol"]
    end
    assert.is_nil(chosen "v1 v2")
    assert.is_nil(chosen '"v1"')
    assert.equal("v1", chosen " v1\t,v3")
  end)

  it("is of the same host with the port of the scheme or without it", function()
    local function from(origin, host, opts) return (ask({ Origin = origin, Host = host }, opts)) end
    assert.equal(101, from("https://shop.example", "shop.example:443"))
    assert.equal(101, from("https://shop.example:443", "shop.example"))
    assert.equal(101, from("http://shop.example", "shop.example:80"))
    assert.equal(101, from("http://SHOP.example:8080", "shop.example:8080"))
    assert.equal(101, from("http://[::1]:8080", "[::1]:8080"))
    assert.equal(101, from("https://[::1]", "[::1]:443"))
    for _, case in ipairs {
      { "https://shop.example", "shop.example:80" }, { "http://shop.example:8080", "shop.example" }, { "http://shop.example", "shop.example:8080" },
      { "https://shop.example:443@evil.example", "shop.example" }, { "https://evil.example/shop.example", "shop.example" },
      { "https://shop.example:4430", "shop.example" }, { "https://shop.example.evil", "shop.example" }, { "https://", "shop.example" },
      { "shop.example", "shop.example" }, { "https://shop.example:99999999999443", "shop.example" },
    } do
      assert.equal(403, from(case[1], case[2]), case[1])
    end
    assert.equal(101, from("https://app.example", "x", { origins = { "https://app.example:443" } }))
    assert.equal(403, from("http://app.example", "x", { origins = { "https://app.example" } }))
    assert.equal(101, from("null", "x", { origins = { "null" } }))
  end)

  it("is refused in words of the client's", function()
    for _, case in ipairs {
      { 403, { Origin = "http://evil.example" } }, { 400, { ["Sec-WebSocket-Key"] = "x" } }, { 426, { Upgrade = false } },
      { 426, { ["Sec-WebSocket-Version"] = "8" } }, { 400, { ["Content-Length"] = "5" }, "hello" },
    } do
      local status, _, body = ask(case[2], nil, case[3])
      assert.equal(case[1], status)
      assert.matches('^{"error":"[%w ]+"}\n?$', body)
      assert.is_nil(body:find "option")
    end
  end)

  it("is told from app:inject", function()
    local site = app.new()
    site:ws("/live", echo)
    local answer = site:inject "/live"
    assert.equal(426, answer.status)
    assert.equal("websocket", answer.headers.upgrade)
    assert.matches("WebSocket", answer:json().error)
    site:use(function() return { "in front" } end)
    assert.equal(200, site:inject("/live").status)
  end)
end)

describe("app:ws", function()
  local here = debug.getinfo(1, "S").short_src:gsub("%p", "%%%0")

  it("refuses options it does not know, and values that are none, at the caller's line", function()
    for _, case in ipairs {
      { { max_mesage = 5 }, "'max_mesage'.*max_message" }, { { max_message = "much" }, "max_message" }, { { idle_timeout = 0 }, "idle_timeout" },
      { { origins = 5 }, "origins" }, { { origins = { "http://a", 5 } }, "origins" }, { { protocols = "v1" }, "protocols" },
      { { protocols = { 1 } }, "protocols" }, { { cancel_on_disconnect = 1 }, "cancel_on_disconnect" }, { { cpu_limit = "x" }, "cpu_limit" },
      { { [1] = true }, "'1'" },
    } do
      local ok, err = pcall(function()
        app.new():ws("/", echo, case[1])
        return 1
      end)
      assert.is_false(ok)
      assert.matches("^" .. here .. ":%d+: app:ws: .*" .. case[2], err)
    end
  end)

  it("counts CPU anew for each message", function()
    local function burn(seconds)
      local ends = os.clock() + seconds
      repeat local x = 0 for i = 1, 1000 do x = x + i end until os.clock() > ends
    end
    with(function(socket)
      for message in socket:messages() do
        burn(tonumber(message))
        socket:send "done"
      end
    end, { cpu_limit = 0.2 }, function(address)
      local client = frames.connect(address)
      for _ = 1, 15 do
        client:text "0.05"
        assert.equal("done", client:message())
      end
      client:text "60"
      assert.equal(1011, (client:farewell()))
      client:close()
    end)
  end)

  it("does not hold a socket to the time of one request", function()
    local site = app.new { request_timeout = 0.05 }
    site:ws("/", echo)
    local server = site:listen "127.0.0.1:0"
    local client = frames.connect(server:address())
    task.sleep(0.3)
    client:text "still here"
    assert.equal("still here", client:message())
    assert.is_nil(client:raw(frames.close(1000)))
    assert.equal(1000, (client:closing()))
    client:close()
    server:finish(TIMEOUT)
  end)
end)

describe("what is wrong", function()
  -- What follows the bytes is never sent: they are enough.
  local cases = {
    { "a length beyond the limit", 1009, frames.text("", { length = 5000 }) },
    { "a length beyond the limit in 64 bits", 1009, frames.binary("", { length = 1 << 40 }) },
    { "a fragment beyond the limit", 1009, frames.text(("x"):rep(600), { fin = false }) .. frames.encode(0, "", { length = 500 }) },
    { "a reserved bit", 1002, "\xc1" },
    { "an opcode", 1002, "\x83" },
    { "a ping in fragments", 1002, "\x09" },
    { "a continuation of nothing", 1002, "\x80" },
    { "a message within a message", 1002, frames.text("x", { fin = false }) .. "\x81" },
    { "no mask", 1002, "\x81\x05" },
    { "a ping that is too long", 1002, "\x89\xfe" },
    { "a length in more bytes than it needs", 1002, "\x81\xfe\x00\x05" },
    { "bad text in a message that is not complete", 1007, frames.text("good \xc3\x28", { fin = false }) },
    { "bad text in a frame that is not complete", 1007, (frames.text("\xf4\x90", { length = 100 })) },
    { "a character that is cut off by a bad one in the next fragment", 1007, frames.text("\xe2\x82", { fin = false }) .. frames.encode(0, "x", { fin = false }) },
  }
  for _, case in ipairs(cases) do
    it("is told at its first byte: " .. case[1], function()
      with(echo, { max_message = 1000 }, function(address)
        local client = frames.connect(address)
        client:raw(frames.text "before" .. case[3])
        assert.equal("before", client:message())
        assert.equal(case[2], (client:closing()))
        client:close()
      end)
    end)
  end
end)
