-- SPDX-License-Identifier: MIT
-- Internal.
-- Under --dev this file says that migrations are pending: on stderr once for each set of them, and to browsers for as long as it is so.
local fault = require "green.error"
local fs = require "green.fs.native"
local task_native = require "green.task.native"

local M = {}
local known, stamp -- the app, and what its folder of migrations looked like, when they were looked at
local looking = false
local text -- what is pending; nil: nothing is

local function stamp_of(dir)
  local ok, stat = pcall(fs.stat, dir)
  return ok and stat and ("%d %.9f"):format(stat.inode, stat.mtime) or "absent"
end

-- Returns the text of what keeps the database from being as the files say, nil if nothing does.
local function judge(at)
  local ok, list = pcall(require("green.migrations").status, at.db, at.dir)
  if not ok then return not fault.is(list, "ENOENT") and tostring(list) or nil end
  local names = {}
  for _, one in ipairs(list) do
    if one.state ~= "applied" and one.state ~= "missing" then names[#names + 1] = one.name .. " is " .. one.state end
  end
  return names[1] and table.concat(names, "\n")
end

local function look(app, at, say)
  local _ <close> = setmetatable({}, { __close = function() looking = false end })
  known, stamp = app, stamp_of(at.dir)
  local now = judge(at)
  if now and now ~= text then say("migrations: " .. now:gsub("\n", ", ") .. ("; run `greenlua migrate %s`"):format(arg[0])) end
  text = now
end

--- Looks in the background, if there is a reason to: a new app, a change in the folder, or what was pending.
function M.look(app, say)
  local at = app:its_database()
  if not at then
    text = nil
  elseif not looking and (app ~= known or text or stamp_of(at.dir) ~= stamp) then
    looking = true
    task_native.spawn_system(look, app, at, say)
  end
end

--- Returns what is pending, a name a line, or nil.
function M.text() return text end

return M
