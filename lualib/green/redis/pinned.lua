-- SPDX-License-Identifier: MIT
-- Internal.
-- Connections that one task has to itself: for commands that wait in the server, and for what changes a connection. A connection is lent
-- again only if its lease says so (lease.clean): else a reply may still be on its way, or its state may have changed.
local Lending = require "green.pool.lending"

local IDLE = 60 -- seconds after which one that nobody used is closed

local kind = {
  judge = function(lease) return lease.clean and "clean" or "broken" end,
  close = function(conn) conn:close() end,
}

--- The pool: as many as place.max_pinned, which dial() makes.
return function(place, dial)
  return Lending.new {
    op = "redis", name = place.shown, size = place.max_pinned, wait = place.wait, idle_time = IDLE, open = dial, kind = kind,
    fit = function(entry) return entry.conn:alive(place.timeout) end,
  }
end
