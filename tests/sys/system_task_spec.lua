-- SPDX-License-Identifier: MIT
-- System tasks: work on somebody's behalf, which has nothing of his.
local native = require "green.task.native"
local sh = require "shell"
local task = require "green.task"

-- What fn, in a system task that was spawned by `from`, returned.
local function result_of(from, fn)
  local back = task.channel(1)
  from(function() back:send(table.pack(pcall(fn))) end)
  local packed = back:receive(10)
  return table.unpack(packed, 1, packed.n)
end

describe("a system task", function()
  it("has not the deadline of who spawns it", function()
    local ok = result_of(function(fn)
      task.deadline(0, function() native.spawn_system(fn) end)
    end, function() task.sleep(0.001) end)
    assert.is_true(ok)
  end)

  it("is not cancelled with its group", function()
    local ok = result_of(function(fn)
      pcall(task.group, function(group)
        group:spawn(function()
          native.spawn_system(fn)
          task.sleep(60)
        end)
        task.sleep(0)
        error "out"
      end)
    end, function() task.sleep(0.001) end)
    assert.is_true(ok)
  end)

  it("has not the context", function()
    task.context.user = "ann"
    local ok, user = result_of(native.spawn_system, function() return task.context.user end)
    task.context.user = nil
    assert.same({ true }, { ok, user })
  end)

  it("begins in a finalizer, and waits as any task", function()
    local ok, err = result_of(function(fn)
      setmetatable({}, { __gc = function() native.spawn_system(fn) end })
      collectgarbage()
    end, function() task.sleep(0.001) end)
    assert.same({ true }, { ok, err })
  end)

  it("can be waited for", function()
    assert.equal(42, native.spawn_system(function() return 42 end):join())
  end)

  it("that fails is logged, with whose fault it was", function()
    local _, err = sh "$lua -e 'require [[green.task.native]].spawn_system(function() error [[oops]] end)'"
    assert.matches("system task %d+ on behalf of %(command line%):1 failed: .*oops", err)
  end)

  it("is waited for by a script that fails, and by one that is over", function()
    for _, ending in ipairs { "error [[over]]", "" } do
      local out = sh("$lua main.lua", { ["main.lua"] = [[
        require "green.task.native".spawn_system(function()
          require "green.task".sleep(0.05)
          io.write "clean"
        end)
      ]] .. ending })
      assert.equal("clean", out)
    end
  end)

  it("that is a daemon is cancelled when nothing else is left, and has its time to clean up", function()
    for _, ending in ipairs { "error [[over]]", "", "task.spawn(function() task.sleep(0.05) io.write 'other ' end)" } do
      local out = sh("$lua main.lua", { ["main.lua"] = [[
        local native, task = require "green.task.native", require "green.task"
        for i = 1, 2 do
          native.spawn_daemon(function()
            local _, err = pcall(task.sleep, 60)
            task.shield(60, task.sleep, 0.01)
            io.write(err.code, " ")
          end)
        end
      ]] .. ending })
      assert.equal((ending:find "other" and "other " or "") .. "ECANCELED ECANCELED ", out)
    end
  end)

  it("that is a daemon goes on as long as a server of the script", function()
    local out = sh("$lua main.lua", { ["main.lua"] = [[
      local native, task = require "green.task.native", require "green.task"
      local server = require "green.http.native".listen("127.0.0.1:0", print)
      native.spawn_daemon(function()
        for _ = 1, 3 do task.sleep(0.01) end
        io.write "served "
        server:abort()
        pcall(task.sleep, 60)
        io.write "over"
      end)
    ]] })
    assert.equal("served over", out)
  end)

  it("does not begin when the state is being closed", function()
    local _, err = sh("$lua main.lua", { ["main.lua"] = [[
      local spawn_system = require "green.task.native".spawn_system
      setmetatable({}, { __gc = function() io.stderr:write(tostring(spawn_system(print))) end })
    ]] })
    assert.equal("nil", err)
  end)
end)
