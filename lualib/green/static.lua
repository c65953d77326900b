-- SPDX-License-Identifier: MIT
-- Internal.
-- Files as answers: validators and conditional requests, ranges, compressed neighbours, and no way out of
-- the directory. The descriptor that was checked is the one that is read.
local below = require "green.below"
local date = require "green.date"
local fault = require "green.error"
local fields = require "green.http.fields.native"
local files = require "green.dev.files"
local fs = require "green.fs.native"
local http = require "green.http.native"
local mime = require "green.mime"
local native = require "green.task.native"
local negotiation = require "green.http.negotiation"
local options = require "green.options"
local response = require "green.response"

local CHUNK = 64 * 1024
local FIRST = 16 * 1024 -- bytes of a large file that leave with the head
local MAX_UNSIZED = 16 * 1024 * 1024
local DIRECTORY_OPTIONS = { dotfiles = "boolean", index = "string|boolean", max_age = "seconds", precompressed = "boolean" }
local FILE_OPTIONS = {
  dotfiles = "boolean", download = "string|boolean", headers = "table", max_age = "seconds", precompressed = "boolean", root = "string",
  status = "integer", type = "string",
}

local function not_found() return response.json({ error = "not found" }, 404) end

-- Does a relative path stay below its directory, by its words alone? Links are the business of below.open.
local function is_inside(path, dotfiles)
  if path:find("\0", 1, true) or path:find("^/") or path:find("//", 1, true) then return false end
  for segment in path:gmatch("[^/]+") do
    if segment == "." or segment == ".." then return false end
    if not dotfiles and segment:find("^%.") then return false end
  end
  return true
end

-- ---- conditions ----

local function etag_of(stat, suffix) return ('"%x-%.0f%s"'):format(stat.size, stat.mtime * 1e6, suffix) end

-- Returns the date in a header, or nil: a header that holds no date is ignored.
local function date_in(req, name)
  local value = req:header(name)
  return value and date.parse(value)
end

-- Returns what the conditions of a request ask for instead of the file: 412, 304, or nothing (RFC 9110, 13.2.2).
local function verdict_of(req, etag, mtime)
  local changed = math.floor(mtime)
  local match, none_match = req:header("if-match"), req:header("if-none-match")
  if match then
    if not fields.has_tag(match, etag, true) then return 412 end
  else
    local unmodified = date_in(req, "if-unmodified-since")
    if unmodified and changed > unmodified then return 412 end
  end
  if none_match then return fields.has_tag(none_match, etag) and 304 or nil end
  local modified = date_in(req, "if-modified-since")
  return modified and changed <= modified and 304 or nil
end

-- May a range be answered, or did the file change since the client's first part?
local function range_applies(req, etag, mtime)
  local condition = req:header("if-range")
  if not condition then return true end
  return condition == etag or date.parse(condition) == math.floor(mtime)
end

-- Returns the ranges that the request asks for, as fields.ranges does; nil: the whole file.
local function ranges_of(res, req, stat, etag)
  local range = req:header("range")
  if not range or req.method ~= "GET" or res.status ~= 200 or not range_applies(req, etag, stat.mtime) then return nil end
  return fields.ranges(range, stat.size)
end

-- ---- the answer ----

local function shorter() fault.raise("response.file", "EIO", "the file became shorter while it was read") end

