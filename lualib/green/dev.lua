-- SPDX-License-Identifier: MIT
-- Internal.
-- Serving while developing (--dev). Before each request the files that the app was made of are looked at. If one changed the app is loaded
-- anew (green.dev.generation) and answers from then on; requests in flight go on with the functions they have. If the app cannot be
-- loaded, the old one goes on serving, and the error is shown on stderr and in the browser. Globals stay, and so does the state of the
-- green.* modules.
local capture = require "green.dev.capture"
local failure = require "green.failure"
local files = require "green.dev.files"
local generation = require "green.dev.generation"
local guard = require "green.dev.guard"
local is_app = require "green.app".is
local live = require "green.dev.live"
local native = require "green.http.native"
local options = require "green.options"
local page = require "green.dev.page"
local pending_migrations = require "green.dev.pending"
local script = require "green.script"
local task_native = require "green.task.native"
local valid = require "green.valid"

local PATIENCE = 10 -- seconds a request waits for a load; an app that asks itself while it is loaded would wait for ever

local M = {}
local pending = {} -- path -> kind of the files that changed and are not taken over yet
local problem -- the text of why the last change could not be taken over; nil when it was
local revision = 0 -- counts the changes that browsers have to see
local born = ("%x-%x"):format(os.time(), math.random(0, 0xffffff))
local stopping = false

-- Escapes control characters, as the log does, since a message may hold text that a client chose.
local function escape(char)
  if char == "\n" or char == "\t" then return nil end
  return ("\\x%02x"):format(char:byte())
end

-- Escapes the control characters U+0080 to U+009F, which terminals obey, too.
local function escape_c1(byte) return ("\\u{%x}"):format(byte:byte()) end

local function say(text)
  text = valid(text):gsub("%c", escape):gsub("\xC2([\x80-\x9F])", escape_c1)
  io.stderr:write("greenlua: ", text, "\n")
end

--- Runs the script for the first time; the host calls this.
M.load = generation.start

-- ---- looking ----

local function take_over()
  local report
  for file, kind in pairs(pending) do
    if kind == "script" then
      local ok, result = xpcall(script.renew, capture.handler(script.renew), file)
      if not ok then report = result end
    end
  end
  for _, kind in pairs(pending) do
    if kind == "code" and not report then
      report = generation.reload()
      break
    end
  end
  return report
end

local function look_at_migrations()
  local app = generation.current().app
  if is_app(app) then pending_migrations.look(app, say) end
end

