-- SPDX-License-Identifier: MIT
-- collectgarbage "incremental" and "generational" tell the mode before, and the stock interpreter begins in the generational
-- one: the first answer was another. All that the function answers is held against lua5.4.
local shell = require "shell"

local script = [[
local function show(what, ...)
  if what == "count" then return end
  print(pcall(collectgarbage, what, ...))
end
%s
show("incremental", 100, 200, 10) show "incremental" show "generational" show("generational", 20, 100)
show "incremental"
show("setpause", 150) show("setpause", 200) show("setstepmul", 300) show("setstepmul", 100)
show "isrunning" show "stop" show "isrunning" show "restart" show "isrunning"
show "collect" show() show(nil)
show "bogus" show(1) show {}
setmetatable({}, { __gc = function() show "incremental" show "generational" show "count" show "collect" end })
show "collect"
print(pcall(function() collectgarbage "bogus" end))
print(math.type(collectgarbage "count"), select("#", collectgarbage "count"))
]]

describe("collectgarbage", function()
  for _, first in ipairs { "show 'incremental'", "show 'generational'", "show 'count'" } do
    it("answers as in lua5.4 when one begins with " .. first, function()
      local files = { ["x.lua"] = script:format(first) }
      local want = shell("lua5.4 x.lua", files)
      assert.is_true(#want > 400)
      assert.equal(want, (shell("$lua x.lua", files)))
    end)
  end
end)
