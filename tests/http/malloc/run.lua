-- SPDX-License-Identifier: MIT
-- Memory that runs out in C, anywhere on the path of a request: client, server, gateway, proxy, TLS, gzip. core/fault.h counts what Lua and the
-- host's own allocator hand out; malloc and its like are refused here by a library that is preloaded (refuse.c), in a process of its own
-- (walk.lua). Nothing may crash or hang: the request fails with an error object, or is answered 500 or 503, and the next one is served.
--
--   greenlua tests/http/malloc/run.lua [SEED [PLACES [SCENARIO [N]]]]   a few places of each scenario; PLACES 0: all, which takes many minutes
--
-- The number of allocations is not the same each time, since the loop reads as much as there is: a seed leads near a place, not to it. For one
-- place: REFUSE_TRACE=1 says on stderr where each refusal was.
local here = debug.getinfo(1, "S").source:match "^@(.*)/[^/]*$"
local by_command = arg[0]:find "malloc/run%.lua$" ~= nil
if by_command then package.path = here .. "/../../?.lua;" .. package.path end

local certificates = require "net.certificates"
local fs = require "green.fs"
local interpreter = require "interpreter"
local process = require "green.process"

local function run(format, ...)
  local got = process.capture({ "sh", "-c", format:format(...) }, { stderr = "stdout" })
  assert(got.code == 0, got.stdout)
end

-- Returns the exit code of the walk, and what it said.
local function walk(seed, places, ...)
  local certs <close> = certificates()
  local dir <close> = fs.temp_dir()
  local folder = dir.path
  for name, path in pairs { ["ca.pem"] = certs.ca, ["site.pem"] = certs.site.cert, ["site.key"] = certs.site.key } do fs.copy(path, fs.join(folder, name)) end
  fs.write(folder .. "/long", ("long "):rep(40000))
  run("gzip -c %s/long > %s/zipped", folder, folder)
  run("cc -O1 -Wall -shared -fPIC $(pkg-config --cflags lua5.4) -o %s/refuse.so %s/refuse.c", folder, here)
  local command = { "env", "LD_PRELOAD=" .. folder .. "/refuse.so", "MALLOC_PERTURB_=165", interpreter, here .. "/walk.lua", folder, tostring(seed), tostring(places), ... }
  local got = process.capture(command, { stderr = "stdout", max_output = 1 << 28 })
  return got.code, got.stdout
end

if not by_command then return walk end

local seed = arg[1] or tostring(os.time())
print("seed " .. seed)
local code, said = walk(seed, arg[2] or "6", table.unpack(arg, 3))
for line in said:gmatch "[^\n]+" do
  if line:find "allocations:" or code ~= 0 then print(line) end
end
os.exit(code == 0 and said:find "\ndone\n$" and 0 or 1)
