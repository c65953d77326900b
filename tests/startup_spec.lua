-- SPDX-License-Identifier: MIT
-- What a script that starts does not pay for: libraries are loaded when they are first needed.
local fs = require "green.fs"
local interpreter = require "interpreter"
local sh = require "shell"

-- The names of the shared objects in the process, from a script that first runs `text`.
local function loaded(text)
  local out, err = sh("$lua a.lua", { ["a.lua"] = text .. [[

    local seen = {}
    for line in io.lines "/proc/self/maps" do seen[line:match "([^/]*%.so[%d.]*)$" or ""] = true end
    for name in pairs(seen) do print(name) end
  ]] })
  assert.equal("", err)
  return out
end

describe("a script that starts", function()
  it("has none of the large libraries loaded", function()
    local out = loaded ""
    assert.matches("libc%.so", out)
    for _, name in ipairs { "libsqlite3", "libcrypto", "libssl", "libpq", "libidn2", "libpsl", "libz", "libbrotli" } do
      assert.is_nil(out:find(name, 1, true), name)
    end
  end)

  it("has them from their first use on", function()
    assert.matches("libsqlite3%.so", loaded "require('green.db').connect('sqlite::memory:'):value 'SELECT 1'")
    assert.matches("libpq%.so", loaded "require('green.db').connect 'postgres://127.0.0.1:1/x'")
    assert.is_nil(loaded("pcall(require('green.http').get, 'http://127.0.0.1:1/')"):find "libssl")
    assert.matches("libssl%.so", loaded "pcall(require('green.http').get, 'https://127.0.0.1:1/')")
    assert.matches("libbrotlidec%.so", loaded "require('green.coding.native').decoder 'br'")
    assert.matches("libpsl%.so", loaded "require('green.http').cookies()")
    assert.matches("libidn2%.so", loaded "require('green.url').parse 'http://bücher.example/'")
  end)
end)

describe("a Lua module inside the binary", function()
  it("is compiled: a script that starts would wait for the compiler", function()
    local binary = fs.read(interpreter)
    assert.is_truthy(binary:find("---URLs after RFC 3986, and the queries", 1, true)) -- a stub is text
    assert.is_nil(binary:find("-- This module takes URLs apart", 1, true))
  end)

  it("has its lines and the names of its variables all the same", function()
    local out, err = sh("$lua a.lua", { ["a.lua"] = [[
      local parse = require "green.url".parse
      local info = debug.getinfo(parse, "SL")
      print(info.source, info.linedefined > 0, next(info.activelines) ~= nil, debug.getlocal(parse, 1) ~= nil)
      print(select(2, xpcall(parse, function() return debug.traceback() end, "http://[/")))
    ]] })
    assert.equal("", err)
    assert.matches("^@green:green/url%.lua\ttrue\ttrue\ttrue\n", out)
    assert.matches("green:green/url%.lua:%d+: in ", out)
  end)
end)

describe("a library that is not there", function()
  local function broken(name, text)
    local out, err = sh("mkdir lib && echo no > lib/" .. name .. " && LD_LIBRARY_PATH=$PWD/lib $lua a.lua",
      { ["a.lua"] = "local ok, e = pcall(function() " .. text .. " end) print(ok, e.code, e.message)" })
    assert.equal("", err)
    return out
  end

  it("is named by the error", function()
    assert.matches("^false\tENOLIBRARY\t.*TLS needs OpenSSL: .*libssl%.so%.3",
      broken("libssl.so.3", "require('green.http').get 'https://127.0.0.1:1/'"))
    assert.matches("^false\tENOLIBRARY\t.*SQLite needs libsqlite3: .*libsqlite3%.so%.0",
      broken("libsqlite3.so.0", "require('green.db').connect('sqlite::memory:'):value 'SELECT 1'"))
    assert.matches("^false\tENOLIBRARY\t.*PostgreSQL needs libpq: .*libpq%.so%.5",
      broken("libpq.so.5", "require('green.db').connect 'postgres://127.0.0.1:1/x'"))
    assert.matches("^false\tENOLIBRARY\t.*a body in the coding zstd needs libzstd%.so%.1: .*libzstd%.so%.1",
      broken("libzstd.so.1", "require('green.coding.native').decoder 'zstd'"))
    assert.matches("^false\tENOLIBRARY\t.*other letters than those of ASCII need libidn2: .*libidn2%.so%.0",
      broken("libidn2.so.0", "require('green.url').parse 'http://bücher.example/'"))
  end)
end)
