-- SPDX-License-Identifier: MIT
-- A write that was cancelled while a thread was at it goes on to its next step: it could put a name into a temporary folder between
-- the moment that folder was found empty and the moment it was removed, and the folder stayed for ever. Here the writes are not
-- cancelled, so that more of them get in between.
local fs = require "green.fs"
local task = require "green.task"

local ROUNDS, WRITERS = 300, 8

describe("a folder that is removed while files are written to it", function()
  it("is gone", function()
    local folder = os.tmpname()
    os.remove(folder)
    for _ = 1, ROUNDS do
      fs.mkdir(folder)
      local writers = {}
      for i = 1, WRITERS do writers[i] = task.spawn(pcall, fs.write, fs.join(folder, "f" .. i), "text", { sync = false }) end
      fs.remove(folder, { recursive = true })
      for _, writer in ipairs(writers) do writer:join() end
      assert.is_false(fs.exists(folder))
    end
  end)
end)
