-- SPDX-License-Identifier: MIT
-- Internal.
-- This file keeps what was worked out for requests without options, so that one that comes again is sent at once. A request is planned when
-- it comes for the second time, since most come once.
local MANY, LONG = 256, 256 -- requests, and bytes of a URL, for each client's settings

local M = {}

-- For each client's settings: { count =, plans = { [method] = { [url as given] = plan, or true for a request that came once } } }.
local known = setmetatable({}, { __mode = "k" })

--- Returns the plan of a request, or nil.
function M.get(settings, method, target)
  local of = known[settings]
  local plans = of and of.plans[method]
  local plan = plans and plans[target]
  return plan ~= true and plan or nil
end

local function plans_of(settings, method)
  local of = known[settings]
  if not of or of.count >= MANY then
    of = { count = 0, plans = {} }
    known[settings] = of
  end
  of.plans[method] = of.plans[method] or {}
  return of.plans[method], of
end

--- Notes that a request has come. If that is the second time, keeps the plan that make() returns, and returns it.
function M.note(settings, method, target, make)
  if #target > LONG then return nil end
  local plans, of = plans_of(settings, method)
  if not plans[target] then
    plans[target], of.count = true, of.count + 1
    return nil
  end
  local plan = make()
  plans[target] = plan
  return plan
end

return M
