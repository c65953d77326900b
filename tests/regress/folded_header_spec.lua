-- SPDX-License-Identifier: MIT
-- A server whose head began with a folded line (" a: b") made the client write into memory that was free: libcurl's handles were used
-- again, and such a handle remembers the last header line of the response before it. (The ASan build sees it.)
local fault = require "green.error"
local http = require "green.http"
local net = require "green.net"
local task = require "green.task"

local LIMIT = 20 -- seconds; nothing takes that long

describe("a response whose head begins with a folded line", function()
  it("is refused or read, but has nothing to do with the one before", function()
    local listener <close> = net.listen "127.0.0.1:0"
    local heads = { "X-Long: " .. ("a"):rep(40) .. "\r\n", " a: folded\r\n", "\ta: " .. ("b"):rep(4000) .. "\r\n", "X-Last: 1\r\n" }
    local server = task.spawn(function()
      for _, head in ipairs(heads) do
        local socket <close> = listener:accept(LIMIT)
        socket:read(nil, LIMIT)
        socket:write("HTTP/1.1 200 OK\r\n" .. head .. "Content-Length: 2\r\nConnection: close\r\n\r\nok", LIMIT)
      end
    end)
    local function ask() return pcall(http.get, "http://" .. listener:address() .. "/", { timeout = LIMIT }) end
    assert.is_true((ask()))
    for _ = 1, 2 do
      local ok, answer = ask()
      assert.is_true(ok and answer.headers["x-long"] == nil or not ok and fault.is(answer))
    end
    local ok, answer = ask()
    assert.same({ true, "1" }, { ok, ok and answer.headers["x-last"] })
    server:join()
  end)
end)
