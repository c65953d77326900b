-- SPDX-License-Identifier: MIT
-- Jobs in SQLite (specification.jobs), and what they are refused, whatever the database.
local dialects = require "specification.dialects"
local jobs = require "green.jobs"
local specification = require "specification.jobs"

for _, dialect in ipairs { dialects.memory, dialects.file } do
  describe("jobs " .. dialect.name, function() specification(_ENV, dialect) end)
end

describe("green.jobs", function()
  local function refused(pattern, fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    assert.matches("^tests/green/jobs_spec%.lua:%d+: " .. pattern, tostring(err))
  end

  it("refuses what it does not know, where it was said", function()
    jobs.define("receipt", function() end)
    local cycle = {}
    cycle.me = cycle
    refused("jobs.define: name: a string expected, not nil", function() jobs.define(nil, print) end)
    refused("jobs.define: name: letters, digits and .* expected, at most 200, not 'a b'", function() jobs.define("a b", print) end)
    refused("jobs.define: 'x': fn: a function expected, not nothing", function() jobs.define "x" end)
    refused("jobs.define: 'x': unknown option 'retrys'; did you mean 'retries'", function() jobs.define("x", print, { retrys = 1 }) end)
    refused("jobs.define: 'x': option 'retries': a whole number >= 0 expected, not %-1", function() jobs.define("x", print, { retries = -1 }) end)
    refused("jobs.enqueue: no job 'reciept' is defined; did you mean 'receipt'", function() jobs.enqueue "reciept" end)
    refused("jobs.enqueue: 'receipt': its arguments travel as JSON: %$%.f: a value of the type function cannot be JSON",
      function() jobs.enqueue("receipt", { f = print }) end)
    refused("jobs.enqueue: 'receipt': its arguments travel as JSON: .*a table that contains itself, cannot be JSON", function() jobs.enqueue("receipt", cycle) end)
    refused("jobs.enqueue: 'receipt': its arguments are %d+ bytes of JSON, and at most 1048576 may be",
      function() jobs.enqueue("receipt", ("x"):rep(2 << 20)) end)
    refused("jobs.enqueue: either run_at or delay", function() jobs.enqueue("receipt", nil, { run_at = 1, delay = 1 }) end)
    refused("jobs.enqueue: 'receipt': a unique key of 501 bytes", function() jobs.enqueue("receipt", nil, { unique = ("x"):rep(501) }) end)
    refused("jobs.configure: option 'db': a database", function() jobs.configure { db = {} } end)
    refused("jobs.drop: an empty filter would mean every job", function() jobs.drop {} end)
    refused("jobs.retry: an id or a filter", function() jobs.retry "all" end)
    refused("jobs.list: option 'state': 'waiting', 'running' or 'dead' expected", function() jobs.list { state = "done" } end)
  end)

  it("refuses a second job of the same name, from another file", function()
    jobs.define("twice", function() end)
    local chunk = load("require 'green.jobs'.define('twice', function() end)", "@other.lua")
    local ok, err = pcall(chunk)
    assert.is_false(ok)
    assert.matches("^other%.lua:1: jobs%.define: 'twice' is defined already, at tests/green/jobs_spec%.lua:%d+$", err)
  end)
end)
