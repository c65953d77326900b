-- SPDX-License-Identifier: MIT
-- Places in which Lua may loop, and functions of the standard library whose own loops may take long, for places_spec.lua. Each row is
-- { name, kind, code }: the code is of a chunk that has hog (an endless loop), closing (a to-be-closed value) and hooked
-- (runs under a hook) and returns the function that goes there. Kinds:
--
--   task        others run meanwhile, and what ends the task ends it there
--   alone       no task can make way: it ends by itself after 100 ms of CPU time (host/core/alone.h)
--   logged      the same, in what the host calls once the request has failed
--   unseen      nothing of the script's runs there: the request goes on at once
--   harmless    the same, and the request fails
local rows = {}

local function row(name, kind, code) rows[#rows + 1] = { name = name, kind = kind, code = code } end

-- ---- positions ----

row("a loop", "task", "return hog")
row("a message handler of xpcall for an error of the host", "task", "return function() xpcall(hog, hog) end")
row("such a handler that catches errors", "task", "return function() xpcall(hog, function() while true do pcall(hog) end end) end")
row("a message handler for an error of the script", "task", "return function() xpcall(error, hog) end")
row("__tostring, called by print's kin", "task", "return function() tostring(setmetatable({}, { __tostring = hog })) end")
row("__tostring of an error object, asked by a handler", "task", "return function() xpcall(error, tostring, setmetatable({}, { __tostring = hog })) end")
row("a hook function for lines", "task", "return function() hooked(hog, 'l') end")
row("a hook function for counts", "task", "return function() hooked(hog, '', 1) end")
row("a hook function for calls", "task", "return function() hooked(hog, 'c') end")
row("a hook function that catches errors", "task", "return function() hooked(function() while true do pcall(hog) end end, 'l') end")
row("__close run by coroutine.close", "task", [[return function()
  local co = coroutine.create(function() local _ <close> = closing(hog) coroutine.yield() end)
  coroutine.resume(co)
  coroutine.close(co)
end]])
row("__close of a wrapped coroutine that failed", "task", "return function() coroutine.wrap(function() local _ <close> = closing(hog) error 'x' end)() end")
row("__close of what is ended", "task", "return function() local _ <close> = closing(hog) hog() end")
row("__close of what is ended, that catches errors", "task", "return function() local _ <close> = closing(function() while true do pcall(hog) end end) hog() end")
row("__index met by a C function", "task", "return function() table.concat(setmetatable({}, { __index = hog }), '', 1, 2) end")
row("a loop under warn", "task", "return function() while true do warn '@off' end end")
row("metamethods of what becomes JSON", "unseen", "return function() require('green.json').encode(setmetatable({}, { __pairs = hog, __index = hog, __len = hog })) end")
row("__gc", "alone", "return function() setmetatable({}, { __gc = hog }) collectgarbage() end")
row("__gc that catches errors", "alone", "return function() setmetatable({}, { __gc = function() while true do pcall(hog) end end }) collectgarbage() end")
row("__gc with a coroutine", "alone", "return function() setmetatable({}, { __gc = function() coroutine.wrap(hog)() end }) collectgarbage() end")
row("__gc with a coroutine's __close", "alone", [[return function()
  setmetatable({}, { __gc = function()
    local co = coroutine.create(function() local _ <close> = closing(hog) coroutine.yield() end)
    coroutine.resume(co)
    assert(coroutine.close(co))
  end })
  collectgarbage()
end]])
row("__gc that closes coroutines in a loop", "alone", [[return function()
  setmetatable({}, { __gc = function()
    while true do
      local co = coroutine.create(function() local _ <close> = closing(hog) coroutine.yield() end)
      coroutine.resume(co)
      coroutine.close(co)
    end
  end })
  collectgarbage()
end]])
row("__gc with a hook function", "unseen", "return function() setmetatable({}, { __gc = function() hooked(hog, 'l') end }) collectgarbage() debug.sethook() end")
row("__gc with a message handler", "alone", "return function() setmetatable({}, { __gc = function() xpcall(hog, hog) end }) collectgarbage() end")
row("__gc with a pattern", "alone", "return function() setmetatable({}, { __gc = function() (('a'):rep(3000)):find(('.-'):rep(12) .. 'b') end }) collectgarbage() end")
row("__gc that catches errors of string.rep", "alone", "return function() setmetatable({}, { __gc = function() while true do pcall(string.rep, 'a', 1 << 24) end end }) collectgarbage() end")
row("__gc that writes JSON", "alone", "return function() setmetatable({}, { __gc = function() while true do pcall(require('green.json').encode, ('a'):rep(1 << 20)) end end }) collectgarbage() end")
row("__gc that catches errors with load", "alone", "return function() setmetatable({}, { __gc = function() while true do load(hog) end end }) collectgarbage() end")
row("__tostring of an error that is logged", "logged", "return function() error(setmetatable({}, { __tostring = hog })) end")
row("__tostring that catches errors", "logged", "return function() error(setmetatable({}, { __tostring = function() while true do pcall(hog) end end })) end")
row("__tostring with a coroutine", "logged", "return function() error(setmetatable({}, { __tostring = function() while true do coroutine.resume(coroutine.create(hog)) end end })) end")
row("__tostring with a pattern", "logged", "return function() error(setmetatable({}, { __tostring = function() return (('a'):rep(3000)):find(('.-'):rep(12) .. 'b') end })) end")
row("__tostring that catches errors with load", "logged", "return function() error(setmetatable({}, { __tostring = function() while true do load(hog) end end })) end")
row("__index of an error that is logged", "harmless", "return function() error(setmetatable({}, { __index = hog })) end")
row("__name of an error, behind an __index", "harmless", "return function() error(setmetatable({}, setmetatable({}, { __index = hog }))) end")

-- ---- functions ----

-- A subject and a pattern that goes over it for ever.
local RUNAWAY = "local s, p = ('a'):rep(3000), ('.-'):rep(12) .. 'b' return function() "
row("string.find", "task", RUNAWAY .. "s:find(p) end")
row("string.match", "task", RUNAWAY .. "s:match(p) end")
row("string.gmatch", "task", RUNAWAY .. "for _ in s:gmatch(p) do end end")
row("string.gsub", "task", RUNAWAY .. "s:gsub(p, '') end")
row("string.gsub of many", "task", "local s = ('a'):rep(4 << 20) return function() while true do s:gsub('a', '%0%0') end end")

local LONG = "local s = ('ab'):rep(8 << 20) return function() while true do "
row("string.rep", "task", "return function() while true do ('ab'):rep(8 << 20) end end")
row("string.reverse", "task", LONG .. "s:reverse() end end")
row("string.upper", "task", LONG .. "s:upper() end end")
row("string.lower", "task", LONG .. "s:lower() end end")
row("string.byte", "task", LONG .. "s:byte(1, 100000) end end")
row("string.char", "task", "local t = table.pack((' '):rep(100000):byte(1, -1)) return function() while true do string.char(table.unpack(t)) end end")
row("utf8.len", "task", LONG .. "utf8.len(s) end end")
row("utf8.offset", "task", LONG .. "utf8.offset(s, #s) end end")
row("utf8.codepoint", "task", LONG .. "utf8.codepoint(s, 1, 100000) end end")
row("utf8.codes", "task", LONG .. "for _ in utf8.codes(s) do end end end")
row("utf8.char", "task", "local t = table.pack((' '):rep(100000):byte(1, -1)) return function() while true do utf8.char(table.unpack(t)) end end")

row("table.concat", "task", "local t = setmetatable({}, { __index = function() return '' end }) return function() table.concat(t, '', 1, 1 << 50) end")
row("table.concat of a list", "task", "local t = {} for i = 1, 300000 do t[i] = i end return function() while true do table.concat(t, ',') end end")
row("table.move", "task", "return function() table.move({}, 1, 1 << 50, 1, {}) end")
row("table.unpack", "task", "return function() while true do table.unpack({}, 1, 200000) end end")
row("table.sort", "task", "return function() while true do local t = {} for i = 1, 200000 do t[i] = i * 7919 % 1000003 end table.sort(t) end end")
row("table.sort with a comparator that loops", "task", "return function() table.sort({ 3, 1, 2 }, hog) end")
row("table.insert in front", "task", "return function() table.insert(setmetatable({}, { __len = function() return 1 << 50 end, __newindex = function() end }), 1, 1) end")
row("table.remove in front", "task", "return function() table.remove(setmetatable({}, { __len = function() return 1 << 50 end, __newindex = function() end }), 1) end")
row("load", "task", "local code = ('x = y + 1\\n'):rep(200000) return function() while true do load(code) end end")
row("load of a reader", "task", "return function() load(function() return ' ' end) end")
row("json.decode", "task", "local json, s = require 'green.json', '[' .. ('{\"a\":[1,2.5,\"x\"]},'):rep(100000) .. '1]' return function() while true do json.decode(s) end end")
row("json.decode of a long string", "task", "local json, s = require 'green.json', '\"' .. ('\\\\n'):rep(4 << 20) .. '\"' return function() while true do json.decode(s) end end")
row("json.encode", "task", "local json, t = require 'green.json', {} for i = 1, 100000 do t[i] = { i, 'text', i / 3 } end return function() while true do json.encode(t) end end")
row("json.encode of a long string", "task", "local json, s = require 'green.json', ('\\n'):rep(4 << 20) return function() while true do json.encode(s) end end")

return rows
