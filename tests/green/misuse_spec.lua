-- SPDX-License-Identifier: MIT
-- Whatever is called wrongly says so at the caller's line, in every module and class of the reference: no message points into
-- the library, and a method called with a dot says what was meant.
local index = require "green.reference.index" ()
local task = require "green.task"
local values = require "green.reference.values"

for _, module in ipairs(index.modules) do pcall(require, module.name) end

-- What does harm when it is called in earnest, or takes anything; and what others work on.
local LEFT_OUT = {
  ["green.reference.help"] = true, ["green.router.is_exact"] = true, ["green.repl.start"] = true, ["green.app:dispatcher"] = true,
  ["green.db.sqlite"] = true, ["green.debug"] = true, ["green.error"] = true, ["green.signal"] = true,
}

local function quiet() end

local WRONG = {
  {}, { 42 }, { {} }, { true }, { quiet }, { "\1/x" }, { "\1/x", 42 }, { "\1/x", { zz = 1 } }, { "\1/x", {}, { zz = 1 } },
  { "\1/x", quiet, { zz = 1 } }, { { 1 }, quiet, { zz = 1 } }, { 1, quiet, { zz = 1 } }, { 1, "\1/x" }, { {}, {}, {} },
}

local HERE = "tests/green/misuse_spec.lua"

-- Plain messages are for the programmer; error objects say what they are about.
local function check(wrong, name, ok, err)
  if ok or type(err) ~= "string" then return end
  local line, text = err:match "^([^:]*:?[^:]*):%d+: (.*)"
  if line ~= HERE then table.insert(wrong, ("%s: %s"):format(name, err))
  elseif text:find("attempt to ", 1, true) or text:find "to '%?'" then table.insert(wrong, ("%s: %s"):format(name, err)) end
end

local function none(wrong)
  table.sort(wrong)
  assert.equal("", table.concat(wrong, "\n"))
end

local function functions()
  local list = {}
  for _, entry in ipairs(index.entries) do
    local module = entry.kind == "function" and not entry.private and package.loaded[entry.module]
    local fn = type(module) == "table" and module[entry.key]
    local skipped = LEFT_OUT[entry.name] or LEFT_OUT[entry.module]
    if type(fn) == "function" and not skipped then table.insert(list, { name = entry.name, fn = fn }) end
  end
  return list
end

describe("misuse", function()
  it("of any function points at who called it", function()
    local wrong = {}
    for _, one in ipairs(functions()) do
      for _, arguments in ipairs(WRONG) do
        local named = math.type(arguments[1]) or math.type(arguments[2]) -- a number names a file, too
        if named and one.name:find "^green%.fs%." then goto continue end
        local ok, err = pcall(task.deadline, 0.05, function()
          local result = one.fn(table.unpack(arguments)) -- no tail call: it would not be there to be pointed at
          return result
        end)
        check(wrong, one.name, ok, err)
        if ok and type(err) == "userdata" then pcall(function() err:cancel() end) end
        ::continue::
      end
    end
    none(wrong)
  end)

  it("of a method by a dot says which colon is missing", function()
    local wrong, methods = {}, values.methods()
    for _, entry in ipairs(index.entries) do
      local owner = entry.kind == "method" and not entry.private and not LEFT_OUT[entry.name] and entry.owner
      local ours = owner and owner.name ~= "green.ws.socket"
      for _, holder in ipairs(ours and methods[values.metatable_of(owner)] or {}) do
        local fn = type(holder) == "table" and rawget(holder, entry.key)
        if type(fn) == "function" then
          local ok, err = pcall(function()
            local result = fn "x"
            return result
          end)
          local said = not ok and type(err) == "string" and err:match "^[%w/_.]*:%d+: use [%w_]+:[%w_]+%(%.%.%.%), not [%w_]+%.[%w_]+%(%.%.%.%)"
          if not said then table.insert(wrong, ("%s: %s"):format(entry.name, tostring(err))) end
        end
      end
    end
    none(wrong)
  end)

  it("of the usual kinds has the right words", function()
    local app = require "green.app".new()
    local db <close> = require "green.db".connect "sqlite::memory:"
    local response = require "green.response"
    local function says(text, fn)
      local ok, err = pcall(fn)
      assert.is_false(ok, text)
      assert.equal(HERE, err:match "^([^:]*):%d+: ", err)
      assert.is_truthy(err:find(text, 1, true), err)
    end
    says("use app:get(...), not app.get(...)", function() app.get("/", print) end)
    says("use db:query(...), not db.query(...)", function() db.query("SELECT 1") end)
    says("use res:cookie(...), not res.cookie(...)", function() response.text("x").cookie("a", "b") end)
    says("unknown server option 'max_bdoy'; did you mean 'max_body'?", function() require "green.app".new { max_bdoy = 1 } end)
    says("option 'max_body' must be an integer", function() require "green.app".new { max_body = "much" } end)
    says("unknown route option 'cpu_limt'; did you mean 'cpu_limit'?", function() app:get("/", print, { cpu_limt = 1 }) end)
    says("unknown cookie option 'maxage'; did you mean 'max_age'?", function() response.text("x"):cookie("a", "b", { maxage = 1 }) end)
    says("unknown option 'contenttype'", function() response.stream(print, { contenttype = "x" }) end)
    says("app:ws: option 'protocols'[2]: a name without blanks and commas expected", function() app:ws("/w", print, { protocols = { "v1", "a b" } }) end)
    says("http.get: option 'max_body': a whole number >= 0 expected, not 1e+308", function() require "green.http".get("http://x/", { max_body = 1e308 }) end)
    says("unknown file option 'donwload'; did you mean 'download'?", function() response.file("x", { donwload = true }) end)
    says("unknown option 'paht'; did you mean 'path'?", function() app:inject { paht = "/" } end)
    says("inject: option 'path': a path that begins with '/'", function() app:inject "orders" end)
    says("unknown option 'kye'; did you mean 'key'?", function() require "green.model"(db, "t", { kye = "x" }) end)
    says("unknown option 'timeot'; did you mean 'timeout'?", function() require "green.net".connect("127.0.0.1:1", { timeot = 1 }) end)
    says("option 'tls': a boolean or a table expected, got number", function() require "green.net".connect("127.0.0.1:1", { tls = 5 }) end)
    says("unknown option 'recursiv'; did you mean 'recursive'?", function() require "green.fs".remove("x", { recursiv = true }) end)
    says("process.run: unknown option 'timout'; did you mean 'timeout'?", function() require "green.process".run({ "true" }, { timout = 1 }) end)
  end)
end)
