-- SPDX-License-Identifier: MIT
-- Builds probe.c, once for each process, and loads it. `folder` is where it lies.
local process = require "green.process"
local fs = require "green.fs"

local source = fs.absolute(arg[0]:match "^(.*)/tests/[^/]*$" or ".")
local folder = os.tmpname()
os.remove(folder)
assert(fs.mkdir(folder) or true)
local flags = process.capture({ "pkg-config", "--cflags", "lua5.4" }).stdout:gsub("%s+$", "")

-- Builds the module `name` of the C file at `path`, and returns what it opens.
local function build(name, path)
  local built = process.capture({ "sh", "-c", ("cc -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -Wall -Wno-unused-result -shared -fPIC %s -o %s/%s.so %s -pthread")
    :format(flags, folder, name, path) }, { stderr = "stdout" })
  assert(built.code == 0, built.stdout)
  return assert(package.loadlib(folder .. "/" .. name .. ".so", "luaopen_" .. name))(name)
end

local probe = build("probe", source .. "/tests/libc/probe.c")
probe.folder, probe.source = folder, source .. "/tests/libc"

-- The same of a C source.
function probe.build(name, text)
  local path = folder .. "/" .. name .. ".c"
  fs.write(path, text)
  return build(name, path)
end

return probe
