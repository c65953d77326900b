-- SPDX-License-Identifier: MIT
-- The walk in host/README.md is true: every function it names is in that file, and they run in that order. For the order, the
-- files that it names are compiled once more, so that each call is recorded (walk/record.c), and linked with the rest of the
-- build under test; a build that is optimized as a whole when it is linked takes too long for that.
local fs = require "green.fs"
local http = require "green.http"
local interpreter = require "interpreter"
local process = require "green.process"
local task = require "green.task"

local root = fs.absolute(arg[0]:match "^(.*)/tests/[^/]*$" or ".") .. "/"
local build = interpreter:match "^(.*)/[^/]*$"

-- { { path = "net/listener.c", name = "on_readable" }, ... } in the order of the text; and how many lines that has.
local function read_walk()
  local text = fs.read(root .. "host/README.md"):match "\n## The walk\n(.-)\n## "
  local steps, lines = {}, select(2, text:gsub("\n%d+%. ", ""))
  for path, name in text:gmatch "`([%w_/]+%.%l+):([%w_]+)`" do steps[#steps + 1] = { path = path, name = name } end
  return steps, lines
end

local steps, lines = read_walk()

local function none(wrong)
  table.sort(wrong)
  assert.equal("", table.concat(wrong, "\n"))
end

local function is_defined(step)
  local in_lua = step.path:match "%.lua$"
  local path = root .. (in_lua and "" or "host/") .. step.path
  if not fs.exists(path) then return false end
  local text = "\n" .. fs.read(path)
  if in_lua then return text:find("function [%w_.:]-%f[%w_]" .. step.name .. "%(") ~= nil end
  return text:find("\n[%a_][%w_ *]-%f[%w_]" .. step.name .. "%([^;{]*{") ~= nil
end

-- ---- the same build, recorded ----

local function run(argv, options)
  local got = process.capture(argv, options or { cwd = build, timeout = 100 })
  if got.code ~= 0 then error(argv[1] .. ": " .. got.stdout .. got.stderr, 0) end
  return got.stdout
end

-- The commands that made the build under test: by source file, and the one that linked it. Nil: it was not made by ninja here, or
-- is optimized as a whole.
local function commands()
  if not fs.exists(build .. "/build.ninja") then return nil end
  local by_source, link = {}, nil
  for line in run({ "ninja", "-t", "commands", "greenlua" }):gmatch "[^\n]+" do
    local source = line:match " %-c %S*/host/(%S+)$"
    if source then by_source[source] = line end
    if line:find " -o greenlua " then link = line end
  end
  if not link or link:find("-flto", 1, true) then return nil end
  return by_source, link
end

local by_source, link = commands()

-- Compiles each file of the walk, and the recorder, into the folder, and links them in place of the objects of the build.
local function make_recorder(dir)
  local objects, sources = {}, {}
  for _, step in ipairs(steps) do
    if by_source[step.path] and not objects[step.path] then
      objects[step.path] = ("%s/%d.o"):format(dir, #sources)
      sources[#sources + 1] = step.path
    end
  end
  local linked = link
  for path, object in pairs(objects) do
    local was = by_source[path]:match " %-o (%S+)"
    local from, to = linked:find(was, 1, true)
    linked = linked:sub(1, from - 1) .. object .. linked:sub(to + 1)
  end
  task.map(sources, function(path)
    local command = by_source[path]:gsub(" %-o %S+", " -O0 -finstrument-functions -o " .. objects[path]):gsub(" %-MF %S+", " -MF " .. objects[path] .. ".d")
    run { "sh", "-c", command }
  end, { max = 2 })
  run { "cc", "-O1", "-c", "-o", dir .. "/record.o", root .. "tests/walk/record.c" }
  run { "sh", "-c", (linked:gsub(" %-o greenlua ", (" -o %s/greenlua %s/record.o "):format(dir, dir))) }
  return dir .. "/greenlua"
end

-- What ran for the first request, as { "net/listener.c:on_readable", ... }.
local function calls_of(binary, file)
  local base = tonumber(run({ "nm", binary }):match "(%x+) %a __executable_start\n", 16)
  local known, unique, order = {}, {}, {}
  for line in fs.read(file):gmatch "%x+" do
    if not known[line] then
      known[line] = true
      unique[#unique + 1] = ("0x%x"):format(base + tonumber(line, 16))
    end
    order[#order + 1] = line
  end
  local names = run({ "addr2line", "-a", "-f", "-e", binary, "@" .. file .. ".addresses" }, (function()
    fs.write(file .. ".addresses", table.concat(unique, "\n"))
    return { timeout = 100 }
  end)())
  for address, name, path in names:gmatch "0x(%x+)\n(%S+)\n%S-([%w_/.-]+):" do
    known[("%x"):format(tonumber(address, 16) - base)] = (path:match "/host/(.*)$" or path) .. ":" .. name
  end
  local calls, requests = {}, 0
  for i, line in ipairs(order) do
    calls[i] = known[line]
    if calls[i] == "http/request.c:gl_request_main" then requests = requests + 1 end
    if requests == 2 then break end -- the one that ends the program
  end
  return calls
end

-- Serves the walk's handler, asks it once, and ends it.
local function record(binary, file)
  local server <close> = process.spawn({ binary, "--listen", "127.0.0.1:0", root .. "tests/walk/app.lua" },
    { stderr = "pipe", env = { WALK = file } })
  local said = ""
  repeat
    local piece = assert(server.stderr:read(), said)
    said = said .. piece
  until said:find "serving %S+ on http://%S+\n"
  local url = said:match "on (http://%S+)\n"
  local answer = http.get(url .. "/walk")
  pcall(http.get, url .. "/end")
  server:wait(60)
  return answer
end

describe("the walk in host/README.md", function()
  it("has at most 15 lines, and functions in them", function()
    assert.equal(15, lines)
    assert.is_true(#steps > 60, #steps)
  end)

  it("names functions that are where it says", function()
    local wrong = {}
    for _, step in ipairs(steps) do
      if not is_defined(step) then wrong[#wrong + 1] = ("%s:%s"):format(step.path, step.name) end
    end
    none(wrong)
  end)

  if by_source then
    it("goes that way", function()
      local dir <close> = fs.temp_dir()
      local binary, file = make_recorder(dir.path), dir.path .. "/calls"
      assert.equal(503, record(binary, file).status)
      local calls, at = calls_of(binary, file), 0
      for _, step in ipairs(steps) do
        local wanted, from = step.path .. ":" .. step.name, at
        while by_source[step.path] and calls[at] ~= wanted do
          at = at + 1
          assert(at <= #calls, ("%s does not run after %s"):format(wanted, calls[from] or "the start"))
        end
      end
    end)
  end
end)
