-- SPDX-License-Identifier: MIT
-- Builds probe.c, once for each process, and loads it. `folder` is where it lies.
local process = require "green.process"
local fs = require "green.fs"

local source = fs.absolute(arg[0]:match "^(.*)/tests/[^/]*$" or ".")
local folder = os.tmpname()
os.remove(folder)
assert(fs.mkdir(folder) or true)
local flags = process.capture({ "pkg-config", "--cflags", "lua5.4" }).stdout:gsub("%s+$", "")
local built = process.capture({ "sh", "-c", ("cc -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -Wall -Wno-unused-result -shared -fPIC %s -o %s/probe.so %s/tests/libc/probe.c -pthread")
  :format(flags, folder, source) }, { stderr = "stdout" })
assert(built.code == 0, built.stdout)
local open = assert(package.loadlib(folder .. "/probe.so", "luaopen_probe"))
local probe = open("probe")
probe.folder, probe.source = folder, source .. "/tests/libc"
return probe
