-- SPDX-License-Identifier: MIT
-- The layers of host/, as its include lines show them, and the names that belong to core/ alone.
local root = (arg[0]:match "^(.*)/tests/[^/]*$" or ".") .. "/"

-- Folder -> the folders it may include from, itself apart.
local may_include = {
  core = {},
  sys = { "core" },
  coding = { "core" },
  json = { "core" },
  io = { "core" },
  fs = { "core" },
  process = { "io", "core" },
  net = { "core" },
  h1 = { "core" },
  ws = { "h1", "core" },
  http = { "h1", "ws", "json", "net", "core" },
  curl = { "net", "core" },
  db = { "net", "core" },
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
      if path:match "^host/h1/" or path:match "^host/ws/" then look(path, path) end
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
