-- SPDX-License-Identifier: MIT
-- The header lines of a request: sent, read, and made a table of.
local native = require "green.http.native"
local net = require "green.net"

local function row(name, line)
  return {
    name = "http: " .. name,
    start = 100,
    prepare = function(n)
      local server = native.listen("127.0.0.1:0", function(req) return req.headers.host .. (req:header "x" or "") end,
        { max_headers = 10000, max_head = 1 << 20 })
      local lines = {}
      for i = 1, n do lines[i] = line(i, n) end
      local request = "GET / HTTP/1.1\r\nHost: a\r\n" .. table.concat(lines) .. "\r\n"
      local client = net.connect(server:address())
      return function()
        client:write(request)
        local answer = ""
        repeat answer = answer .. client:read(65536) until answer:find("\r\n\r\na", 1, true)
      end, function()
        client:close()
        server:abort()
        server:finish(5)
      end
    end,
  }
end

return {
  row("a request with n header lines", function(i) return ("A%d: b\r\n"):format(i) end),
  row("a request with n lines of one header", function() return "A: " .. ("b"):rep(100) .. "\r\n" end),
  row("a request with n lines of n/2 headers", function(i, n) return ("A%d: b\r\n"):format(i % (n // 2)) end),
}
