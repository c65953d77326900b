-- SPDX-License-Identifier: MIT
-- Internal.
-- `greenlua db APP` begins a prompt at which the app's database and models are at hand. The function returns an exit code if there is
-- nothing to begin with.
local its_app = require "green.migrations.its_app"

local USAGE = [[
usage: greenlua db APP
Begins a prompt with `app`, `db` (the database that it has, app:database) and `models`, its models by their tables.]]

local function complain(text)
  io.stderr:write("greenlua: db: ", text, "\n")
  return 1
end

local function names_of(models)
  local names = {}
  for name in pairs(models) do names[#names + 1] = name end
  table.sort(names)
  return #names > 0 and table.concat(names, ", ") or "none"
end

return function(path, more)
  if path == "--help" then
    print(USAGE)
    os.exit(0, true)
  end
  if not path or path:sub(1, 1) == "-" or more then return complain(USAGE) end
  local ok, at, its = pcall(its_app, path)
  if not ok then return complain(tostring(at)) end
  local models = at.db.models or {}
  _G.app, _G.db, _G.models = its, at.db, models
  print(("%s, models: %s"):format(tostring(at.db), names_of(models)))
end
