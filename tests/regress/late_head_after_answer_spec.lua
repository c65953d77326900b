-- SPDX-License-Identifier: MIT
-- A client whose second head took too long was not told: the connection still remembered that the first request had been
-- answered, and so closed without 408. From the first byte of a head there is something to answer.
local raw = require "http.raw"

describe("a head that takes too long", function()
  it("gets 408 also when the connection has answered a request before", function()
    raw.serve(raw.echo, { header_timeout = 0.3 }, function(address)
      local client <close> = raw.connect(address)
      client:send(raw.GET)
      assert.equal(200, client:answer().status)
      client:send "GET / HT"
      local answer = client:answer()
      assert.equal("408 close", answer and answer.status .. " " .. answer.headers.connection)
      client:shutdown()
      assert.equal("", client:rest())
    end)
  end)
end)
