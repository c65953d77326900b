-- SPDX-License-Identifier: MIT
-- A C function waited in poll, and failed with EINTR now and then: a poll that is told not to wait fails, too, when a signal is pending, and
-- the watchdog's was. A read took that for "something is ready", and would have blocked the thread (host/libc/look.h).
require "helper"
local p = require "libc.probe"
local process = require "green.process"

local IN = 1

it("a wait of C code is not interrupted by the watchdog's signals", function()
  local _ <close> = process.spawn { "sh", "-c", "while kill -URG $PPID; do :; done" }
  local a, b = p.pair()
  for _ = 1, 1000 do
    p.send(b, "x") -- ready at once, or looked for once more
    for _, wait in ipairs { p.poll, p.ppoll } do assert.equal(1, (wait(a, IN, 1000))) end
    assert.equal(1, (p.select(a, "r", 1000)))
    assert.equal(1, (p.read(a, 1)))
    assert.equal(0, (p.poll(a, IN, 1)))
  end
  p.close(a)
  p.close(b)
end)
