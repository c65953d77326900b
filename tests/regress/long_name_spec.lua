-- SPDX-License-Identifier: MIT
-- A path of 65 KB, which a script may have from anybody, did not fit an operation and ended the whole process: "broken: size
-- <= UINT16_MAX". So did a read with some 2,000 formats that had to wait. No kernel takes a path of more than 4095 bytes:
-- a longer one is refused as the kernel does, before anything is allocated for it.
local fs = require "green.fs"
local task = require "green.task"

local LENGTHS = { 4096, 5000, 65535, 70000, 1000000 }
local TEXT = "File name too long"

-- Calls fn(long path) for each length.
local function each(fn)
  for _, n in ipairs(LENGTHS) do fn(("/x"):rep(n // 2) .. ("x"):rep(n % 2)) end
end

describe("a path that is longer than any kernel takes", function()
  local one = {
    read = fs.read, write = function(path) fs.write(path, "x") end, append = function(path) fs.append(path, "x") end,
    copy = function(path) fs.copy(path, "/dev/null") end, ["copy to"] = function(path) fs.copy("/etc/hostname", path) end,
    stat = fs.stat, lstat = fs.lstat, list = fs.list, mkdir = fs.mkdir, remove = fs.remove, open = fs.open,
    realpath = fs.realpath, readlink = fs.readlink, chmod = function(path) fs.chmod(path, "644") end, touch = fs.touch,
    rename = function(path) fs.rename(path, "/tmp/y") end, ["rename to"] = function(path) fs.rename("/tmp/y", path) end,
    temp_dir = fs.temp_dir, temp_file = fs.temp_file,
  }
  for name, call in pairs(one) do
    it("is refused by fs." .. name, function()
      each(function(path)
        local ok, err = pcall(call, path)
        assert.is_false(ok)
        assert.equal("ENAMETOOLONG", err.code)
        assert.is_true(#err.message < 1000)
      end)
    end)
  end

  it("is refused by the functions of io and os, as stock Lua has it", function()
    each(function(path)
      for _, result in ipairs { table.pack(io.open(path)), table.pack(io.open(path, "w")), table.pack(os.remove(path)) } do
        assert.same({ nil, path .. ": " .. TEXT, 36 }, { table.unpack(result, 1, 3) })
      end
      assert.same({ nil, TEXT, 36 }, { os.rename(path, "/tmp/y") })
      assert.same({ nil, TEXT, 36 }, { os.rename("/tmp/y", path) })
      for _, call in ipairs { io.lines, io.input, io.output } do
        local ok, message = pcall(call, path)
        assert.is_false(ok)
        assert.matches(TEXT, message, nil, true)
      end
      local f, message = loadfile(path)
      assert.is_nil(f)
      assert.matches(TEXT, message, nil, true)
    end)
  end)
end)

describe("a read with thousands of formats", function()
  it("waits, or is refused", function()
    local path = os.tmpname()
    os.remove(path)
    assert(os.execute("mkfifo " .. path))
    local pipe <close> = assert(io.open(path, "r+"))
    os.remove(path)
    local formats = {}
    for i = 1, 3000 do formats[i] = 1 end
    local reader = task.spawn(function() return pcall(pipe.read, pipe, table.unpack(formats)) end)
    task.sleep(0)
    pipe:write(("x"):rep(3000)):flush()
    local results = table.pack(reader:join(5))
    if results[1] then assert.equal(3001, results.n) else assert.equal("E2BIG", results[2].code) end
  end)
end)
