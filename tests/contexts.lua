-- SPDX-License-Identifier: MIT
-- Every place in Lua from where a function can be called, for the transparency matrix:
--
--   { name, seen, function(run) ... return what run returned end, errors = false }
--
-- The function calls run, which waits and returns a string, so that it happens in that place, and returns
-- the string when it came through; an error of run must come through as it is (unless `errors` is false: the
-- place has no way to pass one). `seen` is what must be on the stack inside run, the proof that it ran there:
-- a function, or what debug.getinfo says of one ("add" for a metamethod, "for iterator", "hook").
-- Nothing is shared between two calls, since many tasks run these at once.
local contexts = {}

local function add(name, seen, fn, options)
  local row = options or {}
  row[1], row[2], row[3] = name, seen, fn
  contexts[#contexts + 1] = row
end

local function object(meta) return setmetatable({}, meta) end

-- A function that stays on the stack while run runs.
local function calling(run)
  return function()
    local value = run()
    return value
  end
end

-- For places that hand back a status: the value, or the error as it was.
local function passed(ok, ...)
  if not ok then error(..., 0) end
  return ...
end

-- ---- calls ----

add("plain", nil, function(run) return run() end)
add("pcall", pcall, function(run) return passed(pcall(run)) end)
add("pcall in pcall", pcall, function(run) return passed(passed(pcall(pcall, run))) end)
add("xpcall body", xpcall, function(run)
  return passed(xpcall(run, function(e) return e end))
end)
add("xpcall handler", error, function(run)
  local ok, value = xpcall(error, function() return run() end, "x")
  assert(not ok)
  return value
end, { errors = false })
add("select and varargs", nil, function(run) return (select(2, "a", run())) end)

-- ---- metamethods ----

local operators = {
  add = function(a) return a + 1 end,
  sub = function(a) return 1 - a end,
  mul = function(a) return a * a end,
  div = function(a) return a / 2 end,
  mod = function(a) return a % 2 end,
  pow = function(a) return a ^ 2 end,
  unm = function(a) return -a end,
  idiv = function(a) return a // 2 end,
  band = function(a) return a & 1 end,
  bor = function(a) return a | 1 end,
  bxor = function(a) return a ~ 1 end,
  shl = function(a) return a << 1 end,
  shr = function(a) return 1 >> a end,
  bnot = function(a) return ~a end,
  concat = function(a) return "x" .. a end,
  len = function(a) return #a end,
  index = function(a) return a.field end,
}

local names = {}
for name in pairs(operators) do names[#names + 1] = name end
table.sort(names)
for _, name in ipairs(names) do
  add("__" .. name, name, function(run)
    return operators[name](object { ["__" .. name] = calling(run) })
  end)
end

local comparisons = {
  { "__eq", "eq", function(a, b) return a == b end },
  { "__eq negated", "eq", function(a, b) return not (a ~= b) end },
  { "__lt", "lt", function(a, b) return a < b end },
  { "__lt with a constant", "lt", function(a) return 1 < a end },
  { "__lt swapped", "lt", function(a, b) return a > b end },
  { "__le", "le", function(a, b) return a <= b end },
}
for _, row in ipairs(comparisons) do
  local name, event, compare = table.unpack(row)
  add(name, event, function(run)
    local value
    local meta = { ["__" .. event] = function() value = run() return true end }
    assert(compare(object(meta), object(meta)) == true)
    return value
  end)
end

add("__newindex", "newindex", function(run)
  local value
  local t = object { __newindex = function(t, k) value = run() rawset(t, k, true) end }
  t.field = 1
  assert(rawget(t, "field"))
  return value
end)
add("__call", nil, function(run)
  return object { __call = function(_, a) return run(), a end } "a"
end)
add("__index of an __index", "index", function(run)
  return object { __index = object { __index = calling(run) } }.field
end)
add("arithmetic of a string and an object", "add", function(run)
  return "10" + object { __add = calling(run) }
end)
add("concat of several", "concat", function(run)
  local value
  local o = object { __concat = function(a) value = run() return a end }
  assert("a" .. "b" .. o .. "c" == "ab")
  return value
end)

-- ---- leaving a block ----

add("__close at the end of a block", "close", function(run)
  local value
  do
    local _ <close> = object { __close = function() value = run() end }
  end
  return value
end)
add("__close on return", "close", function(run)
  local value
  local function leave()
    local _ <close> = object { __close = function() value = run() end }
    return 1, nil, 3
  end
  local a, b, c = leave()
  assert(a == 1 and b == nil and c == 3)
  return value
end)
add("__close on error", nil, function(run)
  local value, seen
  local thrown = {}
  local ok, err = pcall(function()
    local _ <close> = object { __close = function(_, e) seen = e value = run() end }
    error(thrown)
  end)
  assert(not ok and seen == thrown)
  if not value then error(err, 0) end -- run's own error took the place of the other
  assert(err == thrown)
  return value
end)
add("__close on break", "close", function(run)
  local value
  while true do
    local _ <close> = object { __close = function() value = run() end }
    break
  end
  return value
end)
add("closing value of a generic for", "close", function(run)
  local value
  for _ in next, { 1, 2 }, nil, object { __close = function() value = run() end } do break end
  return value
end)

-- ---- iteration ----

add("generic for", "for iterator", function(run)
  local value
  local function iterate(_, last)
    local v = not last and run() or nil
    return v
  end
  for v in iterate do value = v end
  return value
end)
add("__pairs", pairs, function(run)
  local value
  for _, v in pairs(object { __pairs = function() return next, { run() } end }) do value = v end
  return value
end)
add("ipairs over a proxy", "for iterator", function(run)
  local value
  for _, v in ipairs(object { __index = function(_, i) return i == 1 and run() or nil end }) do value = v end
  return value
end)

-- ---- the standard library calls back ----

add("table.sort comparator", table.sort, function(run)
  local value
  local list = { 3, 1, 2 }
  table.sort(list, function(a, b) value = value or run() return a < b end)
  assert(table.concat(list) == "123")
  return value
end)
add("table.sort by __lt", table.sort, function(run)
  local value
  local meta = { __lt = function(a, b) value = value or run() return a.n < b.n end }
  local list = {}
  for i = 1, 5 do list[i] = setmetatable({ n = -i }, meta) end
  table.sort(list)
  assert(list[1].n == -5 and list[5].n == -1)
  return value
end)
add("string.gsub function", string.gsub, function(run)
  return (("x"):gsub(".", function() return run() end))
end)
add("string.gsub table", string.gsub, function(run)
  return (("x"):gsub(".", object { __index = calling(run) }))
end)
add("tostring", tostring, function(run)
  return tostring(object { __tostring = function() return run() end })
end)
add("print", print, function(run) -- fails before anything reaches the screen
  local value
  local thrown = {}
  local ok, err = pcall(print, object { __tostring = function() value = run() error(thrown) end })
  assert(not ok)
  if not value then error(err, 0) end
  assert(err == thrown)
  return value
end)
add("string.format %s", string.format, function(run)
  return ("%s"):format(object { __tostring = function() return run() end })
end)
add("os.time fields", os.time, function(run)
  local value
  assert(os.time(object { __index = function(_, k)
    value = value or run()
    return k == "year" and 2020 or 1
  end }))
  return value
end)
add("load reader", load, function(run)
  local value
  local chunk, err = load(function()
    if value then return nil end
    value = run()
    return "return '" .. value .. "'"
  end)
  if not chunk then error(err, 0) end
  return chunk()
end)
add("load chunk with __index environment", nil, function(run)
  return load("return field", "=chunk", "t", object { __index = calling(run) })()
end)

-- A list that is not there: every access is a metamethod.
local function proxy(list, wait)
  return object {
    __len = function() return #list end,
    __index = function(_, i) wait() return list[i] end,
    __newindex = function(_, i, v) wait() list[i] = v end,
  }
end

local function through_proxy(name, use)
  add(name .. " over a proxy", table[name:match "%.(.*)"], function(run)
    local value
    local list = { "a", "b", "c" }
    use(proxy(list, function() value = value or run() end), list)
    return value
  end)
end

through_proxy("table.concat", function(p) assert(table.concat(p, ",") == "a,b,c") end)
through_proxy("table.insert", function(p, list)
  table.insert(p, 1, "z")
  assert(table.concat(list) == "zabc")
end)
through_proxy("table.remove", function(p, list)
  assert(table.remove(p, 1) == "a" and table.concat(list) == "bc")
end)
through_proxy("table.unpack", function(p) assert(select("#", table.unpack(p)) == 3) end)
through_proxy("table.move", function(p, list)
  table.move(p, 1, 3, 2)
  assert(table.concat(list) == "aabc")
end)
through_proxy("table.sort", function(p, list)
  table.sort(p, function(a, b) return a > b end)
  assert(table.concat(list) == "cba")
end)

-- ---- files and modules ----

local box = {}
package.loaded["tests.contexts.box"] = box

-- A Lua file in a folder of require that runs `run` in its main chunk and returns what it returned.
local function with_file(run, use)
  local base = os.tmpname()
  local path = base .. ".lua"
  local file = assert(io.open(path, "w"))
  file:write(("return require('tests.contexts.box')[%q]()"):format(base))
  file:close()
  box[base] = run
  local result = table.pack(pcall(use, path, base:match "[^/]+$"))
  box[base] = nil
  os.remove(path)
  os.remove(base)
  return passed(table.unpack(result, 1, result.n))
end

do
  local sample = os.tmpname()
  os.remove(sample)
  package.path = package.path .. ";" .. sample:match "^(.*/)" .. "?.lua"
end

add("dofile", dofile, function(run) return with_file(run, dofile) end)
add("loadfile", nil, function(run)
  return with_file(run, function(path) return assert(loadfile(path))() end)
end)
add("require of a file", require, function(run)
  return with_file(run, function(_, name)
    local value = require(name)
    package.loaded[name] = nil
    return value
  end)
end)

local counter = 0
local function fresh_name()
  counter = counter + 1
  return "tests.contexts.module" .. counter
end

add("require of package.preload", require, function(run)
  local name = fresh_name()
  package.preload[name] = function() return run() end
  local ok, value = pcall(require, name)
  package.preload[name], package.loaded[name] = nil, nil
  return passed(ok, value)
end)
add("require through a searcher", require, function(run)
  local name = fresh_name()
  local function searcher(wanted)
    if wanted ~= name then return nil end
    local value = run()
    return function() return value end
  end
  table.insert(package.searchers, searcher)
  local ok, value = pcall(require, name)
  for i = #package.searchers, 1, -1 do
    if package.searchers[i] == searcher then table.remove(package.searchers, i) end
  end
  package.loaded[name] = nil
  return passed(ok, value)
end)

-- ---- hooks ----

local function hooked(mask, count)
  return function(run)
    local value
    debug.sethook(function()
      debug.sethook()
      value = run()
    end, mask, count)
    for i = 1, 10 do tostring(i) end
    debug.sethook() -- had it not run
    return value
  end
end
for name, how in pairs { count = { "", 3 }, line = { "l" }, call = { "c" }, ["return"] = { "r" } } do
  add(name .. " hook", "hook", function(run)
    local co = coroutine.create(hooked(table.unpack(how)))
    return passed(coroutine.resume(co, run))
  end)
  add(name .. " hook at the bottom of the task", "hook", function(run)
    local ok, value = pcall(hooked(table.unpack(how)), run)
    debug.sethook()
    return passed(ok, value)
  end)
end

-- ---- the user's coroutines ----

local function wrapped(depth, run)
  if depth == 0 then return run() end
  local main = coroutine.running()
  return coroutine.wrap(function()
    assert(coroutine.running() ~= main)
    return wrapped(depth - 1, run)
  end)()
end
local function resumed(depth, run)
  if depth == 0 then return run() end
  local co
  co = coroutine.create(function()
    assert(coroutine.running() == co and coroutine.status(co) == "running")
    return resumed(depth - 1, run)
  end)
  local value = passed(coroutine.resume(co))
  assert(coroutine.status(co) == "dead")
  return value
end
for _, depth in ipairs { 1, 3, 20 } do
  add(("coroutine.wrap, %d deep"):format(depth), nil, function(run) return wrapped(depth, run) end)
  add(("coroutine.resume, %d deep"):format(depth), nil, function(run) return resumed(depth, run) end)
end

add("a generator that waits between yields", nil, function(run)
  local got = {}
  for v in coroutine.wrap(function()
    for i = 1, 3 do
      coroutine.yield(i)
      coroutine.yield(run())
    end
  end) do got[#got + 1] = v end
  assert(#got == 6 and got[1] == 1 and got[3] == 2 and got[5] == 3)
  assert(got[2] == got[4] and got[4] == got[6])
  return got[2]
end)
add("values through resume and yield around a wait", nil, function(run)
  local co = coroutine.create(function(a)
    local value = run()
    local b = coroutine.yield(a, value)
    run()
    return b, value
  end)
  local a, value = passed(coroutine.resume(co, "a"))
  assert(a == "a" and coroutine.status(co) == "suspended")
  local b, again = passed(coroutine.resume(co, "b"))
  assert(b == "b" and again == value)
  return value
end)
add("coroutine.close", nil, function(run)
  local co, value
  co = coroutine.create(function()
    local _ <close> = object { __close = function()
      value = run()
      assert(coroutine.running() == co)
    end }
    coroutine.yield()
  end)
  assert(coroutine.resume(co))
  local ok, err = coroutine.close(co)
  if not ok then error(err, 0) end
  return value
end)
add("__close of a wrapped coroutine that failed", nil, function(run)
  local value
  local thrown = {}
  local ok, err = pcall(coroutine.wrap(function()
    local _ <close> = object { __close = function() value = run() end }
    error(thrown)
  end))
  assert(not ok)
  if not value then error(err, 0) end
  assert(err == thrown)
  return value
end)
add("a waiting coroutine stands still for others", nil, function(run)
  local co, value
  co = coroutine.create(function()
    local watcher = coroutine.wrap(function()
      assert(coroutine.status(co) == "normal")
      assert(select(2, coroutine.resume(co)) == "cannot resume non-suspended coroutine")
      assert(not pcall(coroutine.close, co))
      return run()
    end)
    value = watcher()
  end)
  passed(coroutine.resume(co))
  return value
end)

-- ---- one in another ----

local function in_sort(fn)
  local value
  table.sort({ 2, 1 }, function(a, b) value = value or fn() return a < b end)
  return value
end
local function in_gsub(fn) return (("x"):gsub(".", function() return fn() end)) end
local function in_wrap(fn) return coroutine.wrap(fn)() end
local function in_resume(fn) return passed(coroutine.resume(coroutine.create(fn))) end
local function in_index(fn) return object { __index = function() return fn() end }.field end
local function in_pcall(fn) return passed(pcall(fn)) end

local function nest(...)
  local layers = { ... }
  return function(run)
    local fn = run
    for i = #layers, 1, -1 do
      local layer, inner = layers[i], fn
      fn = function() return layer(inner) end
    end
    return fn()
  end
end

add("sort in wrap in gsub", table.sort, nest(in_gsub, in_wrap, in_sort))
add("wrap in sort", nil, nest(in_sort, in_wrap))
add("gsub in gsub", string.gsub, nest(in_gsub, in_gsub))
add("sort in a generator in sort", table.sort, nest(in_sort, in_wrap, in_sort))
add("resume in metamethod in pcall in gsub in wrap", nil, nest(in_wrap, in_gsub, in_pcall, in_index, in_resume))
add("pcall in sort in resume in gsub in resume", pcall, nest(in_resume, in_gsub, in_resume, in_sort, in_pcall))
add("gsub, 30 deep", string.gsub, function(run)
  local function down(depth)
    if depth == 0 then return run() end
    return (("x"):gsub(".", function() return down(depth - 1) end))
  end
  return down(30)
end)
add("a generator resumed from different C calls", nil, function(run)
  local step = coroutine.wrap(function()
    while true do coroutine.yield(run()) end
  end)
  local first, second, third = step(), in_sort(step), in_gsub(step)
  assert(first == second and second == third)
  return in_index(step)
end)

return contexts
