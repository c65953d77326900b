-- SPDX-License-Identifier: MIT
-- "unix:/nonexist/x: no such file or directory" for a socket that is about to be made: it is the folder that is missing.
local native = require "green.http.native"
local fs = require "green.fs"
local net = require "green.net"
local sh = require "shell"

describe("the address of a unix socket", function()
  it("in a folder that is not there says so", function()
    local dir <close> = fs.temp_dir()
    local folder = dir.path .. "/none"
    for op, open in pairs { ["net.listen"] = net.listen, ["net.connect"] = net.connect, ["http.listen"] = function(at) return native.listen(at, print) end } do
      local ok, err = pcall(open, "unix:" .. folder .. "/x")
      assert.is_false(ok)
      assert.same({ "ENOENT", op, ("%s: unix:%s/x: there is no folder %s"):format(op, folder, folder) }, { err.code, err.op, err.message })
    end
    local ok, err = pcall(net.connect, "unix:" .. dir.path .. "/x")
    assert.same({ false, "net.connect: unix:" .. dir.path .. "/x: no such file or directory" }, { ok, err.message })
    local _, said, code = sh("$lua --listen unix:" .. folder .. "/x app.lua", { ["app.lua"] = "return print" })
    assert.same({ 1, true }, { code, said:find(("cannot listen on unix:%s/x: there is no folder %s\n"):format(folder, folder), 1, true) ~= nil })
  end)
end)
