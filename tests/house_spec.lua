-- SPDX-License-Identifier: MIT
-- host/ has no function that nobody calls, none that could be static, and a reason for each long function and file; the
-- reasons stand in a table here. (layers_spec.lua checks the layers.)
local fs = require "green.fs"

local root = fs.absolute(arg[0]:match "^(.*)/tests/[^/]*$" or ".") .. "/"

local FUNCTION_LINES, FILE_LINES = 40, 400

-- "file:function" or "file" -> why it may be longer.
local LONG = {
  ["h1/status.c:gl_status_reason"] = "a table of the standard's phrases, one a line",
}

-- Functions that are called by other means than their name in host/: by the C library, by Lua's own library, by assembly.
local CALLED_ELSEWHERE = { main = true, __longjmp_chk = true, gl_stack_switch = true, gl_library_missing = true }

-- The sources with comments and strings blanked, by path below host/.
local function sources()
  local all = {}
  for path in fs.walk(root .. "host") do
    if path:match "%.[ch]$" then
      local text = fs.read(path)
      text = text:gsub("/%*.-%*/", function(comment) return (comment:gsub("[^\n]", " ")) end)
      text = text:gsub('\\"', "  "):gsub('"[^"\n]*"', '""')
      all[path:sub(#root + 6)] = text
    end
  end
  return all
end

-- Which words stand in the test programs that are built of host/'s own sources.
local function words_of_tests()
  local words = {}
  for path in fs.walk(root .. "tests") do
    if path:match "%.c$" then
      for word in fs.read(path):gmatch "[%a_][%w_]*" do words[word] = true end
    end
  end
  return words
end

-- Functions of host/libc/ that are called under the names by which they are exported.
local function is_exported(name)
  local exported = name:match "^gl_libc_(.*)$"
  local functions = "\n" .. fs.read(root .. "host/libc/functions")
  return name:find "^gl_object_luaL?_" or name == "gl_ssl_SSL_get_error" or exported and (functions:find("\n" .. exported .. "\n", 1, true) or functions:find("\n__" .. exported .. "\n", 1, true))
end

-- A definition begins at the first column, with its body's brace at the end of that line (or of the next one), and ends
-- with a brace at the first column; or it is one line.
local function each_function(text, visit)
  local name, first, static
  local number = 0
  for line in (text .. "\n"):gmatch "(.-)\n" do
    number = number + 1
    local head = line:match "^[%a_][%w_%s%*]-([%a_][%w_]*)%("
    if head and line:match "^[^;]*$" or head and line:match "{.*}%s*$" then
      name, first, static = head, number, line:match "%f[%w_]static%f[^%w_]" ~= nil
      if line:match "{.*}%s*$" then
        visit(name, 1, static)
        name = nil
      end
    elseif name and line:match "^}" then
      visit(name, number - first + 1, static)
      name = nil
    end
  end
end

local function none(wrong)
  table.sort(wrong)
  assert.equal("", table.concat(wrong, "\n"))
end

describe("host/", function()
  local all = sources()

  it("has no function that nobody calls, and none that could be static", function()
    local uses = {} -- identifier -> file -> how often it stands in a source
    for path, text in pairs(all) do
      if path:match "%.c$" then
        for word in text:gmatch "[%a_][%w_]*" do
          uses[word] = uses[word] or {}
          uses[word][path] = (uses[word][path] or 0) + 1
        end
      end
    end
    local headers = {} -- each function is declared there once, and perhaps called by an inline one
    for path, text in pairs(all) do
      if path:match "%.h$" then headers[#headers + 1] = text end
    end
    headers = table.concat(headers)
    local tested = words_of_tests()
    local wrong, seen = {}, 0
    for path, text in pairs(all) do
      if path:match "%.c$" then
        each_function(text, function(name, _, static)
          if static or CALLED_ELSEWHERE[name] or is_exported(name) or tested[name] or name:match "^luaopen_" then return end
          seen = seen + 1
          local files = 0
          for _ in pairs(uses[name]) do files = files + 1 end
          if files > 1 or select(2, headers:gsub("%f[%w_]" .. name .. "%f[^%w_]", "")) > 1 then return end
          wrong[#wrong + 1] = ("%s: %s is %s"):format(path, name, uses[name][path] > 1 and "used in this file only: static" or "used by nobody")
        end)
      end
    end
    assert.is_true(seen > 100)
    none(wrong)
  end)

  it("has long functions and files only where that is said here, with the reason", function()
    local wrong, used = {}, {}
    local function look(what, lines, most)
      if LONG[what] then used[what] = true end
      if lines > most and not LONG[what] then wrong[#wrong + 1] = ("%s: %d lines"):format(what, lines) end
      if lines <= most and LONG[what] then wrong[#wrong + 1] = what .. " is short: out of the list" end
    end
    for path, text in pairs(all) do
      look(path, select(2, text:gsub("\n", "")), FILE_LINES)
      each_function(text, function(name, lines) look(path .. ":" .. name, lines, FUNCTION_LINES) end)
    end
    for what in pairs(LONG) do
      if not used[what] then wrong[#wrong + 1] = what .. " is no more: out of the list" end
    end
    none(wrong)
  end)

  it("has every file in host/README.md, and links there to none that it has not", function()
    local text, wrong, linked = fs.read(root .. "host/README.md"), {}, {}
    for path in text:gmatch "%]%(([%w_./-]+)%)" do
      if not fs.exists(root .. "host/" .. path) then wrong[#wrong + 1] = path .. " is no more" end
      linked[path:gsub("%.[ch]$", "")] = true
    end
    for path in pairs(all) do
      if path:match "%.c$" or not all[path:gsub("h$", "c")] then
        if not linked[path:gsub("%.[ch]$", "")] then wrong[#wrong + 1] = path .. " is in no room of it" end
      end
    end
    none(wrong)
  end)

  it("has the words and the files that host/README.md speaks of", function()
    local text, wrong, words = fs.read(root .. "host/README.md"), {}, {}
    for path in text:gmatch "%f[%w_/](%l[%w_/]*/[%w_]+%.[ch])%f[^%w_]" do
      local there = fs.exists(root .. "host/" .. path) or fs.exists(root .. path)
      if not there and not path:find "NAME" and not path:find "ROOM" then wrong[#wrong + 1] = path .. " is no more" end
    end
    for path in fs.walk(root .. "host") do
      if path:match "%.[ch]$" then
        for word in fs.read(path):lower():gmatch "%a+" do words[word] = true end
      end
    end
    for row in text:match "\n## More words of ours\n(.-)\n## ":gmatch "\n| ([%a ]+) | " do
      for word in row:gmatch "%a+" do
        if row ~= "word" and not words[word] then wrong[#wrong + 1] = ("'%s' is no word of host/"):format(row) end
      end
    end
    none(wrong)
  end)
end)

describe("lualib/", function()
  it("has no long functions and files", function()
    local wrong = {}
    for path in fs.walk(root .. "lualib/green") do
      local text = path:match "%.lua$" and fs.read(path) or ""
      if select(2, text:gsub("\n", "")) > FILE_LINES then wrong[#wrong + 1] = path end
      local first, number = nil, 0
      for line in text:gmatch "([^\n]*)\n" do -- a function of the file begins in the first column, and so does its end
        number = number + 1
        if line:find "^%f[%w]%w.*function" and not line:find "end[%s%)]*$" then first = number end
        if line:find "^end" and first then
          if number - first >= FUNCTION_LINES then wrong[#wrong + 1] = ("%s:%d: %d lines"):format(path, first, number - first + 1) end
          first = nil
        end
      end
    end
    none(wrong)
  end)
end)

describe("the READMEs", function()
  it("link to and speak of files that there are", function()
    local wrong = {}
    for _, readme in ipairs { "README.md", "host/README.md", "tests/README.md", "tests/bench/README.md" } do
      local folder, text = root .. (readme:match "^(.*/)[^/]*$" or ""), fs.read(root .. readme)
      for path in text:gmatch "%]%(([^)#:]+)%)" do
        if not fs.exists(folder .. path) then wrong[#wrong + 1] = readme .. ": " .. path end
      end
      for path in (readme:match "^tests/" and text or ""):gmatch "%f[%w_/]([%w_][%w_/]*%.lua)%f[^%w_]" do
        if not (fs.exists(folder .. path) or fs.exists(root .. path) or path:find "NAME" or path:find "FILE") then wrong[#wrong + 1] = readme .. ": " .. path end
      end
    end
    none(wrong)
  end)
end)