local function look(with_pages)
  look_at_migrations()
  local changed = files.changed(with_pages)
  if not changed then return end
  local names, only_pages = {}, true
  for file, kind in pairs(changed) do
    if kind ~= "page" then pending[file], only_pages = kind, false end
    names[#names + 1] = file
  end
  table.sort(names)
  local report = not only_pages and take_over() or nil
  if report then
    problem = page.summary(report)
    say(page.text(report, table.concat(names, ", ") .. " changed, and cannot be loaded; the old code goes on serving"))
  else
    if not only_pages then
      pending, problem = {}, nil
      say(table.concat(names, ", ") .. " changed: reloaded")
    end
    revision = revision + 1
  end
end

--- Loads the app's file and its modules anew, changed or not. Raises what is wrong with them, and then the old code goes on.
function M.reload()
  local report = generation.reload()
  if report then error(page.text(report, "the old code goes on serving"), 0) end
  pending, problem = {}, nil
  revision = revision + 1
end

local looking -- the task that looks at the files; nil when none does

-- Starts a look, in a system task: neither the look, which all requests share, nor the tasks of an app loaded by it may end with the request
-- that caused it.
local function start_look(with_pages)
  looking = task_native.spawn_system(function()
    local _ <close> = setmetatable({}, { __close = function() looking = nil end })
    look(with_pages)
  end)
end

local function wait_for(handle)
  if handle then handle:wait(PATIENCE) end
end

-- Returns when every change up to now was taken over, or refused. A look that runs already may have missed the last change, so that a second
-- one follows.
local function bring_up_to_date(with_pages)
  if not pcall(wait_for, looking) then return end
  if not looking then start_look(with_pages) end
  pcall(wait_for, looking)
end

-- ---- for browsers ----

local state = {
  stamp = function() return born .. "." .. revision end,
  problem = function()
    if problem then return "This edit cannot be loaded. The old code goes on serving.", problem end
    local migrations = pending_migrations.text()
    if migrations then return "The database is not what the migrations say.", migrations end
  end,
  stopping = function() return stopping end,
  look = function() bring_up_to_date(true) end,
}

-- ---- answering ----

local told_of = {} -- path -> true

-- Says once for each path that { status = 404, body = "..." } is sent as JSON, as any table, though its author meant a response.
local function tell_of_status(answer, req)
  if type(answer) ~= "table" or getmetatable(answer) or told_of[req.path] then return end
  local status = rawget(answer, "status")
  if math.type(status) ~= "integer" or status < 100 or status > 599 or (answer.body == nil and answer.headers == nil) then return end
  told_of[req.path] = true
  say(("%s %s: a table is sent as JSON, also this one with a status: response.text(body, %d) or response.json(value, %d) answer with it")
    :format(req.method, req.raw_path, status, status))
end

-- Settles what a handler returned as the server would, but here, where an error still becomes a report.
local function complete(req, ...)
  tell_of_status((...), req)
  local status, headers, body, stream, live_stream = native.settle(req, ...)
  return setmetatable({ status = status, headers = headers, body = body, stream = stream, live = live_stream or nil }, native.response)
end

local function guard_stream(res, owner)
  local stream = res.stream
  if not stream then return end
  res.stream = function(out)
    local _ <close> = generation.busy(owner)
    return stream(out)
  end
end

local function run(app, req)
  if type(app) == "function" then return complete(req, app(req)) end
  return complete(req, app:handle(req))
end

-- Tells whether the server may answer this error by itself, because the error is no fault of the code.
local function is_told(err)
  local code = type(err) == "table" and rawget(err, "code")
  return native.failure(err) < 500 or code == "ECPULIMIT" or code == "ETASKLIMIT" or code == "EDEADLINE" or code == "ECANCELED"
end

local function failed(report, req)
  if not capture.is_report(report) then report = capture.report(report) end
  local upgraded = (req:header "upgrade" or ""):lower() == "websocket" -- nobody would read a page; the server closes with 1011 and logs
  if upgraded or is_told(report.err) then error(report.err, 0) end
  say(page.text(report, req.method .. " " .. req.raw_path))
  return page.answer(report, req)
end

function M.answer(req)
  local own = guard.refuse_host(req) or live.answer(req, state)
  if own then return own end
  bring_up_to_date()
  local stamp, owner = state.stamp(), generation.current()
  local _ <close> = generation.busy(owner)
  local ok, answer = xpcall(run, capture.handler(run), owner.app, req)
  if not ok then answer = failed(answer, req) end
  guard_stream(answer, owner)
  return live.inject(answer, req, stamp)
end

-- ---- for green.serve ----

local function is_loopback(address)
  return address:find "^127%." or address:find "^%[::1%]" or address:find "^unix:"
end

-- Lets the app's on_error answer where the server would answer by itself, if the app has one.
local function answer_failure(req, status, reason, err)
  local app = generation.current().app
  if is_app(app) then return app:failed(req, status, reason, err) end
  return failure.answer(nil, req, status, reason, err)
end

-- Serves what the script returned on an address, and returns the server. `given`: options beside those of the app, or nil.
function M.listen(value, address, given)
  generation.current().app = value
  local all = options.over(given, is_app(value) and value.options or nil)
  local server = native.listen(address, { fallback = M.answer, on_error = answer_failure }, all)
  guard.allow(address)
  generation.served_on(server:address(), server:scheme())
  if is_app(value) then value:served_on(server:address(), server:scheme()) end
  look_at_migrations()
  if not is_loopback(server:address()) then
    say("warning: --dev shows source code and variables to everybody who reaches " .. server:address())
  end
  return server
end

-- Returns the app that serves now.
function M.app() return generation.current().app end

-- Ends the waiting of browsers for news, so that the server can stop.
function M.stop()
  stopping = true
  if looking then looking:cancel() end -- the app may be one that loads for ever
end

return M
