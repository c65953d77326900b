-- SPDX-License-Identifier: MIT
-- No place without an end, and no function of the standard library: each of places/rows.lua, in a handler under a CPU limit, under a
-- deadline, with a client that leaves, and at SIGTERM. It ends, others are answered meanwhile, and the log says why.
--
-- A run has a few of them, by a seed; all of them, with a table of the longest that others waited:
--
--   PLACES=all build/greenlua tests/run.lua tests/core/places_spec.lua
--   SEED=4711 build/greenlua tests/run.lua tests/core/places_spec.lua     # the few of that seed
local build = require "build"
local http = require "green.http"
local outcome = require "outcome"
local rows = require "core.places.rows"
local serve = require "process"
local task = require "green.task"

local ALL = os.getenv "PLACES" == "all"
local SEED = tonumber(os.getenv "SEED") or os.time() % 1000000
local FEW = build.sanitized and 4 or 10
local WAIT = 60
local TRIES = 20 -- until others were seen to be answered meanwhile: the machine may have been busy with something else
local app_file = debug.getinfo(1, "S").source:match "^@(.*)_spec%.lua$" .. "/app.lua"

local SAYS = {
  cpu = "the task used more CPU than its limit of 0.3 s",
  deadline = "the deadline passed",
  alone = "a finalizer took more than 100 ms",
  logged = "what runs outside of tasks took more than 100 ms",
}

-- A place that is served: how others fare is noted in it.
local function visitor_of(app)
  local seen = { worst = 0 }

  -- Asks as somebody else: how often the place was begun so far, and how many are in it.
  function seen.ping()
    local began = task.now()
    local answer = http.get(app.url .. "/ping", { timeout = WAIT }):json()
    seen.worst = math.max(seen.worst, task.now() - began)
    return answer
  end

  -- The status of the answer, and whether somebody else was answered while the place went on.
  function seen.visit(path)
    local meanwhile = false
    local visit = task.spawn(http.get, app.url .. path, { timeout = WAIT })
    while visit:status() ~= "done" and visit:status() ~= "failed" do
      if seen.ping().inside > 0 then meanwhile = true end
    end
    return visit:join().status, meanwhile
  end

  -- Comes, and leaves once `where` holds of what a ping says.
  function seen.leave(where)
    local visit = task.spawn(http.get, app.url .. "/leave", { timeout = WAIT })
    outcome.eventually(function() return where(seen.ping()) end, "the place is entered")
    visit:cancel()
    visit:wait()
    outcome.eventually(function() return seen.ping().inside == 0 end, "the place is left")
  end

  return seen
end

-- Somebody is in the place, or was, when the process is told to stop. Returns the exit code, and what it has said.
local function stop_beside(app, seen, where)
  local visit = task.spawn(pcall, http.get, app.url .. "/leave", { timeout = WAIT })
  outcome.eventually(function() return where(seen.ping()) end, "the place is entered")
  local code, said = app:stop()
  visit:cancel()
  visit:wait()
  return code, said
end

local function count(said, text) return select(2, said:gsub(text:gsub("%p", "%%%0"), "")) end

local function is_inside(answer) return answer.inside > 0 end

local KINDS = {}

function KINDS.task(app, seen)
  for _, way in ipairs { "cpu", "deadline" } do
    local status, meanwhile
    for _ = 1, TRIES do
      status, meanwhile = seen.visit("/" .. way)
      assert.equal(503, status, way)
      if meanwhile then break end
    end
    assert.is_true(meanwhile, way .. ": nobody was answered meanwhile")
  end
  seen.leave(is_inside)
  local code, said = stop_beside(app, seen, is_inside)
  assert.equal(0, code, said)
  for _, way in ipairs { "cpu", "deadline" } do assert.is_true(count(said, SAYS[way]) > 0, said) end
end

-- Places that end by themselves: `status` is answered by then, or before.
local function by_itself(status, text)
  return function(app, seen)
    assert.equal(status, (seen.visit "/cpu"))
    local late = seen.visit "/deadline" -- the place may have taken longer than that, on a machine that is busy
    assert.is_true(late == status or late == 503, late)
    local begun = seen.ping().begun
    seen.leave(function(answer) return answer.begun > begun end)
    local code, said = stop_beside(app, seen, function(answer) return answer.begun > begun + 1 end)
    assert.equal(0, code, said)
    if text then assert.equal(4, count(said, text), said) end
  end
end

KINDS.alone = by_itself(204, SAYS.alone)
KINDS.logged = by_itself(500, SAYS.logged)
KINDS.unseen = by_itself(204)
KINDS.harmless = by_itself(500)

-- The rows of this run, in an order by the seed.
local function chosen()
  local list, state = table.move(rows, 1, #rows, 1, {}), SEED
  for i = #list, 2, -1 do
    state = (state * 1103515245 + 12345) & 0x7fffffff
    local other = 1 + (state >> 8) % i
    list[i], list[other] = list[other], list[i]
  end
  return ALL and rows or table.move(list, 1, FEW, 1, {})
end

describe(ALL and "an end without fail, of" or ("an end without fail (SEED=%d), of"):format(SEED), function()
  for _, row in ipairs(chosen()) do
    it(row.name, function()
      local app <close> = serve(app_file, { PLACE = row.code }, { flags = "--grace 0.3" })
      local seen = visitor_of(app)
      KINDS[row.kind](app, seen)
      if ALL then io.write(("\n%-55s %-9s longest wait of others %4.0f ms\n"):format(row.name, row.kind, seen.worst * 1000)) end
    end)
  end
end)
