-- SPDX-License-Identifier: MIT
-- loadfile, dofile and require are stock Lua's to the letter, and wait: each snippet runs under lua5.4 and under greenlua
-- in a folder of its own and prints the same.
local shell = require "shell"
local task = require "green.task"

local prelude = [[
local function make(name, text) local f = assert(io.open(name, "wb")) f:write(text) f:close() end
local function q(...)
  local t = table.pack(...)
  for i = 1, t.n do t[i] = type(t[i]) == "function" and "function" or tostring(t[i]) end
  print(table.concat(t, " | "))
end
local function try(text)
  make("x.lua", text)
  q(pcall(dofile, "x.lua"))
  for _, mode in ipairs { "t", "b", "bt" } do q(loadfile("x.lua", mode)) end
  local f = loadfile("x.lua", nil, { v = 9 })
  if f then q(pcall(f, 1, 2)) end
  f = loadfile("x.lua", nil, nil)
  if f then q(pcall(f, 1, 2)) end
end
]]

local same = {
  ["arguments and results"] = [[try "return 1, nil, ..." try "" try "v = 1 return v" try "return v"]],
  ["a first line with #"] = [[try "#!x\nreturn debug.getinfo(1, 'l').currentline" try "#only" try "#" try("#x\n" .. string.dump(function() return 7 end))]],
  ["a byte order mark"] = [[try "\xEF\xBB\xBFreturn 5" try "\xEF\xBB\xBF#x\nreturn 5"]],
  ["binary chunks"] = [[try(string.dump(function() return 7 end)) try "\27Luabad"]],
  ["syntax errors"] = [[try "x = = 1" try "return 'unfinished"]],
  ["names in tracebacks"] = [[make("x.lua", "return debug.getinfo(1, 'S').source, debug.getinfo(1, 'S').short_src") q(dofile "x.lua") q(dofile "./x.lua")]],
  ["a name with a semicolon"] = [[make("a;b", "return 1") q(dofile "a;b") q(loadfile "a;c")]],
  ["what is not there"] = [[q(loadfile "none") q(pcall(dofile, "none")) q(loadfile "none/x") q(loadfile ".") q(loadfile "") q(pcall(require, "none.x"))]],
  ["misuse"] = [[q(pcall(loadfile, {})) q(pcall(dofile, {})) q(pcall(loadfile, "x", {})) q(pcall(require)) q(pcall(package.searchpath, "x"))]],
  ["standard input"] = [[q(io.read()) q(loadfile()) q(dofile())]],
  ["an error in it"] = [[make("x.lua", "\nerror 'oops'") q(pcall(dofile, "x.lua")) make("x.lua", "error {}") q(type(select(2, pcall(dofile, "x.lua"))))]],
  ["require"] = [[
    make("m.lua", "local a, b = ... N = (N or 0) + 1 return { a, b }")
    q(require "m" == require "m", N) q(require("m")[1], require("m")[2], select(2, require "m"))
    make("broken.lua", "x = = 1") q(pcall(require, "broken"))
    make("none.lua", "") q(require "none")
    make("fails.lua", "error 'oops'") q(pcall(require, "fails"))
    os.execute "mkdir d" make("d/init.lua", "return ...") q(require "d") make("d/e.lua", "return ...") q(require "d.e")]],
  ["where it looks"] = [[
    package.path, package.cpath = "?.lua;d/?/?.x", "?.so"
    q(pcall(require, "a.b")) q(package.searchpath("a.b", package.path)) q(package.searchpath("a.b", "?;?.c", "", "+")) q(package.searchpath("a-b", "?", "-", "+"))
    make("m.lua", "") q(package.searchpath("m", package.path)) q(#package.searchers)
    package.path = nil q(pcall(require, "m"))]],
}

describe("files of Lua are loaded as by stock Lua:", function()
  for name, snippet in pairs(same) do
    it(name, function()
      local files = { ["s.lua"] = prelude .. snippet }
      local input = [[printf 'first\nreturn 3' |]]
      local stock, stock_err, stock_code = shell(input .. " lua5.4 s.lua", files)
      local out, err, code = shell(input .. " $lua s.lua", files)
      if name == "where it looks" then out = out:gsub("6\n(.-)$", "4\n%1") end -- two more: the modules inside, and the cjson that yields to one outside
      assert.equal(stock, out)
      assert.equal(stock_code, code)
      assert.equal((stock_err:gsub("lua5%.4:", "lua:")), (err:gsub("greenlua:", "lua:")))
    end)
  end

  it("a missing module of ours is named", function()
    local ok, message = pcall(require, "green.nosuch")
    assert.is_false(ok)
    assert.matches("no module 'green.nosuch' in greenlua", message, 1, true)
  end)
end)

describe("a file that is not in the cache", function()
  -- A named pipe's bytes come when somebody writes them.
  local function with_fifo(use)
    local path = os.tmpname()
    os.remove(path)
    assert(os.execute("mkfifo " .. path))
    local _ <close> = setmetatable({}, { __close = function() os.remove(path) end })
    use(path, function(text)
      local file <close> = assert(io.open(path, "w"))
      file:write(text)
    end)
  end

  it("keeps nobody from going on", function()
    with_fifo(function(path, write)
      local loading = task.spawn(dofile, path)
      task.sleep(0)
      write "return 'waited'"
      assert.equal("waited", loading:join())
    end)
  end)

  it("is let go of when its reader is cancelled", function()
    with_fifo(function(path)
      local loading = task.spawn(loadfile, path)
      task.sleep(0)
      loading:cancel()
      assert.is_false((pcall(loading.join, loading)))
      local _ <close> = assert(io.open(path, "r+")) -- if it was opening already, it is through now
    end)
  end)
end)
