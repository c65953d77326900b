-- SPDX-License-Identifier: MIT
-- A JSON API over a database: a model is a class for a table, its instances are rows, and rows are answers. What a
-- client got wrong is an error with a status. The file is $DATABASE_URL, or notes.db here.
--
--     curl -d '{"text": "buy tea"}' localhost:8080/notes
--     curl -X PUT -d '{"text": "drink tea"}' localhost:8080/notes/1
local app = require "green.app".new()
local json = require "green.json"
local model = require "green.model"
local response = require "green.response"
local db = require "green.db".connect(os.getenv "DATABASE_URL" or "sqlite:notes.db")

db:exec "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)"
local Note = model(db, "notes")

local function text_of(req)
  local data = req:json()
  local text = type(data) == "table" and data.text
  return type(text) == "string" and text or error { status = 400, message = '{"text": "..."} expected' }
end

local function note_of(req)
  return Note:find(math.tointeger(req.params.id) or 0) or error { status = 404, message = "no such note" }
end

app:get("/notes", function() return json.array(Note:all()) end)
app:get("/notes/:id", note_of)

app:post("/notes", function(req)
  local note = Note:new { text = text_of(req) }:save()
  return response.json(note, 201):header("location", "/notes/" .. note.id)
end)

app:put("/notes/:id", function(req)
  local note = note_of(req)
  note.text = text_of(req)
  return note:save()
end)

app:delete("/notes/:id", function(req) note_of(req):delete() end)

return app
