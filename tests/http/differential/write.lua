-- SPDX-License-Identifier: MIT
-- Writes table.txt anew, with node and python3 at hand: build/greenlua tests/http/differential/write.lua
local here = arg[0]:match "^(.*)/http/differential/[^/]*$" or "."
package.path = here .. "/?.lua;" .. package.path

local differential = require "http.differential.run"
local fs = require "green.fs"
local process = require "green.process"

local function version(program) return (process.capture({ program, "--version" }).stdout:gsub("%s+$", "")) end

local lines = {
  "# What three clients make of raw answers (answers.lua): ours | Node's fetch | Python's http.client. Written by write.lua; held by differential_spec.lua.",
  "# Status, body, and the header X if it came; or what kind of error. Where one is not as ours, the reason follows.",
  ("# node %s, %s"):format(version "node", version "python3"),
}

differential.serve(function(base)
  local ours, node, python = differential.ours(base), differential.theirs(base, "node", "ask.js"), differential.theirs(base, "python3", "ask.py")
  for i, answer in ipairs(differential.answers) do
    lines[#lines + 1] = table.concat({ answer.name, ours[i], node[i], python[i] }, " | ")
    local reason = differential.differs(ours[i], node[i], python[i]) and (differential.reason(answer.name) or "?")
    if reason then lines[#lines + 1] = "    " .. reason end
  end
end)
fs.write(here .. "/http/differential/table.txt", table.concat(lines, "\n") .. "\n")
