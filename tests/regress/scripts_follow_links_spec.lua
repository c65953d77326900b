-- SPDX-License-Identifier: MIT
-- app:scripts ran whatever a link in its folder led to; app:static never sent it.
local fs = require "green.fs"
local new_app = require("green.app").new

describe("app:scripts", function()
  it("runs what is in its folder only", function()
    local dir <close> = fs.temp_dir()
    local function path(name) return fs.join(dir.path, name) end
    for _, name in ipairs { "www/sub", "www-other", "away" } do fs.mkdir(path(name), { parents = true }) end
    fs.write(path "www/own.lua", "return 'own'")
    for _, name in ipairs { "www-other/x.lua", "away/x.lua", "outside.lua" } do fs.write(path(name), "return 'outside'") end
    for link, target in pairs {
      ["www/out.lua"] = "../outside.lua", ["www/up"] = "..", ["www/away"] = path "away", ["www/other"] = "../www-other", ["www/sub/out.lua"] = "../../outside.lua",
      ["www/in.lua"] = "own.lua", ["www/sub/in.lua"] = "../own.lua", ["www/loop.lua"] = "loop.lua", ["www/none.lua"] = "nowhere.lua",
    } do fs.symlink(target, path(link)) end
    local app = new_app():scripts("/", path "www")
    for _, name in ipairs { "/out", "/up/outside", "/away/x", "/other/x", "/sub/out", "/loop", "/none" } do assert.equal(404, app:inject(name).status, name) end
    for _, name in ipairs { "/own", "/in", "/sub/in" } do assert.equal("own", app:inject(name).body, name) end
    fs.write(path "hello.lua", "return 'hello'")
    fs.symlink("../hello.lua", path "www/named.lua")
    assert.equal("hello", new_app():script("/", path "www/named.lua"):inject("/").body)
  end)
end)
