-- SPDX-License-Identifier: MIT
-- An iterator of io.lines closes its file at the end of it. Where another task had closed the file after the end was there
-- and before the iterator's task ran, it was closed once more: that set a timer in a file whose memory was freed with the value.
local task = require "green.task"

local function fifo()
  local path = os.tmpname()
  os.remove(path)
  assert(os.execute("mkfifo " .. path))
  finally(function() os.remove(path) end)
  return path
end

-- A named pipe's iterator, its file, and a writer.
local function lines_of(path)
  local writer = assert(io.open(path, "r+"))
  local next_line, _, _, file = io.lines(path)
  return next_line, file, writer
end

describe("an iterator of io.lines", function()
  it("whose file another task has closed at its end closes nothing more", function()
    local first, second = fifo(), fifo()
    local go, _ <close>, go_writer = lines_of(first)
    local next_line, file, writer = lines_of(second)
    local order = {}
    local closer = task.spawn(function()
      go() -- the end of the other pipe, in the same turn and a little before
      order[#order + 1] = "closed"
      file:close()
    end)
    local reader = task.spawn(function()
      local ok, line = pcall(next_line)
      order[#order + 1] = "read"
      return ok, line
    end)
    task.sleep(0.01)
    go_writer:close()
    writer:close()
    closer:join(5)
    reader:join(5)
    assert.same({ "closed", "read" }, order)
    next_line, file, reader, closer = nil, nil, nil, nil
    collectgarbage()
    collectgarbage()
    local sleepers = {}
    for i = 1, 20 do sleepers[i] = task.spawn(task.sleep, 0.001 * i) end -- the heap of timers is gone through
    for i = 1, 20 do sleepers[i]:join() end
    assert.is_nil(next_line)
  end)
end)
