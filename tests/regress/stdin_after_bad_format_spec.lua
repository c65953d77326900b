-- SPDX-License-Identifier: MIT
-- What was read ahead of stdin is given back to a command that reads it, too. After a read with a wrong format it was not any
-- more: the file was taken for one whose bytes are becoming values right now.
local shell = require "shell"

describe("a read with a wrong format", function()
  for _, format in ipairs { "'x'", "-1", "'l', 'x'", "{}" } do
    it(("(%s) leaves what follows to a command"):format(format), function()
      local out, err = shell("$lua x.lua < text", {
        ["text"] = "one\ntwo\nthree\n",
        ["x.lua"] = ("print(io.read()) print(pcall(io.read, %s) == false) os.execute 'cat'"):format(format),
      })
      assert.equal("", err)
      assert.equal(format:find "l'" and "one\ntrue\nthree\n" or "one\ntrue\ntwo\nthree\n", out)
    end)
  end
end)
