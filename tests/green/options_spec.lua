-- SPDX-License-Identifier: MIT
-- Options: what is mistyped or of the wrong kind is refused by name, at the caller's line.
local options = require "green.options"
local outcome = require "outcome"

local failure = outcome.failure

local KNOWN = { timeout = "seconds", size = "count", name = "string", root = "string|boolean", mode = { "ro", "rw" } }

local function check(given) return options.check("bake", given, KNOWN) end

describe("options", function()
  it("are what was given, or none", function()
    local given = { timeout = 0, size = 1, root = false, mode = "rw" }
    assert.equal(given, check(given))
    assert.same({}, check(nil))
  end)

  it("that are unknown are refused, with the one that was meant", function()
    assert.matches("bake: unknown option 'tiemout'; did you mean 'timeout'%?$", failure(check, { tiemout = 1 }))
    assert.matches("bake: unknown option 'colour'; there are mode, name, root, size, timeout$", failure(check, { colour = 1 }))
    assert.matches("bake: unknown option '1'; there are", failure(check, { "timeout" }))
    assert.matches("bake: unknown option 'x'; there are none$", failure(options.check, "bake", { x = 1 }, {}))
  end)

  it("of the wrong kind are refused, with what was expected", function()
    assert.matches("bake: option 'timeout': a number of seconds >= 0 expected, not %-1$", failure(check, { timeout = -1 }))
    assert.matches("bake: option 'timeout': a number of seconds >= 0 expected, not '1'$", failure(check, { timeout = "1" }))
    assert.matches("bake: option 'size': an integer >= 1 expected, not 1.5$", failure(check, { size = 1.5 }))
    for _, bytes in ipairs { -1, 0.5, 1e308, 0 / 0, "1" } do
      assert.matches("bake: option 'bytes': a whole number >= 0 expected, not ", failure(options.check, "bake", { bytes = bytes }, { bytes = "bytes" }))
    end
    assert.same({ bytes = 1e6 }, options.check("bake", { bytes = 1e6 }, { bytes = "bytes" }))
    assert.matches("bake: option 'name': a string expected, not a table$", failure(check, { name = {} }))
    assert.matches("bake: option 'root': a string or a boolean expected, not a function$", failure(check, { root = print }))
    assert.matches("bake: option 'mode': 'ro' or 'rw' expected, not 'rx'$", failure(check, { mode = "rx" }))
    assert.matches("bake: options: a table expected, not 5$", failure(check, 5))
    assert.matches("bake: options: a table expected, not false$", failure(check, false))
  end)

  it("are refused at the line that called the library, however deep in it that is", function()
    local message = failure(function()
      require "green.task".map({}, print, { maximum = 1 }) -- this line
    end)
    local line = debug.getinfo(1, "l").currentline - 2
    assert.equal(("tests/green/options_spec.lua:%d: task.map: unknown option 'maximum'; there is max"):format(line), message)
  end)
end)
