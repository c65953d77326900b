-- SPDX-License-Identifier: MIT
-- A script served by a process of its own, as its users run it:
--
--     local app <close> = serve("scripts/hello.lua", { DATABASE_URL = "sqlite:" .. file })
--     http.get(app.url .. "/")
--
-- Its messages come through a pipe, so that knowing it listens, and that it ended, takes no polling. Reading them stops
-- this process and its tasks: whoever the other one waits for must be done by then.
local interpreter = require "interpreter"

local Process = {}
Process.__index = Process

-- It says nothing about stalls, which are a busy machine's and not the script's.
local INIT = [[require("green.debug").report_stalls(false)]]

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local function environment(env)
  local words = { "LUA_INIT_5_4=" .. quote(INIT) }
  for name, value in pairs(env or {}) do words[#words + 1] = name .. "=" .. quote(value) end
  return table.concat(words, " ")
end

function Process:signal(name) os.execute(("kill -%s %s"):format(name, self.pid)) end

-- The next line of what it says; nil once it is gone.
function Process:line() return self.pipe:read "l" end

-- Waits until it has ended. Returns the exit code (or the signal's number) and what it said meanwhile.
function Process:wait()
  local said = self.pipe:read "a"
  local _, _, code = self.pipe:close()
  self.ended = true
  return code, said
end

function Process:stop(name)
  self:signal(name or "TERM")
  return self:wait()
end

function Process:__close()
  if not self.ended then self:stop "KILL" end
end

-- options: listen = the address (127.0.0.1, any port), flags = more options of the command line
return function(script, env, options)
  local command = ("echo $$; exec env %s %s %s --listen %s %s 2>&1"):format(environment(env), quote(interpreter),
    options and options.flags or "", options and options.listen or "127.0.0.1:0", script)
  local process = setmetatable({ pipe = assert(io.popen(command)) }, Process)
  process.pid = process.pipe:read "n"
  process.pipe:read "l"
  local said = {}
  repeat -- what it logs may come first
    local line = process:line()
    process.url = line and line:match "serving %S+ on (http://%S+)"
    said[#said + 1] = line
  until process.url or not line
  if not process.url then
    process:stop "KILL"
    error(script .. " is not served; it said: " .. table.concat(said, "\n"), 2)
  end
  process.address = process.url:match "^http://(.*)$"
  return process
end
