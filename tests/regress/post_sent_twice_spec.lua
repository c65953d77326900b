-- SPDX-License-Identifier: MIT
-- The client once stood on libcurl, which sends a request once more when a kept connection dies before the first byte of the answer. When the
-- server had carried out a POST by then, an order was cooked twice. The POST is an error now; a GET is still repeated.
local http = require "green.http"
local net = require "green.net"
local task = require "green.task"

local ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

-- Answers the first request of a connection and hangs up on the second. Returns the address and what was received.
local function hang_up_on_second(requests)
  local listener = net.listen "127.0.0.1:0"
  local server = task.spawn(function()
    while #requests < 3 do
      local ok, peer = pcall(listener.accept, listener, 2)
      if not ok then break end
      for n = 1, 2 do
        local bytes = peer:read()
        if not bytes then break end
        if not bytes:find "answer me" and not bytes:find "^GET" then bytes = bytes .. (peer:read() or "") end
        requests[#requests + 1] = bytes
        if n == 1 then peer:write(ANSWER) end
      end
      peer:close()
    end
  end)
  return "http://" .. listener:address() .. "/", function()
    server:cancel()
    pcall(server.join, server)
    listener:close()
  end
end

describe("a kept connection that dies before the answer", function()
  it("does not make a POST happen twice", function()
    local requests = {}
    local url, stop = hang_up_on_second(requests)
    assert.equal("ok", http.post(url, { body = "answer me" }).body)
    local ok, e = pcall(http.post, url, { body = "answer me" })
    stop()
    assert.is_false(ok)
    assert.equal("ECONNRESET", e.code)
    assert.equal(2, #requests)
  end)

  it("still repeats a GET", function()
    local requests = {}
    local url, stop = hang_up_on_second(requests)
    assert.equal("ok", http.get(url).body)
    assert.equal("ok", http.get(url).body)
    stop()
    assert.equal(3, #requests)
  end)
end)
