-- SPDX-License-Identifier: MIT
-- The reference is complete and true: a stub without a function or a function without a stub fails, and so does an example
-- that does not do what it says.
-- Needs: redis databases
local fs = require "green.fs"
local interpreter = require "interpreter"
local parse = require "green.reference.parse"
local printer = require "green.reference.print"
local process = require "green.process"
local reference = require "green.reference"
local values = require "green.reference.values"

local root = fs.absolute((arg[0]:match "^(.*)/tests/[^/]*$" or "."))
local index = require "green.reference.index" ()

-- A module that no script requires by itself says so in the second line of its file, or is the C half of others
-- (host/modules.c). Its stub, if it has one, is for the classes in it.
local function is_internal(name)
  if name:match "%.native$" then return true end
  local path = ("%s/lualib/%s.lua"):format(root, (name:gsub("%.", "/")))
  return fs.exists(path) and fs.read(path):match "^[^\n]*\n([^\n]*)" == "-- Internal."
end

-- ---- what there is at run time ----

local function module_names()
  local names = {}
  for name in pairs(package.preload) do
    if name:match "^green" then names[name] = true end
  end
  for path in fs.walk(root .. "/lualib") do
    local name = path:sub(#root + 9):match "^(green.*)%.lua$"
    if name then names[name:gsub("/", ".")] = true end
  end
  return names
end

for name in pairs(module_names()) do
  if not is_internal(name) or index:module(name) then require(name) end
end
require "green.multipart"

local methods = values.methods()

local function find_owned(owner, key)
  for _, entry in ipairs(index.entries) do
    if entry.owner == owner and entry.key == key then return entry end
  end
  for _, field in ipairs(owner.fields) do
    if field.name == key then return field end
  end
end

local function none(wrong)
  table.sort(wrong)
  assert.equal("", table.concat(wrong, "\n"))
end

local function each_callable(visit)
  for _, entry in ipairs(index.entries) do
    if (entry.kind == "function" or entry.kind == "method" or entry.kind == "module" and entry.head) and not entry.private then visit(entry) end
  end
end

describe("the modules", function()
  it("are all in README's table", function()
    local readme, wrong = fs.read(root .. "/README.md"), {}
    for name in pairs(module_names()) do
      if not is_internal(name) and name ~= "green" and not readme:find("`" .. name .. "`", 1, true) then wrong[#wrong + 1] = name end
    end
    none(wrong)
  end)

  it("say in the second line of their file whether they are internal, and nowhere else", function()
    local wrong = {}
    for name in pairs(module_names()) do
      local path = ("%s/lualib/%s.lua"):format(root, (name:gsub("%.", "/")))
      if fs.exists(path) then
        local _, marks = fs.read(path):gsub("%-%- Internal%.", "")
        if marks > (is_internal(name) and 1 or 0) then wrong[#wrong + 1] = name end
      end
    end
    none(wrong)
  end)
end)

describe("the stubs", function()
  it("are of every module that scripts may require", function()
    local wrong = {}
    for name in pairs(module_names()) do
      if not is_internal(name) and not index:module(name) then table.insert(wrong, name .. ": no stub") end
    end
    for _, module in ipairs(index.modules) do
      if not module_names()[module.name] then table.insert(wrong, module.name .. ": no module") end
    end
    none(wrong)
  end)

  it("have every function of a module, and none that it has not", function()
    local wrong = {}
    for _, module in ipairs(index.modules) do
      local value = package.loaded[module.name]
      if type(value) == "function" then
        if not module.head then table.insert(wrong, module.name .. ": the module is a function") end
      elseif not is_internal(module.name) then
        for key in pairs(value) do
          if not find_owned(module, key) then table.insert(wrong, ("%s.%s: no stub"):format(module.name, key)) end
        end
        for _, entry in ipairs(index.entries) do
          if entry.owner == module and entry.kind ~= "method" and value[entry.key] == nil then
            table.insert(wrong, entry.name .. ": no such " .. entry.kind)
          end
        end
      end
    end
    none(wrong)
  end)

  local function has_method(entry)
    for _, holder in ipairs(methods[values.metatable_of(entry.owner)] or {}) do
      if type(rawget(holder, entry.key)) == "function" then return true end
    end
  end

  it("have no method that its class has not", function()
    local wrong = {}
    for _, entry in ipairs(index.entries) do
      if entry.kind == "method" and not has_method(entry) then table.insert(wrong, entry.name .. ": no such method") end
    end
    none(wrong)
  end)

  it("have every method of every class", function()
    local classes, wrong = {}, {}
    for _, entry in ipairs(index.entries) do
      if entry.kind == "class" or entry.kind == "module" then
        local name = values.metatable_of(entry)
        classes[name] = classes[name] or {}
        table.insert(classes[name], entry)
      end
    end
    for name, list in pairs(classes) do
      for _, holder in ipairs(methods[name] or {}) do
        for key, method in pairs(holder) do
          local known = type(method) ~= "function" or type(key) ~= "string" or key:match "^__"
          for _, class in ipairs(list) do known = known or find_owned(class, key) end
          if not known then table.insert(wrong, ("%s:%s: no stub"):format(name, key)) end
        end
      end
    end
    none(wrong)
  end)

  it("are of every class that public modules make objects of", function()
    local wrong, known = {}, {}
    for _, entry in ipairs(index.entries) do
      if entry.kind == "class" or entry.kind == "module" then known[values.metatable_of(entry)] = true end
    end
    local inner = { ["green.alarm"] = true, ["green.child"] = true, ["green.db.blob"] = true, ["green.decoder"] = true, ["green.encoder"] = true, ["green.compress.writer"] = true, ["green.error"] = true,
      ["green.http.plan"] = true, ["green.http.stream"] = true, ["green.json.array"] = true, ["green.popen"] = true, ["green.redis.connection"] = true, ["green.require.load"] = true,
      ["green.ws.pool"] = true, ["green.scope"] = true, ["green.watch"] = true, ["FILE*"] = true }
    for name in pairs(methods) do
      if not known[name] and not inner[name] then table.insert(wrong, name .. ": no stub") end
    end
    none(wrong)
  end)

  it("say of every function what it does, and whether it waits", function()
    local wrong = {}
    each_callable(function(entry)
      if #entry.prose == 0 then table.insert(wrong, entry.name .. ": does what?") end
      if printer.inherited(entry, "waits", index) == nil then table.insert(wrong, entry.name .. ": waits?") end
    end)
    none(wrong)
  end)

  it("have examples that fit into 100 columns", function()
    local wrong = {}
    for _, entry in ipairs(index.entries) do
      for _, example in ipairs(entry.examples or {}) do
        for line in example.code:gmatch "[^\n]+" do
          if utf8.len(line) > 98 then table.insert(wrong, ("%s: %s"):format(entry.name, line)) end
        end
      end
    end
    none(wrong)
  end)

  it("say that what waits in the transparency matrix waits", function()
    local wrong, count = {}, 0
    for _, row in ipairs(require "awaits") do
      local entry = reference.find(row[1])
      if entry and entry.kind ~= "class" then
        count = count + 1
        if entry.kind == "stock" and not entry.waits or entry.kind ~= "stock" and not printer.inherited(entry, "waits", index) then table.insert(wrong, entry.name .. ": waits") end
      end
    end
    none(wrong)
    assert.is_true(count > 25)
  end)

  it("say of every parameter what it is", function()
    local wrong = {}
    each_callable(function(entry)
      local named = {}
      for _, item in ipairs(entry.params) do named[item.name] = true end
      for name in entry.head:match("%((.*)%)$"):gmatch "[%w_.]+" do
        if not named[name] then table.insert(wrong, ("%s: %s?"):format(entry.name, name)) end
        named[name] = nil
      end
      for name in pairs(named) do table.insert(wrong, ("%s: takes no %s"):format(entry.name, name)) end
    end)
    none(wrong)
  end)

  it("name only types that there are", function()
    local known, wrong = {}, {}
    for _, entry in ipairs(index.entries) do
      if entry.kind == "class" or entry.kind == "alias" or entry.kind == "module" then known[entry.name] = true end
    end
    for _, entry in ipairs(index.entries) do
      local types = { entry.type or "", table.concat(entry.parents or {}, " ") }
      for _, key in ipairs { "params", "returns", "fields" } do
        for _, item in ipairs(entry[key] or {}) do table.insert(types, item.type) end
      end
      for name in table.concat(types, " "):gmatch "%f[%w]green%.[%w_.]+" do
        if not known[name] then table.insert(wrong, ("%s: %s?"):format(entry.name, name)) end
      end
    end
    none(wrong)
  end)

  -- Codes between quotes in host/ and lualib/: { code = true }, and { { op =, code = } } of those raised by an op's name.
  local function codes_in_sources()
    local codes, raised = {}, {}
    for _, folder in ipairs { "/host", "/lualib/green" } do
      for path in fs.walk(root .. folder) do
        local text = path:match "%.[ch]$" and fs.read(path) or path:match "%.lua$" and fs.read(path) or ""
        for code in text:gmatch '"([%u][%u%d_]+)"' do codes[code] = true end
        for code in text:gmatch "UV_(E[%u%d]+)" do codes[code] = true end
        for op, code in text:gmatch '"(%l+%.[%l_]+)", "(E%u+)"' do raised[#raised + 1] = { op = op, code = code } end
      end
    end
    return codes, raised
  end

  it("speak of codes that are raised", function()
    local codes, wrong = codes_in_sources(), {}
    local system = "EACCES EADDRINUSE EADDRNOTAVAIL EDESTADDRREQ EEXIST EFBIG EHOSTUNREACH EISCONN EISDIR ELOOP EMFILE ENETUNREACH "
      .. "ENODEV ENOENT ENOSPC ENOTDIR ENOTEMPTY ENXIO EPERM EROFS ESRCH EXDEV"
    for name in system:gmatch "%u+" do codes[name] = true end
    for _, entry in ipairs(index.entries) do
      for code in (entry.raises or ""):gmatch "%f[%w_](E%u[%u%d]+)%f[^%w_]" do
        if not codes[code] then wrong[#wrong + 1] = ("%s: nothing raises %s"):format(entry.name, code) end
      end
    end
    none(wrong)
  end)

  -- Whoever waits or needs memory may raise these; and ops that share their name with a function of another kind.
  local ANYWHERE = { EATOMIC = true, EFINALIZER = true, ENOLIBRARY = true, ENOMEM = true, ENOTASK = true }
  local OTHERS = { ["http.close"] = true }

  it("speak of the codes that are raised by the name of a function", function()
    local _, raised = codes_in_sources()
    local wrong, said, count = {}, {}, 0
    for _, one in ipairs(raised) do
      local entry = not ANYWHERE[one.code] and not OTHERS[one.op] and reference.find(one.op)
      if entry and (entry.kind == "function" or entry.kind == "method") then
        count = count + 1
        local text = ("%s: raises %s"):format(entry.name, one.code)
        if not (printer.inherited(entry, "raises", index) or ""):find(one.code, 1, true) and not said[text] then wrong[#wrong + 1] = text end
        said[text] = true
      end
    end
    none(wrong)
    assert.is_true(count > 20, count)
  end)

  it("take as many arguments as the functions do", function()
    local wrong = {}
    each_callable(function(entry)
      local holder = entry.kind == "method" and (methods[values.metatable_of(entry.owner)] or {})[1]
        or entry.kind == "function" and entry.owner.kind == "module" and package.loaded[entry.module]
      local fn = type(holder) == "table" and rawget(holder, entry.key)
      local info = type(fn) == "function" and debug.getinfo(fn, "Su")
      if not info or info.what == "C" then return end
      local count, vararg = 0, false
      for name in entry.head:match("%((.*)%)$"):gmatch "[%w_.]+" do
        if name == "..." then vararg = true else count = count + 1 end
      end
      local self = entry.kind == "method" and 1 or 0
      if count > info.nparams - self and not info.isvararg then table.insert(wrong, entry.name .. ": takes fewer") end
      if count < info.nparams - self and not vararg then table.insert(wrong, entry.name .. ": takes more") end
    end)
    none(wrong)
  end)

  it("show every function at work", function()
    local wrong = {}
    each_callable(function(entry)
      if #printer.examples_of(entry, index) == 0 and not (entry.kind == "module" and #entry.examples > 0) then
        table.insert(wrong, entry.name .. ": no example")
      end
    end)
    none(wrong)
  end)
end)

describe("the examples of", function()
  for _, module in ipairs(index.modules) do
    it(module.name, function()
      local dir <close> = fs.temp_dir()
      local got = process.capture({ interpreter, root .. "/tests/examples.lua", module.name },
        { cwd = dir.path, timeout = 120, env = { LUA_PATH = false, LUA_INIT = false } })
      local wrong, count = {}, 0
      for line in got.stdout:gmatch "[^\n]+" do
        if line:match "^not ok\t" then table.insert(wrong, line) end
        if line:match "^ok\t" then count = count + 1 end
      end
      none(wrong)
      assert.equal("", got.stderr)
      assert.equal(0, got.code)
      assert.is_true(count > 0)
    end)
  end
end)

describe("green.reference.find", function()
  local function finds(expected, ...)
    for _, name in ipairs { ... } do
      local entry = reference.find(name)
      assert.equal(expected, entry and entry.name or "nothing for " .. name)
    end
  end

  it("knows functions by their full and their usual names", function()
    finds("green.http.get", "green.http.get", "http.get", "http.get()", "HTTP.get")
    finds("green.try", "green.try")
  end)

  it("knows modules", function()
    finds("green.db", "green.db", "db")
    finds("green.db.sqlite", "green.db.sqlite", "db.sqlite")
    finds("green", "green")
  end)

  it("knows methods by class and by module", function()
    finds("green.Task:join", "green.Task:join", "Task:join", "task:join", "task.join")
    finds("green.app:get", "app:get", "app.get")
  end)

  it("knows types", function()
    finds("green.http.options", "green.http.options", "http.options")
    finds("green.handler", "green.handler")
  end)

  it("knows what only one is called", function() finds("green.fs.realpath", "realpath") end)

  it("knows Lua's own", function()
    finds("string.format", "string.format")
    finds("pcall", "pcall")
    finds("table", "table")
    finds("file:read", "file:read")
    finds("green.File:read", "File:read")
  end)

  it("knows every function of Lua, and none that it has not", function()
    local known, wrong = {}, {}
    for _, entry in ipairs(index.entries) do
      if entry.kind == "stock" then known[entry.name] = true end
    end
    for name in ("atan2 cosh frexp ldexp log10 pow sinh tanh"):gmatch "%w+" do -- of Lua 5.2, which Debian still builds in
      known["math." .. name] = math[name] and true
    end
    local function check(prefix, library)
      for key, value in pairs(library) do
        local name = prefix .. key
        if type(value) == "function" and key:sub(1, 2) ~= "__" and not known[name] then table.insert(wrong, name .. "?") end
        known[name] = nil
      end
    end
    local lua = io.popen("lua5.4 -e 'for k, v in pairs(_G) do if type(v) == \"function\" then print(k) end end'")
    for name in lua:lines() do check("", { [name] = print }) end
    lua:close()
    for _, name in ipairs { "coroutine", "debug", "io", "math", "os", "package", "string", "table", "utf8" } do
      check(name .. ".", _G[name])
      known[name] = nil
    end
    check("file:", debug.getregistry()["FILE*"].__index)
    for name in pairs(known) do table.insert(wrong, name .. ": none") end
    none(wrong)
  end)

  it("suggests names that are like an unknown one, the nearest first", function()
    local entry, near = reference.find "http.gte"
    assert.is_nil(entry)
    assert.equal("green.http.get", near[1].name)
    assert.is_true(#near <= 5)
    assert.same({}, select(2, reference.find "xyzzyxyzzy"))
  end)

  it("gives all that one name means", function()
    local entry, several = reference.find "close"
    assert.is_nil(entry)
    assert.is_true(#several > 5)
  end)

  it("refuses what is no name", function()
    assert.error_matches(function() reference.find(7) end, "a string expected, got number")
  end)
end)

describe("a name", function()
  local near = require "green.reference.native".near

  it("is near when one letter is missing, too many, wrong, or two changed places", function()
    assert.equal(0, near("listen", "listen"))
    assert.equal(1, near("lisen", "listen"))
    assert.equal(1, near("liisten", "listen"))
    assert.equal(1, near("lisden", "listen"))
    assert.equal(1, near("lsiten", "listen"))
    assert.equal(2, near("lsitenn", "listen"))
    assert.equal(1, near("gte", "get"))
  end)

  it("is not near when it has little to do with it", function()
    assert.is_nil(near("help", "listen"))
    assert.is_nil(near("x", "v"))
    assert.is_nil(near("", "get"))
    assert.is_nil(near(("a"):rep(1000), ("b"):rep(1000)))
    assert.equal(0, near(("a"):rep(1000), ("a"):rep(1000)))
  end)
end)

describe("green.reference.text", function()
  local function head(value) return (reference.text(value, { color = false }):match "^[^\n]*"):gsub("  .*", "") end

  it("knows functions and modules as values", function()
    local http = require "green.http"
    assert.equal("http.get(url, opts)", head(http.get))
    assert.equal("green.http", head(http))
    assert.equal("string.format(formatstring, ...)", head(string.format))
    assert.equal("print(...)", head(print))
    assert.equal("file:read(...)", head(io.stdout.read))
    assert.equal("green.model(db, name, options)", head(require "green.model"))
  end)

  it("knows objects and their methods", function()
    local task = require "green.task"
    local one = task.spawn(function() end)
    assert.equal("green.Task", head(one))
    assert.equal("Task:join(timeout)", head(one.join))
    one:join()
    local app = require "green.app".new()
    assert.equal("green.app", head(app))
    assert.equal("app:get(path, handler, opts)", head(app.get))
    local db <close> = require "green.db".connect "sqlite::memory:"
    assert.equal("green.db.Database", head(db))
    assert.equal("Database:query(sql, ...)", head(db.query))
    local file <close> = fs.temp_file()
    assert.equal("green.File", head(file))
    assert.equal("File:read(n)", head(file.read))
    assert.equal("green.Model", head(require "green.model"(db, "orders")))
  end)

  it("says when it knows nothing", function()
    assert.equal("nothing is known about this table; help() lists the modules", (reference.text {}))
    assert.equal("nothing is known about this function; help() lists the modules", (reference.text(function() end)))
    assert.equal("no 'http.gte' here; did you mean http.get?", (reference.text "http.gte":gsub("get, .*", "get?")))
  end)

  it("has all that a stub has", function()
    local text = reference.text("net.connect", { color = false })
    for _, part in ipairs { "Connects", "Waits.", "Raises: EINVAL", "address   string", "timeout?  number - seconds",
      "Returns", "green.net.socket", "Example" } do
      assert.is_truthy(text:find(part, 1, true), part)
    end
  end)

  it("explains tables of options where they are taken", function()
    local text = reference.text("http.get", { color = false })
    assert.is_truthy(text:find("connect_timeout?", 1, true)) -- inherited
    assert.is_truthy(reference.text("http.options", { color = false }):find("connect_timeout?", 1, true))
    assert.is_truthy(reference.text("fs.stat", { color = false }):find("mtime", 1, true)) -- returned
    assert.is_truthy(reference.text("app.get", { color = false }):find("\ngreen.handler\n  = fun(req", 1, true))
  end)

  it("lists the modules", function()
    local text = reference.text(nil, { color = false })
    for _, module in ipairs(index.modules) do assert.is_truthy(text:find("\n  " .. module.name .. " ", 1, true), module.name) end
  end)

  it("keeps within the width, examples and links apart", function()
    for _, width in ipairs { 60, 100 } do
      for line in reference.text("http.get", { width = width, color = false }):gsub("\nExample.*", ""):gmatch "[^\n]+" do
        assert.is_true(#line <= width, line)
      end
    end
  end)

  it("has colour only when asked", function()
    assert.is_nil(reference.text("http.get", { color = false }):find "\27")
    assert.is_truthy(reference.text("http.get", { color = true }):find "\27%[1mhttp.get")
  end)
end)

describe("a stub", function()
  local function entry_of(text)
    local entries = parse("green.x", text)
    return entries[#entries]
  end

  it("has types with blanks in them", function()
    local entry = entry_of [[
local x = {}
---@param a? { b?: integer, c: string } how it is
---@param d fun(e: string, ...): integer?, string what it does
---@param f "r"|"w" | nil the mode
---@return table<string, string[]> names of it
function x.y(a, d, f) end]]
    assert.same({ name = "a", optional = true, type = "{ b?: integer, c: string }", text = "how it is" }, entry.params[1])
    assert.equal("fun(e: string, ...): integer?, string", entry.params[2].type)
    assert.equal("what it does", entry.params[2].text)
    assert.equal('"r"|"w" | nil', entry.params[3].type)
    assert.same({ { type = "table<string, string[]>", text = "names of it" } }, entry.returns)
  end)

  it("has statements of several lines beside its prose", function()
    local entry = entry_of [[
local x = {}
---Does it.
---More of it.
---Waits for one thing,
---then another.
---Raises: EONE; ETWO
---when two.
---```lua norun
---x.y()
---
---x.y()
---```
function x.y() end]]
    assert.same({ "Does it.", "More of it." }, entry.prose)
    assert.is_true(entry.waits)
    assert.equal("Waits for one thing, then another.", entry.waiting)
    assert.equal("EONE; ETWO when two.", entry.raises)
    assert.same({ { code = "x.y()\n\nx.y()", runs = false } }, entry.examples)
  end)

  it("may say for all of it whether it waits", function()
    local entries = parse("green.x", "---X.\n---Nothing here waits.\n---@class green.x\nlocal x = {}\n---Y.\nfunction x.y() end")
    assert.is_false(entries[1].waits)
    assert.is_nil(entries[2].waits)
  end)
end)
