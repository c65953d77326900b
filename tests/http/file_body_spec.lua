-- SPDX-License-Identifier: MIT
-- A file as the body of a request, and large bodies both ways in little memory.
local build = require "build"
local fs = require "green.fs"
local http = require "green.http"
local outcome = require "outcome"
local raw = require "http.raw"
local response = require "green.response"
local task = require "green.task"

local failure = outcome.failure
local WAIT = 20
local MB = 1 << 20

local function serve(handler, fn) raw.serve(handler, { max_body = 1 << 30 }, function(address) fn("http://" .. address .. "/") end) end

local function within(handler, fn)
  local dir <close> = fs.temp_dir()
  serve(handler, function(url) fn(url, dir.path .. "/it.txt", dir.path) end)
end

local function tell(req)
  local body = req:body(64 * MB)
  return { body = #body <= 100 and body or nil, size = #body, sum = body:byte(-1), length = req.headers["content-length"], type = req.headers["content-type"] }
end

-- Changes a file in place: fs.write would put another one there.
local function rewrite(path, mode, bytes)
  local file <close> = fs.open(path, mode)
  file:write(bytes)
end

describe("a file as a body", function()
  it("is sent with its length and its type", function()
    within(tell, function(url, path, dir)
      fs.write(path, "some text")
      assert.same({ body = "some text", size = 9, sum = 116, length = "9", type = "text/plain; charset=utf-8" }, http.put(url, { body = { file = path } }):json())
      assert.equal("a/b", http.post(url, { body = { file = path, type = "a/b" } }):json().type)
      assert.equal("c/d", http.post(url, { body = { file = path }, headers = { ["Content-Type"] = "c/d" } }):json().type)
      fs.write(dir .. "/empty", "")
      local empty = http.post(url, { body = { file = dir .. "/empty" } }):json()
      assert.same({ 0, "0", "application/octet-stream" }, { empty.size, empty.length, empty.type })
      fs.write(dir .. "/large", ("0123456789"):rep(MB) .. "!")
      local large = http.post(url, { body = { file = dir .. "/large" }, timeout = 60 }):json()
      assert.same({ 10 * MB + 1, ("!"):byte() }, { large.size, large.sum })
    end)
  end)

  it("is sent again where a redirect or a retry has it", function()
    local tries = 0
    within(function(req)
      tries = tries + 1
      local seen = tell(req)
      if tries == 1 then return response.status(503) end
      if tries == 2 then return response.status(307, { location = "/again" }) end
      return seen
    end, function(url, path)
      fs.write(path, "text")
      assert.equal("text", http.put(url, { body = { file = path }, retry = { backoff = 0 } }):json().body)
      assert.equal(3, tries)
    end)
  end)

  -- The server answers the last bytes before the thread that sent them comes to say so: half of the connections were thrown away, as if the
  -- answer had come too early.
  it("leaves the connection for the next request", function()
    within(function(req) return #req:body(MB) == 300000 and response.status(req.path == "/" and 200 or 409) end, function(url, path)
      fs.write(path, ("x"):rep(300000))
      for i = 1, 100 do
        local answer = http.post(url .. (i % 2 == 0 and "no" or ""), { body = { file = path } })
        assert.same({ i % 2 == 0 and 409 or 200, i > 1 }, { answer.status, answer.reused })
      end
    end)
  end)

  it("is an error when it becomes shorter meanwhile", function()
    local go, rewritten = task.channel(1), task.channel(1)
    within(function(req)
      local next = req:chunks()
      next()
      go:send(true)
      rewritten:receive(WAIT)
      while next() do end
    end, function(url, path)
      fs.write(path, ("x"):rep(16 * MB), { sync = false })
      local sending = task.spawn(http.post, url, { body = { file = path }, timeout = 60, stream = true })
      go:receive(WAIT)
      rewrite(path, "w", "short")
      rewritten:send(true)
      local e = failure(sending.join, sending)
      assert.same({ "EIO", "http.post" }, { e.code, e.op })
      assert.matches("it.txt: the file became shorter", e.message)
    end)
  end)

  it("is what it was in the beginning when it becomes longer meanwhile", function()
    within(function(req)
      local n = 0
      for piece in req:chunks() do
        if n == 0 then rewrite(req.headers["x-path"], "a", "appended") end
        n = n + #piece
      end
      return tostring(n)
    end, function(url, path)
      fs.write(path, ("x"):rep(8 * MB), { sync = false })
      assert.equal(tostring(8 * MB), http.post(url, { body = { file = path }, headers = { ["X-Path"] = path }, timeout = 60 }).body)
      assert.is_true(http.post(url, { body = "", headers = { ["X-Path"] = path } }).reused) -- nothing more was sent
    end)
  end)

  it("is closed when the server wants no more, leaves, or the task ends", function()
    local go = task.channel(1)
    local acts = {
      function() return response.text("too much", 413) end,
      function() error { code = "EPIPE", status = 413 } end,
      function()
        go:send(true)
        task.sleep(60)
      end,
    }
    for i, act in ipairs(acts) do
      within(act, function(url, path)
        fs.write(path, ("x"):rep(16 * MB), { sync = false })
        local sending = task.spawn(http.post, url, { body = { file = path }, timeout = 60 })
        if i < 3 then
          assert.equal(413, sending:join().status)
        else
          go:receive(WAIT)
          sending:cancel()
          assert.equal("ECANCELED", failure(sending.join, sending).code)
        end
        raw.eventually(function() -- a thread closes it
          for _, entry in ipairs(fs.list "/proc/self/fd") do
            local ok, target = pcall(fs.readlink, "/proc/self/fd/" .. entry.name)
            if ok and target == path then return false end
          end
          return true
        end, "the file is closed")
      end)
    end
  end)

  it("is refused when it is none, or what is said of it is not understood", function()
    within(tell, function(url, path, dir)
      assert.equal("ENOENT", failure(http.post, url, { body = { file = path } }).code)
      assert.equal("EINVAL", failure(http.post, url, { body = { file = dir } }).code)
    end)
    for pattern, body in pairs { ["unknown field 'path'"] = { path = "x" }, ["{ file = path }"] = {}, ["field 'file'"] = { file = 1 } } do
      assert.matches(pattern, tostring(failure(http.post, "http://h.invalid/", { body = body })))
    end
    assert.matches("'length'", tostring(failure(http.post, "http://h.invalid/", { body = { file = "x" }, length = 1 })))
  end)
end)

describe("a large body", function()
  if build.sanitized or build.stressed then return pending "memory is weighed on other builds" end

  -- Returns by how many bytes the process grew at most while fn ran.
  local function growth(fn)
    local function of(name) return tonumber(fs.read "/proc/self/status":match(name .. ":%s*(%d+) kB")) * 1024 end
    collectgarbage()
    rewrite("/proc/self/clear_refs", "w", "5") -- the peak begins anew
    local before = of "VmRSS"
    fn()
    return of "VmHWM" - before
  end

  it("goes out of a file and comes into one in little memory", function()
    within(function(req)
      local size = 0
      if req.method == "GET" then return response.file(req.headers["x-path"]) end
      for piece in req:chunks() do size = size + #piece end
      return tostring(size)
    end, function(url, path, dir)
      local file = fs.open(path, "w")
      file:seek("set", 96 * MB - 1)
      file:write "!"
      file:close()
      local options = { headers = { ["X-Path"] = path }, timeout = 60 }
      local grown = growth(function()
        assert.equal(tostring(96 * MB), http.post(url, { body = { file = path }, timeout = 60 }).body)
        assert.equal(96 * MB, http.download(url, dir .. "/got", options).size)
      end)
      local got <close> = fs.open(dir .. "/got")
      assert.equal("!", got:read_at(96 * MB - 1, 1))
      assert.is_true(grown < 48 * MB, ("%d MB"):format(grown // MB))
    end)
  end)
end)