-- Reads a small file as a whole, and so one whose size nobody knows: files of /proc claim to be empty, those of /sys to be a page.
local function read_whole(file, size)
  local pieces, at = {}, 0
  repeat
    local bytes = file:read_at(at, at < size and size - at or CHUNK)
    pieces[#pieces + 1] = bytes
    at = at + #(bytes or "")
    if at > MAX_UNSIZED then fault.raise("response.file", "EFBIG", "a file of unknown size has more than %d bytes", MAX_UNSIZED) end
  until not bytes or at == size
  return table.concat(pieces)
end

-- Sends a part of the file. Its first bytes go by way of Lua, since the head leaves with them: a file that cannot be read is answered with
-- an error. What wraps the writer (a test, the page of --dev) gets all of it as strings.
local function send_range(out, file, first, last)
  local at, direct = first, type(out) == "userdata"
  while at <= last do
    if direct and at > first then return http.write_file(out, file, at, last - at + 1) end
    local bytes = file:read_at(at, math.min(direct and FIRST or CHUNK, last - at + 1))
    if not bytes then shorter() end
    out:write(bytes)
    at = at + #bytes
  end
end

-- Makes the body of pieces: strings, and ranges { first, last } of the file. A small file was read before (`text`) and goes
-- out with its head in one write; a large one is streamed.
local function put_pieces(res, req, file, text, pieces)
  local size = 0
  for i, piece in ipairs(pieces) do
    if text and type(piece) == "table" then pieces[i] = text:sub(piece[1] + 1, piece[2] + 1) end
    size = size + (type(piece) == "table" and piece[2] - piece[1] + 1 or #piece)
  end
  if text then
    res.body = table.concat(pieces)
    return req.method == "HEAD" and res:header("content-length", tostring(size)) or res
  end
  if req.method == "HEAD" then file:close() end
  res.stream = function(out)
    local handle <close> = file
    for _, piece in ipairs(pieces) do
      if type(piece) == "table" then send_range(out, handle, piece[1], piece[2]) else out:write(piece) end
    end
  end
  return res:header("content-length", tostring(size))
end

-- multipart/byteranges (RFC 9110, 14.6)
local function in_parts(res, ranges, kind, size)
  local boundary = ("%016x%016x"):format(math.random(0), math.random(0))
  local pieces = {}
  for i = 1, #ranges, 2 do
    pieces[#pieces + 1] = ("%s--%s\r\nContent-Type: %s\r\nContent-Range: bytes %d-%d/%d\r\n\r\n"):format(i > 1 and "\r\n" or "",
      boundary, kind, ranges[i], ranges[i + 1], size)
    pieces[#pieces + 1] = { ranges[i], ranges[i + 1] }
  end
  pieces[#pieces + 1] = ("\r\n--%s--\r\n"):format(boundary)
  res:header("content-type", "multipart/byteranges; boundary=" .. boundary)
  return pieces
end

-- Returns the pieces to be sent, and sets the status and the headers that describe them. nil: no range can be satisfied.
local function pieces_of(res, ranges, kind, size)
  if not ranges then return size > 0 and { { 0, size - 1 } } or {} end
  if #ranges == 0 then return nil end
  res.status = 206
  if #ranges > 2 then return in_parts(res, ranges, kind, size) end
  res:header("content-range", ("bytes %d-%d/%d"):format(ranges[1], ranges[2], size))
  return { { ranges[1], ranges[2] } }
end

-- What it says next time is no later state of what it says now: no validators, no ranges.
local function unsized(res, text)
  for _, name in ipairs { "etag", "last-modified", "accept-ranges" } do res:header(name, nil) end
  res.body = text
  return res:header("cache-control", "no-store")
end

local function content(res, req, file, stat, etag, kind)
  local pieces = pieces_of(res, ranges_of(res, req, stat, etag), kind, stat.size)
  if not pieces then
    file:close()
    return response.status(416):header("content-range", ("bytes */%d"):format(stat.size))
  end
  if stat.size > CHUNK then return put_pieces(res, req, file, nil, pieces) end
  local handle <close> = file
  local text = read_whole(handle, stat.size)
  if #text == stat.size then return put_pieces(res, req, nil, text, pieces) end
  res.status = res.status == 206 and 200 or res.status
  return unsized(res:header("content-range", nil):header("content-type", kind), text)
end

local ENDINGS = { br = ".br", gzip = ".gz", zstd = ".zst" } -- of a file's compressed neighbours

-- Opens a compressed neighbour of a file, unless the file is newer. The codings are those that are still to be tried. Returns the neighbour, its
-- stat and its coding; nil: there is none that the request accepts.
local function neighbour(req, path, stat, root, codings)
  local coding = negotiation.coding(req, codings)
  if not coding then return nil end
  local file, its = below.open(path .. ENDINGS[coding], root)
  if file and its.type == "file" and its.mtime >= stat.mtime then return file, its, coding end
  if file then file:close() end
  local others = {}
  for _, other in ipairs(codings) do
    if other ~= coding then others[#others + 1] = other end
  end
  return neighbour(req, path, stat, root, others)
end

local function describe(res, opts, kind, etag, stat)
  res:header("etag", etag):header("last-modified", date.format(stat.mtime))
  if files.on then res:header("cache-control", "no-cache")
  elseif opts.max_age then res:header("cache-control", ("public, max-age=%d"):format(opts.max_age)) end
  return opts.precompressed ~= false and mime.compressible(kind) and negotiation.vary(res) or res
end

local function answer(req, path, file, stat, opts, own_type)
  local kind, coding = own_type or opts.type or mime.of(path), nil
  files.note("page", path)
  if opts.precompressed ~= false and mime.compressible(kind) and not files.on then
    local smaller, its, coded = neighbour(req, path, stat, opts.root, { "br", "zstd", "gzip" })
    if smaller then
      file:close()
      file, stat, coding = smaller, its, coded
    end
  end
  local etag = etag_of(stat, coding and "-" .. coding or "")
  local status = opts.status or 200
  local added_to = files.on and kind:find "^text/html" -- by --dev: what a browser has may have been sent without it
  local verdict = status == 200 and not added_to and verdict_of(req, etag, stat.mtime)
  if verdict then
    file:close()
    return verdict == 304 and describe(response.status(304), opts, kind, etag, stat) or response.status(verdict)
  end
  local res = describe(response.status(status), opts, kind, etag, stat)
  res:header("content-type", kind):header("x-content-type-options", "nosniff"):header("accept-ranges", "bytes")
  if coding then res:header("content-encoding", coding) end
  return content(res, req, file, stat, etag, kind)
end

local M = {}

--- Of response.file.
function M.check_options(opts) return options.check("response.file", opts, FILE_OPTIONS, "file option") end

-- Answers 404. A name below `root` may be a client's; any other is the app's own, so its absence is logged.
local function missing(path, opts, why)
  if not opts.root then native.log("response.file", ("%s: %s"):format(path, why)) end
  return not_found()
end

-- Returns the answer that response.file promised, now that the request is at hand.
function M.settle(promise, req)
  local path, opts = promise.file.path, promise.file.opts
  if path:find("\0", 1, true) then return not_found() end
  if opts.root then
    if not is_inside(path, opts.dotfiles) then return not_found() end
    path = opts.root .. "/" .. path
  end
  local file, stat = below.open(path, opts.root)
  if not file then return missing(path, opts, "no such file") end
  if stat.type ~= "file" then
    file:close()
    return missing(path, opts, "it is a " .. stat.type)
  end
  local res = answer(req, path, file, stat, opts, promise.headers["content-type"])
  for name, value in pairs(promise.headers) do
    if name ~= "content-type" then res:header(name, value) end
  end
  return res
end

-- Redirects "/docs" to "/docs/", so that the page's relative links work.
local function add_slash(req)
  local query = req.query_string
  return response.redirect(req.raw_path .. "/" .. (query ~= "" and "?" .. query or ""), 301)
end

local function serve(req, root, path, opts)
  if not is_inside(path, opts.dotfiles) then return not_found() end
  local full = root .. "/" .. path
  local file, stat = below.open(full, root)
  local directory = path == "" or path:sub(-1) == "/"
  if file and stat.type == "directory" and opts.index then
    file:close()
    if not directory then return add_slash(req) end
    full = full .. opts.index
    file, stat = below.open(full, root)
    directory = false
  end
  if not file then return not_found() end
  if directory or stat.type ~= "file" then
    file:close()
    return not_found()
  end
  return answer(req, full, file, stat, opts)
end

-- Returns the handler of app:static; the route's parameter is called `path`.
function M.handler(dir, opts)
  local own = { root = dir, index = "index.html" }
  for name, value in pairs(options.check("app:static", opts, DIRECTORY_OPTIONS, "file option")) do own[name] = value end
  local stat = fs.stat(dir)
  if not stat or stat.type ~= "directory" then fault.raise("app.static", "ENOTDIR", "%s: not a directory", dir) end
  return function(req) return serve(req, dir, req.params.path, own) end
end

return M
