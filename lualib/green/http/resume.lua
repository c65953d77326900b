-- SPDX-License-Identifier: MIT
-- Internal.
-- This file downloads what may be resumed. For the file "x", "x.part" has the bytes that came, and "x.part.json" says what they are bytes of:
-- the URL, its validator and its size. The note is written after an empty part and before the first byte, and removed before a part is begun
-- anew, so that it never speaks of another part. A part without a validator is not kept, since what follows might be of something else.
local date = require "green.date"
local download = require "green.http.download"
local err = require "green.error"
local failure = require "green.http.failure"
local fs = require "green.fs"
local json = require "green.json"
local request = require "green.http.request"
local targets = require "green.http.target"
local task = require "green.task"

local PATIENCE = 5     -- seconds that the file system has, whatever becomes of the task
local SURE = 60        -- seconds after a change from which on its date is a strong validator (RFC 9110, 8.8.2.2)
local NOTE_MAX = 65536 -- bytes of a note

local busy = {} -- the paths that are being downloaded to: two downloads must not write one part

-- ---- what is there from before ----

local function note_path(part) return part .. ".json" end

local function remove(path)
  local ok, e = pcall(fs.remove, path)
  if not ok and not err.is(e, "ENOENT") then error(e, 0) end
end

local function forget(part)
  remove(note_path(part))
  remove(part)
end

-- Returns what a note says; nil when it is none, perhaps because the machine stopped while it was written.
local function read_note(part)
  if not fs.exists(note_path(part)) then return nil end
  local ok, note = pcall(json.decode, fs.read(note_path(part), NOTE_MAX))
  if not ok and not err.is(note, "EJSON") then error(note, 0) end
  return ok and type(note) == "table" and type(note.validator) == "string" and note or nil
end

-- Returns the note about a part of this URL, and how many bytes the part has; nil when there is nothing to go on with.
local function find(part, url)
  local stat = fs.stat(part)
  if not stat or stat.type ~= "file" or stat.size == 0 then return nil end
  local note = read_note(part)
  if not note or note.url ~= url or math.type(note.total) == "integer" and stat.size > note.total then return nil end
  return note, stat.size
end

-- Returns what must be the same for further bytes to be of the same thing: a strong entity tag, or a date that is long past.
local function validator_of(headers)
  local tag, changed, now = headers.etag, headers["last-modified"], headers.date
  if tag then return tag:find '^"' and tag or nil end
  local at, of = changed and date.parse(changed), now and date.parse(now)
  return at and of and of - at >= SURE and changed or nil
end

-- ---- one try ----

local Part = {} -- the part that is being written: it is kept, unless nothing can go on with it

local function leave(part)
  part.file:close()
  local stat = fs.stat(part.path)
  if not part.resumable or not stat or stat.size == 0 then forget(part.path) end
end

function Part:__close()
  if self.file and not self.moved then pcall(task.shield, PATIENCE, leave, self) end
end

local function begin(part, response, total)
  local validator = validator_of(response.headers)
  forget(part.path)
  task.shield(PATIENCE, function() part.file = fs.open(part.path, "wx") end)
  if not validator then return end
  fs.write(note_path(part.path), json.encode { url = part.url, validator = validator, total = total }, { mode = "600" }) -- a URL may be a secret
  part.resumable = true
end

local function go_on(part, size)
  task.shield(PATIENCE, function() part.file = fs.open(part.path, "r+") end)
  part.resumable = true
  part.file:seek("set", size)
end

local function incomplete(op, response, has, total)
  failure.raise(op, "body", "ECONNRESET", "GET %s: %d bytes came, not %d", response.url, has, total)
end

-- Moves a complete part to its place, unless somebody else has changed it meanwhile.
local function put_in_place(op, part, path, response, size)
  part.file:sync()
  part.file:close()
  local stat = fs.stat(part.path)
  if not stat or stat.size ~= size then incomplete(op, response, stat and stat.size or 0, size) end
  fs.rename(part.path, path)
  part.moved = true
  remove(note_path(part.path))
end

-- Returns the first byte and the whole size (nil: unknown) that a 206 says.
local function range_of(headers)
  local first, total = (headers["content-range"] or ""):match "^bytes (%d+)%-%d+/([%d*]+)$"
  return tonumber(first), tonumber(total)
end

-- Is the answer of status 206 the rest of the part?
local function is_rest(response, note, size)
  local first, total = range_of(response.headers)
  local tag = response.headers.etag
  local same = not tag or tag == note.validator or not note.validator:find '^"'
  return first == size and same and (not note.total or total == note.total)
end

-- Does the answer of status 416 say that nothing is missing?
local function is_all(response, note, size)
  return note.total == size and response.headers["content-range"] == ("bytes */%d"):format(size)
end

-- Asks for what is missing. Returns the response, where the part goes on, and the whole size; or nil when the part is of no use.
local function ask_rest(get, note, size)
  local response = get { ["Range"] = ("bytes=%d-"):format(size), ["If-Range"] = note.validator }
  if response.status == 206 and is_rest(response, note, size) then return response, size, select(2, range_of(response.headers)) end
  if response.status == 416 and is_all(response, note, size) then return response, size, size end
  if response.status ~= 206 and response.status ~= 416 then return response, 0, tonumber(response.headers["content-length"]) end
  response:close()
  return nil
end

local function ask(get, part)
  local note, size = find(part.path, part.url)
  if note then
    local response, at, total = ask_rest(get, note, size)
    if response then return response, at, total end
  end
  local response = get {}
  return response, 0, tonumber(response.headers["content-length"])
end

local function try(op, get, url, path, opts)
  local part <close> = setmetatable({ path = path .. ".part", url = url }, Part)
  local response, at, total = ask(get, part)
  local open <close> = response
  local size, complete = at, response.status == 416 and at > 0
  if not complete then download.check_status(op, open) end
  if at > 0 then go_on(part, at) else begin(part, response, total) end
  if not complete then size = download.write_body(op, response, part.file, at, total, opts) end
  if total and size ~= total then incomplete(op, response, size, total) end
  put_in_place(op, part, path, response, size)
  response.size, response.resumed = size, at
  return response
end

-- Forgets that a path is busy.
local Busy = { __close = function(claim) busy[claim.path] = nil end }

--- Downloads to `path`, and goes on with what an earlier download has left there. `sent` holds the options of the request.
return function(op, settings, target, path, opts, sent)
  if opts.decode then err.misuse("%s: option 'decode': what can be resumed is written as it comes", op) end
  local claimed = fs.absolute(path)
  if busy[claimed] then failure.raise(op, "request", "EBUSY", "%s: another download writes it", path) end
  local claim <close> = setmetatable({ path = claimed }, Busy)
  busy[claim.path] = true
  local function get(headers)
    for name, value in pairs(opts.headers or {}) do headers[name] = value end
    headers["Accept-Encoding"] = "identity"
    sent.headers, sent.decode = headers, false
    return request.run(settings, "GET", target, sent)
  end
  return try(op, get, targets.of(op, settings, target, opts.query).url, path, opts)
end
