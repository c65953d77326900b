-- SPDX-License-Identifier: MIT
-- Internal.
-- `greenlua jobs APP ...`: an app's jobs on the command line. The function returns the exit code of the process.
local cron = require "green.jobs.cron"
local definitions = require "green.jobs.definitions"
local fault = require "green.error"
local its_app = require "green.migrations.its_app"
local jobs = require "green.jobs"
local json = require "green.json"
local native = require "green.task.native"
local place = require "green.jobs.place"
local schedule = require "green.jobs.schedule"
local signal = require "green.signal"
local task = require "green.task"
local valid = require "green.valid"

local USAGE = [[
usage: greenlua jobs APP [list [WHICH] | count | show ID | retry WHICH | drop WHICH | cron | work]
Looks at the jobs of an app, in the database that it has (app:database), and puts them right. WHICH is an id, or a name and/or
a state (waiting, running, dead).
  list      shows those that are not done, at most 1000; this is the default
  count     shows how many there are, by name and state
  show      shows all of one, with the traceback of its error
  retry     lets those run at once that are dead, or wait
  drop      removes them; one that runs is cancelled soon
  cron      shows what is enqueued by the clock, and when it is next, in UTC
  work      works on them until it is told to stop (SIGINT, SIGTERM)]]

local LISTED = 1000
local GRACE, BACKSTOP = 10, 13 -- seconds after which what runs is given back, and after which the process ends, whatever it does by then

local STATES = { waiting = true, running = true, dead = true }

-- ---- which ----

local function id_of(word)
  local id = word:find "^%d+$" and math.tointeger(tonumber(word))
  return id or fault.raise("which", "EINVAL", "an id expected, not '%s'", word)
end

-- "12", "dead", "receipt", "receipt dead" -> a filter
local function which(...)
  local filter = {}
  for _, word in ipairs { ... } do
    local key, value = "name", word
    if word:find "^%d+$" then key, value = "id", id_of(word) elseif STATES[word] then key = "state" end
    if filter[key] then fault.raise("which", "EINVAL", "an id, or a name and a state expected, not '%s' and '%s'", filter[key], word) end
    filter[key] = value
  end
  return filter
end

-- ---- showing ----

local function escape(char) return ("\\x%02x"):format(char:byte()) end

-- What others have put into a table is shown without its control characters.
local function plain(text) return (valid(text):gsub("%c", escape)) end

local function utc(seconds) return os.date("!%Y-%m-%d %H:%M:%S", math.floor(seconds)) end

local function cut(text, most) return #text <= most and text or valid(text:sub(1, most - 3)) .. "..." end

local function args_of(row) return row.args == nil and "" or json.encode(row.args) end

local function show_row(row)
  local err = row.error and plain(row.error:match "^[^\n]*") or ""
  print(("%-8d%-9s%-24s%s  %-3d%s%s%s"):format(row.id, row.state, plain(row.name), utc(row.due), row.failures, cut(args_of(row), 60),
    err ~= "" and "  " or "", cut(err, 120)))
end

local actions = {}

function actions.list(...)
  local filter = which(...)
  filter.limit = LISTED
  local rows = jobs.list(filter)
  if #rows == 0 then return print "no jobs" end
  print(("%-8s%-9s%-24s%-21s%-3s%s"):format("id", "state", "name", "due (UTC)", "failures", "")) -- then arguments, and the error
  for _, row in ipairs(rows) do show_row(row) end
end

function actions.count()
  local counts, names = jobs.count(), {}
  for name in pairs(counts) do names[#names + 1] = name end
  table.sort(names)
  if #names == 0 then return print "no jobs" end
  for _, name in ipairs(names) do
    local n = counts[name]
    print(("%-24s%d waiting, %d running, %d dead"):format(plain(name), n.waiting, n.running, n.dead))
  end
end

local SHOWN = { "id", "name", "state", "due", "enqueued", "attempt", "failures", "unique", "worker" }

function actions.show(word)
  local row = jobs.list({ id = id_of(word) })[1]
  if not row then fault.raise("show", "ENOENT", "there is no job %s; it may be done", word) end
  row.due, row.enqueued = utc(row.due), utc(row.enqueued)
  for _, name in ipairs(SHOWN) do
    if row[name] ~= nil then print(("%-10s%s"):format(name, plain(tostring(row[name])))) end
  end
  if row.args ~= nil then print(("%-10s%s"):format("args", args_of(row))) end
  for line in (row.error or ""):gmatch "[^\n]+" do print((plain(line):gsub("^\\x09", "    "))) end
end

local function say_how_many(n, word)
  print(n == 1 and "1 job " .. word or ("%d jobs %s"):format(n, word))
  return n > 0 and 0 or 1
end

function actions.retry(...) return say_how_many(jobs.retry(which(...)), "retried") end

function actions.drop(...) return say_how_many(jobs.drop(which(...)), "dropped") end

function actions.cron()
  local list = schedule.list()
  if #list == 0 then return print "nothing is enqueued by the clock" end
  for _, entry in ipairs(list) do
    print(("%s  %-20s %s%s"):format(utc(cron.next(entry.spec, os.time())), entry.expression, entry.job, entry.args ~= "null" and " " .. entry.args or ""))
  end
end

-- ---- working ----

local function exit_on_second_signal()
  local name = signal.wait("INT", "TERM")
  os.exit(128 + (name == "INT" and 2 or 15))
end

function actions.work()
  local names = definitions.names()
  if #names == 0 then fault.raise("work", "EINVAL", "the app defines no jobs") end
  local stop = task.spawn(signal.wait, "INT", "TERM")
  if not jobs.start() then fault.raise("work", "EINVAL", "GREENLUA_JOBS or jobs.configure says that this process has none to run at once") end
  native.backstop(BACKSTOP)
  task.sleep(0) -- whoever waits for a signal does by now
  io.stderr:write("greenlua: working on ", table.concat(names, ", "), "\n")
  io.stderr:write("greenlua: stopping (SIG", stop:join(), ")\n")
  local impatient = task.spawn(exit_on_second_signal)
  jobs.stop(GRACE)
  impatient:cancel()
end

-- ---- the command line ----

local LEAST = { list = 0, count = 0, show = 1, retry = 1, drop = 1, cron = 0, work = 0 }
local MOST = { list = 2, count = 0, show = 1, retry = 2, drop = 2, cron = 0, work = 0 }

local function complain(text)
  io.stderr:write("greenlua: jobs: ", text, "\n")
  return 1
end

-- Keeps an error object as it is, and adds to what else was raised where that was.
local function with_place(err)
  return fault.is(err) and err or debug.traceback(tostring(err), 2)
end

local function run(path, action, ...)
  its_app(path, true)
  if not place.db() then fault.raise("app", "EINVAL", "%s: the app does not say which database it has: app:database(db)", path) end
  local code = action(...)
  place.db():close()
  return code or 0
end

return function(path, word, ...)
  if path == "--help" then
    print(USAGE)
    return 0
  end
  word = word or "list"
  if not path or path:sub(1, 1) == "-" then return complain((path and ("unrecognized option '%s'\n"):format(path) or "an app expected\n") .. USAGE) end
  local n = select("#", ...)
  if not actions[word] then return complain(("'%s' is nothing that jobs does\n"):format(word) .. USAGE) end
  local wrong = n > MOST[word] and "too many arguments" or n < LEAST[word] and "an argument is missing"
  if wrong then return complain(("%s: %s\n"):format(word, wrong) .. USAGE) end
  local ok, result = xpcall(run, with_place, path, actions[word], ...)
  return ok and result or complain(tostring(result))
end
