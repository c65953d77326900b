-- SPDX-License-Identifier: MIT
-- Programs written for lua run under greenlua as they are, and say the same: busted, luacheck and ldoc, with the C
-- modules they need.
-- Needs: lint
local sh = require "shell"

-- Debian has the modules of luacheck for Lua 5.1 only; they do not mind.
local PATH = "LUA_PATH_5_4='/usr/share/lua/5.1/?.lua;/usr/share/lua/5.1/?/init.lua;;'"

local files = {
  ["code.lua"] = [[
    --- Adds.
    -- @module code
    local code = {}
    local unused = 1

    --- The sum.
    -- @tparam number a one
    -- @tparam number b another
    -- @treturn number their sum
    function code.sum(a, b) global = a return a + b end

    return code
  ]],
  [".busted"] = "return { default = { output = 'plainTerminal', pattern = 'cases' } }",
  ["cases.lua"] = [[
    local lfs = require "lfs"
    describe("some", function()
      setup(function() lfs.mkdir "made" end)
      it("pass", function() assert.equal("directory", lfs.attributes("made", "mode")) end)
      it("fail", function() assert.same({ 1, { 2 } }, { 1, { 3 } }) end)
      it("break", function() error "broken" end)
      pending "wait"
    end)
  ]],
}

local function outcome(interpreter, command)
  local out, err = sh("command=" .. interpreter .. "; " .. command .. "; echo exit $?", files)
  return ((out .. err):gsub("%d+%.%d+ seconds", "N seconds"):gsub("0x%x+", "0x"))
end

local function is_the_same(command, expected)
  local stock = outcome("lua5.4", command)
  assert.matches(expected, stock)
  assert.equal(stock, outcome("$lua", command))
end

describe("unmodified", function()
  it("busted", function()
    is_the_same("$command /usr/bin/busted cases.lua", "1 success / 1 failure / 1 error / 1 pending.*exit 1\n")
  end)

  it("luacheck", function()
    is_the_same(PATH .. " $command /usr/bin/luacheck --no-color code.lua", "code.lua:4:11: unused variable 'unused'.*exit 1\n")
  end)

  it("luacheck, over many files", function()
    is_the_same(PATH .. " $command /usr/bin/luacheck --no-color -q --codes /usr/share/lua/5.1/luacheck", "Total: .*exit %d\n")
  end)

  it("ldoc", function()
    is_the_same("$command /usr/bin/ldoc -d out code.lua > said; sed 's/<i style=.*//; s/Last updated.*//' out/index.html", "The sum.*exit 0\n")
  end)

  it("C modules", function()
    for _, name in ipairs { "lfs", "cjson", "term.core", "system.core" } do
      is_the_same("$command -e 'print(type(require \"" .. name .. "\"))'", "table\nexit 0\n")
    end
  end)
end)

describe("luacheck", function()
  it("has nothing to say about our own Lua", function()
    local root = arg[0]:match "^(.*)/tests/[^/]*$" or "."
    if root:sub(1, 1) ~= "/" then root = os.getenv "PWD" .. "/" .. root end
    local out = sh("cd '" .. root .. "' && " .. PATH .. " $lua /usr/bin/luacheck --no-color -qq lualib tests scripts")
    assert.matches("Total: 0 warnings / 0 errors in %d+ files", out)
  end)
end)
