-- SPDX-License-Identifier: MIT
-- The interpreter under test, driven through a shell; for specs about the command line.
local interpreter = require "interpreter"

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

-- A busy machine makes any C function take long: no news for those who look at stderr.
local function without_stalls(text)
  local kept, inside = {}, false
  for line in text:gmatch "[^\n]*\n?" do
    local again = line:find "^greenlua: the stall at .* came %d+ times more\n$"
    if line:find "stalled for more than %d+ ms in C[^\n]*:\n$" then inside = true
    elseif line:sub(1, 1) ~= "\t" then inside = false end
    if not inside and not again then kept[#kept + 1] = line end
  end
  return table.concat(kept)
end

-- Runs a shell command line with $lua for the interpreter, in a folder of its own that holds `files`.
-- Returns what it printed on stdout, on stderr (reports of stalls only if `stalls`), and the exit code.
return function(command, files, stalls)
  local folder = os.tmpname()
  os.remove(folder)
  assert(os.execute("mkdir " .. folder))
  for name, text in pairs(files or {}) do
    local file <close> = assert(io.open(folder .. "/" .. name, "w"))
    file:write(text)
  end
  local script = ("cd %s && unset LUA_INIT LUA_INIT_5_4 LUA_PATH LUA_PATH_5_4; lua=%s; (%s) 2>.err")
    :format(folder, quote(interpreter), command)
  local pipe = assert(io.popen(script))
  local out = pipe:read "a"
  local _, _, code = pipe:close()
  local file = assert(io.open(folder .. "/.err"))
  local err = file:read "a"
  if not stalls then err = without_stalls(err) end
  file:close()
  os.execute("rm -r " .. folder)
  err = err:gsub(interpreter:gsub("%p", "%%%0") .. "([: ])", "greenlua%1") -- as it calls itself when found on $PATH
  return out, err, code
end
