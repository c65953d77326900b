-- SPDX-License-Identifier: MIT
-- Which headers somebody between two ends passes on.
local http = require "green.http"

describe("http.forward", function()
  it("leaves out what is about a connection or the framing of a message", function()
    assert.same({ accept = "a/b", ["x-list"] = { "1", "2" }, cookie = "c" }, http.forward {
      Accept = "a/b", ["X-List"] = { "1", "2" }, cookie = "c", Host = "h", Connection = "keep-alive", ["Keep-Alive"] = "5", ["Proxy-Connection"] = "x",
      ["Proxy-Authorization"] = "p", ["Proxy-Authenticate"] = "p", TE = "trailers", Trailer = "x", ["Transfer-Encoding"] = "chunked", Upgrade = "h2c",
      ["Content-Length"] = "5", Expect = "100-continue", ["HTTP2-Settings"] = "x",
    })
  end)

  it("leaves out what Connection names", function()
    assert.same({ b = "2" }, http.forward { a = "1", b = "2", C = "3", connection = "A ,c" })
    assert.same({ b = "2" }, http.forward { a = "1", b = "2", c = "3", Connection = { "a", "c, close" } })
  end)

  it("changes nothing in what it is given", function()
    local given = { Connection = "a", a = "1" }
    http.forward(given)
    assert.same({ Connection = "a", a = "1" }, given)
    assert.has_error(function() http.forward "x" end)
  end)
end)
