-- SPDX-License-Identifier: MIT
-- Content codings of answers: what the client undoes, what it leaves, and what it says of the body then.
local encoders = require "coding.encoders"
local http = require "green.http"
local outcome = require "outcome"
local raw = require "http.raw"
local response = require "green.response"
local task = require "green.task"

local failure = outcome.failure
local TEXT = ("a line of text that is told again and again\n"):rep(500)

-- Serves `body` with this Content-Encoding; fn(base, asked), where asked.accept is what the client accepts.
local function serve(encoding, body, fn, status)
  local asked = {}
  raw.serve(function(req)
    asked.accept = req.headers["accept-encoding"]
    if body == "" or req.method == "HEAD" then return response.status(status or 200, { ["content-encoding"] = encoding }) end
    return response.stream(function(out)
      for at = 1, #body, 5000 do out:write(body:sub(at, at + 4999)) end
    end, { type = "text/plain", headers = { ["content-encoding"] = encoding, ["content-length"] = tostring(#body) } })
  end, nil, function(address) fn("http://" .. address .. "/x", asked) end)
end

local function read_all(resp)
  local pieces = {}
  for piece in resp:chunks() do pieces[#pieces + 1] = piece end
  return table.concat(pieces)
end

describe("the client", function()
  it("says of a broken body that it is broken, each time it is read", function()
    serve("gzip", "no gzip at all", function(url)
      local resp <close> = http.get(url, { stream = true })
      local next, stream = resp:chunks()
      for _ = 1, 2 do assert.equal("EPROTO", failure(next, stream).code) end
    end)
  end)

  it("frees what it decodes with when the body is refused, not when it is collected", function()
    local coding = require "green.http.coding"
    local function fail(code) error(code, 0) end
    for _, name in ipairs { "gzip", "zstd" } do
      local decoders = coding.decoders(name, fail)
      local ok, code = pcall(coding.decode, encoders[name](TEXT), decoders, 10, fail)
      assert.same({ false, "EMSGSIZE" }, { ok, code })
      assert.matches("closed", select(2, pcall(decoders[1].native.pull, decoders[1].native)))
    end
  end)

  for name, coding in pairs(encoders.all) do
    it("undoes " .. name .. ", and says what the body is then", function()
      serve(coding[1], coding[2](TEXT), function(url, asked)
        local resp = http.get(url)
        assert.equal("gzip, deflate, br, zstd", asked.accept)
        assert.equal(TEXT, resp.body)
        assert.same({ nil, tostring(#TEXT) }, { resp.headers["content-encoding"], resp.headers["content-length"] })
        resp = http.get(url, { stream = true })
        assert.same({}, { resp.headers["content-encoding"], resp.headers["content-length"] })
        assert.equal(TEXT, read_all(resp))
      end)
    end)

    it("refuses " .. name .. " that is cut off, damaged, or followed by more", function()
      local coded = coding[2](TEXT)
      for _, body in ipairs { coded:sub(1, -2), coded:sub(1, #coded // 2), coded .. "x", coded:sub(1, 1), "no such thing" } do
        serve(coding[1], body, function(url)
          local e = failure(http.get, url)
          assert.same({ "EPROTO", "http.get" }, { e.code, e.op })
          assert.matches("http.get: GET " .. url .. ": its " .. coding[1] .. " body is ", e.message, 1, true)
          e = failure(function() return read_all(http.get(url, { stream = true })) end)
          assert.equal("EPROTO", e.code)
        end)
      end
    end)

    it("bounds " .. name .. " by what it becomes", function()
      serve(coding[1], coding[2](("\0"):rep(3 << 20)), function(url)
        local e = failure(http.get, url, { max_body = (3 << 20) - 1 })
        assert.equal("EMSGSIZE", e.code)
        assert.matches("max_body", e.message)
        assert.equal(3 << 20, #http.get(url, { max_body = 3 << 20 }).body)
      end)
    end)
  end

  it("undoes several codings, the last one first", function()
    local function check(encoding, body, rest, expected)
      serve(encoding, body, function(url)
        local resp = http.get(url)
        assert.same({ expected, rest }, { resp.body, resp.headers["content-encoding"] })
        assert.equal(tostring(#expected), resp.headers["content-length"])
        assert.equal(expected, read_all(http.get(url, { stream = true })))
      end)
    end
    check("gzip, br", encoders.br(encoders.gzip(TEXT)), nil, TEXT)
    check("identity, gzip", encoders.gzip(TEXT), nil, TEXT)
    check("zstd,GZIP , deflate", encoders.zlib(encoders.gzip(encoders.zstd(TEXT))), nil, TEXT)
    check("rot13, gzip", encoders.gzip(TEXT), "rot13", TEXT)
    check("gzip, rot13", encoders.gzip(TEXT), "gzip, rot13", encoders.gzip(TEXT))
    check("rot13", TEXT, "rot13", TEXT)
    check("identity", TEXT, "identity", TEXT)
    serve(("gzip, "):rep(6), TEXT, function(url) assert.equal("EPROTO", failure(http.get, url).code) end)
  end)

  it("bounds each of several codings", function()
    serve("gzip, gzip", encoders.gzip(encoders.gzip(""):rep(100000)), function(url)
      assert.equal("EMSGSIZE", failure(http.get, url, { max_body = 1000000 }).code)
    end)
  end)

  it("leaves the body as it is when told so", function()
    local coded = encoders.gzip(TEXT)
    serve("gzip", coded, function(url, asked)
      for _, client in ipairs { http.client { decode = false }, http.client {} } do
        local resp = client:get(url, { decode = false })
        assert.is_nil(asked.accept)
        assert.same({ coded, "gzip", tostring(#coded) }, { resp.body, resp.headers["content-encoding"], resp.headers["content-length"] })
      end
      assert.equal(TEXT, http.client({ decode = false }):get(url, { decode = true }).body)
    end)
  end)

  it("lets the caller say what to accept", function()
    serve("gzip", encoders.gzip(TEXT), function(url, asked)
      assert.equal(TEXT, http.get(url, { headers = { ["Accept-Encoding"] = "gzip;q=0.5" } }).body)
      assert.equal("gzip;q=0.5", asked.accept)
    end)
  end)

  it("takes no body for an empty one", function()
    serve("gzip", "", function(url)
      assert.equal("", http.get(url).body)
      assert.same({ "", "gzip" }, { http.head(url).body, http.head(url).headers["content-encoding"] })
      assert.equal("", read_all(http.get(url, { stream = true })))
    end)
    serve("gzip", "", function(url) assert.equal("gzip", http.get(url).headers["content-encoding"]) end, 304)
  end)

  it("lets others run while a bomb goes off, and stops it with its task", function()
    serve("br", encoders.br(("\0"):rep(64 << 20)), function(url)
      local turns, over = 0, false
      local beside = task.spawn(function()
        while not over do
          turns = turns + 1
          task.sleep(0.001)
        end
      end)
      local before = turns
      assert.equal(64 << 20, #http.get(url).body)
      local during = turns - before
      over = true
      beside:join()
      assert.is_true(during > 3, during)
    end)
  end)

  it("stops where the reader of a stream stops", function()
    serve("zstd", encoders.zstd(("\0"):rep(64 << 20)), function(url)
      local size, resp = 0, http.get(url, { stream = true })
      for piece in resp:chunks() do
        size = size + #piece
        assert.is_true(#piece <= 65536)
        if size > 1 << 20 then break end
      end
      assert.is_true(size < 2 << 20)
      assert.equal("ECONNABORTED", failure(resp:chunks(), (select(2, resp:chunks()))).code)
    end)
  end)
end)
