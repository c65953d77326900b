-- SPDX-License-Identifier: MIT
-- Requests that are tried again: which, how often, and how long after.
local http = require "green.http"
local outcome = require "outcome"
local raw = require "http.raw"
local response = require "green.response"
local task = require "green.task"

local failure = outcome.failure

-- A server that answers with these statuses in turn, and then 200; fn(url, count).
local function serve(statuses, headers, fn)
  local count = 0
  raw.serve(function(req)
    count = count + 1
    local status = statuses[count]
    if status then return response.status(status, headers) end
    return ("%s %d"):format(req.method, count)
  end, nil, function(address) fn("http://" .. address .. "/x", function() return count end) end)
end

local QUICK = { backoff = 0.001 }

describe("a request", function()
  it("is sent once when nobody says more", function()
    serve({ 503 }, nil, function(url, count)
      assert.equal(503, http.get(url).status)
      assert.equal(1, count())
      assert.equal("GET 2", http.get(url, { retry = false }).body)
    end)
  end)

  it("is tried again when the server says that it is for now", function()
    for _, status in ipairs { 429, 502, 503, 504 } do
      for _, method in ipairs { "GET", "PUT", "DELETE", "OPTIONS" } do
        serve({ status, status }, nil, function(url) assert.equal(method .. " 3", http.request(method, url, { retry = QUICK }).body) end)
      end
    end
    for _, status in ipairs { 400, 404, 500, 501 } do
      serve({ status }, nil, function(url) assert.equal(status, http.get(url, { retry = QUICK }).status) end)
    end
  end)

  it("is tried as often as was said", function()
    serve({ 503, 503, 503, 503, 503 }, nil, function(url, count)
      assert.equal(503, http.get(url, { retry = { max = 3, backoff = 0 } }).status)
      assert.equal(4, count())
      assert.equal(503, http.get(url, { retry = { max = 0 } }).status)
      assert.equal(5, count())
    end)
  end)

  it("is not sent twice when that could mean something else", function()
    for _, method in ipairs { "POST", "PATCH" } do
      serve({ 503 }, nil, function(url, count)
        assert.equal(503, http.request(method, url, { body = "x", retry = QUICK }).status)
        assert.equal(1, count())
      end)
    end
  end)

  it("is tried again where nobody answers, a POST too when nothing was sent", function()
    local tries = 0
    local function counted(attempt)
      tries = attempt
      return 0
    end
    for _, method in ipairs { "GET", "POST" } do
      tries = 0
      assert.equal("ECONNREFUSED", failure(http.request, method, "http://127.0.0.1:1/", { retry = { max = 3, backoff = counted } }).code)
      assert.equal(3, tries)
    end
  end)

  it("is tried for what the caller names, and for nothing else", function()
    serve({ 500, 404 }, nil, function(url) assert.equal("GET 3", http.get(url, { retry = { on = { 500, 404 }, backoff = 0 } }).body) end)
    serve({ 503 }, nil, function(url) assert.equal(503, http.get(url, { retry = { on = { 500 }, backoff = 0 } }).status) end)
    serve({ 409 }, nil, function(url)
      local seen = {}
      local got = http.post(url, { body = "x", retry = { backoff = 0, on = function(resp, err, attempt)
        seen[#seen + 1] = { resp and resp.status, err and err.code, attempt }
        return resp and resp.status == 409
      end } })
      assert.equal("POST 2", got.body)
      assert.same({ { 409, nil, 1 }, { 200, nil, 2 } }, seen)
    end)
  end)

  it("waits as long as the server asks", function()
    local waited
    serve({ 503, 429 }, { ["retry-after"] = "0" }, function(url) assert.equal("GET 3", http.get(url, { retry = QUICK }).body) end)
    serve({ 503 }, { ["retry-after"] = "1" }, function(url)
      local before = task.now()
      assert.equal("GET 2", http.get(url, { retry = QUICK }).body)
      waited = task.now() - before
    end)
    assert.is_true(waited >= 1)
    serve({ 503 }, { ["retry-after"] = require("green.date").format(os.time() - 100) }, function(url) assert.equal("GET 2", http.get(url, { retry = QUICK }).body) end)
    serve({ 503 }, { ["retry-after"] = "soon" }, function(url) assert.equal("GET 2", http.get(url, { retry = QUICK }).body) end)
  end)

  it("gives the answer back when the server asks for more than there is time", function()
    for _, after in ipairs { "31", "999999999999999999999999", require("green.date").format(os.time() + 3600) } do
      serve({ 503 }, { ["retry-after"] = after }, function(url, count)
        assert.equal(503, http.get(url, { retry = QUICK }).status)
        assert.equal(1, count())
      end)
    end
  end)

  it("ends with its task between two tries", function()
    serve({ 503 }, nil, function(url, count)
      local between
      local one = task.spawn(http.get, url, { retry = { backoff = function()
        between = true
        return 60
      end } })
      raw.eventually(function() return between end, "the first try is over")
      one:cancel()
      assert.equal("ECANCELED", failure(one.join, one).code)
      assert.equal(1, count())
      assert.equal("EDEADLINE", failure(task.deadline, 0.2, http.get, url, { retry = { on = { 200 }, backoff = 60 } }).code)
    end)
  end)

  it("is a client's habit, too", function()
    serve({ 503, 503, 503 }, nil, function(url)
      local client = http.client { retry = { max = 1, backoff = 0 } }
      assert.equal(503, client:get(url).status)
      assert.equal(503, client:get(url, { retry = false }).status)
      assert.equal("GET 4", client:get(url).body)
    end)
  end)

  it("is refused by name where the option is wrong", function()
    for pattern, retry in pairs {
      ["unknown option 'maximum'"] = { maximum = 1 }, ["option 'max'"] = { max = 1.5 }, ["max: an integer >= 0"] = { max = -1 }, ["on%[1%]"] = { on = { {} } },
      ["option 'backoff'"] = { backoff = -1 }, ["a table, or false"] = true,
    } do assert.matches(pattern, tostring(failure(http.get, "http://h.invalid/", { retry = retry }))) end
  end)
end)
