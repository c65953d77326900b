-- SPDX-License-Identifier: MIT
-- Trailers, the fields behind a body: of a request that a script sends, and of the response that it reads.
local http = require "green.http"
local pieces = require "each"
local net = require "green.net"
local outcome = require "outcome"
local task = require "green.task"

local failure = outcome.failure
local WAIT = 20 -- seconds, where something is bound to come

-- Runs use(url) while one connection after the other is served by peer(socket).
local function listening(peer, use)
  local listener = net.listen "127.0.0.1:0"
  local acceptor = task.spawn(function()
    while true do
      local socket <close> = listener:accept()
      pcall(peer, socket)
    end
  end)
  local ok, e = xpcall(use, debug.traceback, "http://" .. listener:address() .. "/")
  require "green.http.transport".close_idle()
  acceptor:cancel()
  pcall(acceptor.join, acceptor)
  listener:close()
  assert(ok, e)
end

local function read_until(socket, pattern)
  local all = ""
  while not all:find(pattern) do all = all .. assert(socket:read(65536, WAIT)) end
  return all
end

describe("trailers of a request", function()
  -- Answers with the request as it came.
  local function echo(socket)
    local all = read_until(socket, "\r\n0\r\n")
    while not all:find "\r\n\r\n$" do all = all .. assert(socket:read(65536, WAIT)) end
    socket:write(("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"):format(#all, all))
  end

  it("are announced when they are a table, and follow the last chunk", function()
    listening(echo, function(url)
      local sent = http.post(url, { body = pieces("ab", "c"), trailers = { ["X-Sum"] = 7, ["X-Two"] = { "a", "b" } } }).body
      local head, rest = sent:match "^(.-\r\n\r\n)(.*)$"
      assert.is_truthy(head:find("\r\nTrailer: X-Sum, X-Two\r\n", 1, true), head)
      assert.is_truthy(head:find("\r\nTransfer-Encoding: chunked\r\n", 1, true), head)
      local fields = rest:match "^2\r\nab\r\n1\r\nc\r\n0\r\n(.*)\r\n$"
      assert.is_truthy(fields == "X-Sum: 7\r\nX-Two: a\r\nX-Two: b\r\n" or fields == "X-Two: a\r\nX-Two: b\r\nX-Sum: 7\r\n", rest)
    end)
  end)

  it("may be asked for once the body has ended, and may wait", function()
    listening(echo, function(url)
      local bytes = 0
      local next = pieces("abc", "de")
      local function body()
        local piece = next()
        bytes = bytes + #(piece or "")
        return piece
      end
      local sent = http.post(url, { body = body, trailers = function()
        task.sleep(0)
        return { ["X-Bytes"] = bytes }
      end }).body
      assert.equal("0\r\nX-Bytes: 5\r\n\r\n", sent:sub(-17))
      assert.is_nil(sent:find("Trailer:", 1, true))
      assert.equal("de\r\n0\r\n\r\n", http.post(url, { body = pieces "de", trailers = function() end }).body:sub(-9))
    end)
  end)

  it("are sent to our own server, which reads on behind them", function()
    local server = require "green.http.native".listen("127.0.0.1:0", function(req) return req:body() end)
    local url = "http://" .. server:address() .. "/"
    for i = 1, 3 do
      local answer = http.post(url, { body = pieces("x", tostring(i)), trailers = { ["X-Sum"] = i } })
      assert.same({ "x" .. i, i > 1 }, { answer.body, answer.reused })
    end
    require "green.http.transport".close_idle()
    server:abort()
    server:finish(WAIT)
  end)

  it("are for bodies of unknown length, and do not steer the message", function()
    for _, opts in ipairs { {}, { body = "x" }, { json = 1 }, { body = pieces "x", length = 1 } } do
      opts.trailers = { ["X-Sum"] = 1 }
      local ok, e = pcall(http.post, "http://127.0.0.1:9/", opts)
      assert.is_false(ok)
      assert.is_truthy(tostring(e):find("option 'trailers': they follow a body that is a function, without a length", 1, true), tostring(e))
    end
    for _, name in ipairs { "Content-Length", "transfer-encoding", "Host", "Trailer", "Content-Type", "Authorization", "Proxy-Connection", "a b", "" } do
      local e = failure(http.post, "http://127.0.0.1:9/", { body = pieces "x", trailers = { [name] = "1" } })
      assert.same({ "EINVAL", "http.post" }, { e.code, e.op }, name)
    end
    assert.equal("EINVAL", failure(http.post, "http://127.0.0.1:9/", { body = pieces "x", trailers = { X = "a\r\nY: b" } }).code)
    for _, trailers in ipairs { { "x" }, { X = true }, "x" } do
      assert.is_false(pcall(http.post, "http://127.0.0.1:9/", { body = pieces "x", trailers = trailers }))
    end
  end)

  it("fail the request when their function does, and the connection is closed", function()
    listening(function(socket)
      assert(not pcall(read_until, socket, "\r\n0\r\n"))
    end, function(url)
      assert.equal("mine", failure(http.post, url, { body = pieces "x", trailers = function() error("mine", 0) end }))
      assert.equal("EINVAL", failure(http.post, url, { body = pieces "x", trailers = function() return { Host = "h" } end }).code)
      local ok, e = pcall(http.post, url, { body = pieces "x", trailers = function() return "x" end })
      assert.is_false(ok)
      assert.is_truthy(tostring(e):find("trailers: a table expected, not a string", 1, true), tostring(e))
      assert.equal(0, http.stats().connections)
    end)
  end)

  it("are not asked for when the server has heard enough", function()
    listening(function(socket)
      read_until(socket, "\r\n\r\n")
      socket:write "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
      while socket:read(65536, WAIT) do end
    end, function(url)
      local asked = false
      local answer = http.post(url, { body = function() return ("x"):rep(65536) end, trailers = function() asked = true end })
      assert.same({ 413, false }, { answer.status, asked })
    end)
  end)
end)

describe("trailers of a response", function()
  local CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"

  local function answering(answer, use)
    listening(function(socket)
      read_until(socket, "\r\n\r\n")
      socket:write(answer)
      socket:read(1, WAIT)
    end, use)
  end

  it("are there with a body that was collected", function()
    answering(CHUNKED .. "\r\n2\r\nab\r\n0\r\nX-Sum: 7\r\nx-sum:  8 \r\nSet-Cookie: a=b\r\n\r\n", function(url)
      local answer = http.get(url)
      local trailers = answer:trailers()
      assert.same({ "ab", "7, 8", "7, 8" }, { answer.body, trailers["X-Sum"], trailers["x-sum"] })
      assert.same({ "7", "8" }, trailers:all "X-SUM")
      assert.is_nil(answer.headers["x-sum"]) -- they are no headers (RFC 9110, 6.5)
      assert.same({}, { answer.headers["set-cookie"], trailers["set-cookie"] }) -- nor may this one be a trailer
    end)
  end)

  it("are there once a streamed body was read", function()
    answering(CHUNKED .. "\r\n2\r\nab\r\n0\r\nX-Sum: 7\r\n\r\n", function(url)
      local answer <close> = http.get(url, { stream = true })
      assert.is_nil(answer:trailers())
      local body = {}
      for piece in answer:chunks() do body[#body + 1] = piece end
      assert.same({ "ab", "7" }, { table.concat(body), answer:trailers()["X-Sum"] })
      assert.equal(answer:trailers(), answer:trailers())
    end)
  end)

  it("are there behind a coded body", function()
    local gzip = "\31\139\8\0\0\0\0\0\0\3\75\76\2\0\109\72\131\158\2\0\0\0" -- "ab"
    local all = CHUNKED .. ("Content-Encoding: gzip\r\n\r\n%x\r\n%s\r\n0\r\nX-Sum: 7\r\n\r\n"):format(#gzip, gzip)
    answering(all, function(url)
      local whole = http.get(url)
      assert.same({ "ab", "7" }, { whole.body, whole:trailers()["X-Sum"] })
      local answer <close> = http.get(url, { stream = true })
      for piece in answer:chunks() do assert.equal("ab", piece) end
      assert.equal("7", answer:trailers()["X-Sum"])
    end)
  end)

  it("are nil when there are none, or the body was left before its end", function()
    answering(CHUNKED .. "\r\n2\r\nab\r\n0\r\n\r\n", function(url)
      assert.is_nil(http.get(url):trailers())
      local answer <close> = http.get(url, { stream = true })
      for _ in answer:chunks() do end
      assert.is_nil(answer:trailers())
    end)
    answering(CHUNKED .. "\r\n2\r\nab\r\n0\r\nX-Sum: 7\r\n\r\n", function(url)
      local answer = http.get(url, { stream = true })
      answer:close()
      assert.is_nil(answer:trailers())
    end)
  end)
end)

-- ---- the server ----

local raw = require "http.raw"

-- Runs use(client, url) while a server of ours runs this handler.
local function serving(handler, use)
  local native = require "green.http.native"
  local server = native.listen("127.0.0.1:0", handler)
  local address = server:address()
  local ok, e = xpcall(use, debug.traceback, address)
  require "green.http.transport".close_idle()
  server:abort()
  server:finish(WAIT)
  assert(ok, e)
end

describe("trailers of a request, to a server of ours", function()
  local function tell(req)
    local before = req:trailers()
    local body = req:body()
    local fields = req:trailers() or {}
    return ("%s|%s|%s|%s"):format(tostring(before), body, fields["x-sum"] or "-", fields["x-two"] or "-")
  end

  it("are there once the body was read", function()
    serving(tell, function(address)
      local url = "http://" .. address .. "/"
      local two = { body = pieces("a", "b"), trailers = { ["X-Sum"] = 7, ["X-Two"] = { "c", " d " } } }
      assert.equal("nil|ab|7|c, d", http.post(url, two).body)
      assert.equal("nil|ab|-|-", http.post(url, { body = pieces("a", "b") }).body) -- nothing is left of those before
      assert.equal("nil|ab|-|-", http.post(url, { body = "ab" }).body)
      assert.equal("nil||-|-", http.get(url).body)
      local large = ("x"):rep(300000)
      assert.equal("nil|" .. large .. "|1|-", http.post(url, { body = pieces(large), trailers = { ["X-Sum"] = 1 } }).body)
    end)
  end)

  it("are there after the last of its pieces, too, and nil for who has not read them all", function()
    local heard = require "green.semaphore".new(1)
    heard:try()
    serving(function(req)
      local seen = {}
      for piece in req:chunks() do
        seen[#seen + 1] = piece
        if #table.concat(seen) == 2 then break end
      end
      local early = tostring(req:trailers())
      heard:release()
      for _ in req:chunks() do end
      return early .. " " .. req:trailers()["x-sum"] .. tostring(req:trailers().host)
    end, function(address)
      local client = net.connect(address)
      client:write "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"
      heard:acquire(WAIT)
      client:write "1\r\nc\r\n0\r\nX-Sum: 3\r\nHost: other\r\n\r\n"
      assert.equal("nil 3nil", read_until(client, "\r\n\r\n.+"):match "\r\n\r\n(.*)")
      client:close()
    end)
  end)

  it("are dropped when nobody asks, and the next request finds its beginning", function()
    serving(function(req) return req.path end, function(address)
      local client = net.connect(address)
      for i = 1, 3 do
        client:write(raw.chunked("/" .. i, { "ab" }, "X-Sum: 3\r\n"))
        read_until(client, "\r\n\r\n/" .. i .. "$")
      end
      client:close()
    end)
  end)

  it("are bounded as headers are", function()
    serving(tell, function(address)
      local client = net.connect(address)
      client:write(raw.chunked("/", { ("x"):rep(9000) }, ("A: b\r\n"):rep(2000)))
      assert.is_truthy(read_until(client, "\r\n\r\n"):find "^HTTP/1.1 4%d%d ")
      client:close()
    end)
  end)
end)

describe("trailers of a response, by a server of ours", function()
  local response = require "green.response"

  it("follow a streamed body", function()
    serving(function()
      return response.stream(function(out)
        out:trailers { A = 1 }
        out:write "ab"
        out:trailers { ["X-Sum"] = 7, ["X-Two"] = { "c", "d" } }
      end, { headers = { Trailer = "X-Sum" } })
    end, function(address)
      for _ = 1, 2 do
        local answer = http.get("http://" .. address .. "/")
        local trailers = answer:trailers()
        assert.same({ "ab", "7", "c, d" }, { answer.body, trailers["X-Sum"], trailers["X-Two"] })
        assert.is_nil(trailers.A)
        assert.equal("X-Sum", answer.headers.trailer)
      end
      local old = net.connect(address)
      old:write "GET / HTTP/1.0\r\n\r\n"
      assert.is_nil(read_until(old, "ab"):find "X%-Two") -- HTTP/1.0 has none
      old:close()
    end)
  end)

  it("are refused when they steer the message, or come too late", function()
    local kept
    serving(function()
      return response.stream(function(out)
        kept = out
        local codes = {}
        for _, fields in ipairs { { ["Content-Length"] = 1 }, { ["transfer-encoding"] = "chunked" }, { ["Set-Cookie"] = "a=b" } } do
          codes[#codes + 1] = failure(out.trailers, out, fields).code
        end
        for _, fields in ipairs { { ["a b"] = "1" }, { a = "1\r\nb: 2" }, { a = true }, { "x" } } do
          codes[#codes + 1] = tostring(pcall(out.trailers, out, fields))
        end
        out:write(table.concat(codes, " "))
      end)
    end, function(address)
      local answer = http.get("http://" .. address .. "/")
      assert.equal("EINVAL EINVAL EINVAL false false false false", answer.body)
      assert.is_nil(answer:trailers())
      assert.equal("ECLOSED", failure(kept.trailers, kept, { a = "1" }).code)
    end)
  end)

  it("are not those of a stream that failed before its first byte", function()
    local app = require "green.app".new()
    app:get("/", function()
      return response.stream(function(out)
        out:trailers { ["X-Sum"] = 7 }
        error "on purpose"
      end)
    end)
    app:on_error(function(_, status)
      return response.stream(function(out) out:write(tostring(status)) end, { status = status })
    end)
    local server = app:listen "127.0.0.1:0"
    local answer = http.get("http://" .. server:address() .. "/")
    assert.same({ 500, "500" }, { answer.status, answer.body })
    assert.is_nil(answer:trailers())
    require "green.http.transport".close_idle()
    server:abort()
    server:finish(WAIT)
  end)

  it("are the same without a server", function()
    local app = require "green.app".new()
    app:post("/", function(req)
      req:body()
      return response.stream(function(out)
        out:write "ab"
        out:trailers { ["X-Sum"] = req:trailers()["x-sum"] }
      end)
    end)
    local answer = app:inject { method = "POST", path = "/", body = "x", trailers = { ["X-Sum"] = "7" } }
    assert.same({ "ab", { ["x-sum"] = "7" } }, { answer.body, answer.trailers })
  end)
end)

describe("trailers through a gateway", function()
  -- Runs use(front's address) while a server passes everything on to one that tells in its trailers what trailers it was sent.
  local function passing(front_handler, use)
    local raw, response = require "http.raw", require "green.response"
    raw.serve(function(req)
      return response.stream(function(out)
        out:write(req:body())
        local sent = req:trailers() or {}
        out:trailers { ["X-Sent"] = sent["x-sum"] or "none", ["X-Two"] = { "a", "b" }, ["X-TE"] = (req.headers.te or "-") .. "|" .. (req.headers.connection or "-") }
      end)
    end, nil, function(inside)
      raw.serve(function(req) return front_handler(req, "http://" .. inside .. "/") end, nil, function(front) use(front, raw) end)
    end)
  end

  local function ask(front, raw, te, trailers)
    local client <close> = raw.connect(front)
    client:send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close, TE\r\n", te, "\r\n2\r\nhi\r\n0\r\n", trailers, "\r\n")
    return client:rest():match "\r\n\r\n2\r\nhi\r\n0\r\n(.*)$"
  end

  local function names_of(text)
    local lines = {}
    for line in (text or ""):gmatch "([^\r\n]+)\r\n" do lines[#lines + 1] = line:lower() end
    table.sort(lines)
    return table.concat(lines, "; ")
  end

  it("are passed on in both directions, and asked for when the client reads them", function()
    passing(function(_, inside) return require("green.response").proxy(inside) end, function(front, raw)
      assert.equal("x-sent: 7; x-te: trailers|te; x-two: a; x-two: b", names_of(ask(front, raw, "TE: gzip;q=0.5, Trailers\r\n", "X-Sum: 7\r\n")))
      assert.equal("x-sent: none; x-te: -|-; x-two: a; x-two: b", names_of(ask(front, raw, "TE: gzip\r\n", "")))
      assert.equal("x-sent: none; x-te: -|-; x-two: a; x-two: b", names_of(ask(front, raw, "", "Host: evil\r\n")))
    end)
  end)

  it("are those of a client's response that a handler returns, and of what it passes on by itself", function()
    local function by_hand(req, inside)
      local got = http.post(inside, { headers = http.forward(req.headers), body = req:chunks(), trailers = function() return http.forward(req:trailers() or {}) end,
        accept_trailers = true, stream = true })
      return got
    end
    passing(by_hand, function(front, raw)
      assert.equal("x-sent: 7; x-te: trailers|te; x-two: a; x-two: b", names_of(ask(front, raw, "", "X-Sum: 7\r\n")))
    end)
  end)

  it("are asked for by an option, beside a connection that is not kept", function()
    listening(function(socket)
      local head = read_until(socket, "\r\n\r\n")
      socket:write(("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"):format(#head, head))
    end, function(url)
      local head = http.get(url, { accept_trailers = true }).body
      assert.is_truthy(head:find("\r\nTE: trailers\r\nConnection: TE\r\n", 1, true), head)
      head = http.client({ accept_trailers = true, keep_alive = false }):get(url).body
      assert.is_truthy(head:find("\r\nTE: trailers\r\nConnection: TE\r\nConnection: close\r\n", 1, true), head)
      assert.is_nil(http.get(url).body:find "\r\nTE:")
      assert.equal("EINVAL", failure(http.get, url, { headers = { TE = "trailers" } }).code)
    end)
  end)
end)
