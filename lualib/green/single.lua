-- SPDX-License-Identifier: MIT
-- Internal.
-- task.single: who asks for the same key while somebody computes it gets the result of that. A computation is a flight: a task that runs
-- fn, on behalf of the callers that have a seat on it.
--
--     nobody asks for the key --- board --> flying --- fn ended: fly ----------------------> over --- the last seat is left --> forgotten
--                                             '--- the last seat is left: it is cancelled -------------------------------------> forgotten
--
-- Invariants:
--   1. `flights` has a flight under its key as long as somebody has a seat on it, unless it was over and another one took its place.
--   2. `seats` of a flight counts the callers that wait for it. Who changes `seats` or `flights` is in an atomic section.
--   3. To leave a seat allocates nothing, since memory that ran out is one of the reasons for leaving it.
local fault = require "green.error"
local native = require "green.task.native"
local scope = require "green.scope.native"

local flights = {}

-- Gives a task the limits of the caller that began the flight. It has an account of its own, so that others do not pay for it, nor suffer
-- from what that caller had used already. But what a task beyond its limit begins is of its clean-up, and limited with that.
local function limit(cpu, tasks)
  if cpu then native.cpu_limit(cpu) end
  if tasks then native.max_tasks(tasks) end
end

local Over = {}

function Over.__close(flight) flight.over = true end

local function fly(flight, cpu, tasks, background, fn, ...)
  local _ <close> = flight
  local _ <close> = background and scope.background()
  limit(cpu, tasks)
  return fn(...)
end

local function begin(flight, fn, ...)
  local _, background = native.current()
  local cpu, tasks, beyond = native.limits()
  if beyond then return native.spawn(fly, flight, nil, nil, background, fn, ...) end
  return native.spawn_system(fly, flight, cpu, tasks, background, fn, ...)
    or fault.raise("task.single", "ECANCELED", "the program ends")
end

-- Takes a seat on the flight for the key, which is a new one unless there is one that is not over. Called in an atomic section.
local function board(seat, key, fn, ...)
  local flight = flights[key]
  if not flight or flight.over then
    flight = setmetatable({ key = key, over = false, seats = 0, task = false }, Over)
    flight.task = begin(flight, fn, ...)
    seat.flight, flight.seats = flight, 1
    flights[key] = flight
  else
    seat.flight, flight.seats = flight, flight.seats + 1
  end
  return flight.task
end

local Seat = {}

-- Leaves the seat, in the atomic section of the call, which ends when the call does.
function Seat.__close(seat)
  local flight = seat.flight
  if not flight then return end
  seat.section:atomic()
  flight.seats = flight.seats - 1
  if flight.seats > 0 then return end
  if flights[flight.key] == flight then flights[flight.key] = nil end
  flight.task:cancel()
end

--- Returns the results of fn(...), or raises its error: those of a call with this key that runs already, if there is one.
return function(key, fn, ...)
  if not native.current() then fault.raise("task.single", "ENOTASK", "outside of a task") end
  local section <close> = scope.atomic()
  local seat <close> = setmetatable({ section = section, flight = false }, Seat)
  local flying = board(seat, key, fn, ...)
  section:leave()
  return native.single(flying)
end
