-- SPDX-License-Identifier: MIT
-- The io library is stock Lua's to the letter: each snippet runs under lua5.4 and under greenlua, in a folder of its
-- own, and prints the same. `q` shows results; addresses are made equal.
local shell = require "shell"

local prelude = [[
pcall(function() require "green.debug".report_stalls(false) end)
local function show(v)
  return (tostring(v):gsub("0x%x+", "ADDR"):gsub("greenlua", "lua"):gsub("lua5%.4", "lua"))
end
local function q(...)
  local t = table.pack(...)
  for i = 1, t.n do t[i] = math.type(t[i]) and show(t[i]) or type(t[i]) == "string" and ("%q"):format(show(t[i])) or show(t[i]) end
  io.stdout:write(table.concat(t, " ", 1, t.n), "\n")
end
local function make(text, name) local f = assert(io.open(name or "f", "w")) f:write(text) f:close() end
local function whole(name) local f = assert(io.open(name or "f")) local s = f:read("a") f:close() return s end
local function reading(text, ...) make(text) local f = io.open("f") q(f:read(...)) q(f:read("a")) f:close() end
]]

local snippets = {
  -- ---- numbers ----
  [[for _, s in ipairs { "1", "-1", "+7", "  12 x", "0x1F", "0xA.8p1", "1e5", "1e+", "1e", ".5", "5.", ".", "-", "+", "0x", "0xg", "1.2.3", "0x.p1", "nan", "inf", "--1", "1e400", "0x1p-2", "9223372036854775807", "9223372036854775808", "0xffffffffffffffffff", "1_0", "00012", "1e5e5", "0x1e+5", "- 1", "", "   ", "x" } do q(s) reading(s, "n") end]],
  [[reading(("1"):rep(199) .. " z", "n")]],
  [[reading(("1"):rep(200) .. " z", "n")]],
  [[reading(("1"):rep(201) .. " z", "n")]],
  [[reading(("0"):rep(500), "n")]],
  [[reading("1." .. ("0"):rep(300) .. "e5", "n")]],
  [[reading("\n\n\t 5\n6 7\nx", "n", "n", "n", "n", "n")]],
  [[reading("12abc", "n", "l")]], [[reading("abc", "n", "l")]], [[reading("0xep1 rest", "n", "l")]],
  -- ---- lines and counts ----
  [[reading("a\nb\n", "l", "l", "l", "l")]], [[reading("a\nb", "L", "L", "L")]], [[reading("\n\n", "l", "L", "l")]],
  [[reading("", "l")]], [[reading("", "a", "a", "l", "a")]], [[reading("", "L")]], [[reading("", 0)]], [[reading("x", 0, 0, 1, 0)]],
  [[reading("hello", 2, 2, 2, 2)]], [[reading("hello", 2.0)]], [[reading("hello", 1 << 20)]], [[reading("a\0b\nc\0", "l", "a")]],
  [[reading("x\ny", "*l", "*a")]], [[reading("x\ny", "*L")]], [[reading("5 x", "*n", "*number", "line")]], [[reading("abc", "a", 0)]],
  [[reading("abc", "all", "a")]], [[reading("a\r\nb\r\n", "l", "L")]], [[reading(("x"):rep(5000) .. "\n" .. ("y"):rep(70000), "l", 3, "l")]],
  [[make("abc") local f = io.open("f") q(pcall(f.read, f, "x"))]], [[make("abc") local f = io.open("f") q(pcall(f.read, f, "l", "x")) q(f:read("a"))]],
  [[make("") local f = io.open("f") q(pcall(f.read, f, "l", "x"))]], [[make("abc") local f = io.open("f") q(pcall(f.read, f, {}))]],
  [[make("abc") local f = io.open("f") q(pcall(f.read, f, 1.5))]], [[make("abc") local f = io.open("f") q(pcall(f.read, f, nil))]],
  [[make("abc") io.input("f") q(pcall(io.read, "x"))]], [[make("abc") io.input("f") q(pcall(io.read, {}))]], [[make("abc") io.input("f") q(pcall(io.read, "z", "l"))]],
  [[make("a\nb\nc") io.input("f") q(io.read()) q(io.read("l", 1)) q(io.read("a")) q(io.read("l"))]],
  [[make("abc") local f = io.open("f") q(f:read("1"))]] and [[make("abc") local f = io.open("f") q(pcall(f.read, f, "1"))]],
  -- ---- opening ----
  [[q(io.open("none"))]], [[q(io.open("none/x", "w"))]], [[q(io.open("."))]], [[q(io.open(".", "w"))]], [[q(io.open("."):read("a"))]], [[q(io.open("."):read(1))]],
  [[q(pcall(io.open, "x", "rz"))]], [[q(pcall(io.open, "x", ""))]], [[q(pcall(io.open, "x", "rw"))]], [[q(pcall(io.open, "x", "r+b+"))]], [[q(pcall(io.open, "x", "br"))]],
  [[q(pcall(io.open))]], [[q(pcall(io.open, {}))]], [[q(pcall(io.open, "x", {}))]], [[q(io.open("x", "rb"))]], [[q(io.type(io.open("x", "w+b")))]], [[q(io.type(io.open("x", "wbbb")))]],
  [[q(io.open("x\0y", "w")) q(io.open("x"))]],
  [[q(io.type(io.stdout), io.type(42), io.type({}), pcall(io.type))]], [[local f = io.tmpfile() q(io.type(f)) f:close() q(io.type(f), tostring(f))]],
  [[q(tostring(io.stdin))]], [[q(getmetatable(io.stdin).__name)]],
  [[local t = {} for k in pairs(getmetatable(io.stdin)) do t[#t + 1] = k end table.sort(t) q(table.unpack(t))]],
  [[local t = {} for k in pairs(getmetatable(io.stdin).__index) do t[#t + 1] = k end table.sort(t) q(table.unpack(t))]],
  [[local t = {} for k in pairs(io) do t[#t + 1] = k end table.sort(t) q(table.unpack(t))]],
  -- ---- writing ----
  [[local f = io.open("f", "w") q(f:write("a", 1, 2.0, -0.0, 1e100, 2^53, 0/0 ~= 0/0 and "" or "", math.mininteger, 1/3) == f) f:close() q(whole())]],
  [[local f = io.open("f", "w") q(pcall(f.write, f, {}))]], [[local f = io.open("f", "w") q(pcall(f.write, f, "a", nil))]], [[q(pcall(io.write, {}))]], [[q(pcall(io.write, "", true))]],
  [[make("abc") local f = io.open("f") q(f:write("x"))]], [[local f = io.open("f", "w") q(f:read("a")) q(f:read(0))]], [[local f = io.open("f", "a") q(f:read("l"))]],
  [[local f = io.open("f", "w") f:write("a"):write("b"):write() f:close() q(whole())]], [[make("abc") local f = io.open("f", "a") f:write("d") q(f:seek()) f:close() q(whole())]],
  [[make("abc") local f = io.open("f", "a") q(f:seek()) f:seek("set", 0) f:write("d") f:close() q(whole())]],
  [[make("abc") local f = io.open("f", "a+") q(f:read(1)) f:write("d") f:seek("set", 0) q(f:read("a")) f:close() q(whole())]],
  [[make("abcdef") local f = io.open("f", "r+") q(f:read(2)) f:seek("cur", 0) f:write("XY") f:seek("cur", 0) q(f:read("a")) f:close() q(whole())]],
  [[make("abcdef") local f = io.open("f", "r+") f:write("XY") f:flush() f:seek("cur", 0) q(f:read(1)) f:seek("set", 0) q(f:read("a")) f:close()]],
  [[make("abcdef") local f = io.open("f", "w+") f:write("xyz") q(f:seek("set", 1)) q(f:read("a")) f:close()]],
  [[make("a\nb\nc\n") local f = io.open("f", "r+") q(f:read("l")) q(f:seek("cur", 0)) f:write("Z") f:close() q(whole())]],
  [[local f = io.open("f", "w") f:write(("x"):rep(200000)) q(f:seek("cur")) f:write("y") q(f:seek("end")) f:close() q(#whole())]],
  [[local f = io.open("/dev/full", "w") f:setvbuf("no") q(f:write("x"))]], [[local f = io.open("/dev/full", "w") f:write("x") q(f:flush()) q(f:close())]],
  [[local f = io.open("/dev/full", "w") f:write("x") q(f:close())]],
  [[local f = io.open("/dev/null", "w") q(f:write("x") == f, f:flush() ~= nil, f:close())]], [[q(io.open("/dev/null"):read("a"))]], [[q(io.open("/dev/null"):read("l"))]], [[q(io.open("/dev/zero"):read(3))]],
  -- ---- seek, setvbuf, flush ----
  [[make("abcdef") local f = io.open("f") q(f:seek("end")) q(f:seek("set", 2)) q(f:read(1)) q(f:seek()) q(f:seek("cur", -2)) q(f:read("a")) q(f:seek("end", -1)) q(f:read("a"))]],
  [[make("abc") local f = io.open("f") q(f:seek("set", -1)) q(f:seek("cur")) q(f:seek("set", 100)) q(f:read(1)) q(f:read("a"))]],
  [[make("abc") local f = io.open("f") q(pcall(f.seek, f, "x")) q(pcall(f.seek, f, "set", 1.5)) q(pcall(f.seek, f, "set", {})) q(pcall(f.seek, f, 1))]],
  [[local f = io.open("f", "w") q(f:setvbuf("no"), f:setvbuf("full"), f:setvbuf("line", 10), f:setvbuf("full", 1024)) q(pcall(f.setvbuf, f)) q(pcall(f.setvbuf, f, "x"))]],
  [[local f = io.open("f", "w") f:setvbuf("no") f:write("x") q(whole()) f:setvbuf("line") f:write("y") f:write("z\n") q(whole())]],
  [[local f = io.open("f", "w") f:setvbuf("full") f:write("x\n") q(whole()) f:flush() q(whole())]],
  [[io.output("f") io.write("x") q(whole()) io.flush() q(whole()) io.output():seek("set", 0) io.write("y") io.close() q(whole())]],
  -- ---- closing ----
  [[local f = io.open("f", "w") q(f:close()) q(pcall(f.close, f)) q(pcall(f.read, f)) q(pcall(f.write, f, "x")) q(pcall(f.seek, f)) q(pcall(f.flush, f)) q(pcall(f.lines, f)) q(pcall(f.setvbuf, f, "no")) q(tostring(f))]],
  [[q(io.stdin:close()) q(io.close(io.stderr)) q(io.type(io.stdin))]], [[io.output("f") q(io.close()) q(pcall(io.write, "x")) q(pcall(io.close)) q(pcall(io.flush))]],
  [[make("") io.input("f") io.close(io.input()) q(pcall(io.read)) q(pcall(io.lines))]], [[q(pcall(io.close, 1))]], [[q(pcall(io.stdin.read))]], [[q(pcall(io.stdin.read, {}))]],
  [[local g do local f <close> = io.open("f", "w") g = f f:write("x") end q(io.type(g)) q(whole())]],
  [[local f = io.open("f", "w") f:write("x") getmetatable(f).__gc(f) q(io.type(f)) q(whole()) getmetatable(f).__gc(f)]],
  [[do local f = io.open("f", "w") f:write("x") end collectgarbage() q(pcall(whole))]] and [[q(1)]],
  -- ---- io.input, io.output ----
  [[q(io.input() == io.stdin, io.output() == io.stdout)]], [[make("x") q(io.type(io.input("f"))) q(io.read("a"))]], [[q(pcall(io.input, "none"))]], [[q(pcall(io.output, "none/x"))]], [[q(pcall(io.input, {}))]],
  [[local f = io.open("f", "w") q(io.output(f) == f) io.write("x", 1) f:close() q(whole())]], [[local f = io.open("f", "w") f:close() q(pcall(io.output, f))]], [[q(pcall(io.input, 12))]],
  -- ---- lines ----
  [[make("a\nb\n\nc") for l in io.lines("f") do q(l) end]], [[make("a\nb\n") for l in io.lines("f", "L") do q(l) end]], [[make("1 2\n3") for a, b in io.lines("f", "n", "n") do q(a, b) end]],
  [[make("abcde") for a, b in io.lines("f", 1, 2) do q(a, b) end]], [[make("abc") for a in io.lines("f", "a") do q(a) break end]], [[make("") for l in io.lines("f") do q(l) end]],
  [[make("a\nb") local it, a, b, f = io.lines("f") q(type(it), a, b, io.type(f)) q(it()) q(it()) q(it()) q(io.type(f)) q(pcall(it))]],
  [[make("a\nb") local f = io.open("f") for l in f:lines() do q(l) end q(io.type(f)) q(f:read("l"))]],
  [[make("a\nb") local f = io.open("f") local it = f:lines() q(it()) f:close() q(pcall(it))]], [[q(pcall(io.lines, "none"))]], [[q(pcall(io.lines, {}))]], [[make("x") q(pcall(io.lines, "f", "x"))]],
  [[make("x") q(pcall(io.lines("f", "x")))]], [[make("x") q(pcall(io.lines, "f", table.unpack({}, 1, 251)))]], [[make("x") q(pcall(io.open("f").lines, io.open("f"), table.unpack({}, 1, 251)))]],
  [[make("x") q(pcall(io.lines("f", table.unpack({}, 1, 250))))]], [[q(pcall(io.lines(".")))]], [[make("a\nb") io.input("f") for l in io.lines() do q(l) end q(io.type(io.input())) q(io.read())]],
  [[make("a\nb\nc") for l in io.lines("f") do q(l) break end collectgarbage() q(whole())]], [[make("a b") local n = 0 for _ in io.lines("f", 0) do n = n + 1 if n > 3 then break end end q(n)]],
  [[make("ab") local t = {} for i = 1, 60 do t[i] = 0 end local f = io.open("f") q(select("#", f:read(table.unpack(t)))) q(f:read("a"))]],
  -- ---- print, os ----
  [[print() print(1, 2.5, nil, true, "x") print(setmetatable({}, { __tostring = function() return "obj" end })) q(pcall(print, setmetatable({}, { __tostring = function() return 1 end })))]],
  [[print(setmetatable({}, { __name = "thing" }) ~= nil) io.write("no newline") print("after")]],
  [[q(os.remove("none"))]], [[make("x") q(os.remove("f")) q(io.open("f"))]], [[q(os.rename("none", "x"))]], [[make("x") q(os.rename("f", "g")) q(whole("g"))]], [[q(pcall(os.remove))]], [[q(pcall(os.rename, "x"))]],
  [[os.execute("mkdir d; touch d/x") q(os.remove("d")) os.remove("d/x") q(os.remove("d"))]], [[local n = os.tmpname() q(n:match("^/tmp/lua_......$") ~= nil, whole(n)) q(os.remove(n))]],
  -- ---- pipes ----
  [[local p = io.popen("printf 'a\\nb 12'") q(io.type(p)) q(p:read("l", 2, "n")) q(p:close())]], [[local p = io.popen("cat > f", "w") q(p:write("x", 1) == p) q(p:close()) q(whole())]], [[for l in io.popen("echo a; echo b"):lines() do q(l) end]],
  [[io.input(io.popen("echo hi")) q(io.read("l")) q(io.read("l"))]], [[io.write("before ") io.flush() io.popen("echo child"):close() print("after")]], [[io.write("x\n") local p = io.popen("echo child") io.write(p:read("a")) p:close()]],
  [[q(io.read("l")) q(io.read("n")) q(io.read("a")) q(io.read("a")) q(io.read("l"))]], [[for l in io.lines() do q(l) end]], [[q(io.stdin:seek())]], [[q(io.read(3, "L"))]],
  [[io.write("a") os.exit(0)]], [[io.write("a") os.exit(0, true)]], [[io.write("a") local f = io.open("f", "w") f:write("kept") os.exit(true, false)]], [[setmetatable({}, { __gc = function() print("gc") io.write("w\n") end }) print("end")]],
  [[local f = io.open("f", "w") f:write("x") KEEP = setmetatable({}, { __gc = function() f:write("y") f:close() print(whole()) end })]], [[io.stdout:setvbuf("no") io.write("a") io.stderr:write("") print("b")]],
  [[setmetatable({}, { __gc = function() make("q", "g") print(whole("g"), os.remove("g"), io.open("g")) end }) collectgarbage() collectgarbage()]],
  [[make("return 1, ...", "m.lua") q(dofile("m.lua")) q(loadfile("m.lua")) q(loadfile("none")) q(pcall(dofile, "none")) q(require("m"))]],
}

local input = [[printf 'first\n12 rest\nlast' |]]

describe("the io library prints what stock Lua prints:", function()
  for i, snippet in ipairs(snippets) do
    it(("%d %s"):format(i, snippet:sub(1, 60)), function()
      local files = { ["s.lua"] = prelude .. snippet }
      local stock, stock_err, stock_code = shell(input .. " lua5.4 s.lua; cat f 2>/dev/null; true", files)
      local out, err, code = shell(input .. " $lua s.lua; cat f 2>/dev/null; true", files)
      assert.equal(stock, out)
      assert.equal(stock_code, code)
      assert.equal((stock_err:gsub("lua5%.4:", "lua:")), (err:gsub("greenlua:", "lua:")))
    end)
  end
end)
