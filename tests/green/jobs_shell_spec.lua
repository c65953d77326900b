-- SPDX-License-Identifier: MIT
-- `greenlua jobs APP ...`.
local sh = require "shell"

local APP = [[
local app = require "green.app".new()
local db = require "green.db".connect "sqlite:a.db"
local jobs = require "green.jobs"
app:database(db)
jobs.define("receipt", function(args)
  if not os.getenv "MAIL" then error("no mail for \27[31m" .. args.order) end
  print("sent " .. args.order)
end, { retries = 0 })
jobs.define("tidy", print)
jobs.cron("0 3 * * 7", "tidy")
return app]]

-- Three jobs: two are dead, one waits.
local FILL = [[
dofile "app.lua"
local jobs = require "green.jobs"
for order = 1, 2 do jobs.enqueue("receipt", { order = order }) end
jobs.enqueue("tidy", nil, { run_at = 32503680000, unique = "week" })
jobs.drain()]]

describe("greenlua jobs", function()
  local function app_sh(command) return sh("$lua fill.lua 2>log; " .. command, { ["app.lua"] = APP, ["fill.lua"] = FILL }) end

  it("lists, counts and shows", function()
    local out, err, code = app_sh "$lua jobs app.lua; $lua jobs app.lua list dead | wc -l; $lua jobs app.lua list tidy waiting; $lua jobs app.lua count"
    assert.equal("", err)
    assert.equal(0, code)
    local line = "%d+%-%d%d%-%d%d %d%d:%d%d:%d%d  1  {\"order\":%d}  app%.lua:6: no mail for \\x1b%[31m%d\n"
    assert.matches("\n1 +dead +receipt +" .. line .. "2 +dead +receipt +" .. line .. "3 +waiting  tidy +3000%-01%-01 00:00:00  0  \n3\n", out)
    assert.matches("\n3 +waiting  tidy +3000%-01%-01 00:00:00  0  \nreceipt +0 waiting, 0 running, 2 dead\ntidy +1 waiting, 0 running, 0 dead\n$", out)
    out, err, code = app_sh "$lua jobs app.lua show 3; $lua jobs app.lua show 1"
    assert.same({ "", 0 }, { err, code })
    assert.matches("^id +3\nname +tidy\nstate +waiting\ndue +3000%-01%-01 00:00:00\n.*\nunique +week\nid +1\n", out)
    assert.matches("\nfailures +1\nargs +{\"order\":1}\napp%.lua:6: no mail for \\x1b%[31m1\nstack traceback:\n", out)
  end)

  it("retries, drops, and works until it is told to stop", function()
    local out, err, code = app_sh [[
      $lua jobs app.lua retry 1; $lua jobs app.lua drop receipt dead; $lua jobs app.lua drop receipt dead; echo $?
      MAIL=1 $lua jobs app.lua work >out 2>err & pid=$!
      until grep -q "sent 1" out 2>/dev/null; do :; done
      while [ "$($lua jobs app.lua list receipt)" != "no jobs" ]; do :; done
      kill $pid; wait $pid; echo $?; cat err
      $lua jobs app.lua list | wc -l]]
    assert.equal("", err)
    assert.equal("1 job retried\n1 job dropped\n0 jobs dropped\n1\n0\ngreenlua: working on receipt, tidy\ngreenlua: stopping (SIGTERM)\n2\n", out)
    assert.equal(0, code)
  end)

  it("shows what the clock enqueues", function()
    local out = app_sh "$lua jobs app.lua cron"
    assert.matches("^%d+%-%d%d%-%d%d 03:00:00  0 3 %* %* 7 +tidy\n$", out)
  end)

  it("says what is wrong", function()
    for words, pattern in pairs {
      [""] = "an app expected\nusage: greenlua jobs APP ", ["--all"] = "unrecognized option '%-%-all'\nusage:",
      ["nope.lua"] = "app: cannot open nope%.lua", ["app.lua drp"] = "'drp' is nothing that jobs does\nusage:",
      ["app.lua retry"] = "retry: an argument is missing\n", ["app.lua count 1"] = "count: too many arguments\n",
      ["app.lua show x"] = "which: an id expected, not 'x'\n$", ["app.lua show 77"] = "show: there is no job 77; it may be done\n$",
      ["app.lua drop 1 2"] = "which: an id, or a name and a state expected, not '1' and '2'\n$",
      ["none.lua"] = "app: none%.lua: the app does not say which database it has: app:database%(db%)\n$",
      ["empty.lua work"] = "work: the app defines no jobs\n$",
    } do
      local _, err, code = sh("$lua jobs " .. words, { ["app.lua"] = APP, ["none.lua"] = "return require 'green.app'.new()",
        ["empty.lua"] = "return require 'green.app'.new():database(require 'green.db'.connect 'sqlite::memory:')" })
      assert.matches("^greenlua: jobs: " .. pattern, err)
      assert.equal(1, code)
    end
    local _, err, code = sh("GREENLUA_JOBS=off $lua jobs app.lua work", { ["app.lua"] = APP })
    assert.equal("greenlua: jobs: work: GREENLUA_JOBS or jobs.configure says that this process has none to run at once\n", err)
    assert.equal(1, code)
  end)
end)
