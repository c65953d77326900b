-- SPDX-License-Identifier: MIT
-- Bytes from outside never meet a Lua pattern that can go over them twice: 16 KB of the worst are seconds, within one call of C, which
-- no time limit ends. Every call in lualib that takes a pattern is found, and judged by its pattern alone (patterns.lua); one that
-- is not linear fails here, unless it is listed with the reason why it cannot meet such bytes.
local fs = require "green.fs"
local growth = require "growth"
local patterns = require "patterns"

local root = fs.absolute((arg[0]:match "^(.*)/tests/[^/]*$" or "."))

local STUBS = "our own stubs"
local METHOD = "a method of ours, no pattern"
local CLASS = "one class of characters"

-- File -> what the call is given -> why it may; or the file -> why.
local EXCUSED = {
  ["green/reference/parse.lua"] = STUBS,
  ["green/reference/stock.lua"] = STUBS,
  ["green/reference/index.lua"] = { ['"[^.:]*$"'] = STUBS },
  ["green/reference/print.lua"] = { ['"[^.]*$"'] = STUBS, ['"[.:]" . . entry . key . . "[^%w_]"'] = STUBS },
  ["green/reference/search.lua"] = { ['"%f[%w_]" . . word . . "%f[^%w_]"'] = "a word, without repetitions" },
  ["green/reference.lua"] = { name = METHOD, what = METHOD, index = METHOD, by_module = METHOD },
  ["green/app.lua"] = { ["req . method"] = METHOD },
  ["green/repl/editor.lua"] = { ["search . text"] = METHOD },
  ["green/dev/capture.lua"] = { word = "words of ours, without repetitions", pattern = CLASS },
  ["green/dev/page.lua"] = { class = "one repetition, anchored" },
  ["green/url.lua"] = { set = CLASS },
  ["notes.lua"] = { ["math . tointeger ( req . params . id ) or 0"] = METHOD },
  ["kitchen/app.lua"] = { ["math . tointeger ( req . params . id ) or 0"] = METHOD },
  ["reminders.lua"] = { ["args . id"] = METHOD },
}

local function excuse(path, text)
  local of_file = EXCUSED[path]
  return type(of_file) == "table" and of_file[text] or type(of_file) == "string" and of_file
end

local function judge_file(folder, path, wrong)
  local short, count = path:sub(#folder + 2), 0
  for _, call in ipairs(patterns.calls(fs.read(path))) do
    count = count + 1
    local ok, why = false, "a pattern that is not written here"
    if call.pattern then ok, why = patterns.judge(call.pattern) end
    if not ok and not excuse(short, call.text) then wrong[#wrong + 1] = ("%s:%d: %s(%s): %s"):format(short, call.line, call.name, call.text, why) end
  end
  return count
end

describe("patterns in lualib and scripts", function()
  it("take time in proportion to the text", function()
    local wrong, count = {}, 0
    for _, folder in ipairs { root .. "/lualib", root .. "/scripts" } do
      for path in fs.walk(folder) do
        if path:find "%.lua$" and not path:find("/lualib/meta/", 1, true) then count = count + judge_file(folder, path, wrong) end
      end
    end
    assert.equal("", table.concat(wrong, "\n"))
    assert.is_true(count > 150)
  end)
end)

-- The judge itself, held against the clock.
describe("a pattern that is judged", function()
  local function replaced(pattern) return function(text) return text:gsub(pattern, "") end end

  it("linear is", function()
    for _, pattern in ipairs {
      "^%s*$", "^(%w+)=(.*)$", "[^&]+", "^(.*)/[^/]*$", "^(.*%S)", '"[^"]*"', "^%a[%w+.-]*:", "([^\n]*)\n?", "^.*%.(.*)$", "^(.-)(\nstack traceback:.*)$", "[%w_][%w_%-]*",
    } do
      assert.is_true(patterns.judge(pattern), pattern)
      for _, piece in ipairs { "a", " ", "/" } do
        growth.is_linear(replaced(pattern), function(n) return piece:rep(n // #piece) .. "y" end)
      end
    end
  end)

  it("to be more is, for some text", function()
    for pattern, worst in pairs {
      ["%s+$"] = " ", ["([^=;%s]+)%s*=%s*([^;]*)"] = "a", ["(.-)\n"] = "a", ["[^/]*/$"] = "a", ["^(.-)%s*$"] = " ", ["^(.-)[%w_]*[^%w_]*$"] = "a",
      ["[%w_]+%s*[\"']?%s*[=:]"] = " ", ["%s*,"] = " ", ["^%s*(.-)%s*$"] = " ",
    } do
      assert.is_false((patterns.judge(pattern)), pattern)
      local text = function(n) return "a" .. worst:rep(n // #worst) .. "/y" end
      assert.is_true(growth.is_more(replaced(pattern), text, 1024), pattern)
    end
  end)
end)
