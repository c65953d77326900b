-- SPDX-License-Identifier: MIT
-- A server that ended removed the file of its unix socket by name: when another one had been started in its place meanwhile
-- (the old file removed, a new one bound), it was the successor's that went, and nobody reached it any more. Only the file
-- that was bound is removed.
local fs = require "green.fs"
local net = require "green.net"
local process = require "green.process"
local interpreter = require "interpreter"

local function reached(address)
  local _ <close> = net.connect(address, 5)
  return true
end

-- Starts a server that is told to end by the end of its stdin.
local function server(script, folder)
  local it = process.spawn({ interpreter, "-e", script }, { cwd = folder, stdin = "pipe", stdout = "pipe", stderr = "inherit" })
  assert.equal("ready", it.stdout:read "l")
  return it
end

local NET = [[local listener <close> = require "green.net".listen "unix:socket" print "ready" io.stdout:flush() io.read "a"]]
local APP = [[local app = require "green.app".new() app:get("/", function() return "ok" end)
local server = app:listen "unix:socket" print "ready" io.stdout:flush() io.read "a" server:abort()]]

describe("the file of a unix socket", function()
  for name, script in pairs { ["net.listen"] = NET, ["app:listen"] = APP } do
    it("is its successor's by then: " .. name, function()
      local dir <close> = fs.temp_dir()
      local address = "unix:" .. dir.path .. "/socket"
      local first <close> = server(script, dir.path)
      fs.remove(dir.path .. "/socket")
      local second <close> = server(script, dir.path)
      first.stdin:close()
      assert.equal(0, (first:wait(30)))
      assert.is_true(reached(address))
      second.stdin:close()
      assert.equal(0, (second:wait(30)))
      assert.is_false(fs.exists(dir.path .. "/socket"))
    end)
  end

  it("is not removed when it has become something else", function()
    local dir <close> = fs.temp_dir()
    local path = dir.path .. "/socket"
    local listener = net.listen("unix:" .. path)
    fs.remove(path)
    fs.write(path, "a file")
    listener:close()
    assert.equal("a file", fs.read(path))
  end)

  it("has the mode that was asked for from the first", function()
    local dir <close> = fs.temp_dir()
    local path = dir.path .. "/socket"
    for mode, bits in pairs { ["600"] = 384, [384] = 384, ["660"] = 432 } do
      local _ <close> = net.listen("unix:" .. path, { mode = mode })
      assert.equal(bits, fs.lstat(path).mode & 511 | bits & 18) -- the umask takes from it
    end
    local _ <close> = net.listen { path = path, mode = "600" }
    assert.equal(384, fs.lstat(path).mode & 511)
    for _, wrong in ipairs { "888", "", "1777", -1, 512, 1.5, {} } do
      assert.error_matches(function() net.listen("unix:" .. path .. "2", { mode = wrong }) end, "mode: permission bits expected")
    end
    assert.error_matches(function() net.listen("127.0.0.1:0", { mode = "600" }) end, "mode: only a unix socket has one")
  end)
end)
