-- SPDX-License-Identifier: MIT
-- A TLS connection on which something had failed (its peer had ended without a goodbye, a send had failed) was used once more by LuaSec.
-- OpenSSL then fails without a call of the system and with errno 0, LuaSec takes that for success, LuaSocket sends what is left, and so
-- for ever; under lua as well. With one connection for many tasks there is always one that comes after a failure. (host/libc/sslwhy.c)
-- Needs: modules
require "helper"
local certificates = require "net.certificates"
local net = require "green.net"
local p = require "libc.probe"
local socket = require "socket"
local ssl = require "ssl"
local task = require "green.task"

-- Calls fn with a connection of LuaSec, whose peer has ended without a goodbye.
local function broken(fn)
  local certs <close> = certificates()
  local server <close> = net.listen { host = "127.0.0.1", port = 0, tls = { cert = certs.site.cert, key = certs.site.key } }
  local accepting = task.spawn(server.accept, server, 60)
  local plain = assert(socket.connect("127.0.0.1", math.tointeger(server:address():match ":(%d+)$")))
  local client = assert(ssl.wrap(plain, { mode = "client", protocol = "any", verify = "none" }))
  assert(client:dohandshake())
  local a, b = p.pair()
  p.close(b)
  p.dup2(a, client:getfd())
  p.close(a)
  fn(client)
  client:close()
  accepting:join(60):close()
end

describe("a connection of LuaSec", function()
  it("that has ended without a goodbye fails whenever it is used", function()
    broken(function(client)
      assert.same({ nil, "unexpected eof while reading", "" }, { client:receive() })
      for _ = 1, 2 do
        assert.equal("closed", select(2, client:send "question\n"))
        assert.equal("closed", select(2, client:receive()))
      end
    end)
  end)

  it("on which a send has failed fails whenever it is used", function()
    broken(function(client)
      assert.is_nil((client:send "a long question\n"))
      local failures = {}
      for i, text in ipairs { "short\n", "another long question\n", "another long question\n" } do failures[i] = select(2, client:send(text)) end
      assert.same({ "bad length", "closed", "closed" }, failures)
    end)
  end)
end)
