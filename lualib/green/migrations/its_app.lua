-- SPDX-License-Identifier: MIT
-- Internal.
-- For commands about an app's database, this file loads the app: its script runs as it would to be served, and is not served.
local fault = require "green.error"
local is_app = require "green.app".is

-- Returns { db =, dir = the folder of its migrations } and the app. Raises what is wrong with the script, EINVAL for one that is no app
-- or, unless that is `optional`, has no database.
return function(path, optional)
  arg = { [0] = path } -- luacheck: ignore 121
  local main, why = loadfile(path)
  if not main then fault.raise("app", "EINVAL", "%s", why) end
  local app = main()
  if not is_app(app) then fault.raise("app", "EINVAL", "%s: it returns no app (green.app)", path) end
  local database = app:its_database()
  if not database and not optional then fault.raise("app", "EINVAL", "%s: the app does not say which database it has: app:database(db)", path) end
  return database, app
end
