-- SPDX-License-Identifier: MIT
-- Runs the examples of a module's stub, each in a task of its own with a deadline: greenlua examples.lua MODULE, in a
-- folder that may be written to. An example finds the modules by their short names, as in the REPL, and what it takes for
-- granted here. Prints a line for each, "ok" or "not ok", which tests/green/reference_spec.lua reads.
local here = arg[0]:match "^(.*)/[^/]*$"
package.path = here .. "/?.lua;" .. package.path

local index = require "green.reference.index" ()
local inspect = require "green.debug"
local native = require "green.http.native"
local printer = require "green.reference.print"
local task = require "green.task"
local values = require "green.reference.values"

local DEADLINE = 60 -- seconds

inspect.report_stalls(false) -- a busy machine's

-- ---- what examples take for granted ----

local function new_database()
  local db = require "green.db".connect "sqlite::memory:"
  db:exec [[
    CREATE TABLE orders (id INTEGER PRIMARY KEY, pizza TEXT UNIQUE, status TEXT DEFAULT 'open', total REAL, photo BLOB);
    CREATE TABLE stock (item TEXT PRIMARY KEY, n INTEGER);
    INSERT INTO stock VALUES ('dough', 5);
  ]]
  return db
end

local function with_orders(db)
  db:exec "INSERT INTO orders (pizza, total) VALUES ('margherita', 8), ('quattro', 11.5)"
  return db
end

-- A server that orders can be sent to, and its address.
local function new_site()
  local app = require "green.app".new()
  local response = require "green.response"
  app:get("/orders/:id", function(req) return { id = math.tointeger(req.params.id), item = "soup" } end)
  app:get("/log", function() return response.stream(function(out) for i = 1, 3 do out:write("line " .. i .. "\n") end end) end)
  app:any("/orders", function(req)
    if req.method == "GET" or req.method == "HEAD" then return { { id = 7, item = "soup" } } end
    return response.json({ id = 8, method = req.method }, 201)
  end)
  app:ws("/echo", function(socket)
    for message in socket:messages() do socket:send(message) end
  end)
  return "http://" .. app:listen("127.0.0.1:0"):address()
end

-- Both ends of a WebSocket: the server's, and a client that sends "hello" and answers what has to be answered.
local function new_socket()
  local frames = require "http.frames"
  local box = task.channel(1)
  local server = native.listen("127.0.0.1:0", function(req)
    local socket <close> = require "green.ws".accept(req)
    box:send(socket)
    task.sleep(DEADLINE)
  end)
  local client = frames.connect(server:address())
  client:text "hello"
  task.spawn(function()
    for opcode in function() return client:frame() end do
      if opcode == frames.CLOSE then client:raw(frames.close(1000)) end
    end
    client:close()
  end)
  return box:receive(DEADLINE)
end

local MULTIPART = "--x\r\nContent-Disposition: form-data; name=\"item\"\r\n\r\ntea\r\n--x--\r\n"

local function new_request(entry)
  local spec = { method = "POST", path = "/orders?tag=hot&tag=new", json = { item = "tea" } }
  if entry.key == "form" then spec.json, spec.form = nil, { item = "tea", milk = "no" } end
  if entry.key == "parts" or entry.name:match "^green%.part" then
    spec.json, spec.body = nil, MULTIPART
    spec.headers = { ["content-type"] = "multipart/form-data; boundary=x" }
  end
  return require "green.test".request(spec)
end

-- A server of its own for each example, and where it is.
local function new_redis()
  local servers = require "peers.databases" "redis"
  return ("redis://127.0.0.1:%d"):format(servers.redis.port), servers
end

-- One server for all: it takes seconds to start.
local postgres
local function new_postgres()
  postgres = postgres or require "peers.databases" "postgres"
  return require "green.db".connect(postgres.postgres.url)
end

local given = {
  app = function() return require "green.app".new() end,
  site = new_site,
  socket = new_socket,
  req = new_request,
  connection = function() return require "green.db.sqlite".open ":memory:" end,
}

