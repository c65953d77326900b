-- SPDX-License-Identifier: MIT
-- Started with stdin closed, the event loop got descriptor 0, and libuv's assertion that nobody closes such a one ended
-- the process; with stdout closed, print wrote into the loop's own pipes.
local sh = require "shell"

local script = [[
  local _, why = io.read(0)
  io.write "x"
  local wrote, complained = io.stdout:flush() ~= nil, io.stderr:write "x" ~= nil
  print "printed"
  os.execute "cat; echo out; echo err >&2"
  local child = io.popen("echo out"):read "l"
  local told <close> = assert(io.open("told", "w"))
  told:write(tostring(why), " ", tostring(wrote), " ", tostring(complained), " ", child)
]]

describe("standard descriptors that came closed", function()
  for closed, expected in pairs {
    ["<&-"] = "Bad file descriptor true true out",
    [">&-"] = "nil false true out",
    ["2>&-"] = "nil true false out",
    ["<&- >&-"] = "Bad file descriptor false true out",
    ["<&- >&- 2>&-"] = "Bad file descriptor false false out",
  } do
    it("fail when used, and harm nothing else: " .. closed, function()
      local told, _, code = sh("exec 3>&1 > printed; $lua a.lua " .. closed .. "; code=$?; cat told >&3; exit $code",
        { ["a.lua"] = script })
      assert.equal(expected, told)
      assert.equal(0, code)
    end)
  end
end)
