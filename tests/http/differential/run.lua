-- SPDX-License-Identifier: MIT
-- Raw answers given to our client and to others; what each makes of them as one text: `200 "hello"`, with X if it came, or what kind of error.
local fault = require "green.error"
local http = require "green.http"
local json = require "green.json"
local net = require "green.net"
local process = require "green.process"
local reasons = require "http.differential.reasons"
local task = require "green.task"

local M = { answers = require "http.differential.answers" }

local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"

-- ---- the server: "/7" is the seventh answer ----

local function read_head(socket)
  local head = ""
  while not head:find("\r\n\r\n", 1, true) do
    local bytes = socket:read(4096, 20)
    if not bytes then return nil end
    head = head .. bytes
  end
  return head
end

local function serve_one(socket)
  local _ <close> = socket
  local head = read_head(socket)
  local answer = head and M.answers[tonumber(head:match "^%u+ [^ ]*/(%d+) ")]
  if not answer then return end
  if answer.bytes ~= "" then socket:write(answer.bytes, 20) end
  socket:shutdown()
  while socket:read(4096, 20) do end -- until the client goes, which a close at once could keep from reading all
end

--- Runs fn(base) while the answers are served.
function M.serve(fn)
  local listener <close> = net.listen "127.0.0.1:0"
  local server = task.spawn(function()
    while true do
      local socket = listener:accept()
      if not socket then return end
      task.spawn(function() pcall(serve_one, socket) end) -- a client may leave in the middle
    end
  end)
  local ok, err = pcall(fn, "http://" .. listener:address())
  listener:close()
  server:cancel()
  pcall(server.join, server)
  if not ok then error(err, 0) end
end

-- ---- what is made of an answer ----

local function escaped(text)
  text = text:gsub("[^\32-\126]", function(byte) return ("\\x%02x"):format(byte:byte()) end)
  if #text > 60 then return ('"%s..." (%d)'):format(text:sub(1, 20), #text) end
  return '"' .. text .. '"'
end

local function outcome(status, body, x) return ("%d %s%s"):format(status, escaped(body), x and " X: " .. escaped(x) or "") end

-- Our client's.
local function ours(base, i, answer)
  local ok, got = pcall(http.request, answer.method, base .. "/" .. i, { redirects = false, timeout = 10, proxy = false })
  if ok then return outcome(got.status, got.body, got.headers.x) end
  if not fault.is(got) then error(got, 0) end
  return "error " .. got.code
end

function M.ours(base)
  local list = {}
  for i, answer in ipairs(M.answers) do list[i] = ours(base, i, answer) end
  return list
end

-- JSON has characters where there were bytes.
local function to_bytes(text)
  return type(text) == "string" and text:gsub(utf8.charpattern, function(c) return string.char(utf8.codepoint(c) & 255) end) or nil
end

--- Those of another program.
function M.theirs(base, ...)
  local lines = {}
  for i, answer in ipairs(M.answers) do lines[i] = answer.method .. " /" .. i end
  local command = { ... }
  command[#command] = here .. command[#command]
  command[#command + 1] = base
  local got = process.capture(command, { input = table.concat(lines, "\n") .. "\n", timeout = 300 })
  assert(got.code == 0, got.stderr)
  local list = {}
  for line in got.stdout:gmatch "[^\n]+" do
    local said = json.decode(line)
    list[#list + 1] = said.error and "error " .. said.error or outcome(said.status, to_bytes(said.body), to_bytes(said.x))
  end
  return list
end

-- ---- the table ----

-- One error is as good as another.
local function kind(text) return text:find "^error" and "error" or text end

function M.differs(ours, node, python) return kind(ours) ~= kind(node) or kind(ours) ~= kind(python) end

--- Why ours is another; nil: nobody said.
function M.reason(name)
  for i, reason in ipairs(reasons) do
    if name:find(reason[1]) then return reason[2], i end
  end
end

--- The rows of table.txt: { name, ours, node, python, reason = }.
function M.table()
  local rows = {}
  for line in io.lines(here .. "table.txt") do
    if line:find "^    " then
      rows[#rows].reason = line:match "^    (.*)$"
    elseif not line:find "^#" then
      local row = {}
      for cell in (line .. " | "):gmatch "(.-) | " do row[#row + 1] = cell end
      rows[#rows + 1] = row
    end
  end
  return rows
end

return M
