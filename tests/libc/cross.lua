-- SPDX-License-Identifier: MIT
-- Every call of libc in several places, with each way in which the call can end:
--
--     cross(_ENV, { { name of the wait, make, call, closed }, ... })   -- in a spec, whose describe and it are used
--
-- make() -> state; its fields: wake() lets the call return, nil: nothing does; wait, the descriptor that is waited for; whole, what the
-- call returns then, when it is not just no error; a, b, c, others, descriptors to be closed at the end; done(), what else is.
-- call(state): it; closed: what it returns when another task closes `wait`, nil: there is nothing to close.
local assert = require "luassert"
local debug_ = require "green.debug"
local outcome = require "outcome"
local p = require "libc.probe"
local task = require "green.task"

local failure, waiting = outcome.failure, outcome.waiting

local function discard(s)
  for _, fd in ipairs { s.a or -1, s.b or -1, s.c or -1 } do
    if fd >= 0 then p.close(fd) end
  end
  for _, fd in ipairs(s.others or {}) do p.close(fd) end
  if s.done then s:done() end
end

local places = {
  { "a function", function(call) return call() end },
  { "a sort comparator", function(call)
    local got
    table.sort({ 2, 1 }, function(a, b)
      got = got or table.pack(call())
      return a < b
    end)
    return table.unpack(got, 1, got.n)
  end },
  { "a coroutine", function(call) return coroutine.wrap(call)() end },
  { "a metamethod", function(call)
    local got = setmetatable({}, { __add = function() return table.pack(call()) end }) + 1
    return table.unpack(got, 1, got.n)
  end },
  { "a C function that calls back", function(call)
    local a, b = p.pair()
    local o = p.object(a, "c")
    local got = table.pack(o:call(call))
    p.close(a)
    p.close(b)
    return table.unpack(got, 1, got.n)
  end },
}

-- Another task waits in the call: it is what debug.tasks says, and this one runs meanwhile.
local function begin(row, place, state)
  local one = waiting(task.spawn(function() return place[2](function() return row[3](state) end) end))
  local waits = {}
  for _, t in ipairs(debug_.tasks()) do waits[t.waits_for and t.waits_for:match "^%S+" or "nothing"] = true end
  assert.is_true(waits["libc." .. row[1]])
  return one
end

return function(spec, rows)
  local describe, it = spec.describe, spec.it
  for i, row in ipairs(rows) do
    describe(("%s (%d)"):format(row[1], i), function()
      for _, place in ipairs(places) do
        it("in " .. place[1] .. " waits, and returns its result", function()
          local state = row[2]()
          if not state.wake then return end
          local one = begin(row, place, state)
          state:wake()
          local r = table.pack(one:join(60))
          assert.is_true(r[1] >= 0, r[2])
          if state.whole then assert.equal(state.whole, r[1]) end
          discard(state)
        end)

        it("in " .. place[1] .. " ends when its task is cancelled", function()
          local state = row[2]()
          local one = begin(row, place, state)
          one:cancel()
          assert.equal("cancelled", one:wait(60))
          local err = failure(one.join, one)
          assert.same({ "ECANCELED", "libc." .. row[1] }, { err.code, err.op })
          discard(state)
        end)

        it("in " .. place[1] .. " ends with a deadline", function()
          local state, other = row[2](), row[2]() -- what a call was torn from has ended, and needs no wait
          local code = "none"
          local err = failure(task.deadline, 0.02, function()
            local _, first = pcall(place[2], function() return row[3](state) end)
            code = first.code
            place[2](function() return row[3](other) end) -- and so does each later one
          end)
          assert.same({ "EDEADLINE", "EDEADLINE" }, { code, err.code })
          discard(state)
          discard(other)
        end)
      end

      if row[4] then
        it("ends when another task closes what it waits for", function()
          local state = row[2]()
          local one = begin(row, places[1], state)
          p.close(state.wait)
          local r = table.pack(one:join(60))
          if row[4] == "a part" then assert.is_true(r[1] > 0 and r[1] < state.whole)
          else assert.same(row[4], { r[1], r[2], r[3] }) end
          if state.wait == state.a then state.a = nil else state.c = nil end
          discard(state)
        end)

        it("ends when another task makes something else of what it waits for", function()
          local state = row[2]()
          local one = begin(row, places[1], state)
          local other, end_of_other = p.pair()
          p.dup2(other, state.wait)
          local r = table.pack(one:join(60))
          if row[4] == "a part" then assert.is_true(r[1] > 0 and r[1] < state.whole)
          else assert.same({ row[4][1], row[4][2] }, { r[1], r[2] }) end
          p.close(other)
          p.close(end_of_other)
          discard(state)
        end)
      end
    end)
  end
end
