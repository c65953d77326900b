-- SPDX-License-Identifier: MIT
-- Internal.
-- The folder of migrations: what each file is called, and what it says. Files of SQL have the markers of dbmate,
-- "-- migrate:up" and "-- migrate:down", each with an option, "transaction:false"; files of Lua return a table.
local fault = require "green.error"
local fs = require "green.fs"
local options = require "green.options"

local M = {}

-- ---- names ----

-- Versions are numbers of any length, so that both 001 and 20261130093000 will do; they are compared without leading zeros.
local function normal(digits) return (digits:gsub("^0+(%d)", "%1")) end

function M.is_before(a, b)
  if #a.version ~= #b.version then return #a.version < #b.version end
  return a.version < b.version
end

-- Returns a version as it is typed, in the form in which versions are compared; nil for no version.
function M.version(text)
  local digits = tostring(text):match "^(%d+)$"
  return digits and normal(digits)
end

-- "20261130093000_create_orders.sql" -> { version =, name = "20261130093000_create_orders", kind = "sql", path = }
local function from_name(dir, base)
  local path = fs.join(dir, base):gsub("^%./", "")
  local name, kind = base:match "^(.*)%.(.*)$"
  if base:sub(1, 1) == "." then return nil end
  if kind ~= "sql" and kind ~= "lua" then return nil end
  local digits = name:match "^(%d+)_[%w_-]+$"
  if not digits then
    fault.raise("migrations", "EINVAL", "%s: a migration is called VERSION_NAME.sql or .lua, such as 001_create_orders.sql", path)
  end
  return { version = normal(digits), name = name, kind = kind, path = path }
end

-- ---- SQL ----

local function refuse(file, line, format, ...)
  fault.raise("migrations", "EINVAL", "%s:%d: %s", file.path, line, format:format(...))
end

local function begin_part(file, parts, line, direction, rest)
  if direction ~= "up" and direction ~= "down" then refuse(file, line, "'migrate:%s': migrate:up or migrate:down expected", direction) end
  if parts[direction] then refuse(file, line, "a second 'migrate:%s'", direction) end
  if rest ~= "" and rest ~= "transaction:false" and rest ~= "transaction:true" then
    refuse(file, line, "'%s': transaction:false or nothing expected", rest)
  end
  local part = { line = line, lines = {}, transaction = rest ~= "transaction:false" }
  parts[direction] = part
  return part
end

-- Returns what the markers divide: { up = { line =, lines =, transaction = }, down = }. A file without markers is all `up`.
local function split(file)
  local parts, part, number = {}, nil, 0
  for line in file.text:gmatch "([^\n]*)\n?" do
    number = number + 1
    local direction, rest = line:match "^%-%-%s*migrate:(%S*)%s*(.*)$"
    if direction then
      part = begin_part(file, parts, number, direction, rest:match "^(.*%S)" or "")
    elseif part then
      table.insert(part.lines, line)
    end
  end
  return parts
end

-- Statements before the first marker would never run.
local function check_beginning(file)
  local number = 0
  for line in file.text:gmatch "([^\n]*)\n?" do
    number = number + 1
    if line:find "^%-%-%s*migrate:" then return end
    if line:find "%S" and not line:find "^%s*%-%-" then refuse(file, number, "a statement before 'migrate:up'") end
  end
end

-- Returns where in the file the statement stands that failed: the rest of the script from that statement on is in the error.
local function line_of(part, sql, err)
  local from = type(err.sql) == "string" and sql:find(err.sql, 1, true)
  if not from then return part.line end
  local first = sql:find("%S", from) or from
  local _, breaks = sql:sub(1, first):gsub("\n", "\n")
  return part.line + 1 + breaks
end

local function sql_step(file, part)
  local sql = table.concat(part.lines, "\n")
  return function(db)
    if not sql:find "%S" then return end
    local ok, err = pcall(db.exec, db, sql)
    if ok then return end
    if fault.is(err) and err.sql then err.message = ("%s:%d: %s"):format(file.path, line_of(part, sql, err), err.message) end
    error(err, 0)
  end
end

local function load_sql(file)
  local parts = split(file)
  if not next(parts) then
    parts.up = { line = 0, lines = { file.text }, transaction = true }
  else
    check_beginning(file)
  end
  if not parts.up then refuse(file, 1, "no 'migrate:up'") end
  local steps = {}
  for direction, part in pairs(parts) do steps[direction] = { run = sql_step(file, part), transaction = part.transaction } end
  return steps
end

-- ---- Lua ----

local KNOWN = { up = "function", down = "function", transaction = "boolean" }

local function load_lua(file)
  local chunk, why = load(file.text, "@" .. file.path, "t")
  if not chunk then fault.raise("migrations", "EINVAL", "%s", why) end
  local made = chunk()
  if type(made) ~= "table" or type(made.up) ~= "function" then
    fault.raise("migrations", "EINVAL", "%s: a table with a function 'up' expected, such as return { up = function(db) ... end }", file.path)
  end
  options.check(file.path, made, KNOWN, "field")
  local steps = {}
  for _, direction in ipairs { "up", "down" } do
    steps[direction] = made[direction] and { run = made[direction], transaction = made.transaction ~= false }
  end
  return steps
end

-- ---- the folder ----

-- Returns the steps of a file: { up = { run = function(db), transaction = boolean }, down = the same or nil }. Runs a file of Lua.
function M.load(file)
  return file.kind == "sql" and load_sql(file) or load_lua(file)
end

local function check_unique(files)
  for i = 2, #files do
    if files[i].version == files[i - 1].version then
      fault.raise("migrations", "EEXIST", "%s and %s are of the same version", files[i - 1].path, files[i].path)
    end
  end
end

-- Returns the migrations of a folder, in the order of their versions: { version =, name =, kind =, path =, text = }.
function M.list(dir)
  local files = {}
  if not fs.exists(dir) then fault.raise("migrations", "ENOENT", "%s: there is no such folder of migrations", dir) end
  for _, entry in ipairs(fs.list(dir)) do
    local file = entry.type ~= "directory" and from_name(dir, entry.name)
    if file then table.insert(files, file) end
  end
  table.sort(files, M.is_before)
  check_unique(files)
  for _, file in ipairs(files) do file.text = fs.read(file.path):gsub("\r\n", "\n") end
  return files
end

local TEMPLATE = {
  sql = "-- migrate:up\n\n-- migrate:down\n",
  lua = "return {\n  up = function(db)\n  end,\n\n  down = function(db)\n  end,\n}\n",
}

-- Returns the first second from now on that is no migration's version yet.
local function next_version(dir)
  local taken, now = {}, os.time()
  for _, file in ipairs(M.list(dir)) do taken[file.version] = true end
  while taken[os.date("!%Y%m%d%H%M%S", now)] do now = now + 1 end
  return os.date("!%Y%m%d%H%M%S", now)
end

-- Makes an empty migration, of SQL unless the name ends in ".lua", and returns its path.
function M.new(dir, name)
  local base, kind = name:match "^([%w_-]+)%.(%a+)$"
  base, kind = base or name, kind or "sql"
  if not base:find "^[%w_-]+$" or not TEMPLATE[kind] then
    fault.raise("migrations", "EINVAL", "'%s': letters, digits, '_' and '-' expected, and .sql or .lua at the end", name)
  end
  fs.mkdir(dir, { parents = true })
  local path = fs.join(dir, ("%s_%s.%s"):format(next_version(dir), base, kind)):gsub("^%./", "")
  fs.write(path, TEMPLATE[kind])
  return path
end

return M
