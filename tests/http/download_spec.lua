-- SPDX-License-Identifier: MIT
-- Downloads: the file is there as a whole or not at all.
local encoders = require "coding.encoders"
local fs = require "green.fs"
local http = require "green.http"
local outcome = require "outcome"
local raw = require "http.raw"
local response = require "green.response"
local task = require "green.task"

local failure = outcome.failure
local TEXT = ("0123456789abcdef"):rep(40000)

local routes = {}

function routes.text()
  return response.stream(function(out)
    for at = 1, #TEXT, 50000 do out:write(TEXT:sub(at, at + 49999)) end
  end, { headers = { ["content-length"] = tostring(#TEXT) } })
end

function routes.chunked() return response.stream(function(out) out:write(TEXT) end) end
function routes.empty() return response.status(204) end
function routes.moved() return response.redirect "/text" end
function routes.gone() return response.text("no such thing", 404) end

function routes.gzip()
  local coded = encoders.gzip(TEXT)
  return response.stream(function(out) out:write(coded) end, { headers = { ["content-encoding"] = "gzip", ["content-length"] = tostring(#coded) } })
end

function routes.cut()
  return response.stream(function(out)
    out:write(TEXT)
    error "on purpose"
  end, { headers = { ["content-length"] = tostring(2 * #TEXT) } })
end

function routes.slow()
  return response.stream(function(out)
    out:write "begun"
    task.sleep(60)
  end)
end

-- fn(base, dir), with a folder that holds one file, "there".
local function within(fn)
  local dir <close> = fs.temp_dir()
  fs.write(dir.path .. "/there", "before")
  raw.serve(function(req) return routes[req.path:sub(2)]() end, nil, function(address) fn("http://" .. address, dir.path) end)
end

local function names(dir)
  local list = {}
  for i, entry in ipairs(fs.list(dir)) do list[i] = entry.name end
  table.sort(list)
  return table.concat(list, " ")
end

describe("a download", function()
  it("puts the body into a file, and says how it goes on", function()
    within(function(base, dir)
      for name, total in pairs { text = #TEXT, moved = #TEXT, chunked = false, gzip = false } do
        local last, calls = 0, 0
        local resp = http.download(base .. "/" .. name, dir .. "/there", { progress = function(received, of)
          assert.is_true(received > last)
          assert.equal(total or nil, of)
          last, calls = received, calls + 1
        end })
        assert.is_true(fs.read(dir .. "/there") == TEXT)
        assert.same({ 200, #TEXT, #TEXT, nil }, { resp.status, resp.size, last, resp.body })
        assert.is_true(calls > 1)
        assert.equal("there", names(dir))
      end
      assert.equal(0, http.download(base .. "/empty", dir .. "/nothing").size)
      assert.equal("", fs.read(dir .. "/nothing"))
      assert.equal(#TEXT, http.client({ base_url = base }):download("text", dir .. "/there").size)
    end)
  end)

  it("that fails leaves what was there, and nothing else", function()
    within(function(base, dir)
      local function fails(name, opts, where)
        local e = failure(http.download, base .. "/" .. name, dir .. (where or "/there"), opts)
        assert.equal("before", fs.read(dir .. "/there"))
        assert.equal("there", names(dir))
        return e
      end
      local e = fails "gone"
      assert.same({ "EHTTP", 404, "http.download" }, { e.code, e.response.status, e.op })
      assert.equal("EHTTP", fails("moved", { redirects = false }).code)
      assert.equal("ECONNRESET", fails("cut").code)
      assert.equal("EMSGSIZE", fails("text", { max_body = #TEXT - 1 }).code)
      assert.equal("EMSGSIZE", fails("gzip", { max_body = #TEXT - 1 }).code)
      assert.equal("ENOENT", fails("text", nil, "/none/x").code)
      assert.matches("on purpose", tostring(fails("text", { progress = function() error "on purpose" end })))
      assert.equal("ETIMEDOUT", fails("slow", { timeout = 0.1 }).code)
    end)
  end)

  it("ends with its task, and leaves nothing then", function()
    within(function(base, dir)
      local begun = task.channel(1)
      local job = task.spawn(http.download, base .. "/slow", dir .. "/new", { progress = function() begun:send(true) end })
      begun:receive(20)
      job:cancel()
      assert.equal("ECANCELED", failure(job.join, job).code)
      assert.equal("there", names(dir))
    end)
  end)

  it("leaves nothing either when that is while its file is made", function()
    within(function(base, dir)
      local late = task.now() + 20 -- a slow machine looks at fewer of them
      for i = 1, 800 do
        if task.now() > late then break end
        local job = task.spawn(http.download, base .. "/empty", dir .. "/new")
        for _ = 1, i // 10 do task.sleep(0) end
        job:cancel()
        pcall(job.join, job)
        pcall(fs.remove, dir .. "/new")
        assert.equal("there", names(dir))
      end
    end)
  end)

  it("refuses what it does not know", function()
    assert.matches("unknown option 'stream'", tostring(failure(http.download, "http://h.invalid/", "x", { stream = true })))
    assert.matches("http.download: path: a string expected", tostring(failure(http.download, "http://h.invalid/")))
  end)
end)
