-- SPDX-License-Identifier: MIT
-- What a prompt is made of, without a terminal: lines and their locals, what values look like, completion, keys, the text that
-- is edited. terminal_spec.lua has it on a terminal, cli_spec.lua in a pipe.
local chunk = require "green.repl.chunk"
local complete = require "green.repl.complete"
local Editor = require "green.repl.editor"
local History = require "green.repl.history"
local fs = require "green.fs"
local keys = require "green.repl.keys"
local names = require "green.repl.names"
local picture = require "green.repl.picture"
local pretty = require "green.repl.pretty"
local Session = require "green.repl.session"
local task = require "green.task"

-- The globals that lines write.
local globals = setmetatable({}, {
  __index = function(_, name) return rawget(_G, name) end,
  __newindex = function(_, name, value) rawset(_G, name, value) end,
})

local function traceback(err) return debug.traceback(tostring(err), 2) end

-- A session that gathers what it writes; call it with a line for what that line wrote.
local function session(opts)
  local parts = {}
  opts = opts or {}
  opts.write = function(text) parts[#parts + 1] = text end
  opts.handler = traceback
  local self = Session.new(opts)
  return setmetatable({}, {
    __index = self,
    __call = function(_, text)
      parts = {}
      local result = self:eval(text)
      return (table.concat(parts):gsub("%([%d.]+ s%)\n", "")), result -- the time of a line is a slow machine's
    end,
  }), self
end

describe("a line", function()
  it("prints the values of an expression, and nothing for none", function()
    local s = session()
    assert.equal("2\n", s "1 + 1")
    assert.equal("1\tnil\t\"x\"\n", s "1, nil, 'x'")
    assert.equal("", s "local x")
    assert.equal("", s "(function() end)()")
    assert.equal("3\n", s "= 3")
  end)

  it("leaves its locals to the next ones", function()
    local s = session()
    s "local a, b = 1, 2"
    assert.equal("3\n", s "a + b")
    s "local function twice(x) return 2 * x end"
    assert.equal("8\n", s "twice(a + 3)")
    s "a = a + 10"
    assert.equal("11\n", s "a")
    assert.is_nil(rawget(_G, "a"))
  end)

  it("shares them with closures, both ways", function()
    local s = session()
    s "local n = 0 local function count() n = n + 1 return n end"
    assert.equal("1\n", s "count()")
    assert.equal("1\n", s "n")
    s "n = 10"
    assert.equal("11\n", s "count()")
    s "local n = 'another'"
    assert.equal("12\n", s "count()")
    assert.equal("\"another\"\n", s "n")
  end)

  it("keeps constants constant, and closes what is to be closed", function()
    local s = session()
    s "local limit <const> = 5"
    assert.equal("5\n", s "limit")
    assert.matches("attempt to assign to const variable 'limit'", s "limit = 6")
    globals.closed = nil
    s "local c <close> = setmetatable({}, { __close = function() closed = true end })"
    assert.is_true(globals.closed)
    assert.equal("nil\n", s "c")
    globals.closed = nil
  end)

  it("keeps the locals of its outermost block only", function()
    local s = session()
    s "local outer = 1 do local inner = 2 end for i = 1, 2 do local x = i end local f = function() local deep end"
    assert.equal("1\tnil\tnil\tnil\n", s "outer, inner, x, deep")
    s "local text = [[\nlocal fake = 1]] --[[ local fake = 2 ]] -- local fake = 3"
    assert.equal("nil\n", s "fake")
  end)

  it("may have more locals behind it than a function can have", function()
    local s = session()
    for i = 1, 400 do s(("local v%d = %d"):format(i, i)) end
    assert.equal("401\n", s "v1 + v400")
  end)

  it("cannot get out of what it is compiled in", function()
    local s = session()
    assert.matches("^stdin:1: ", s "end print 'out' do")
    assert.matches("^stdin:1: ", s "end end)")
  end)

  it("has its last value in _", function()
    local s = session()
    s "6 * 7"
    assert.equal("43\n", s "_ + 1")
    s "local x = 1"
    assert.equal("43\n", s "_")
  end)

  it("writes real globals, and has modules at hand", function()
    local s = session()
    s "repl_spec_global = 1"
    assert.equal(1, globals.repl_spec_global)
    globals.repl_spec_global = nil
    assert.equal("true\n", s "http == require 'green.http'")
    assert.equal("true\n", s "debug == _G.debug")
    assert.is_nil(rawget(_G, "http"))
  end)

  it("fails with its line and its traceback, without ours", function()
    local s = session()
    assert.equal("stdin:1: x\nstack traceback:\n\t[C]: in function 'error'\n\tstdin:1: in main chunk\n", s "error 'x'")
    local out = s "local function f() error { code = 1 } end f()"
    assert.not_matches("repl/session", out)
    assert.equal("stdin:1: unexpected symbol near '='\n", s "x = = 1")
    assert.matches("^stdin:2: ", s "\nx = = 1")
  end)

  it("may wait, and runs in a task", function()
    local s = session()
    s "task.sleep(0.001) outer = 1"
    assert.equal(1, globals.outer)
    globals.outer = nil
  end)

  it("is interrupted with what it started, and nothing else is", function()
    local s, raw = session()
    s "other = task.spawn(task.sleep, 100)"
    local stop = task.spawn(function()
      while not globals.child do task.sleep(0) end
      raw:interrupt()
    end)
    assert.matches("^stdin:1: interrupted!\n", s "child = task.spawn(function() task.spawn(task.sleep, 100):join() end) task.sleep(100)")
    stop:join()
    assert.equal("cancelled", globals.child:wait())
    assert.equal("waiting", globals.other:status())
    globals.other:cancel()
    globals.other:wait()
    globals.child, globals.other = nil, nil
  end)

  it("says of a text whether more is to come", function()
    for text, verdict in pairs {
      ["1 +"] = "incomplete", ["for i = 1, 2 do"] = "incomplete", ["x = [["] = "incomplete", ["f("] = "incomplete",
      ["1 + 1"] = "complete", ["x = 1"] = "complete", [".tasks"] = "complete", ["= 1"] = "complete", [""] = "complete",
      ["x = )"] = "wrong",
    } do assert.equal(verdict, Session.judge(text), text) end
  end)

  it("may be several, each a line", function()
    assert.same({ "x = 1", "\nx", "\n\nfor i = 1, 2 do\nprint(i)\nend", "\n\n\n\n\n\ny" }, chunk.split "x = 1\nx\nfor i = 1, 2 do\nprint(i)\nend\n\ny")
    assert.same({ "x = 1\ny = 2" }, chunk.split "x = 1\ny = 2")
    local s = session()
    assert.equal("1\n2\n", s "local x = 1\nx\nx + 1")
  end)
end)

describe("a value", function()
  local function shows(expected, value, opts) assert.equal(expected, pretty.text(value, opts)) end

  it("is shown as Lua has it", function()
    shows("nil", nil)
    shows("1.0", 1.0)
    shows([["a\n\"b\"\\ä\x00"]], "a\n\"b\"\\ä\0")
    shows([["\xFFok\xFE"]], "\xFFok\xFE")
    shows("{}", {})
    shows("{ 1, 2, [\"a b\"] = 2, [\"end\"] = 3, x = 1, [true] = 4 }", { 1, 2, x = 1, ["a b"] = 2, ["end"] = 3, [true] = 4 })
  end)

  it("is broken into lines when it is long", function()
    shows("{\n  a = \"" .. ("x"):rep(50) .. "\",\n  b = {\n    \"" .. ("y"):rep(60) .. "\",\n    1\n  }\n}",
      { a = ("x"):rep(50), b = { ("y"):rep(60), 1 } }, { width = 60 })
  end)

  it("may be cyclic, deep, or the same twice", function()
    local cyclic = { name = "c" }
    cyclic.self, cyclic.list = cyclic, { cyclic }
    shows("{ list = { <cycle: 2 up> }, name = \"c\", self = <cycle: 1 up> }", cyclic)
    local shared = { 1 }
    shows("{ { 1 }, { 1 } }", { shared, shared })
    local deep = {}
    for _ = 1, 50 do deep = { deep } end
    assert.matches("{%.%.%.}", pretty.text(deep))
  end)

  it("is cut with a hint", function()
    local big = {}
    for i = 1, 1000 do big[i] = i end
    assert.matches("60,\n? *%.%.%. 940 more", pretty.text(big))
    local text = pretty.text(("ä"):rep(5000000))
    assert.is_true(#text < 2000 and utf8.len(text) ~= nil)
    assert.matches(" %.%.%. 10000000 bytes; print it to see all$", text)
  end)

  it("is asked for its __tostring, which may fail", function()
    shows("me", setmetatable({}, { __tostring = function() return "me" end }))
    assert.matches("^%(a table whose tostring failed: .*no", pretty.text(setmetatable({}, { __tostring = function() error "no" end })))
    shows("Point { x = 1 }", setmetatable({ x = 1 }, { __name = "Point", __index = function() error "asked" end }))
  end)

  it("is a table when it is rows", function()
    shows("id  name\n 1  soup\n20  ä", { { id = 1, name = "soup" }, { id = 20, name = "ä" } })
    shows("b  a\n1  2", { { a = 2, b = 1 }, columns = { "b", "a" } })
    shows("{ { 1 }, { 2 } }", { { 1 }, { 2 } })
    local rows = {}
    for i = 1, 100 do rows[i] = { n = i } end
    assert.matches("\n%.%.%. 60 more rows$", pretty.text(rows))
  end)

  it("has colours if that is wanted", function()
    shows("{ \27[34ma\27[0m = \27[36m1\27[0m }", { a = 1 }, { color = true })
  end)
end)

describe("completion", function()
  local s, raw = session()
  s "local thing = { alpha = 1, beta = function() end, nested = { deep = 1 } }"

  local function completes(text, expected)
    local from, list = complete.at(raw, text)
    for i, name in ipairs(list) do list[i] = text:sub(1, from - 1) .. name end
    assert.same(expected, list)
  end

  it("knows globals, locals, modules and keywords", function()
    completes("x = thi", { "x = thing" })
    completes("collectg", { "collectgarbage" })
    completes("functi", { "function" })
    completes("f(hu", { "f(hub" })
  end)

  it("knows fields and methods", function()
    completes("thing.al", { "thing.alpha" })
    completes("thing:", { "thing:beta" })
    completes("thing.nested.", { "thing.nested.deep" })
    completes("http.ge", { "http.get" })
    completes("io.stdout:setv", { "io.stdout:setvbuf" })
    completes("no.such.", {})
    completes("thing..al", {})
  end)

  it("knows modules and files in strings", function()
    require "green.response"
    completes("require 'green.ht", { "require 'green.http" })
    completes("require 'green.db", { "require 'green.db", "require 'green.db.sqlite" })
    completes("require 'green.rel", {}) -- internal, and loaded
    completes("require 'green.req", {}) -- internal, with a stub
    completes("require(\"green.signa", { "require(\"green.signal" })
    local dir <close> = fs.temp_dir()
    fs.write(dir.path .. "/one.lua", "")
    fs.mkdir(dir.path .. "/other")
    completes("io.open '" .. dir.path .. "/o", { "io.open '" .. dir.path .. "/one.lua", "io.open '" .. dir.path .. "/other/" })
    completes(".load " .. dir.path .. "/on", { ".load " .. dir.path .. "/one.lua" })
    completes(".re", { ".reload" })
  end)

  it("runs nothing", function()
    local asked = false
    local function ask() asked = true end
    raw.values.trap = setmetatable({}, { __index = ask, __pairs = ask, __tostring = ask, __len = ask })
    completes("trap.x", {})
    completes("trap.x.y", {})
    completes("trap().x", {})
    assert.is_false(asked)
  end)

  it("has every public module at hand", function()
    for _, entry in ipairs(require "green.reference.index"().entries) do
      local name = entry.kind == "module" and entry.name:match "^green%.(%a+)$"
      local ok, text = pcall(fs.read, ("lualib/green/%s.lua"):format(name))
      local internal = ok and text:find "^[^\n]*\n%-%- Internal%.\n"
      if name and not entry.private then assert.equal(not internal, names.modules[name] or rawget(_G, name) ~= nil, name) end
    end
  end)
end)

describe("keys", function()
  local function list(bytes, all)
    local out, at = {}, 1
    while at <= #bytes do
      local key, following, text = keys.at(bytes, at, all)
      if not key then return out, bytes:sub(at) end
      out[#out + 1] = (key == "char" or key == "byte" or key == "paste") and key .. " " .. text or key
      at = following
    end
    return out, ""
  end

  it("are what a terminal sends", function()
    assert.same({ "char a", "char ä", "enter", "backspace", "ctrl-c", "up", "home", "delete", "alt-b", "alt-f", "tab" },
      (list "aä\r\127\3\27[A\27OH\27[3~\27b\27[1;5C\t"))
    assert.same({ "paste one\ntwo\27[A", "char x" }, (list "\27[200~one\ntwo\27[A\27[201~x"))
    assert.same({ "unknown", "char x" }, (list "\27[99;1~x"))
    assert.same({ "byte \xFF", "byte \xC3", "char x" }, (list "\xFF\xC3x"))
  end)

  it("wait for their rest", function()
    for _, part in ipairs { "\27", "\27[", "\27[1;", "\xC3", "\xE6\xBC", "\27[200~abc" } do
      assert.same({ {}, part }, { list(part) })
    end
    assert.same({ "escape" }, (list("\27", true)))
    assert.same({ "byte \xC3" }, (list("\xC3", true)))
  end)
end)

describe("the editor", function()
  local function edit(...)
    local e = Editor.new { history = setmetatable({ "first", "second\nline" }, { __index = History }) }
    for _, key in ipairs { ... } do
      if key:find "^'" then e:key("char", key:sub(2)) else e:key(key) end
    end
    return e.text:sub(1, e.cursor) .. "|" .. e.text:sub(e.cursor + 1)
  end

  it("moves, inserts and deletes whole characters", function()
    assert.equal("aX|ä", edit("'aä", "left", "'X"))
    assert.equal("a|", edit("'aä漢e\u{301}", "backspace", "backspace", "backspace"))
    assert.equal("|b", edit("'ab", "home", "delete"))
    assert.equal("ba|", edit("'ab", "ctrl-t"))
  end)

  it("kills and yanks, and takes it back", function()
    assert.equal("one |", edit("'one two", "ctrl-w"))
    assert.equal("two|one ", edit("'one two", "ctrl-w", "home", "ctrl-y"))
    assert.equal("one two|", edit("'one two", "ctrl-u", "ctrl-_"))
    assert.equal("one| two", edit("'one two", "alt-b", "alt-b", "alt-f"))
  end)

  it("walks through lines and history", function()
    assert.equal("second\nline|", edit("up"))
    assert.equal("seco|nd\nline", edit("up", "up"))
    assert.equal("first|", edit("up", "up", "up"))
    assert.equal("typed|", edit("'typed", "up", "up", "up", "down", "down", "down"))
    assert.equal("|first", edit("ctrl-r", "'fir"))
    assert.equal("was|", edit("'was", "ctrl-r", "'fir", "ctrl-g"))
  end)
end)

describe("the history", function()
  it("is kept in a file of its owner", function()
    local dir <close> = fs.temp_dir()
    local path = dir.path .. "/history"
    local history = History.open(path)
    for _, entry in ipairs { "one", "one", "two\nlines\\n", " secret", "  " } do history:add(entry) end
    assert.equal(384, fs.stat(path).mode & 511)
    local again = History.open(path)
    assert.same({ "one", "two\nlines\\n" }, { again[1], again[2], again[3] })
  end)
end)

describe("the picture", function()
  it("has no more rows than the screen, the cursor's among them", function()
    local lines = {}
    for i = 1, 200 do lines[i] = "line " .. i end
    local text = table.concat(lines, "\n")
    local drawn = picture.draw { text = text, cursor = #text, prompt = "> ", prompt2 = ">> ", columns = 80, lines = 10 }
    assert.equal(9, select(2, drawn:gsub("\r\n", "")))
    assert.matches("line 200", drawn)
    assert.not_matches("line 190\r", drawn)
  end)

  it("is erased also when the terminal got narrower", function()
    local _, shape = picture.draw { text = ("x"):rep(100), cursor = 100, prompt = "> ", prompt2 = "", columns = 80, lines = 24 }
    assert.equal("\r\27[1A\27[J", picture.eraser(shape, 80))
    assert.equal("\r\27[2A\27[J", picture.eraser(shape, 40))
  end)
end)
