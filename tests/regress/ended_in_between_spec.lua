-- SPDX-License-Identifier: MIT
-- What preemption raises at a task whose time is over came between any two instructions: between the return of
-- `semaphore:acquire()` and the mark of the `<close>` variable that takes the permit, say, or in Mutex:lock before it had noted
-- the owner. The permit was gone for good then; so were the lease of a pool and the child of a group, which went on by itself.
-- Now it comes where a loop repeats. Here it is due at each instruction in turn.
local debug = require "green.debug"
local task = require "green.task"
local Pool = require "green.pool.lending"

local WAIT = 60 -- seconds for what takes none

-- Ends the task that does `case.work` at its 1st, 2nd, ... instruction, until it gets to its end, or at `last` of them.
-- `case.check` says what is lost.
local function end_everywhere(new_case, last)
  local ended = 0
  for n = 1, 100000 do
    local case = new_case()
    local before = debug.census().tasks
    local worker = task.spawn(function()
      debug.end_at(n)
      case.work()
      debug.end_at(0)
    end)
    local how = worker:wait(WAIT)
    task.sleep(0)
    local lost = case.check()
    for _ = 1, 1000 do
      if debug.census().tasks <= before then break end
      task.sleep(0.001)
    end
    if not lost and debug.census().tasks > before then lost = "a task goes on" end
    assert.is_nil(lost and ("ended at instruction %d: %s"):format(n, lost))
    if n == last or (how == "done" and not last) then break end
    if how ~= "done" then ended = ended + 1 end
  end
  assert.is_true(ended > 20)
end

local function permits(semaphore, size)
  return semaphore:available() ~= size and ("%d permits of %d are left"):format(semaphore:available(), size) or nil
end

-- A call into C that uses up several slices, and makes way in none of them.
local text = ("a"):rep(100000)
local function burn() return #("%q"):format(text) end
repeat
  text = text .. text
  local began = os.clock()
  burn()
until os.clock() - began > 0.04

