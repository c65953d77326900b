-- SPDX-License-Identifier: MIT
-- Internal.
-- This file lists Lua's own functions: their arguments, their place in the manual, and whether they wait in greenlua.
local SECTIONS = {
  { "6.1", "", "assert(v [, message]) collectgarbage([opt [, arg]]) dofile([filename]) error(message [, level]) getmetatable(object) "
    .. "ipairs(t) load(chunk [, chunkname [, mode [, env]]]) loadfile([filename [, mode [, env]]]) next(table [, index]) pairs(t) "
    .. "pcall(f [, arg1, ...]) print(...) rawequal(v1, v2) rawget(table, index) rawlen(v) rawset(table, index, value) "
    .. "require(modname) select(n, ...) setmetatable(table, metatable) tonumber(e [, base]) tostring(v) type(v) "
    .. "warn(msg1, ...) xpcall(f, msgh [, arg1, ...])" },
  { "6.2", "coroutine", "close(co) create(f) isyieldable([co]) resume(co [, val1, ...]) running() status(co) wrap(f) yield(...)" },
  { "6.3", "package", "loadlib(libname, funcname) searchpath(name, path [, sep [, rep]])" },
  { "6.4", "string", "byte(s [, i [, j]]) char(...) dump(function [, strip]) find(s, pattern [, init [, plain]]) "
    .. "format(formatstring, ...) gmatch(s, pattern [, init]) gsub(s, pattern, repl [, n]) len(s) lower(s) match(s, pattern [, init]) "
    .. "pack(fmt, v1, v2, ...) packsize(fmt) rep(s, n [, sep]) reverse(s) sub(s, i [, j]) unpack(fmt, s [, pos]) upper(s)" },
  { "6.5", "utf8", "char(...) codepoint(s [, i [, j [, lax]]]) codes(s [, lax]) len(s [, i [, j [, lax]]]) offset(s, n [, i])" },
  { "6.6", "table", "concat(list [, sep [, i [, j]]]) insert(list, [pos,] value) move(a1, f, e, t [,a2]) pack(...) "
    .. "remove(list [, pos]) sort(list [, comp]) unpack(list [, i [, j]])" },
  { "6.7", "math", "abs(x) acos(x) asin(x) atan(y [, x]) ceil(x) cos(x) deg(x) exp(x) floor(x) fmod(x, y) log(x [, base]) "
    .. "max(x, ...) min(x, ...) modf(x) rad(x) random([m [, n]]) randomseed([x [, y]]) sin(x) sqrt(x) tan(x) tointeger(x) "
    .. "type(x) ult(m, n)" },
  { "6.8", "io", "close([file]) flush() input([file]) lines([filename, ...]) open(filename [, mode]) output([file]) "
    .. "popen(prog [, mode]) read(...) tmpfile() type(obj) write(...)" },
  { "6.8", "file", "close() flush() lines(...) read(...) seek([whence [, offset]]) setvbuf(mode [, size]) write(...)" },
  { "6.9", "os", "clock() date([format [, time]]) difftime(t2, t1) execute([command]) exit([code [, close]]) getenv(varname) "
    .. "remove(filename) rename(oldname, newname) setlocale(locale [, category]) time([table]) tmpname()" },
  { "6.10", "debug", "debug() gethook([thread]) getinfo([thread,] f [, what]) getlocal([thread,] f, local) getmetatable(value) "
    .. "getregistry() getupvalue(f, up) getuservalue(u, n) sethook([thread,] hook, mask [, count]) "
    .. "setcstacklimit(limit) setlocal([thread,] level, local, value) setmetatable(value, table) setupvalue(f, up, value) "
    .. "setuservalue(udata, value, n) traceback([thread,] [message [, level]]) upvalueid(f, n) upvaluejoin(f1, n1, f2, n2)" },
}

local WAITS = {}
for name in ([[
  dofile loadfile print require package.searchpath io.close io.flush io.input io.lines io.open io.output io.popen io.read
  io.tmpfile io.write file:close file:flush file:lines file:read file:seek file:write os.execute os.remove os.rename os.tmpname
]]):gmatch "%S+" do WAITS[name] = true end

local MANUAL = "https://www.lua.org/manual/5.4/manual.html#"

local function new_entry(section, library, key, call)
  local name = library == "" and key or library .. (library == "file" and ":" or ".") .. key
  return {
    kind = "stock", name = name, key = key, library = library, section = section, head = name .. call,
    anchor = MANUAL .. "pdf-" .. name, waits = WAITS[name] or false,
  }
end

-- Returns entries of kind "stock", with name, head, section and anchor in the manual, and waits. A library has no head.
return function()
  local entries = {}
  for _, row in ipairs(SECTIONS) do
    local section, library, calls = row[1], row[2], row[3]
    if library ~= "" and library ~= "file" then
      table.insert(entries, { kind = "stock", name = library, section = section, anchor = MANUAL .. section })
    end
    for key, call in calls:gmatch "(%w+)(%b())" do table.insert(entries, new_entry(section, library, key, call)) end
  end
  return entries
end
