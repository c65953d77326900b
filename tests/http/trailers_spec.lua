-- SPDX-License-Identifier: MIT
-- Trailers, the fields behind a body: of a request that a script sends, and of the response that it reads.
local http = require "green.http"
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

local function pieces(...)
  local list, i = { ... }, 0
  return function()
    i = i + 1
    return list[i]
  end
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
      assert.is_nil(answer.headers["set-cookie"])
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