local of_module = {
  ["green.db"] = {
    db = function(entry)
      local db = new_database()
      return entry.kind == "module" and db or with_orders(db)
    end,
    pg = new_postgres,
  },
  ["green.jobs"] = { db = new_database },
  ["green.migrations"] = { db = new_database },
  ["green.redis"] = {
    url = function(_, env)
      local url
      url, env.servers = new_redis()
      return url
    end,
    redis = function(_, env) return require "green.redis".connect(env.url) end,
  },
  ["green.model"] = {
    db = function(entry)
      local db = new_database()
      return entry.kind == "module" and db or with_orders(db)
    end,
    Order = function(_, env) return require "green.model"(env.db, "orders") end,
  },
}

local function environment(entry, out)
  local env = { print = function(...)
    local words = table.pack(...)
    for i = 1, words.n do words[i] = tostring(words[i]) end
    table.insert(out, table.concat(words, "  "))
  end }
  return setmetatable(env, { __index = function(_, name)
    local make = (of_module[entry.module] or {})[name] or given[name]
    if make then
      env[name] = make(entry, env)
      return env[name]
    end
    if _G[name] == nil and index:module("green." .. name) then return require("green." .. name) end
    if name == "green" then return require "green" end
    return _G[name]
  end })
end

-- ---- what is said not to wait must not ----

local FAR = 1 << 30 -- a wait that never comes
local waited = {} -- names of entries that did

-- The function, and a look at how many waits the task's fuse counted meanwhile. Such functions call each other.
local function watched(entry, fn)
  return function(...)
    local outer = inspect.cancel_at(FAR)
    local _ <close> = setmetatable({}, { __close = function()
      local used = FAR - inspect.cancel_at(0)
      if used > 0 and used < FAR then waited[entry.name] = true end -- all of it: a task that ran meanwhile has put it out
      if outer > 0 and used < FAR then inspect.cancel_at(outer - used) end
    end })
    return fn(...)
  end
end

local function watch_all()
  local methods = values.methods()
  for _, entry in ipairs(index.entries) do
    local holders = entry.kind == "method" and methods[values.metatable_of(entry.owner)] or {}
    if entry.kind == "function" then holders = { package.loaded[entry.module] } end
    for _, holder in ipairs(not printer.inherited(entry, "waits", index) and entry.name ~= "green.debug.cancel_at" and holders or {}) do
      local fn = type(holder) == "table" and rawget(holder, entry.key)
      if type(fn) == "function" then rawset(holder, entry.key, watched(entry, fn)) end
    end
  end
end

local function check_waits()
  local name = next(waited)
  waited = {}
  if name then error(name .. " waits", 0) end
end

-- ---- running ----

-- What the comments `--> ...` say is printed; nil when there are none.
local function expected(code)
  local lines = {}
  for text in code:gmatch "%-%-> ([^\n]*)" do table.insert(lines, text) end
  return #lines > 0 and table.concat(lines, "\n") or nil
end

local function check_response(value)
  if getmetatable(value) ~= native.response then return end
  local app = require "green.app".new():get("/", function() return value end)
  local answer = app:inject "/"
  if answer.error then error(answer.error, 0) end
end

local function run(entry, example)
  local out = {}
  local chunk = assert(load(example.code, "=example", "t", environment(entry, out)))
  if not example.runs then return end
  check_response(task.deadline(DEADLINE, chunk))
  check_waits()
  local want, got = expected(example.code), table.concat(out, "\n")
  if want and want ~= got then error(("printed %q instead of %q"):format(got, want), 0) end
end

local module = arg[1]
for _, each in ipairs(index.modules) do pcall(require, each.name) end
watch_all()
for _, entry in ipairs(index.entries) do
  for i, example in ipairs(entry.module == module and entry.examples or {}) do
    local ok, err = task.spawn(pcall, run, entry, example):join()
    print(("\n%s\t%s %d\t%s"):format(ok and "ok" or "not ok", entry.name, i, ok and "" or tostring(err):gsub("\n", " | ")))
  end
end
os.exit(true)
