-- SPDX-License-Identifier: MIT
-- A socket whose peer had ended its side, and which was closed while a write was under way, stayed open for ever when
-- that write failed: the end had been told already, so nobody acted on the failure, nor on the close that waited for it.
local net = require "green.net"
local task = require "green.task"

describe("a socket closed within a write to a peer that had said its last", function()
  it("is closed when the write fails", function()
    local listener <close> = net.listen "127.0.0.1:0"
    local client = net.connect(listener:address())
    local socket = listener:accept(20)
    client:shutdown()
    assert.is_nil(socket:read(10, 20))
    local writer = task.spawn(function() socket:write(("x"):rep(16 << 20)) end)
    task.sleep(0.01)
    socket:close()
    client:close() -- most of it unread: a reset
    assert.is_false((pcall(writer.join, writer, 20)))
    -- the audit after the test counts the handles while `socket` is still alive
    package.loaded["kept by close_after_eof_spec"] = socket
  end)

  teardown(function() package.loaded["kept by close_after_eof_spec"] = nil end)
end)
