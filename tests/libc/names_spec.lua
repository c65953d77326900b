-- SPDX-License-Identifier: MIT
-- host/libc/addrinfo.c, hostent.c: the questions of C modules to the system's resolver. names.lua has the tests, for which a resolver is
-- preloaded that is silent until it is told to speak; so they run in a process of their own.
require "helper"
local p = require "libc.probe"
local shell = require "shell"

describe("names below C modules", function()
  it("are looked up while the task waits", function()
    local out, err, code = shell(([[cc -O1 -Wall -shared -fPIC -o gate.so %s/gate.c -pthread && cd %s/../.. &&
      ASAN_OPTIONS=verify_asan_link_order=0:$ASAN_OPTIONS LD_PRELOAD=$OLDPWD/gate.so $lua tests/run.lua tests/libc/names.lua]])
      :format(p.source, p.source))
    assert.equal(0, code, out .. err)
    assert.matches("1%d%d successes / 0 failures / 0 errors / 0 pending", out)
  end)
end)
