-- SPDX-License-Identifier: MIT
local hub = require "green.hub"

local function subscriptions(n, topic_of)
  local all = {}
  for i = 1, n do all[i] = hub.subscribe(topic_of(i)) end
  return all
end

local function one() return "news" end
local function each(i) return "topic " .. i end

local function close(all)
  for i = 1, #all do all[i]:close() end
end

return {
  {
    name = "hub: one message for n loops",
    start = 4000,
    prepare = function(n)
      local all = subscriptions(n, one)
      return function() hub.publish("news", "x") end, function() close(all) end
    end,
  },
  {
    name = "hub: n loops of a topic close, first come first",
    start = 2000, -- with ten times as many, the processor's caches are what is measured
    prepare = function(n)
      local all = subscriptions(n, one)
      return function() close(all) end
    end,
  },
  {
    name = "hub: how many of n listen, n times",
    start = 4000,
    prepare = function(n)
      local all = subscriptions(n, one)
      return function()
        for _ = 1, n do hub.count "news" end
      end, function() close(all) end
    end,
  },
  {
    name = "hub: n loops come and go, one after the other",
    start = 4000,
    prepare = function(n)
      return function()
        for i = 1, n do hub.subscribe(each(i)):close() end
      end
    end,
  },
  {
    name = "hub: a message for each of n topics",
    start = 8000,
    prepare = function(n)
      local all = subscriptions(n, each)
      return function()
        for i = 1, n do hub.publish(each(i), "x") end
      end, function() close(all) end
    end,
  },
}
