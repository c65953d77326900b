-- SPDX-License-Identifier: MIT
-- A download that the disk has no room for. The child in which it runs has a limit of its own: for the size of a file, or of a file system.
local fs = require "green.fs"
local http = require "green.http"
local interpreter = require "interpreter"
local json = require "green.json"
local process = require "green.process"
local raw = require "http.raw"
local response = require "green.response"

local SIZE = 1 << 20
local LIMIT = 256 -- KB

local CHILD = [[
  local fs, http, json = require "green.fs", require "green.http", require "green.json"
  local url, path, resume = ...
  local function here()
    local names = {}
    for i, entry in ipairs(fs.list(fs.dirname(path))) do names[i] = entry.name end
    table.sort(names)
    return names
  end
  local ok, e = pcall(http.download, url, path, { resume = resume == "resume", timeout = 60 })
  local part = fs.stat(path .. ".part")
  print(json.encode { ok = ok, code = not ok and e.code, message = tostring(e), names = here(), before = fs.read(path), part = part and part.size })
]]

-- Calls fn(url, dir, script), with a file to download, a folder that has a file "it" already, and the child's script.
local function within(fn)
  local dir <close> = fs.temp_dir()
  fs.mkdir(dir.path .. "/to")
  fs.write(dir.path .. "/to/it", "before")
  fs.write(dir.path .. "/large", ("0123456789abcdef"):rep(SIZE // 16))
  fs.write(dir.path .. "/child.lua", CHILD)
  raw.serve(function() return response.file(dir.path .. "/large") end, nil, function(address)
    fn("http://" .. address .. "/", dir.path .. "/to", dir.path .. "/child.lua")
  end)
end

-- Runs the child by a shell that has set its limit before. `how`: a command that runs the shell. Returns what the child says.
local function child(how, shell, ...)
  local command = { table.unpack(how) }
  for _, word in ipairs { "bash", "-c", shell .. ' exec "$@"', "bash", interpreter, ... } do command[#command + 1] = word end
  local got = process.capture(command)
  assert.equal(0, got.code, got.stderr)
  return json.decode(got.stdout)
end

local SMALL_FILES = ("trap '' XFSZ; ulimit -f %d;"):format(LIMIT) -- without the trap the kernel kills whom the limit stops

describe("a download without room", function()
  it("is a clear error, and leaves what was there and nothing else", function()
    within(function(url, dir, script)
      local got = child({}, SMALL_FILES, script, url, dir .. "/it")
      assert.same({ false, "EFBIG", { "it" }, "before" }, { got.ok, got.code, got.names, got.before })
      assert.matches("it%.%x+%.part: file too large", got.message)
    end)
  end)

  it("keeps its part where it is to be resumed, and is resumed when there is room", function()
    within(function(url, dir, script)
      local got = child({}, SMALL_FILES, script, url, dir .. "/it", "resume")
      assert.same({ false, "EFBIG", { "it", "it.part", "it.part.json" }, "before" }, { got.ok, got.code, got.names, got.before })
      assert.equal(LIMIT * 1024, got.part)
      local again = http.download(url, dir .. "/it", { resume = true })
      assert.equal(206, again.status)
      assert.is_true(fs.read(dir .. "/it") == fs.read(fs.dirname(script) .. "/large"))
      assert.equal(1, #fs.list(dir))
    end)
  end)

  it("is one on a full file system, too", function()
    if process.capture({ "unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt" }).code ~= 0 then return pending "nothing can be mounted here" end
    within(function(url, dir, script)
      local mount = ("mount -t tmpfs -o size=%dk none %s && echo -n before > %s/it &&"):format(LIMIT, dir, dir)
      local got = child({ "unshare", "-m" }, mount, script, url, dir .. "/it")
      assert.same({ false, "ENOSPC", { "it" }, "before" }, { got.ok, got.code, got.names, got.before })
      assert.matches("no space left", got.message)
    end)
  end)
end)
