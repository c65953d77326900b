-- SPDX-License-Identifier: MIT
-- README's lines about the HTTP client do what they say, against a server of ours in place of the one they name.
local fs = require "green.fs"
local green = require "green"
local http = require "green.http"
local raw = require "http.raw"
local response = require "green.response"

local root = arg[0]:match "^(.*)/tests/[^/]*$" or "."

describe("README's requests", function()
  it("work as they stand there", function()
    local code = fs.read(root .. "/README.md"):match "\n## Asking other servers\n.-```lua\n(.-)```"
    local seen, temporary <close> = {}, fs.temp_dir()
    local folder = temporary.path
    local function answer(req)
      assert(req.headers.authorization == "Bearer tea", "no token")
      seen[req.method .. " " .. req.path] = req:body()
      return req.path == "/v1/orders" and response.json({ id = 7 }, 201) or "0123456789"
    end
    raw.serve(answer, nil, function(address)
      local link = "http://" .. address .. "/"
      code = code:gsub("https://api%.example%.com", "http://" .. address):gsub('"(%w+%.%w+)"', '"' .. folder .. '/%1"')
      fs.write(folder .. "/soup.jpg", "a soup")
      local env = setmetatable({ http = http, green = green, token = "tea", link = link, size = 0 }, { __index = _G })
      local order, page, err = assert(load(code .. "\nreturn order, page, err", "=README.md", "t", env))()
      assert.same({ id = 7 }, order)
      assert.equal('{"item":"soup"}', seen["POST /v1/orders"])
      assert.matches('filename="soup.jpg".*a soup', seen["POST /v1/photos"])
      assert.same({ "0123456789", 10 }, { fs.read(folder .. "/menu.pdf"), env.size })
      assert.same({ nil, "EACCES" }, { page, err.code }) -- this machine is no public address
    end)
  end)
end)
