-- SPDX-License-Identifier: MIT
-- Child processes. This half checks what scripts ask for and turns it into the plain command that the C half starts.
local native = require "green.process.native"
local fault = require "green.error"
local options = require "green.options"

local misuse = fault.misuse

local TIMEOUT = 60 -- seconds
local MAX_OUTPUT = 16 * 1024 * 1024

-- Returns the options that every call takes, and `more`.
local function known(more)
  local all = {
    cwd = "string", env = "table", clear_env = "boolean", group = "boolean", stdin = { "pipe", "inherit", "null" },
    stdout = { "pipe", "inherit", "null" }, stderr = { "pipe", "inherit", "null", "stdout" },
  }
  for name, kind in pairs(more) do all[name] = kind end
  return all
end

local SPAWN_OPTIONS = known { keep = "boolean" }
local RUN_OPTIONS = known { input = "string", timeout = "seconds", max_output = "bytes" }

local function text(value, what)
  local kind = type(value)
  if kind ~= "string" and kind ~= "number" then misuse("%s is a string, not a %s", what, kind) end
  value = tostring(value)
  if value:find("\0", 1, true) then misuse("%s has a zero byte in it", what) end
  return value
end

local function words(argv)
  if type(argv) == "string" then misuse('a command is a list of words: { "ls", "-l" }; for the shell { "sh", "-c", ... }') end
  if type(argv) ~= "table" then misuse("a command is a list of words, not a %s", type(argv)) end
  local list = { argv.cmd and text(argv.cmd, "the command") }
  for i, word in ipairs(argv) do list[#list + 1] = text(word, "word " .. i .. " of the command") end
  if #argv ~= #list - (argv.cmd and 1 or 0) then misuse "a command is a list of words without holes" end
  if not list[1] then misuse "the command is empty" end
  return list
end

-- Returns the child's environment: ours with the changes (false removes a name), or with `clear` only what is given; nil for ours as it is.
local function environment(changes, clear)
  if not changes and not clear then return nil end
  local all = clear and {} or native.environ()
  for name, value in pairs(changes or {}) do
    name = text(name, "a name in env")
    if name == "" or name:find("=", 1, true) then misuse("'%s' is no name for env", name) end
    all[name] = value and text(value, "env." .. name) or nil
  end
  local list = {}
  for name, value in pairs(all) do list[#list + 1] = name .. "=" .. value end
  return list
end

local function command(op, argv, opts, known_ones)
  opts = options.check(op, opts, known_ones)
  return {
    argv = words(argv),
    env = environment(opts.env, opts.clear_env),
    cwd = opts.cwd and text(opts.cwd, "option 'cwd'"),
    group = opts.group,
    stdin = opts.stdin,
    stdout = opts.stdout or "inherit",
    stderr = opts.stderr or "inherit",
  }
end

-- ---- a process and its pipes

local Process = {}
Process.__index = Process
Process.__name = "green.process"

local is_process = fault.receiver(Process, "process")

function Process:wait(timeout)
  is_process(self, "wait")
  return self.child:wait(timeout)
end

function Process:kill(signal)
  is_process(self, "kill")
  return self.child:kill(signal)
end

function Process:close(grace)
  is_process(self, "close")
  for _, name in ipairs { "stdin", "stdout", "stderr" } do
    if self[name] then self[name]:close() end
  end
  self.child:close(grace)
end

function Process:__close() self:close() end

function Process:__tostring() return ("process: %d (%s)"):format(self.pid, self.name) end

local M = {}

function M.spawn(argv, opts)
  local cmd = command("process.spawn", argv, opts, SPAWN_OPTIONS)
  cmd.keep = opts and opts.keep
  local child, stdin, stdout, stderr = native.spawn(cmd)
  return setmetatable({
    child = child, pid = child:pid(), name = cmd.argv[1], stdin = stdin, stdout = stdout, stderr = stderr,
  }, Process)
end

-- ---- to the end, in one call

local function run(op, argv, opts, defaults)
  local cmd = command(op, argv, opts, RUN_OPTIONS)
  opts = opts or {}
  for _, name in ipairs { "stdin", "stdout", "stderr" } do
    if opts[name] == "pipe" then misuse("option '%s' cannot be 'pipe' in %s", name, op) end
  end
  if opts.input and opts.stdin then misuse "either option 'input' or option 'stdin'" end
  cmd.op = op
  cmd.input = opts.input
  cmd.timeout = opts.timeout or TIMEOUT
  cmd.max_output = opts.max_output or MAX_OUTPUT
  for name, value in pairs(defaults) do
    if not opts[name] then cmd[name] = value end
  end
  if opts.group == false then cmd.group = false end
  local code, signal, stdout, stderr = native.run(cmd)
  return { code = code, signal = signal, stdout = stdout, stderr = stderr }
end

function M.run(argv, opts) return run("process.run", argv, opts, {}) end

function M.capture(argv, opts)
  return run("process.capture", argv, opts, { stdout = "pipe", stderr = "pipe", group = true })
end

return M
