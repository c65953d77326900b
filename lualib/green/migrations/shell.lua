-- SPDX-License-Identifier: MIT
-- Internal.
-- `greenlua migrate APP ...`: migrations on the command line. The function returns the exit code of the process.
local fault = require "green.error"
local its_app = require "green.migrations.its_app"
local migrations = require "green.migrations"

local USAGE = [[
usage: greenlua migrate APP [up | down [N] | status | new NAME | mark VERSION applied|pending]
Changes the database that the app has (app:database), by the files in its folder of migrations:
  up        applies what is not applied yet; this is the default
  down      undoes the newest, or the N newest
  status    shows what is applied, pending, edited since or missing
  new       makes an empty file, of SQL unless NAME ends in .lua
  mark      says that a migration is applied, as its file is now, or is not; nothing else changes]]

local actions = {}

local function done(word, names, otherwise)
  for _, name in ipairs(names) do print(word, name) end
  if #names == 0 then print(otherwise) end
end

function actions.up(at) done("applied", migrations.up(at.db, at.dir), "nothing to do") end

function actions.down(at, n)
  local number = tostring(n or 1):match "^0*([1-9]%d*)$"
  if not number or #number > 9 then fault.raise("down", "EINVAL", "a number of migrations expected, not '%s'", n) end
  done("undone", migrations.down(at.db, at.dir, math.tointeger(number)), "nothing to undo")
end

function actions.status(at)
  for _, one in ipairs(migrations.status(at.db, at.dir)) do
    print(one.applied_at and ("%-9s%-40s%s"):format(one.state, one.name, one.applied_at) or ("%-9s%s"):format(one.state, one.name))
  end
end

function actions.new(at, name) print(migrations.new(at.dir, name)) end

function actions.mark(at, version, state)
  if not version:find "^%d+$" then fault.raise("mark", "EINVAL", "a version expected, digits, not '%s'", version) end
  if state ~= "applied" and state ~= "pending" then fault.raise("mark", "EINVAL", "'applied' or 'pending' expected, not '%s'", state) end
  migrations.mark(at.db, at.dir, version, state)
end

local LEAST = { up = 0, down = 0, status = 0, new = 1, mark = 2 }
local MOST = { up = 0, down = 1, status = 0, new = 1, mark = 2 }

local function complain(text)
  io.stderr:write("greenlua: migrate: ", text, "\n")
  return 1
end

-- Keeps an error object as it is, and adds to what else was raised where that was.
local function with_place(err)
  return fault.is(err) and err or debug.traceback(tostring(err), 2)
end

local function run(path, action, ...)
  local at = its_app(path)
  action(at, ...)
  at.db:close()
end

return function(path, word, ...)
  if path == "--help" then
    print(USAGE)
    return 0
  end
  word = word or "up"
  if not path or path:sub(1, 1) == "-" then return complain((path and ("unrecognized option '%s'\n"):format(path) or "an app expected\n") .. USAGE) end
  local n = select("#", ...)
  if not actions[word] then return complain(("'%s' is nothing that migrate does\n"):format(word) .. USAGE) end
  local wrong = n > MOST[word] and "too many arguments" or n < LEAST[word] and "an argument is missing"
  if wrong then return complain(("%s: %s\n"):format(word, wrong) .. USAGE) end
  local ok, err = xpcall(run, with_place, path, actions[word], ...)
  return ok and 0 or complain(tostring(err))
end
