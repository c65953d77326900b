-- SPDX-License-Identifier: MIT
-- --grace held for requests only: the task that a request had left behind (a mail to be sent), and the app's own that had waited for
-- the signal to clean up, were cut when the last answer was out, 5 ms after it. They may end by themselves now; what has no end of its
-- own is cancelled after them, and runs its to-be-closed variables.
local http = require "green.http"
local serve = require "process"

local function app(text)
  local path = os.tmpname()
  finally(function() os.remove(path) end)
  local file <close> = assert(io.open(path, "w"))
  file:write([[
    local task = require "green.task"
    local signal = require "green.signal"
    local app = require "green.app".new()
    local function say(text) io.stderr:write(text, "\n") end
  ]], text, "\nreturn app")
  return path
end

local function stopped(text, flags, path)
  local server <close> = serve(app(text), nil, { flags = flags })
  if path then assert.equal("ok", http.get(server.url .. path).body) end
  local code, said = server:stop()
  return said:gsub("greenlua: stopping %(SIGTERM%)\n", ""), code
end

describe("the grace of a server that is stopped", function()
  it("holds for tasks that requests left behind, and for those they started", function()
    local said, code = stopped([[
      app:get("/", function()
        task.spawn(function()
          task.sleep(0.2)
          task.spawn(function() task.sleep(0.2) say "sent" end)
        end)
        return "ok"
      end)
    ]], nil, "/")
    assert.same({ "sent\n", 0 }, { said, code })
  end)

  it("holds for the app's own that waited for the signal", function()
    local said, code = stopped [[
      task.spawn(function()
        say(signal.wait "TERM")
        task.sleep(0.3)
        say "cleaned up"
      end)
    ]]
    assert.same({ "TERM\ncleaned up\n", 0 }, { said, code })
  end)

  it("holds for nobody who waits for the next signal, or has no end of his own", function()
    local said, code = stopped([[
      task.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() say "closed" end })
        while true do task.sleep(0.01) end
      end)
      task.spawn(function()
        while true do say(signal.wait "TERM") end
      end)
    ]], "--grace 100")
    assert.same({ "TERM\nclosed\n", 0 }, { said, code })
  end)

  it("ends, and what runs then is cancelled", function()
    local said, code = stopped([[
      app:get("/", function()
        task.spawn(function()
          local _ <close> = setmetatable({}, { __close = function() say "closed" end })
          task.sleep(100)
          say "never"
        end)
        return "ok"
      end)
    ]], "--grace 0.1", "/")
    assert.same({ "closed\n", 0 }, { said, code })
  end)
end)
