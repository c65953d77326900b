-- SPDX-License-Identifier: MIT
-- Work after the answer: a reminder is a job in the app's own database, which outlives this process, however it ends. It is enqueued in the
-- transaction that saves what it is about: there are both, or neither. `greenlua jobs scripts/reminders.lua` shows what waits.
--
--     curl -d '{"text": "take the pizza out", "seconds": 600}' localhost:8080/reminders
local app = require "green.app".new()
local http = require "green.http"
local jobs = require "green.jobs"
local json = require "green.json"
local model = require "green.model"
local response = require "green.response"
local db = require "green.db".connect(os.getenv "DATABASE_URL" or "sqlite:reminders.db")

app:database(db)
db:exec "CREATE TABLE IF NOT EXISTS reminders (id INTEGER PRIMARY KEY, text TEXT NOT NULL, told INTEGER NOT NULL)"
local Reminder = model(db, "reminders")

-- Who is to be told: a service of somebody else's, here one of this app.
local function inbox() return os.getenv "INBOX_URL" or app:url "/inbox" end

-- If it raises it runs again, later each time. Whoever gets it twice, because a process died in between, knows it by the job's id.
jobs.define("remind", function(args, job)
  local reminder = Reminder:find(args.id)
  if not reminder then return end
  http.post(inbox(), { json = { text = reminder.text }, headers = { ["idempotency-key"] = tostring(job.id) } }):raise_for_status()
  reminder.told = 1
  reminder:save()
end, { retries = 10, timeout = 30 })

-- Every night, once for all processes that serve this app.
jobs.define("tidy", function() db:exec "DELETE FROM reminders WHERE told = 1" end)
jobs.cron("0 3 * * *", "tidy")

app:post("/reminders", function(req)
  local data = req:json()
  if type(data) ~= "table" or type(data.text) ~= "string" or type(data.seconds) ~= "number" or data.seconds < 0 then
    return response.json({ error = '{"text": "...", "seconds": 600} expected' }, 400)
  end
  return db:transaction(function()
    local reminder = Reminder:new { text = data.text, told = 0 }:save()
    jobs.enqueue("remind", { id = reminder.id }, { delay = data.seconds })
    return response.json({ id = reminder.id }, 201)
  end)
end)

app:get("/reminders", function() return json.array(Reminder:all()) end)

app:post("/inbox", function(req) print(("Reminder %s: %s"):format(req:header "idempotency-key", req:json().text)) end)

return app
