-- SPDX-License-Identifier: MIT
-- Numbers drawn from a seed, the same on each machine.
local Random = {}
Random.__index = Random

local function new(seed) return setmetatable({ state = (seed * 0x9E3779B97F4A7C15) | 1 }, Random) end

-- An integer from 1 to n.
function Random:below(n)
  local s = self.state
  s = s ~ (s << 13)
  s = s ~ (s >> 7)
  s = s ~ (s << 17)
  self.state = s
  return ((s >> 33) % n) + 1
end

function Random:chance(percent) return self:below(100) <= percent end

function Random:pick(list) return list[self:below(#list)] end

return new
