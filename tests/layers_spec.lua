-- SPDX-License-Identifier: MIT
-- The layers of host/, as its include lines show them, and the names that belong to core/ alone.
local root = (arg[0]:match "^(.*)/tests/[^/]*$" or ".") .. "/"

-- Folder -> the folders it may include from, itself apart.
local may_include = {
  cmake = {}, -- programs of the build
  core = {},
  libc = { "core" },
  sys = { "core" },
  coding = { "core" },
  json = { "core" },
  io = { "core" },
  fs = { "core" },
  process = { "io", "core" },
  stdlib = { "core" },
  net = { "core" },
  h1 = { "core" },
  ws = { "coding", "h1", "core" },
  message = { "h1", "net", "core" },
  h2 = { "message", "h1", "core" },
  http = { "message", "h1", "h2", "ws", "coding", "json", "net", "core" },
  web = { "http", "message", "h1", "ws", "coding", "json", "net", "core" },
  transport = { "message", "h1", "net", "core" },
  client = { "transport", "message", "h1", "net", "core" },
  db = { "json", "net", "core" },
}

local function files(folder, pattern)
  local list = {}
  local pipe = assert(io.popen(("find '%s%s' -name '%s'"):format(root, folder, pattern)))
  for path in pipe:lines() do list[#list + 1] = path:sub(#root + 1) end
  assert(pipe:close())
  table.sort(list)
  return list
end

local function read(path)
  local file <close> = assert(io.open(root .. path))
  return file:read "a"
end

local function exists(path)
  local file <close> = io.open(root .. path)
  return file ~= nil
end

local function code_of(path)
  return (read(path):gsub("/%*.-%*/", function(comment) return (comment:gsub("[^\n]", " ")) end):gsub("//[^\n]*", ""))
end

local function each_line(path, visit)
  local number = 0
  for line in (code_of(path) .. "\n"):gmatch "(.-)\n" do
    number = number + 1
    visit(line, ("%s:%d: %s"):format(path, number, line))
  end
end

describe("host/", function()
  local sources = files("host", "*.[ch]")

  it("has sources", function() assert.is_true(#sources > 10) end)

  it("includes only what its layer may", function()
    local wrong = {}
    for _, path in ipairs(sources) do
      local layer = path:match "^host/([^/]+)/"
      local allowed = { [layer or ""] = true }
      for _, name in ipairs(layer and assert(may_include[layer], layer .. "/ is not in the table above") or {}) do allowed[name] = true end
      each_line(path, function(line, where)
        local header = line:match '^%s*#%s*include%s+"(.-)"'
        local target = header and header:match "^([^/]+)/"
        if not header or not layer then return end
        if not allowed[target] then wrong[#wrong + 1] = where end
      end)
    end
    assert.equal("", table.concat(wrong, "\n"))
  end)

  it("parses HTTP and WebSocket without Lua and the loop", function()
    local wrong = {}
    local function look(path, chain)
      each_line(path, function(line)
        local header = line:match '^%s*#%s*include%s+[<"](.-)[>"]'
        if not header then return end
        if header == "lua.h" or header == "lauxlib.h" or header == "uv.h" then wrong[#wrong + 1] = chain .. " -> " .. header end
        if header:find "/" and exists("host/" .. header) then look("host/" .. header, chain .. " -> " .. header) end
      end)
    end
    for _, path in ipairs(sources) do
      if path:match "^host/h[12]/" or path:match "^host/ws/" then look(path, path) end
    end
    assert.equal("", table.concat(wrong, "\n"))
  end)

  it("speaks of Lua where scripts look in, and nowhere below", function()
    local wrong = {}
    for _, path in ipairs(sources) do
      local room = path:match "^host/(%w+)/"
      if room == "http" or room == "h1" or room == "h2" or room == "ws" or room == "message" or room == "transport" then
        each_line(path, function(line, where)
          if line:find "%f[%w_]luaL?_[%l]" or line:find "%f[%w_]gl_task[%s_]" then wrong[#wrong + 1] = where end
        end)
      end
    end
    assert.equal("", table.concat(wrong, "\n"))
  end)

  it("serves and sends exchanges without knowing what carries them", function() -- so that HTTP/2 is one carrier more
    local wrong = {}
    for _, path in ipairs(sources) do
      if path:match "^host/web/" or path:match "^host/client/" or path:match "^host/transport/roundtrip" or path == "host/transport/upload.c" then
        each_line(path, function(line, where)
          local carrier = line:find "%f[%w_]gl_conn" or line:find "%f[%w_]gl_h1_" or line:find "%f[%w_]gl_response_r" or line:find '"h%d/reader'
          local made = line:match "%f[%w_]gl_outbound_(%w+)" -- an attempt can be given up, or end with a proxy's refusal, before it is a carrier
          if carrier or made and made ~= "drop" and made ~= "settle" then wrong[#wrong + 1] = where end
        end)
      end
    end
    assert.equal("", table.concat(wrong, "\n"))
  end)

  it("resumes, yields, switches stacks and runs the loop in core only", function()
    local wrong = {}
    for _, path in ipairs(sources) do
      if not path:match "^host/core/" then
        each_line(path, function(line, where)
          for _, name in ipairs { "lua_yield", "lua_yieldk", "lua_resume", "swapcontext", "uv_run" } do
            if line:find("%f[%w_]" .. name .. "%f[^%w_]") then wrong[#wrong + 1] = where end
          end
        end)
      end
    end
    assert.equal("", table.concat(wrong, "\n"))
  end)
end)

-- Within core/ a module is a .c and a .h of one name. A module uses another when it names a function that is defined there;
-- what is called back through a pointer is not named.
describe("host/core/", function()
  local paths = files("host/core", "*.[ch]")

  local function module_of(path) return path:match "([^/]+)%.[ch]$" end

  local function uses()
    local defined, used = {}, {} -- function -> module; module -> module -> one of its functions
    for _, path in ipairs(paths) do
      if path:match "%.c$" then
        for line in code_of(path):gmatch "[^\n]+" do
          local name = not line:match "^static" and line:match "^[%a_][%w_%s%*]-(gl_[%w_]+)%([^;]*$"
          if name then defined[name] = module_of(path) end
        end
      end
    end
    for _, path in ipairs(paths) do
      local module, inline = module_of(path), path:match "%.c$" ~= nil
      used[module] = used[module] or {}
      for line in code_of(path):gmatch "[^\n]+" do
        if path:match "%.h$" then -- only what inline functions call
          inline = line:match "^static inline" and true or inline and not line:match "^}"
        end
        for word in line:gmatch "gl_[%w_]+" do
          local other = inline and defined[word]
          if other and other ~= module then used[module][other] = word end
        end
        if path:match "%.h$" and line:match "^static inline.*}%s*$" then inline = false end
      end
    end
    return used
  end

  it("is in an order that can be read from the bottom up: no module uses one that uses it", function()
    local used, state, found, count = uses(), {}, nil, 0
    local function visit(module, path)
      state[module] = "open"
      for other, name in pairs(used[module]) do
        local step = ("%s -> %s (%s)"):format(path, other, name)
        if state[other] == "open" then found = found or step end
        if not state[other] then visit(other, step) end
        count = count + 1
      end
      state[module] = "closed"
    end
    for _, path in ipairs(paths) do
      if not state[module_of(path)] then visit(module_of(path), module_of(path)) end
    end
    assert.is_nil(found)
    assert.is_true(count > 50, count .. " uses")
  end)
end)

describe("every source file", function()
  it("says its licence once", function()
    local wrong = {}
    for _, list in ipairs { files("host", "*.[ch]"), files("lualib", "*.lua"), files("tests", "*.lua") } do
      for _, path in ipairs(list) do
        local _, count = read(path):gsub("SPDX%-License%-Identifier: MIT", "")
        if count ~= 1 then wrong[#wrong + 1] = path end
      end
    end
    assert.equal("", table.concat(wrong, "\n"))
  end)
end)
