-- SPDX-License-Identifier: MIT
-- Routes and middleware that are added while the app is served: between two lines of the library a route was in the table
-- without what runs it, so that a request for it failed; and a table that was being built when another route came was kept,
-- without that route. Here tasks are switched at random instructions.
local app = require "green.app"
local debug = require "green.debug"
local task = require "green.task"

describe("routes that are added while others are asked for", function()
  for seed = 1, 4 do
    it("are there as soon as they are added, and before are not found (seed " .. seed .. ")", function()
      local site = app.new()
      local N, wrong, done = 30, {}, 0
      site:get("/", function() return "home" end)
      debug.shake(seed)
      local _ <close> = setmetatable({}, { __close = function() debug.shake(0) end })
      local function ask(path, status)
        local answer = site:inject(path)
        if answer.status ~= status and answer.status ~= 200 then wrong[path] = tostring(answer.error or answer.status) end
      end
      local adders, askers = {}, {}
      for a = 1, 3 do
        adders[a] = task.spawn(function()
          for i = 1, N do
            local path = ("/%d/%d"):format(a, i)
            site:get(path .. "/:id", function() return path end)
            site:get(path, function() return path end)
            ask(path, 200)
            ask(path .. "/x", 200)
          end
          site:use(function(req, next) return next(req) end)
        end)
        askers[a] = task.spawn(function()
          for i = 1, N do
            ask(("/%d/%d"):format(a, i), 404)
            ask(("/%d/%d/x"):format(a, i), 404)
            ask("/", 200)
          end
        end)
      end
      for a = 1, 3 do
        adders[a]:join()
        askers[a]:join()
      end
      debug.shake(0)
      assert.same({}, wrong)
      for a = 1, 3 do
        for i = 1, N do
          done = done + 1
          assert.equal(("/%d/%d"):format(a, i), site:inject(("/%d/%d"):format(a, i)).body)
        end
      end
      assert.equal(3 * N, done)
    end)
  end
end)
