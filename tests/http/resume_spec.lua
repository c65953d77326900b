-- SPDX-License-Identifier: MIT
-- Downloads that are resumed: the file is one version of what the server has, whole, whatever became of earlier tries.
local app = require "green.app"
local fs = require "green.fs"
local http = require "green.http"
local outcome = require "outcome"
local raw = require "http.raw"
local response = require "green.response"
local task = require "green.task"

local failure = outcome.failure
local WAIT = 20

local function say(body, status, headers) return response.stream(function(out) out:write(body) end, { status = status, headers = headers }) end

local function text(seed) return (("%s0123456789abcde"):format(seed)):rep(20000) end

-- Serves `site.text` in pieces: `tag`, `changed` (Last-Modified), `ranges` (false: ignores them), `cut` (ends after so many bytes of an answer),
-- `other(from)` (another answer). site.asked holds the ranges that were asked for, false for none. fn(url, path, site), with a path of a new folder.
local function within(site, fn)
  local dir <close> = fs.temp_dir()
  site.text, site.asked = site.text or text "a", {}
  local function handler(req)
    local range, condition = req.headers.range, req.headers["if-range"]
    site.asked[#site.asked + 1] = range or false
    site.coding = req.headers["accept-encoding"]
    local same = condition == nil or condition == site.tag or condition == site.changed
    local from = range and same and site.ranges ~= false and tonumber(range:match "^bytes=(%d+)%-$") or 0
    if site.other and range then return site.other(from) end
    if from >= #site.text then return say("", 416, { ["content-range"] = "bytes */" .. #site.text }) end
    local body = site.text:sub(from + 1)
    local headers = { etag = site.tag, ["last-modified"] = site.changed, ["content-length"] = tostring(#body) }
    if from > 0 then headers["content-range"] = ("bytes %d-%d/%d"):format(from, #site.text - 1, #site.text) end
    return response.stream(function(out)
      if not site.cut then return out:write(body) end
      out:write(body:sub(1, site.cut))
      task.sleep(0) -- so that the head leaves, and the status with it
      if site.wait then site.wait() end
      error { code = "EPIPE" }
    end, { status = from > 0 and 206 or 200, headers = headers })
  end
  raw.serve(handler, nil, function(address) fn(("http://%s/thing"):format(address), dir.path .. "/file", site) end)
end

local function names(path)
  local list = {}
  for i, entry in ipairs(fs.list(fs.dirname(path))) do list[i] = entry.name end
  table.sort(list)
  return table.concat(list, " ")
end

local function resume(url, path, opts)
  local all = { resume = true }
  for name, value in pairs(opts or {}) do all[name] = value end
  return http.download(url, path, all)
end

-- A download that the server cuts, after which the part is there.
local function cut(url, path, site, n)
  site.cut = n
  assert.equal("ECONNRESET", failure(resume, url, path).code)
  site.cut = nil
  assert.equal("file.part file.part.json", names(path))
  return fs.stat(path .. ".part").size
end

describe("a download that is resumed", function()
  it("asks for the rest, and puts it behind what is there", function()
    for _, validator in ipairs { { tag = '"one"' }, { changed = "Sun, 06 Nov 1994 08:49:37 GMT" } } do
      within(validator, function(url, path, site)
        local has = cut(url, path, site, 100000)
        assert.is_true(has > 0 and has <= 100000)
        local first
        local got = resume(url, path, { progress = function(received, total)
          first = first or received
          assert.equal(#site.text, total)
        end })
        assert.same({ #site.text, has, "file", "identity" }, { got.size, got.resumed, names(path), site.coding })
        assert.is_true(first > has)
        assert.is_true(fs.read(path) == site.text)
        assert.same({ false, ("bytes=%d-"):format(has) }, site.asked)
      end)
    end
  end)

  it("is whole, however often and wherever it was cut", function()
    within({ tag = '"one"' }, function(url, path, site)
      local n = 0
      repeat
        site.cut = n < 40 and 1 + n * 997 % 30000 or nil
        n = n + 1
        local ok, e = pcall(resume, url, path)
        assert(ok or e.code == "ECONNRESET", e)
      until ok
      assert.is_true(n > 5)
      assert.is_true(fs.read(path) == site.text)
      assert.equal("file", names(path))
    end)
  end)

  it("begins anew when it is another version, or the server does not know parts", function()
    within({ tag = '"one"' }, function(url, path, site)
      cut(url, path, site, 100000)
      site.text, site.tag = text "b", '"two"'
      assert.equal(0, resume(url, path).resumed)
      assert.is_true(fs.read(path) == site.text)
      fs.remove(path)
      cut(url, path, site, 50000)
      site.ranges = false
      assert.equal(0, resume(url, path).resumed)
      assert.is_true(fs.read(path) == site.text)
    end)
  end)

  it("begins anew when the part that comes is not the one that was asked for", function()
    local function part(range, tag) return function(from) return say("wrong", 206, { etag = tag or '"one"', ["content-range"] = range:format(from) }) end end
    for _, other in ipairs { part "bytes 7-11/320000", part "bytes %d-319999", part "bytes %d-320000/5", part "", part('bytes %d-319999/320000', '"two"'),
      function() return say("", 416, { ["content-range"] = "bytes */9" }) end, function() return say("", 416) end } do
      within({ tag = '"one"' }, function(url, path, site)
        cut(url, path, site, 100000)
        site.other = other
        assert.equal(0, resume(url, path).resumed)
        assert.is_true(fs.read(path) == site.text)
        assert.equal(3, #site.asked)
        assert.equal("file", names(path))
      end)
    end
  end)

  it("finds a part that was complete already", function()
    within({ tag = '"one"' }, function(url, path, site)
      assert.matches("on purpose", tostring(failure(resume, url, path, { progress = function(n, total)
        if n == total then error "on purpose" end
      end })))
      assert.same({ #site.text, #site.text }, { fs.stat(path .. ".part").size, resume(url, path).resumed })
      assert.is_true(fs.read(path) == site.text)
      assert.equal("file", names(path))
    end)
  end)

  it("trusts no part or note that somebody else has changed", function()
    local changes = {
      function(path) fs.append(path .. ".part", text "c") end, -- larger than what the server has
      function(path) fs.write(path .. ".part.json", "{") end,
      function(path) fs.write(path .. ".part.json", "[]") end,
      function(path) fs.write(path .. ".part.json", '{"url":"http://elsewhere/","validator":"\\"one\\"","total":320000}') end,
      function(path) fs.remove(path .. ".part.json") end,
      function(path) fs.remove(path .. ".part") end,
      function(path) fs.write(path .. ".part", "") end,
    }
    for _, change in ipairs(changes) do
      within({ tag = '"one"' }, function(url, path, site)
        cut(url, path, site, 100000)
        change(path)
        assert.equal(0, resume(url, path).resumed)
        assert.is_true(fs.read(path) == site.text)
        assert.equal("file", names(path))
      end)
    end
  end)

  it("does not put in place what was changed while it came", function()
    within({ tag = '"one"' }, function(url, path)
      local e = failure(resume, url, path, { progress = function(n, total)
        if n == total then fs.append(path .. ".part", "more") end
      end })
      assert.same({ "ECONNRESET", false }, { e.code, fs.exists(path) })
    end)
  end)

  it("leaves nothing when nobody can tell later which version it was", function()
    for _, validator in ipairs { {}, { tag = 'W/"one"' }, { tag = 'W/"one"', changed = "Sun, 06 Nov 1994 08:49:37 GMT" }, { changed = os.date "!%a, %d %b %Y %T GMT" } } do
      within(validator, function(url, path, site)
        site.cut = 100000
        assert.equal("ECONNRESET", failure(resume, url, path).code)
        assert.equal("", names(path))
        site.cut = nil
        assert.equal(#site.text, resume(url, path).size)
      end)
    end
  end)

  it("leaves the part when its task ends, and has it alone", function()
    local go = task.channel(1)
    within({ tag = '"one"', cut = 100000, wait = function() go:receive(WAIT) end }, function(url, path, site)
      local begun = task.channel(1)
      local job = task.spawn(resume, url, path, { progress = function() begun:try_send(true) end })
      begun:receive(WAIT)
      assert.equal("EBUSY", failure(resume, url, path).code)
      job:cancel()
      assert.equal("ECANCELED", failure(job.join, job).code)
      assert.equal("file.part file.part.json", names(path))
      go:send(true)
      site.cut = nil
      assert.is_true(resume(url, path).resumed > 0)
      assert.is_true(fs.read(path) == site.text)
    end)
  end)

  it("leaves what was there when the answer is no success", function()
    within({ tag = '"one"' }, function(url, path, site)
      cut(url, path, site, 100000)
      fs.write(path, "before")
      site.other = function() return response.text("later", 503) end
      local e = failure(resume, url, path)
      assert.same({ "EHTTP", 503, "before", "file file.part file.part.json" }, { e.code, e.response.status, fs.read(path), names(path) })
    end)
  end)

  it("works with our own server's files", function()
    local dir <close> = fs.temp_dir()
    local content = text("d"):rep(20)
    fs.write(dir.path .. "/it", content)
    local site = app.new()
    site:get("/it", function() return response.file(dir.path .. "/it") end)
    local server = site:listen "127.0.0.1:0"
    local _ <close> = setmetatable({}, { __close = function() server:abort() server:finish(WAIT) end })
    local url, path, calls = "http://" .. server:address() .. "/it", dir.path .. "/got", 0
    assert.matches("on purpose", tostring(failure(resume, url, path, { progress = function()
      calls = calls + 1
      if calls == 2 then error "on purpose" end
    end })))
    local got = resume(url, path)
    assert.is_true(got.resumed > 0)
    assert.equal(206, got.status)
    assert.is_true(fs.read(path) == content)
  end)

  it("refuses what does not go with it", function()
    assert.matches("'decode'", tostring(failure(resume, "http://h.invalid/", "x", { decode = true })))
    for _, name in ipairs { "Range", "if-range" } do
      assert.matches("header '" .. name:gsub("%-", "%%-"), tostring(failure(http.download, "http://h.invalid/", "x", { headers = { [name] = "bytes=1-" } })))
    end
  end)
end)

describe("a download that is not resumed", function()
  it("takes no part for the whole", function()
    raw.serve(function() return say("part", 206, { ["content-range"] = "bytes 0-3/9" }) end, nil, function(address)
      local dir <close> = fs.temp_dir()
      assert.equal("EPROTO", failure(http.download, "http://" .. address, dir.path .. "/x").code)
      assert.equal("", names(dir.path .. "/x"))
    end)
  end)
end)
