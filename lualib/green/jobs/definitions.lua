-- SPDX-License-Identifier: MIT
-- Internal.
-- What this process knows to do: the functions of jobs, by their names, and what becomes of one that fails.
local fault = require "green.error"
local options = require "green.options"
local task_native = require "green.task.native"

local M = {}

local DEFAULTS = {
  retries = 20,  -- with this backoff, two and a half days
  backoff = 10,  -- seconds before the first
  timeout = 300, -- seconds
}
local KNOWN = { retries = "bytes", backoff = "time|function", timeout = "time" }

local LONGEST_NAME = 200
local LONGEST_PAUSE = 6 * 3600 -- seconds

local defined = {} -- by name: { name =, fn =, retries =, backoff =, timeout =, file =, line = }

-- ---- names ----

local function check_name(where, name)
  if type(name) ~= "string" then fault.misuse("%s: name: a string expected, not %s", where, type(name)) end
  if not name:find "^[%w_.:/-]+$" or #name > LONGEST_NAME then
    fault.misuse("%s: name: letters, digits and _ - . : / expected, at most %d, not '%s'", where, LONGEST_NAME, name:sub(1, LONGEST_NAME))
  end
end

-- While developing, a file that was changed defines its jobs anew, and a function may have moved to another file.
local function check_unique(definition)
  local other = defined[definition.name]
  local files = package.loaded["green.dev.files"]
  if not other or other.file == definition.file or files and files.on then return end
  fault.misuse("jobs.define: '%s' is defined already, at %s:%d", definition.name, other.file, other.line)
end

function M.define(name, fn, given)
  check_name("jobs.define", name)
  options.argument("jobs.define", ("'%s': fn"):format(name), fn, "function")
  given = options.check(("jobs.define: '%s'"):format(name), given, KNOWN)
  local info = debug.getinfo(fn, "S")
  local definition = { name = name, fn = fn, file = info.short_src, line = info.linedefined }
  for option, default in pairs(DEFAULTS) do
    local value = given[option]
    definition[option] = value == nil and default or value
  end
  check_unique(definition)
  defined[name] = definition
end

function M.names()
  local names = {}
  for name in pairs(defined) do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- Returns the definition, or nil.
function M.named(name) return defined[name] end

-- Returns the definition; it is the caller's mistake if there is none.
function M.check(where, name)
  check_name(where, name)
  if defined[name] then return defined[name] end
  local names = M.names()
  if #names == 0 then fault.misuse("%s: no job '%s' is defined, nor any other: jobs.define('%s', fn) comes first", where, name, name) end
  fault.misuse("%s: no job '%s' is defined%s", where, name, require "green.reference.native".hint(name, names))
end

-- ---- failures ----

-- Returns the seconds that the function of the user's says, or nil, and why is in the log.
local function ask(definition, failures)
  local ok, said = pcall(definition.backoff, failures)
  if ok and type(said) == "number" and said >= 0 and said < math.huge then return said end
  local why = ok and ("a number of seconds >= 0 expected, not %s"):format(tostring(said)) or said
  task_native.log(("job %s: its function 'backoff', at %s:%d"):format(definition.name, definition.file, definition.line), why)
end

-- Returns after how many seconds a job that has failed so often runs again; nil: it does not. A pause doubles each time, and is longer or
-- shorter by up to a quarter, so that those that failed together do not come back together.
function M.pause(definition, failures)
  if failures > definition.retries then return nil end
  local first = definition.backoff
  if type(first) == "function" then
    local said = ask(definition, failures)
    if said then return said end
    first = DEFAULTS.backoff
  end
  return math.min(first * 2 ^ math.min(failures - 1, 30), LONGEST_PAUSE) * (0.75 + math.random() / 2)
end

return M