describe("a task that is ended while it computes", function()
  -- The slice that had ended before the error was due stood for a second one, which ends the search for a safe point: the error
  -- came at the next instruction, wherever that was. `end_at` uses up no slice, and so never showed it.
  for _, how in ipairs { "", ", shaken" } do
    it("keeps nothing that a function took in which its slice ended" .. how, function()
      -- The hook that switches tasks was taken for one of the script, beside which an error waited for no safe point.
      if how ~= "" then debug.shake(4711) end
      local _ <close> = setmetatable({}, { __close = function() debug.shake(0) end })
      local taken, given = 0, 0
      local function take()
        taken = taken + 1
        burn()
        local made = setmetatable({}, { __close = function() given = given + 1 end })
        return made
      end
      for _ = 1, 10 do
        local worker
        worker = task.spawn(function()
          worker:cancel()
          local _ <close> = take()
          task.sleep(WAIT)
        end)
        assert.equal("cancelled", worker:wait(WAIT))
      end
      assert.same({ 10, 10 }, { taken, given })
    end)
  end

  -- What an error closes where Lua cannot yield did not look like a closing.
  for _, row in ipairs { { "a pcall", pcall }, { "an xpcall", function(fn) return xpcall(fn, tostring) end } } do
    local catch = row[2]
    it("comes to the end of a __close that an error has begun, by " .. row[1] .. " in a comparator", function()
      local begun, ended = 0, 0
      local function close()
        begun = begun + 1
        burn()
        for _ = 1, 100 do ended = ended + 0 end
        ended = ended + 1
      end
      local worker
      worker = task.spawn(function()
        table.sort({ 1, 2, 3 }, function(a, b)
          catch(function()
            if begun > 0 then return end
            local _ <close> = setmetatable({}, { __close = close })
            worker:cancel()
            error "x"
          end)
          return a < b
        end)
        task.sleep(WAIT)
      end)
      assert.equal("cancelled", worker:wait(WAIT))
      assert.same({ 1, 1 }, { begun, ended })
    end)
  end

  it("is ended also where nothing repeats", function()
    local calls = 0
    local worker
    local function again()
      calls = calls + 1
      burn()
      return again()
    end
    worker = task.spawn(function()
      worker:cancel()
      return again()
    end)
    assert.equal("cancelled", worker:wait(WAIT))
    assert.is_true(calls < 100)
  end)

  it("keeps no permit that it was just given", function()
    end_everywhere(function()
      local semaphore = task.semaphore(2)
      return {
        work = function() for _ = 1, 8 do local _ <close> = semaphore:acquire() end end,
        check = function() return permits(semaphore, 2) end,
      }
    end)
  end)

  it("keeps no permit that it waited for", function()
    end_everywhere(function()
      local semaphore = task.semaphore(1)
      local other = task.spawn(function() for _ = 1, 8 do local _ <close> = semaphore:acquire() task.sleep(0) end end)
      task.sleep(0)
      return {
        work = function() for _ = 1, 8 do local _ <close> = semaphore:acquire() end end,
        check = function()
          other:join()
          return permits(semaphore, 1)
        end,
      }
    end)
  end)

  it("keeps nothing that a function of its own took and handed out", function()
    local Lease = { __close = function(lease) lease.semaphore:release() end }
    local function lease(semaphore, log)
      semaphore:acquire()
      log[#log + 1] = ("taken %d"):format(#log)
      local made = { semaphore = semaphore, number = #log }
      if made.number % 2 == 0 then log.even = made.number end
      return setmetatable(made, Lease)
    end
    end_everywhere(function()
      local semaphore, log = task.semaphore(2), {}
      return {
        work = function() for _ = 1, 8 do local _ <close> = lease(semaphore, log) end end,
        check = function() return permits(semaphore, 2) end,
      }
    end)
  end)

  it("leaves no mutex locked", function()
    end_everywhere(function()
      local mutex = task.mutex()
      return {
        work = function() for _ = 1, 8 do local _ <close> = mutex:lock() end end,
        check = function()
          local ok, err = pcall(mutex.lock, mutex, 0.001)
          if not ok then return tostring(err) end
          mutex:unlock()
        end,
      }
    end)
  end)

  it("takes nothing away from a channel for good", function()
    end_everywhere(function()
      local channel = task.channel(2)
      channel:send "a" channel:send "b"
      local function take()
        local token = channel:receive()
        return setmetatable({ token }, { __close = function(self) channel:send(self[1]) end })
      end
      return {
        work = function() for _ = 1, 8 do local _ <close> = take() end end,
        check = function() return #channel ~= 2 and ("%d of 2 values are left"):format(#channel) or nil end,
      }
    end)
  end)

  it("keeps no lease of a pool", function()
    local Connection = { clean = function() return true end, close = function() end, reset = function() end }
    Connection.__index = Connection
    end_everywhere(function()
      local pool = Pool.new { name = "a pool", size = 2, wait = WAIT, open = function() return setmetatable({}, Connection) end }
      return {
        work = function() for _ = 1, 8 do local _ <close> = pool:take() end end,
        check = function() return next(pool.lent) and "a connection is on loan" or permits(pool.permits, 2) end,
      }
    end)
  end)

  it("leaves no child of a group behind", function()
    end_everywhere(function()
      return {
        work = function()
          task.group(function(group)
            for _ = 1, 3 do group:spawn(task.sleep, 0) end
          end)
        end,
        check = function() end,
      }
    end)
    end_everywhere(function()
      return { work = function() task.map({ 1, 2, 3 }, function() task.sleep(0) end, { max = 2 }) end, check = function() end }
    end)
  end)

  it("leaves the scopes it was in", function()
    end_everywhere(function()
      local wrong
      return {
        work = function()
          local ok, err = pcall(function()
            for _ = 1, 8 do
              task.shield(60, function() end)
              task.deadline(60, function() end)
              task.atomic(function() end)
            end
          end)
          if ok then return end
          local waited, again = pcall(task.sleep, 0)
          if waited or again.code ~= "ECANCELED" then wrong = waited and "a shield holds" or tostring(again) end
          error(err, 0)
        end,
        check = function() return wrong end,
      }
    end, 400) -- due in a shield, it does not come at all
  end)

  it("closes its variables to the end", function()
    for _, fails in ipairs { false, true } do
      end_everywhere(function()
        local opened, closed, rounds = 0, 0, 0
        local Variable = { __close = function()
          rounds = 0
          repeat rounds = rounds + 1 until rounds >= 10
          for _ = 1, 10 do rounds = rounds + 1 end
          closed = closed + 1
        end }
        local function use(n)
          local _ <close> = setmetatable({}, Variable)
          opened = opened + 1
          for _ = 1, 2 do rounds = rounds + 1 end
          if n < 4 then use(n + 1) end
          if n == 4 and fails then error("of its own", 0) end
        end
        return {
          work = function() for _ = 1, 4 do use(1) end end,
          check = function() return opened ~= closed and ("%d variables of %d are closed"):format(closed, opened) or nil end,
        }
      end, 300)
    end
  end)

  it("closes them also when a pcall catches an error of its own", function()
    end_everywhere(function()
      local began, closed = 0, 0
      local value = setmetatable({}, { __close = function()
        began = began + 1
        for _ = 1, 10 do local _ = {} end
        closed = closed + 1
      end })
      return {
        work = function()
          for _ = 1, 3 do
            pcall(function()
              local _ <close> = value
              error("of its own", 0)
            end)
          end
          task.sleep(0)
        end,
        check = function() return began ~= closed and ("%d of %d are closed"):format(closed, began) or nil end,
      }
    end, 200)
  end)

  it("ends its siblings when it fails", function()
    for n = 1, 120 do
      local group = task.spawn(task.group, function(group)
        for _ = 1, 3 do group:spawn(task.sleep, 60) end
        group:spawn(function()
          debug.end_at(n)
          error("of its own", 0)
        end)
      end)
      assert.equal("failed", group:wait(WAIT))
    end
  end)

  -- The error waits for a loop; not for ever.
  it("ends where it does not repeat anything, too", function()
    local function fibonacci(n) return n < 2 and n or fibonacci(n - 1) + fibonacci(n - 2) end
    local ended = task.spawn(function()
      debug.end_at(1000)
      fibonacci(60)
    end)
    assert.equal("cancelled", ended:wait(WAIT))
    local straight = task.spawn(load(
      "require 'green.debug'.end_at(10) local x = 0 " .. ("x = x + 1 "):rep(30000) .. " return x"))
    assert.equal("cancelled", straight:wait(WAIT))
    local doomed = task.spawn(function()
      debug.end_at(100)
      while true do pcall(function() while true do pcall(function() for _ = 1, 1000000 do end end) end end) end
    end)
    assert.equal("cancelled", doomed:wait(60))
  end)
end)
