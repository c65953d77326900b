-- SPDX-License-Identifier: MIT
-- The options that a stub declares are those that the code takes, both ways: each function that takes options is given one that
-- cannot be, and the names it lists in its refusal are held against the fields of the stub. A field of an impossible type is refused by
-- its name.
local index = require "green.reference.index" ()
local task = require "green.task"

for _, module in ipairs(index.modules) do require(module.name) end

local UNKNOWN = "zzqqzzqq" -- like no option there is, so all of them are listed
local IMPOSSIBLE = coroutine.create(print) -- no option is a coroutine

-- What looks like options in a stub and is none: any table will do.
local DATA = {
  ["green.router.is_exact"] = "a route that router:add made",
  ["green.url.build"] = "the parts of a URL, as url.parse returns them",
}

-- ---- who takes options ----

local classes = {}
for _, entry in ipairs(index.entries) do
  if entry.kind == "class" then classes[entry.name] = entry end
end

-- Adds the fields of a class, and of its parents.
local function add_fields(into, class)
  for _, field in ipairs(class.fields) do into[field.name] = field.type end
  for _, parent in ipairs(class.parents or {}) do
    if classes[parent] then add_fields(into, classes[parent]) end
  end
  return into
end

-- The fields of a parameter's type, or nil: "green.http.options", "string|green.net.listen_options", "{ max?: integer }".
local function fields_of(type)
  local inline = type:match "%b{}"
  if inline then
    local fields
    for name, kind in inline:gmatch "([%a_][%w_]*)%??:%s*([^,}]+)" do
      fields = fields or {}
      fields[name] = kind:match "^(.-)%s*$"
    end
    return fields
  end
  for name in type:gsub("green%.[%w_.]+%[%]", ""):gmatch "green%.[%w_.]+" do -- a list is none
    local class = classes[name]
    local first = class and (class.parents or {})[1]
    if class and #class.members == 0 and (#class.fields > 0 or classes[first]) then return add_fields({}, class) end
  end
end

