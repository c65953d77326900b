-- SPDX-License-Identifier: MIT
-- Runs each row of rows/ with n, 4n, 16n and 64n units of work, each in a process of its own, and compares what a unit
-- costs in CPU time. A row fails when that more than doubles while the work grows by a factor of 16, twice: what other programs did
-- to the processor's caches in the meantime has passed when all rows that seem to grow are measured anew, behind the others.
local fs = require "green.fs"
local process = require "green.process"

local HERE = arg[0]:match "^(.*)/[^/]*$" or "."
local ALLOWED = 2     -- times what a unit costs with a 16th of the work
local TRIES = 4       -- measurements, the cheapest of which counts, before a row fails: other programs run here, too
local TIME_LIMIT = 60 -- seconds for one measurement

local function load_rows(file)
  local rows = dofile(file)
  for _, row in ipairs(rows) do
    assert(type(row.name) == "string" and math.type(row.start) == "integer" and type(row.prepare) == "function",
      file .. ": a row is { name = string, start = integer, prepare = function }")
  end
  return rows
end

-- ---- in a process of its own: one measurement ----

local function measure_here(file, index, n)
  local run, done = load_rows(file)[index].prepare(n)
  collectgarbage()
  local before = os.clock()
  run()
  local spent = os.clock() - before
  if done then done() end
  io.write(("%.9f\n"):format(spent))
end

-- ---- in the first process ----

-- Seconds of CPU for n units; nil and why there is no such figure.
local function measure(row, n)
  local ok, got = pcall(process.capture, { arg[-1], arg[0], "--measure", row.file, row.index, n }, { timeout = TIME_LIMIT })
  if not ok then return nil, got.code == "ETIMEDOUT" and ("more than %d s"):format(TIME_LIMIT) or tostring(got) end
  local spent = tonumber((got.stdout:match "([%d.]+)\n$"))
  if not spent or got.code ~= 0 then return nil, got.stderr .. got.stdout end
  return spent
end

-- The cheapest of what was measured so far, per unit.
local function measure_again(row, n)
  local spent, why = measure(row, n)
  if not spent then return nil, why end
  local unit = spent / n
  row.units[n] = math.min(row.units[n] or unit, unit)
  return row.units[n]
end

local function ratio(row, n) return row.units[n] / row.units[n // 16] end

-- Measures with n units, and again what it is held against as long as it looks too dear.
local function try(row, n)
  local unit, why = measure_again(row, n)
  local tries = 1
  while unit and row.units[n // 16] and ratio(row, n) > ALLOWED and tries < TRIES do
    measure_again(row, n // 16)
    unit, why = measure_again(row, n)
    tries = tries + 1
  end
  return unit, why
end

local function run_row(row, factors)
  local cells, worst = {}, 0
  for _, factor in ipairs(factors) do
    local n = row.start * factor
    local unit, why = try(row, n)
    if not unit then return cells, worst, ("with %d units: %s"):format(n, why) end
    cells[#cells + 1] = ("%10.3f"):format(unit * 1e6)
    if row.units[n // 16] then worst = math.max(worst, ratio(row, n)) end
    if worst > ALLOWED then return cells, worst, ("a unit costs %.1f times as much with 16 times the work"):format(worst) end
  end
  return cells, worst
end

-- Measures a row and prints it; returns why it seems to grow, after `verdict` in what is printed, or nil.
local function show_row(row, factors, verdict)
  local cells, worst, why = run_row(row, factors)
  while #cells < #factors do cells[#cells + 1] = ("%10s"):format "-" end
  print(("%-48s %9d %s   %s"):format(row.name, row.start, table.concat(cells, " "), why and verdict .. why or ("%9.2f"):format(worst)))
  return why
end

local function all_rows(patterns)
  local files, rows = {}, {}
  for _, entry in ipairs(fs.list(HERE .. "/rows")) do
    if entry.name:match "%.lua$" then files[#files + 1] = HERE .. "/rows/" .. entry.name end
  end
  table.sort(files)
  for _, file in ipairs(files) do
    for index, row in ipairs(load_rows(file)) do
      row.file, row.index, row.units = file, index, {}
      local wanted = #patterns == 0
      for _, pattern in ipairs(patterns) do wanted = wanted or row.name:find(pattern, 1, true) or file:find(pattern, 1, true) end
      if wanted then rows[#rows + 1] = row end
    end
  end
  return rows
end

local function main(args)
  local factors, patterns = { 1, 4, 16, 64 }, {}
  for _, word in ipairs(args) do
    if word == "--quick" then factors = { 1, 16 }
    elseif word:find "^%-" then error("usage: tests/bench/growth/run [--quick] [PATTERN...]", 0)
    else patterns[#patterns + 1] = word end
  end
  io.stdout:setvbuf "line"
  local head = { ("%-48s %9s"):format("us of CPU per unit", "n") }
  for _, factor in ipairs(factors) do head[#head + 1] = ("%9s%s"):format(factor > 1 and factor or "", "n") end
  print(table.concat(head, " ") .. "   worst x16")
  local rows, doubtful = all_rows(patterns), {}
  for _, row in ipairs(rows) do
    local why = show_row(row, factors, "again later: ")
    if why then doubtful[#doubtful + 1] = row end
  end
  local grew = 0
  for _, row in ipairs(doubtful) do
    row.units = {}
    if show_row(row, factors, "FAIL: ") then grew = grew + 1 end
  end
  print(("%d rows hold, %d grow"):format(#rows - grew, grew))
  if grew > 0 or #rows == 0 then os.exit(1, true) end
end

if arg[1] == "--measure" then
  measure_here(arg[2], math.tointeger(arg[3]), math.tointeger(arg[4]))
else
  main(arg)
end
