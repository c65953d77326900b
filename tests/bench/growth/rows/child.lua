-- SPDX-License-Identifier: MIT
-- Children started one after the other, the more of them the more memory is in use: what one costs must not depend on that.
local process = require "green.process"

-- Half a megabyte for each child, all of it written to, or there would be nothing for a fork to copy.
local function fill(n)
  local blocks = {}
  for i = 1, n do blocks[i] = ("x"):rep(1 << 19) .. i end
  return blocks
end

local function row(name, start)
  return {
    name = "child: " .. name .. ", beside so much memory",
    start = 8,
    prepare = function(n)
      local blocks = fill(n)
      return function()
        for _ = 1, n do start() end
        return blocks
      end
    end,
  }
end

return {
  row("process.run", function() process.run { "true" } end),
  row("os.execute", function() os.execute "true" end),
  row("io.popen", function() io.popen("true"):close() end),
}
