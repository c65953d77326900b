-- SPDX-License-Identifier: MIT
-- A subscription and the places of its queue counted against no --max-memory, and the hub's lists were counted and not admitted:
-- a process that subscribed on went past its limit. Whoever asks for more gets the error that Lua's allocations get.
local build = require "build"
local interpreter = require "interpreter"
local process = require "green.process"

local LIMIT = 24

-- What a script prints that runs until the hub says no.
local function run(script)
  local got = process.capture({ interpreter, "--max-memory", LIMIT .. "M", "-e", script }, { timeout = 60 })
  assert.equal("", got.stderr)
  return got.stdout
end

describe("under --max-memory the hub", function()
  it("refuses to subscribe when there is no more", function()
    local said, grown = run([[
      local hub = require "green.hub"
      local function peak()
        for line in io.lines "/proc/self/status" do
          if line:find "^VmHWM" then return 1024 * tonumber(line:match "%d+") end
        end
      end
      local first, all, before = hub.subscribe "first", {}, peak()
      local function subscribe()
        local topic = "topic " .. #all
        all[#all + 1] = hub.subscribe(topic)
        hub.publish(topic, "")
      end
      local ok, err
      repeat ok, err = pcall(subscribe) until not ok
      all = nil
      collectgarbage()
      collectgarbage()
      assert(hub.publish("first", "x") == 1 and first:receive(1) == "x")
      print(err, peak() - before)
      os.exit(0)
    ]]):match "^(.-)\t(%d+)\n$"
    assert.equal("not enough memory", said)
    if not build.sanitized then assert.is_true(tonumber(grown) < LIMIT << 20, grown) end
  end)

  it("refuses to publish what nobody has room for", function()
    assert.equal("not enough memory\t1\n", run [[
      local hub = require "green.hub"
      local s = hub.subscribe("news", { max_messages = 1 << 30, max_bytes = 1 << 40 })
      local text, ok, err = ("x"):rep(100000)
      repeat ok, err = pcall(hub.publish, "news", text) until not ok
      s:close()
      local other = hub.subscribe "news"
      print(err, hub.publish("news", "x"))
      os.exit(0)
    ]])
  end)
end)
