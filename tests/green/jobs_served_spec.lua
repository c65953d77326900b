-- SPDX-License-Identifier: MIT
-- Apps that define jobs, served by processes of their own: who works on them, and what becomes of them at SIGTERM.
local await = require("outcome").eventually
local connect = require "green.db".connect
local fs = require "green.fs"
local http = require "green.http"
local interpreter = require "interpreter"
local jobs = require "green.jobs"
local process = require "green.process"
local serve = require "process"

-- POST / enqueues { "note", n } and, after it, one that lasts. Files say what has happened.
local APP = [[
local app, fs = require "green.app".new(), require "green.fs"
local db, jobs = require "green.db".connect(os.getenv "DATABASE_URL"), require "green.jobs"
local dir = os.getenv "NOTES"
app:database(db)
jobs.define("note", function(name) fs.write(dir .. "/" .. name, "") end)
jobs.define("long", function(name)
  fs.write(dir .. "/" .. name, "")
  require "green.task".sleep(os.getenv "LASTS")
end)
app:post("/:job/:name", function(req) return { id = jobs.enqueue(req.params.job, req.params.name) } end)
return app]]

describe("an app with jobs", function()
  local dir, url, db

  before_each(function()
    dir = fs.temp_dir()
    fs.write(fs.join(dir.path, "app.lua"), APP)
    url = "sqlite:" .. fs.join(dir.path, "a.db")
    db = connect(url)
    jobs.configure { db = db }
  end)

  after_each(function()
    db:close()
    dir:close()
  end)

  local function start(env, flags)
    env = env or {}
    env.DATABASE_URL, env.NOTES, env.LASTS = url, dir.path, env.LASTS or "3600"
    return serve(fs.join(dir.path, "app.lua"), env, { flags = flags })
  end
  local function run(words, env)
    env = env or {}
    env.DATABASE_URL, env.NOTES, env.LASTS = url, dir.path, "3600"
    return process.capture({ interpreter, table.unpack(words) }, { env = env })
  end
  local function enqueue(app, job, name) return http.post(("%s/%s/%s"):format(app.url, job, name)):json().id end
  local function has(name) return fs.exists(fs.join(dir.path, name)) end

  it("works on them beside its requests", function()
    local app <close> = start()
    enqueue(app, "note", "one")
    await(function() return has "one" end)
    await(function() return #jobs.list() == 0 end)
    assert.equal(0, (app:stop()))
  end)

  it("leaves them to other processes when the environment says so", function()
    local front <close> = start { GREENLUA_JOBS = "off" }
    enqueue(front, "note", "one")
    enqueue(front, "note", "two")
    assert.equal(2, #jobs.list { state = "waiting" })
    local back <close> = start { GREENLUA_JOBS = "1" }
    await(function() return has "one" and has "two" end)
    assert.equal(0, (back:stop()))
    assert.equal(0, (front:stop()))
  end)

  it("says what GREENLUA_JOBS cannot be, and serves nothing", function()
    local done = run({ fs.join(dir.path, "app.lua") }, { GREENLUA_JOBS = "many" })
    assert.equal("greenlua: GREENLUA_JOBS: 'off' or a number of jobs to run at once expected, not 'many'\n", done.stderr)
    assert.equal(1, done.code)
  end)

  it("lets them finish when it is told to stop", function()
    local app <close> = start { LASTS = "0.3" }
    enqueue(app, "long", "one")
    await(function() return has "one" end)
    assert.equal(0, (app:stop()))
    assert.same({}, jobs.list())
  end)

  it("gives them back when its grace is over, and others take them at once", function()
    local app <close> = start(nil, "--grace 0.1")
    local id = enqueue(app, "long", "one")
    await(function() return has "one" end)
    assert.equal(0, (app:stop()))
    local row = jobs.list()[1]
    assert.same({ id, "waiting", 1, 0 }, { row.id, row.state, row.attempt, row.failures })
    fs.remove(fs.join(dir.path, "one"))
    local other <close> = start(nil, "--grace 0")
    await(function() return has "one" end)
    assert.equal(0, (other:stop()))
    assert.equal(2, jobs.list()[1].attempt)
  end)

  it("that is a plain script gives them back when it ends", function()
    fs.write(fs.join(dir.path, "script.lua"), [[
      dofile(arg[1])
      local jobs, task = require "green.jobs", require "green.task"
      jobs.enqueue("long", "one")
      jobs.start()
      while not require "green.fs".exists(os.getenv "NOTES" .. "/one") do task.sleep(0.01) end]])
    local done = run({ "--run", fs.join(dir.path, "script.lua"), fs.join(dir.path, "app.lua") })
    assert.equal("", done.stderr)
    assert.equal(0, done.code)
    local row = jobs.list()[1]
    assert.same({ "waiting", 1, 0 }, { row.state, row.attempt, row.failures })
  end)
end)
