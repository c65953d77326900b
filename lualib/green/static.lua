-- SPDX-License-Identifier: MIT
-- Files as answers: validators and conditional requests, one range, a precompressed sibling, and no way out of
-- the directory. The descriptor that was checked is the one that is read.
local date = require "green.date"
local fault = require "green.error"
local files = require "green.dev.files"
local fs = require "green.fs.native"
local mime = require "green.mime"
local response = require "green.response"

local CHUNK = 64 * 1024
local ABSENT = { ENOENT = true, ENOTDIR = true, EACCES = true, ELOOP = true, ENAMETOOLONG = true, ENXIO = true }
local OPTIONS = {
  index = true, dotfiles = true, gzip = true, max_age = true, -- static
  root = true, type = true, download = true, status = true, headers = true, -- response.file
}

local function not_found() return response.json({ error = "not found" }, 404) end

-- nil when there is no such file for this client; what is wrong with the host raises.
local function open(path, root)
  local ok, file, stat = pcall(fs.open_below, path, root)
  if ok then return file, stat end
  if fault.is(file) and ABSENT[file.code] then return nil end
  error(file, 0)
end

-- A relative path that stays below its directory by its words alone (links are the business of open).
local function is_inside(path, dotfiles)
  if path:find("\0", 1, true) or path:find("^/") or path:find("//", 1, true) then return false end
  for segment in path:gmatch("[^/]+") do
    if segment == "." or segment == ".." then return false end
    if not dotfiles and segment:find("^%.") then return false end
  end
  return true
end

-- ---- conditions ----

local function etag_of(stat, suffix) return ('"%x-%x%s"'):format(stat.size, math.floor(stat.mtime * 1e6), suffix) end

local function listed(header, etag)
  if header:find("^%s*%*%s*$") then return true end
  for tag in header:gmatch('"[^"]*"') do
    if tag == etag then return true end
  end
  return false
end

local function is_fresh(req, etag, mtime)
  local none_match = req:header("if-none-match")
  if none_match then return listed(none_match, etag) end
  local since = req:header("if-modified-since")
  since = since and date.parse(since)
  return since ~= nil and math.floor(mtime) <= since
end

-- May a range be answered, or did the file change since the client's first part?
local function range_applies(req, etag, mtime)
  local condition = req:header("if-range")
  if not condition then return true end
  return condition == etag or date.parse(condition) == math.floor(mtime)
end

-- First and last byte asked for; nil = all of it (also for what is not understood), false = not satisfiable.
local function range_of(header, size)
  local first, last = header:match("^bytes=(%d*)%-(%d*)$")
  first, last = math.tointeger(tonumber(first)), math.tointeger(tonumber(last))
  if not first and not last then return nil end
  if not first then
    if last == 0 or size == 0 then return false end
    return math.max(0, size - last), size - 1
  end
  if last and last < first then return nil end
  if first >= size then return false end
  return first, math.min(last or size - 1, size - 1)
end

local function accepts_gzip(req)
  for coding in (req:header("accept-encoding") or ""):lower():gmatch("[^,]+") do
    if coding:match("^%s*([^%s;]+)") == "gzip" then return tonumber(coding:match(";%s*q=([%d.]+)") or 1) > 0 end
  end
  return false
end

-- ---- the answer ----

local function sender(file, first, last)
  return function(out)
    local handle <close> = file
    local at = first
    while at <= last do
      local bytes = handle:read_at(at, math.min(CHUNK, last - at + 1))
      if not bytes then fault.raise("response.file", "EIO", "the file became shorter while it was sent") end
      out:write(bytes)
      at = at + #bytes
    end
  end
end

-- A small file goes out with its head in one write; a large one is streamed.
local function put_content(res, req, file, first, last)
  local size = last - first + 1
  if req.method ~= "HEAD" and size <= CHUNK then
    local handle <close> = file
    local bytes = size > 0 and handle:read_at(first, size) or ""
    if #bytes ~= size then fault.raise("response.file", "EIO", "the file became shorter while it was read") end
    res.body = bytes
    return res
  end
  if req.method == "HEAD" then file:close() end
  res.stream = sender(file, first, last)
  return res:header("content-length", tostring(size))
end

