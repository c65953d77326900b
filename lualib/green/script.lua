-- SPDX-License-Identifier: MIT
-- Internal.
-- Request scripts: a file run top to bottom for each request, `local req = ...`. Compiled once, again when the
-- file changed. Its globals are a table of the one run, over the real ones.
local below = require "green.below"
local fault = require "green.error"
local files = require "green.dev.files"
local fs = require "green.fs.native"
local response = require "green.response"
local timer = require "green.timer.native"

local CHECK_EVERY = 1 -- seconds between two looks at a file
local globals = { __index = _G }

-- The file as a function(_ENV, ...): the environment is an argument, so a run costs a call and not a load. The
-- text is compiled as it stands first, for messages that are about it and for no other text to pass.
local function compile(path, text)
  local source, name = text:gsub("^#[^\n]*", "--"), "@" .. path
  local checked, err = load(source, name, "t")
  if not checked then files.refused(path, err) end
  if not checked then fault.raise("app.script", "EINVAL", "%s", err) end
  return assert(load("return function(_ENV, ...) " .. source .. "\nend", name, "t"))()
end

-- Is the entry made of what the file holds now? Looks at most once per CHECK_EVERY.
local function is_current(entry)
  local now = timer.now()
  if files.on or now < entry.next_look then return true end -- --dev looks by itself, and renews
  entry.next_look = now + CHECK_EVERY
  local stat = fs.stat(entry.path)
  return stat and stat.size == entry.size and stat.mtime == entry.mtime
end

local function load_entry(path, root)
  files.note("script", path)
  local text, stat = below.read(path, root)
  if not text then return nil end
  return { path = path, size = stat.size, mtime = stat.mtime, next_look = timer.now() + CHECK_EVERY, main = compile(path, text) }
end

local function run(entry, req)
  local env = setmetatable({}, globals)
  env._G = env
  return entry.main(env, req)
end

local function gone() return response.json({ error = "not found" }, 404) end

local M = {}
local caches = setmetatable({}, { __mode = "k" })

-- Makes a cache of entries by path; with a root, of scripts below it only.
local function new_cache(root)
  local cache = { root = root, entries = {} }
  caches[cache] = true
  return cache
end

-- Compiles a file that --dev saw change. Raises what is wrong with the file; runs then go on with what it was.
function M.renew(path)
  local with_it = {}
  for cache in pairs(caches) do
    if cache.entries[path] then with_it[#with_it + 1] = cache end
  end
  for _, cache in ipairs(with_it) do
    local text = below.read(path, cache.root)
    if text then compile(path, text) end
  end
  for _, cache in ipairs(with_it) do cache.entries[path] = nil end
end

local function answer(cache, path, req)
  local entries = cache.entries
  local entry = entries[path]
  if not entry or not is_current(entry) then
    entries[path] = nil
    entry = load_entry(path, cache.root)
    entries[path] = entry
  end
  if not entry then return gone() end
  return run(entry, req)
end

-- Returns the handler of one script, which must exist and compile when the app starts.
function M.handler(path)
  local entry = load_entry(path)
  if not entry then fault.raise("app.script", "ENOENT", "%s: no such script", path) end
  local cache = new_cache()
  cache.entries[path] = entry
  return function(req) return answer(cache, path, req) end
end

-- dir/NAME.lua for the route's parameter `script`; "" and names that end in "/" mean index. Links may not lead out of dir.
function M.directory(dir)
  local stat = fs.stat(dir)
  if not stat or stat.type ~= "directory" then fault.raise("app.scripts", "ENOTDIR", "%s: not a directory", dir) end
  local cache = new_cache(dir)
  return function(req)
    local name = req.params.script
    if name:find("[^%w_/-]") or name:find("^/") or name:find("//", 1, true) then return gone() end
    if name == "" or name:sub(-1) == "/" then name = name .. "index" end
    return answer(cache, dir .. "/" .. name .. ".lua", req)
  end
end

return M
