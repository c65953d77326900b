-- SPDX-License-Identifier: MIT
-- Internal.
-- Generations of an app under --dev. A generation is what one run of the script made: the app that the run returned, the modules it
-- loaded, the tasks it started. A reload forgets the modules and runs the script again in a new generation; if that fails, everything is
-- as before. An old generation is retired: when its last request has ended its tasks are cancelled, and the collector takes what nothing
-- else held (pools, sockets).
local capture = require "green.dev.capture"
local files = require "green.dev.files"
local is_app = require "green.app".is
local task = require "green.task"
local task_native = require "green.task.native"

local OWNER = "green.dev" -- in a task's context: the generation it belongs to

local M = {}
local path, arguments -- the script's file and its arguments
local addresses = {} -- where the app is served
local current -- the generation that serves: { app =, tasks =, many =, busy = requests in flight, retired = }
local modules = {} -- name -> true: modules that are Lua files, and none of ours

-- ---- what the app is made of ----

-- Notes a module that is a Lua file and none of ours. Each searcher calls this, so that searchers of scripts are covered, too.
local function note_module(name, loader)
  if type(loader) ~= "function" or name == "green" or name:find "^green%." then return end
  local info = debug.getinfo(loader, "S")
  if info.what ~= "main" or info.source:sub(1, 1) ~= "@" then return end
  modules[name] = true
  files.note("code", info.source:sub(2))
end

-- Notes the file of a module that cannot be compiled, by loading it once more: so the report can show the place.
local function note_refusal(name)
  local file = package.searchpath(name, package.path)
  if not file then return end
  files.note("code", file)
  loadfile(file)
end

local function watch_modules()
  for i, search in ipairs(package.searchers) do
    package.searchers[i] = function(name)
      local ok, loader, extra = pcall(search, name)
      if not ok then
        note_refusal(name)
        error(loader, 0)
      end
      note_module(name, loader)
      return loader, extra
    end
  end
end

-- Notes the files that the app loads by loadfile and dofile.
local function watch_files()
  local stock = loadfile
  function _G.loadfile(file, ...)
    local chunk, why = stock(file, ...)
    if type(file) == "string" and chunk then files.note("code", file) end
    if type(file) == "string" and not chunk then files.refused(file, why) end
    return chunk, why
  end
  function _G.dofile(file) return assert(loadfile(file))() end
end

local MANY = 64 -- tasks after which a generation looks which of them have ended, to forget them
local ENDED = { done = true, failed = true, cancelled = true }

local function add_task(owner, handle)
  if #owner.tasks >= owner.many then
    local kept = {}
    for _, one in ipairs(owner.tasks) do
      if not ENDED[one:status()] then kept[#kept + 1] = one end
    end
    owner.tasks, owner.many = kept, math.max(MANY, 2 * #kept)
  end
  owner.tasks[#owner.tasks + 1] = handle
end

-- Adds each task to the generation that started it. Tasks started by those are found as well, since a context is inherited.
local function watch_tasks()
  local spawn = task_native.spawn
  local function watched(...)
    local handle = spawn(...)
    local owner = task_native.context()[OWNER]
    if owner then add_task(owner, handle) end
    return handle
  end
  task_native.spawn, task.spawn = watched, watched
end

local function new_generation() return { tasks = {}, many = MANY, busy = 0 } end

local function dismiss(old)
  if old.busy > 0 then return end
  for _, handle in ipairs(old.tasks) do handle:cancel() end
  old.tasks = {}
  collectgarbage()
end

-- Retires a generation. Its tasks go on while requests are in flight, which may need them.
local function retire(old)
  old.retired = true
  dismiss(old)
end

--- Counts a request of the generation `owner` as in flight until the result, a <close> variable, is closed: at the end of the request, or of
--- its stream. `dismiss` runs in a task, and so after a stream, which begins right after its handler ended, has been counted.
function M.busy(owner)
  owner.busy = owner.busy + 1
  return setmetatable({}, {
    __close = function()
      owner.busy = owner.busy - 1
      if owner.retired and owner.busy == 0 then task_native.spawn_system(dismiss, owner) end
    end,
  })
end

local function run_script(owner)
  files.note("code", path)
  local context = task_native.context()
  context[OWNER] = owner
  local main, why = loadfile(path)
  if not main then error(why, 0) end
  local results = table.pack(main(table.unpack(arguments, 1, arguments.n)))
  context[OWNER] = nil
  return table.unpack(results, 1, results.n)
end

--- Runs the script for the first time, as the host would without --dev, and returns the script's results.
function M.start(file, ...)
  files.on = true
  capture.start()
  watch_files()
  watch_modules()
  watch_tasks()
  path, arguments, current = file, table.pack(...), new_generation()
  return run_script(current)
end

--- Returns the generation that serves.
function M.current() return current end

--- Notes an address on which this app, and each that takes its place, is served.
function M.served_on(address, scheme) addresses[#addresses + 1] = { address, scheme } end

-- ---- loading it anew ----

local function load_app(owner)
  local app = run_script(owner)
  if type(app) ~= "function" and not is_app(app) then error(path .. " returns no app (green.app) and no function", 0) end
  if is_app(app) then
    app:dispatcher()
    for _, place in ipairs(addresses) do app:served_on(place[1], place[2]) end
  end
  return app
end

local function forget_modules()
  local before = {}
  for name in pairs(modules) do before[name], package.loaded[name] = package.loaded[name], nil end
  return before
end

--- Runs the script anew. Returns nil when the new app serves, or a report of what went wrong, and then the old app goes on.
function M.reload()
  local undo, before, next_one = files.renew(), forget_modules(), new_generation()
  local ok, result = xpcall(load_app, capture.handler(run_script), next_one)
  if ok then
    local old = current
    current, next_one.app = next_one, result
    retire(old)
    return nil
  end
  for name in pairs(modules) do package.loaded[name] = before[name] end
  undo()
  retire(next_one)
  return capture.is_report(result) and result or capture.report(result)
end

return M
