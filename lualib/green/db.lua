-- SPDX-License-Identifier: MIT
-- Databases by their URLs: green.db.database has the pool, and green.db.driver.* what differs between them.
local database = require "green.db.database"
local fault = require "green.error"
local native = require "green.db.native"
local options = require "green.options"

local DEFAULTS = {
  wait = 5,                 -- seconds for a free connection
  timeout = 30,             -- seconds for one statement
  max_result = 64 << 20,    -- bytes of rows one query may gather
}

local KNOWN = {
  readers = "count", size = "count", min = "whole", idle = "time", max_age = "time", prepare = "boolean", wait = "seconds", timeout = "time",
  max_result = "count", leak_after = "seconds", init_sql = "string",
}

-- Those that are off unless they are given.
local OFF = { leak_after = true, init_sql = true }

-- Loaded when first needed: a driver loads its library.
local DRIVERS = {
  sqlite = "green.db.driver.sqlite", postgres = "green.db.driver.postgres", postgresql = "green.db.driver.postgres",
}

local EXPECTED = "sqlite:FILE, sqlite::memory: or postgres://HOST/DATABASE"

local function check_options(given, driver, scheme)
  local settings = {}
  for name in pairs(given) do
    if DEFAULTS[name] == nil and driver.defaults[name] == nil and not OFF[name] then
      fault.misuse("db.connect: option '%s' means nothing to %s:", name, scheme)
    end
  end
  for name, default in pairs(DEFAULTS) do settings[name] = default end
  for name, default in pairs(driver.defaults) do settings[name] = default end
  for name, value in pairs(given) do settings[name] = value end
  return settings
end

-- Makes a database. Waits for nothing: connections are opened when they are needed.
local function connect(url, given)
  if type(url) ~= "string" then fault.misuse("a database URL expected, %s, got %s", EXPECTED, type(url)) end
  options.check("db.connect", given, KNOWN)
  local scheme, rest = url:match("^(%a[%w+.-]*):(.*)$")
  if not DRIVERS[scheme] then
    fault.raise("db.connect", "EPROTONOSUPPORT", "'%s' is no database this build knows: %s", scheme or url, EXPECTED)
  end
  local driver = require(DRIVERS[scheme])
  return database(driver, rest, check_options(given or {}, driver, scheme))
end

return { connect = connect, blob = native.blob }
