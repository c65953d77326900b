-- SPDX-License-Identifier: MIT
-- What a client chose went raw to stderr: a request for /a%0A... or a message made of its bytes could write lines that
-- looked like records of their own, and escape sequences that the terminal of whoever read the log obeyed. Now a record
-- is one line with a time and a level, and lines that begin with a tab; control characters in it are escaped.
local fs = require "green.fs"
local http = require "green.http"
local serve = require "process"

local SCRIPT = [[
return function(req)
  if req.path == "/late" then
    require("green.task").spawn(function() error("late\n" .. req.query.q) end)
    return "ok"
  end
  error("said: " .. req.query.q)
end
]]

local HOSTILE = "x\r\n2026-01-01T00:00:00.000Z error: GET /: forged\27[31m\7\127\0\xc2\x9b31m\t\xc3\xa9"
local SHOWN = "x\\r\\n2026-01-01T00:00:00.000Z error: GET /: forged\\x1b[31m\\x07\\x7f\\x00\\u{9b}31m\\t\xc3\xa9"

local function lines_of(text)
  local records, others = {}, {}
  for line in text:gmatch "[^\n]+" do
    if line:match "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ %a+: " then records[#records + 1] = line
    elseif not line:match "^\t" then others[#others + 1] = line end
  end
  return records, others
end

describe("the log", function()
  it("has one line with a time and a level for a record, whatever is in it", function()
    local dir <close> = fs.temp_dir()
    fs.write(dir.path .. "/app.lua", SCRIPT)
    local app <close> = serve(dir.path .. "/app.lua")
    assert.equal(500, http.get(app.url .. "/fail", { query = { q = HOSTILE } }).status)
    assert.equal("ok", http.get(app.url .. "/late", { query = { q = HOSTILE } }).body)
    assert.equal(500, http.get(app.url .. "/%0Aforged:%1B[0m", { query = { q = "-" } }).status)
    local _, text = app:stop()
    local records, others = lines_of(text)
    assert.equal(3, #records, text)
    assert.is_truthy(text:find(SHOWN, 1, true), text)
    assert.is_nil(text:find "[%z\1-\8\11-\31\127]", text)
    assert.is_nil(text:find("\xc2\x9b", 1, true), text)
    assert.same({ "greenlua: stopping (SIGTERM)" }, others)
    for _, record in ipairs(records) do assert.matches("^%S+Z error: ", record) end
  end)
end)
