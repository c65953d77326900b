-- SPDX-License-Identifier: MIT
-- Files. A call that needs the system waits while a thread of the pool works, and other tasks go on; that is the C half. This half has the
-- functions on paths, and those built from the others.
local fault = require "green.error"
local native = require "green.fs.native"

local fs = {}

for _, name in ipairs {
  "read", "write", "append", "copy", "open", "temp_file", "temp_dir", "stat", "lstat", "list", "realpath", "readlink",
  "mkdir", "remove", "rename", "link", "symlink", "chmod", "touch", "utime",
} do
  fs[name] = native[name]
end

-- ---- paths, as text ----

local function check_path(path, index, what)
  if type(path) ~= "string" then
    fault.misuse("bad argument #%d to '%s' (string expected, got %s)", index, what, type(path))
  end
end

function fs.exists(path)
  check_path(path, 1, "exists")
  return native.stat(path) ~= nil
end

--- Joins the pieces with one "/" between them. A later piece that begins with "/" does not start over.
function fs.join(...)
  local joined = ""
  for i = 1, select("#", ...) do
    local piece = select(i, ...)
    check_path(piece, i, "join")
    if joined == "" then
      joined = piece
    elseif piece ~= "" then
      joined = (joined:match "^(.*[^/])" or "") .. "/" .. piece:gsub("^/+", "")
    end
  end
  return joined
end

-- Removes slashes at the end: "/a/b/" becomes "/a/b".
local function trim(path) return path:match "^(.*[^/])/*$" or path:sub(1, 1) end

function fs.dirname(path)
  check_path(path, 1, "dirname")
  local dir = trim(path):match "^(.*)/[^/]*$"
  if not dir then return "." end
  return dir:match "^(.*[^/])/*$" or "/"
end

function fs.basename(path)
  check_path(path, 1, "basename")
  path = trim(path)
  return path ~= "/" and path:match "^.*/(.*)$" or path
end

--- Returns the extension with its dot, so that basename = stem .. extension. A name that begins with its only dot has none.
function fs.extension(path)
  check_path(path, 1, "extension")
  local stem, extension = fs.basename(path):match "^(.*)(%.[^.]*)$"
  return stem and stem:find "[^.]" and extension or ""
end

--- Returns the path from the root, without "." and "..". Only the text counts: links are not looked at.
function fs.absolute(path)
  check_path(path, 1, "absolute")
  if path:sub(1, 1) ~= "/" then path = native.cwd() .. "/" .. path end
  local kept = {}
  for name in path:gmatch "[^/]+" do
    if name == ".." then kept[#kept] = nil
    elseif name ~= "." then kept[#kept + 1] = name end
  end
  return "/" .. table.concat(kept, "/")
end

-- ---- walk ----

-- Lists a folder below the walk's first. One that was removed since its own folder was listed counts as empty.
local function entries_of(path)
  local ok, list = pcall(native.list, path)
  if ok then return list end
  if fault.is(list, "ENOENT") or fault.is(list, "ENOTDIR") then return {} end
  error(list, 0)
end

--- Returns an iterator, as in `for path, type in fs.walk(dir)`, over everything below a folder, each folder before its contents.
function fs.walk(dir)
  check_path(dir, 1, "walk")
  local levels = { { path = dir, list = native.list(dir), at = 0 } }
  local enter
  return function()
    if enter then levels[#levels + 1] = { path = enter, list = entries_of(enter), at = 0 } end
    enter = nil
    while #levels > 0 do
      local level = levels[#levels]
      level.at = level.at + 1
      local entry = level.list[level.at]
      if entry then
        local path = fs.join(level.path, entry.name)
        if entry.type == "directory" then enter = path end
        return path, entry.type
      end
      levels[#levels] = nil
    end
  end
end

-- ---- watch ----

local Watch = { __name = "green.fs.Watch" }
Watch.__index = Watch

local is_watch = fault.receiver(Watch, "watch")

-- Waits for the next change. The system reports one event for a name that appeared or went, so that a look at the file decides which.
function Watch:next(timeout)
  is_watch(self, "next")
  local name, event = self.native:next(timeout)
  if not name then return nil end
  if event == "rename" then event = native.lstat(fs.join(self.folder, name)) and "create" or "remove" end
  return { name = name, event = event }
end

function Watch:close()
  is_watch(self, "close")
  self.native:close()
end

Watch.__close = Watch.close
Watch.__call = function(self) return self:next() end

--- Returns an iterator, as in `for change in fs.watch(path)`, which ends with the loop. A file is watched by its name in its folder, since
--- fs.write and editors replace files.
function fs.watch(path)
  check_path(path, 1, "watch")
  local stat = native.stat(path)
  if not stat then fault.raise("fs.watch", "ENOENT", "%s: no such file or directory", path) end
  local folder, only = path, nil
  if stat.type ~= "directory" then folder, only = fs.dirname(path), fs.basename(path) end
  local watch = setmetatable({ native = native.watch(folder, only), folder = folder }, Watch)
  return watch, nil, nil, watch
end

return fs