local function content(res, req, file, stat, etag)
  local first, last = 0, stat.size - 1
  local range = req:header("range")
  if range and req.method == "GET" and res.status == 200 and range_applies(req, etag, stat.mtime) then
    local from, to = range_of(range, stat.size)
    if from == false then
      file:close()
      return response.status(416):header("content-range", ("bytes */%d"):format(stat.size))
    elseif from then
      first, last, res.status = from, to, 206
      res:header("content-range", ("bytes %d-%d/%d"):format(first, last, stat.size))
    end
  end
  return put_content(res, req, file, first, last)
end

-- The .gz beside a file, unless the file is newer.
local function smaller(req, path, stat, root)
  if files.on or not accepts_gzip(req) then return nil end
  local file, gz = open(path .. ".gz", root)
  if not file then return nil end
  if gz.type == "file" and gz.mtime >= stat.mtime then return file, gz end
  file:close()
end

local function describe(res, opts, kind, etag, stat)
  res:header("etag", etag):header("last-modified", date.format(stat.mtime))
  if files.on then res:header("cache-control", "no-cache")
  elseif opts.max_age then res:header("cache-control", ("public, max-age=%d"):format(opts.max_age)) end
  if opts.gzip ~= false and mime.compressible(kind) then res:header("vary", "accept-encoding") end
  return res
end

local function answer(req, path, file, stat, opts)
  local kind, suffix = opts.type or mime.of(path), ""
  files.note("page", path)
  if opts.gzip ~= false and mime.compressible(kind) then
    local gz, gz_stat = smaller(req, path, stat, opts.root)
    if gz then
      file:close()
      file, stat, suffix = gz, gz_stat, "-gz"
    end
  end
  local etag = etag_of(stat, suffix)
  local status = opts.status or 200
  local added_to = files.on and kind:find "^text/html" -- by --dev: what a browser has may have been sent without it
  if status == 200 and not added_to and is_fresh(req, etag, stat.mtime) then
    file:close()
    return describe(response.status(304), opts, kind, etag, stat)
  end
  local res = describe(response.status(status), opts, kind, etag, stat)
  res:header("content-type", kind):header("x-content-type-options", "nosniff"):header("accept-ranges", "bytes")
  if suffix ~= "" then res:header("content-encoding", "gzip") end
  return content(res, req, file, stat, etag)
end

local function check_options(opts)
  for name in pairs(opts) do
    if not OPTIONS[name] then error(("unknown file option '%s'"):format(tostring(name)), 0) end
  end
  return opts
end

local M = { check_options = check_options }

-- The answer that response.file promised, now that the request is at hand.
function M.settle(promise, req)
  local path, opts = promise.file.path, promise.file.opts
  if opts.root then
    if not is_inside(path, opts.dotfiles) then return not_found() end
    path = opts.root .. "/" .. path
  end
  local file, stat = open(path, opts.root)
  if not file then return not_found() end
  if stat.type ~= "file" then
    file:close()
    return not_found()
  end
  local res = answer(req, path, file, stat, opts)
  for name, value in pairs(promise.headers) do res:header(name, value) end
  return res
end

-- "/docs" -> "/docs/", so that the page's relative links work.
local function add_slash(req)
  local query = req.query_string
  return response.redirect(req.raw_path .. "/" .. (query ~= "" and "?" .. query or ""), 301)
end

local function serve(req, root, path, opts)
  if not is_inside(path, opts.dotfiles) then return not_found() end
  local full = root .. "/" .. path
  local file, stat = open(full, root)
  local directory = path == "" or path:sub(-1) == "/"
  if file and stat.type == "directory" and opts.index then
    file:close()
    if not directory then return add_slash(req) end
    full = full .. opts.index
    file, stat = open(full, root)
    directory = false
  end
  if not file then return not_found() end
  if directory or stat.type ~= "file" then
    file:close()
    return not_found()
  end
  return answer(req, full, file, stat, opts)
end

-- The handler of app:static: `path` is the route's parameter.
function M.handler(dir, opts)
  local own = { root = dir, index = "index.html" }
  for name, value in pairs(check_options(opts or {})) do own[name] = value end
  local stat = fs.stat(dir)
  if not stat or stat.type ~= "directory" then fault.raise("app.static", "ENOTDIR", "%s: not a directory", dir) end
  return function(req) return serve(req, dir, req.params.path, own) end
end

return M