-- Adds the options themselves, and those inside of one: { tls = { ca = ... } }.
local function add_takers(list, entry, at, fields)
  list[#list + 1] = { entry = entry, at = at, name = entry.name, fields = fields }
  for name, type in pairs(fields) do
    local inner = type:find "green%.[%w_.]+$" and fields_of(type)
    if inner then list[#list + 1] = { entry = entry, at = at, name = entry.name .. ": " .. name, inside = name, fields = inner } end
  end
end

local function takers()
  local list = {}
  for _, entry in ipairs(index.entries) do
    local of_function = (entry.kind == "function" or entry.kind == "method" or entry.kind == "module") and not entry.private
    for i, param in ipairs(of_function and not DATA[entry.name] and entry.params or {}) do
      local fields = fields_of(param.type)
      if fields then
        add_takers(list, entry, i, fields)
        break -- net.connect takes them as its first argument or as its second
      end
    end
  end
  return list
end

-- ---- calling them ----

local app = require "green.app".new()
local database = require "green.db".connect "sqlite::memory:" -- connects to nothing before it is used
local made = {} -- in the set-up

local SELF = {
  ["green.app"] = function() return app end,
  ["green.Cache"] = function() return require "green.cache".new() end,
  ["green.db.Database"] = function() return database end,
  ["green.http.client"] = function() return require "green.http".client() end,
  ["green.Model"] = function() return require "green.model"(database, "orders") end,
  ["green.redis.Client"] = function() return require "green.redis".connect("redis://127.0.0.1:1", { wait = 0 }) end,
  ["green.Response"] = function() return require "green.response".text "x" end,
  ["green.events"] = function() return made.events end,
  ["green.net.socket"] = function() return made.client end,
  ["green.Server"] = function() return made.server end,
  ["green.net.listener"] = function() return made.listener end,
  ["green.request"] = function() return require("green.test").request { method = "POST", body = "x" } end,
}

-- By a parameter's name or its type: what is in order, so that nothing but the options is wrong.
local function argument(param)
  if param.name == "url" or param.name == "upstream" then return "http://127.0.0.1:1/" end
  if param.name == "address" then return "127.0.0.1:0" end
  if param.name == "pattern" or param.name == "path" or param.name == "prefix" then return "/proc/nowhere/at/all" end
  if param.name == "method" then return "GET" end
  if param.type:find "^string%[%]" or param.type:find "argv" then return { "true" } end
  if param.type:find "fun" or param.type:find "handler" then return print end
  if param.type == "green.db.Database" then return database end
  if param.type == "green.Model" then return require "green.model"(database, "orders") end
  if param.type:find "^string" then return "x" end
  if param.type:find "number" or param.type:find "integer" then return 1 end
  return {}
end

-- Options that must be there for others to be looked at. Several sets: what one set does not take, another does.
local BESIDES = {
  ["green.net.connect"] = { { address = "127.0.0.1:1" }, { host = "127.0.0.1" }, {} },
  ["green.net.listen"] = { { address = "127.0.0.1:0" }, { host = "127.0.0.1" }, {} },
  ["green.net.socket:start_tls"] = { {}, { server = true } },
}

local GIVEN = { -- arguments before the options, where names and types do not say enough
  ["green.db.connect"] = { "sqlite::memory:" },
  ["green.model"] = { setmetatable({}, { __index = function() return print end }), "orders" },
  ["green.net.connect"] = {},
  ["green.net.listen"] = {},
  ["green.redis.connect"] = { "redis://127.0.0.1:1" },
}

local function callable(entry)
  if entry.kind == "method" then
    local self = SELF[entry.owner.name]()
    return function(...) return self[entry.key](self, ...) end
  end
  local module = package.loaded[entry.module]
  local fn = entry.kind == "module" and module or module[entry.key]
  return fn
end

-- What the call with these options raises: its text, for each set of BESIDES.
local function refusals(taker, options)
  local texts = {}
  for i, besides in ipairs(BESIDES[taker.entry.name] or { {} }) do
    local arguments, all = { table.unpack(GIVEN[taker.entry.name] or {}) }, {}
    for at = 1, GIVEN[taker.entry.name] and 0 or taker.at - 1 do arguments[at] = argument(taker.entry.params[at]) end
    for name, value in pairs(besides) do all[name] = value end
    for name, value in pairs(taker.inside and { [taker.inside] = options } or options) do all[name] = value end
    arguments[#arguments + 1] = all
    local fn = callable(taker.entry)
    local ok, err = pcall(task.deadline, 2, function() fn(table.unpack(arguments)) end)
    texts[i] = ok and "no error" or tostring(err)
  end
  return texts
end

-- The first that does it, or nil and the last.
local function one_that(texts, does)
  for _, text in ipairs(texts) do
    if does(text) then return text end
  end
  return nil, texts[#texts]
end

local function none(wrong)
  table.sort(wrong)
  assert.equal("", table.concat(wrong, "\n"))
end

-- The names that refusals list.
local function listed(texts)
  local names
  for _, text in ipairs(texts) do
    local list = text:match "; there is (.-)%)?$" or text:match "; there are (.-)%)?$"
    for name in (list or ""):gmatch "[%w_]+" do
      names = names or {}
      names[name] = true
    end
  end
  return names, texts[1]
end

describe("options in the stubs", function()
  local all = takers()

  setup(function()
    local net = require "green.net"
    made.listener = net.listen "127.0.0.1:0"
    made.server = app:listen "127.0.0.1:0"
    made.client = net.connect(made.listener:address())
    app:get("/events", function()
      return require "green.response".events(function(events) made.events = events end)
    end)
    app:inject "/events"
  end)

  teardown(function()
    made.client:close()
    made.server:abort()
    made.listener:close()
  end)

  it("are of functions that can be called here", function()
    local wrong = {}
    for _, taker in ipairs(all) do
      local owner = taker.entry.kind == "method" and taker.entry.owner.name
      if owner and not SELF[owner] then wrong[#wrong + 1] = ("%s: say in SELF where a %s comes from"):format(taker.name, owner) end
    end
    none(wrong)
    assert.is_true(#all > 45, #all)
  end)

  it("are all that the functions take, and no others", function()
    local wrong = {}
    for _, taker in ipairs(all) do
      local known, text = listed(refusals(taker, { [UNKNOWN] = 1 }))
      if not known then wrong[#wrong + 1] = ("%s: lists no names: %s"):format(taker.name, text) end
      for name in pairs(known or {}) do
        if not taker.fields[name] then wrong[#wrong + 1] = ("%s: takes '%s', which is in no stub"):format(taker.name, name) end
      end
      for name in pairs(known and taker.fields or {}) do
        if not known[name] then wrong[#wrong + 1] = ("%s: does not take '%s'"):format(taker.name, name) end
      end
    end
    none(wrong)
  end)

  it("are refused by name when they are mistyped", function()
    local wrong = {}
    for _, taker in ipairs(all) do
      for name in pairs(taker.fields) do
        local meant = ("'%sx'; did you mean '"):format(name)
        local ok, text = one_that(refusals(taker, { [name .. "x"] = 1 }), function(each) return each:find(meant, 1, true) end)
        if not ok then wrong[#wrong + 1] = ("%s: %sx: %s"):format(taker.name, name, text) end
      end
    end
    none(wrong)
  end)

  it("of a wrong type are refused by name, where the function was called", function()
    local wrong, here = {}, "tests/green/options_stubs_spec.lua:"
    for _, taker in ipairs(all) do
      for name, kind in pairs(taker.fields) do
        local function is_refusal(each) return each:find(here, 1, true) == 1 and each:find(name, 1, true) end
        local ok, text = one_that(refusals(taker, { [name] = IMPOSSIBLE }), is_refusal)
        if not ok and kind ~= "any" then wrong[#wrong + 1] = ("%s: %s: %s"):format(taker.name, name, text) end
      end
    end
    none(wrong)
  end)
end)
