-- SPDX-License-Identifier: MIT
-- Each unbuffered or flushed write to a file was a trip to the thread pool, where the file system cannot be asked not to wait
-- (ext4): 16 to 24 times what stock Lua takes. What goes to the page cache of this machine needs no thread.
local task = require "green.task"
local waiting = require("outcome").waiting

local function is_local(path)
  local pipe = io.popen("stat -f -c %T " .. path)
  local kind = pipe:read()
  pipe:close()
  return ("ext2/ext3 xfs btrfs f2fs tmpfs overlayfs"):find(kind or "?", 1, true) ~= nil
end

describe("a small write to a file", function()
  local name
  before_each(function() name = os.tmpname() end)
  after_each(function() os.remove(name) end)

  -- Does no other task run while fn writes, at least in some of many tries? (A slice may end in one.)
  local function at_once(fn)
    for _ = 1, 50 do
      local ran = false
      local other = task.spawn(function() ran = true end)
      fn()
      local waited = ran
      other:join()
      if not waited then return true end
    end
    return false
  end

  for what, write in pairs {
    unbuffered = function(f) f:setvbuf "no" return at_once(function() for i = 1, 10 do f:write(i, "\n") end end) end,
    flushed = function(f) return at_once(function() for i = 1, 10 do f:write(i, "\n") f:flush() end end) end,
    ["by the line"] = function(f) f:setvbuf "line" return at_once(function() for i = 1, 10 do f:write(i, "\n") end end) end,
  } do
    it("does not wait: " .. what, function()
      if not is_local(name) then return pending "not on a file system that is known to be local" end
      local f <close> = io.open(name, "w")
      assert.is_true(write(f))
      local back <close> = io.open(name)
      assert.matches("^1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n", back:read "a")
    end)
  end

  it("keeps its place behind a large one, which does wait", function()
    local f <close> = io.open(name, "w")
    f:setvbuf "no"
    local large = ("x"):rep(8 << 20)
    local first = waiting(task.spawn(function() f:write(large) end))
    f:write "end"
    first:join()
    local back <close> = io.open(name)
    local text = back:read "a"
    assert.equal(#large + 3, #text)
    assert.equal("xend", text:sub(-4))
  end)
end)
