-- SPDX-License-Identifier: MIT
-- Migrations: a folder of files that change a database, each applied once, in the order of their versions, whoever starts at the same
-- time. Each runs in a transaction together with its row in the history, so that it is done and known, or neither; one that no
-- transaction can hold says so in its file.
local fault = require "green.error"
local files = require "green.migrations.files"
local history = require "green.migrations.history"
local options = require "green.options"
local scope = require "green.scope.native"
local task = require "green.task"
local timer = require "green.timer.native"

local M = {}

local DEFAULTS = {
  wait = 60,      -- seconds while another process is at it
  timeout = 3600, -- seconds for one statement: an index on a large table takes its time
}
local KNOWN = { wait = "seconds", timeout = "time" }

local CLEAN_UP = 5 -- seconds in which a failure is noted, whatever made it
local PAUSE = 0.05 -- seconds between two looks at what another process runs

local function check(where, db, dir)
  if type(db) ~= "table" or not db.with then fault.misuse("%s: a database (of db.connect) expected, got %s", where, type(db)) end
  options.argument(where, "dir", dir, "string")
end

local function check_options(where, given)
  local settings = {}
  for name, default in pairs(DEFAULTS) do settings[name] = default end
  for name, value in pairs(options.check(where, given, KNOWN)) do settings[name] = value end
  return settings
end

-- ---- one migration ----

local function fail_running(row, seconds)
  fault.raise("migrations", "ETIMEDOUT", "%s is being run by another process, for more than %g s; if that process is gone, %s",
    row.name, seconds, history.advice(row))
end

-- Returns the row of a migration, once no other process runs it outside of a transaction; nil for none.
local function settled_row(db, version, settings)
  local last = timer.now() + settings.wait
  while true do
    local row = history.row(db, version)
    if not row or row.state ~= "running" then return row end
    if timer.now() >= last then fail_running(row, settings.wait) end
    task.sleep(PAUSE)
  end
end

-- Applies it in one transaction with its row. Returns false when it was applied meanwhile.
local function up_together(db, file, step)
  return history.locked(db, file.version, function(row)
    if row then return false end
    step.run(db)
    history.add(db, file, "applied")
    return true
  end)
end

local Running = {}

-- Notes that a migration failed outside of transactions: unless it is said, the next would be built on half of it.
function Running:__close()
  if self.done then return end
  local _ <close> = scope.enter(CLEAN_UP, true)
  pcall(history.set, self.db, self.version, "failed")
end

-- Runs one direction of a migration that no transaction can hold, with the row "running" before and `finish()` after it.
local function run_alone(db, file, step, finish)
  local running <close> = setmetatable({ db = db, version = file.version }, Running)
  step.run(db)
  finish(db)
  running.done = true
end

local function up_alone(db, file, step)
  local mine = history.locked(db, file.version, function(row)
    if not row then history.add(db, file, "running") end
    return not row
  end)
  if not mine then return false end
  run_alone(db, file, step, function() history.set(db, file.version, "applied") end)
  return true
end

local function up(db, file, settings)
  local step = files.load(file).up
  while true do
    local row = settled_row(db, file.version, settings)
    if row then
      history.check(row, file)
      return false
    end
    if (step.transaction and up_together or up_alone)(db, file, step) then return true end
  end
end

-- ---- all of them ----

-- Applies what is not applied yet and returns the names of those, in order.
function M.up(db, dir, opts)
  check("migrations.up", db, dir)
  local settings = check_options("migrations.up", opts)
  local list, done = files.list(dir), {}
  db = db:with { timeout = settings.timeout }
  history.prepare(db)
  local rows = history.rows(db)
  for _, file in ipairs(list) do
    if rows[file.version] then history.check(rows[file.version], file) end
  end
  for _, file in ipairs(list) do
    local row = rows[file.version]
    if (not row or row.state == "running") and up(db, file, settings) then table.insert(done, file.name) end
  end
  return done
end

-- ---- back ----

-- Returns the row that was applied last, by version.
local function newest(rows)
  local last
  for version, row in pairs(rows) do
    if not last or #version > #last.version or #version == #last.version and version > last.version then last = row end
  end
  return last
end

local function down_step(row, list, dir)
  for _, file in ipairs(list) do
    if file.version == row.version then
      history.check(row, file)
      local step = files.load(file).down
      if not step then fault.raise("migrations", "EINVAL", "%s: it cannot be undone: it has no 'down'", file.path) end
      return file, step
    end
  end
  fault.raise("migrations", "ENOENT", "%s is applied, and there is no such file in %s", row.name, dir)
end

local function down_together(db, file, step)
  return history.locked(db, file.version, function(row)
    if not row then return false end
    step.run(db)
    history.remove(db, file.version)
    return true
  end)
end

local function down_alone(db, file, step)
  local mine = history.locked(db, file.version, function(row)
    if not row or row.state ~= "applied" then return false end
    history.set(db, file.version, "running")
    return true
  end)
  if not mine then return false end
  run_alone(db, file, step, function() history.remove(db, file.version) end)
  return true
end

-- Undoes the `n` that are newest by version and returns the names of those.
function M.down(db, dir, n, opts)
  check("migrations.down", db, dir)
  n = options.argument("migrations.down", "n", n or 1, "count")
  local settings = check_options("migrations.down", opts)
  local list, done = files.list(dir), {}
  db = db:with { timeout = settings.timeout }
  history.prepare(db)
  for _ = 1, n do
    local last = newest(history.rows(db))
    if not last then break end
    local row = settled_row(db, last.version, settings)
    local file, step = down_step(row or last, list, dir)
    if (step.transaction and down_together or down_alone)(db, file, step) then table.insert(done, file.name) end
  end
  return done
end

-- ---- looking, and saying ----

local function state_of(row, file)
  if not row then return "pending" end
  if row.state ~= "applied" then return row.state end
  return row.text == file.text and "applied" or "edited"
end

-- Returns what is known of each, in order of their versions: { version =, name =, state =, applied_at = }.
function M.status(db, dir)
  check("migrations.status", db, dir)
  local rows, list = history.rows(db), {}
  for _, file in ipairs(files.list(dir)) do
    local row = rows[file.version]
    rows[file.version] = nil
    list[#list + 1] = { version = file.version, name = file.name, state = state_of(row, file), applied_at = row and row.applied_at }
  end
  for _, row in pairs(rows) do
    list[#list + 1] = { version = row.version, name = row.name, state = row.state == "applied" and "missing" or row.state, applied_at = row.applied_at }
  end
  table.sort(list, files.is_before)
  return list
end

-- Writes down what a person knows: that a migration is applied, as its file says now, or that it is not.
function M.mark(db, dir, version, state)
  check("migrations.mark", db, dir)
  local wanted = files.version(version) or fault.misuse("migrations.mark: version: digits expected, not '%s'", tostring(version))
  options.argument("migrations.mark", "state", state, { "applied", "pending" })
  local file
  for _, one in ipairs(files.list(dir)) do
    if one.version == wanted then file = one end
  end
  if not file and state == "applied" then fault.raise("migrations", "ENOENT", "there is no migration of version %s in %s", wanted, dir) end
  history.prepare(db)
  history.locked(db, wanted, function()
    history.remove(db, wanted)
    if state == "applied" then history.add(db, file, "applied") end
  end)
end

function M.new(dir, name)
  options.argument("migrations.new", "dir", dir, "string")
  options.argument("migrations.new", "name", name, "string")
  return files.new(dir, name)
end

return M
