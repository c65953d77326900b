-- SPDX-License-Identifier: MIT
-- Files that leave without a copy: by response.file, and as the body of a request. Each way in which that can end.
local certificates = require "net.certificates"
local db = require "green.db"
local fs = require "green.fs"
local http = require "green.http"
local native = require "green.http.native"
local net = require "green.net"
local outcome = require "outcome"
local raw = require "http.raw"
local response = require "green.response"
local task = require "green.task"

local failure = outcome.failure
local WAIT = 60
local MB = 1 << 20
local BIG = 64 * MB -- more than two sockets hold

local BLOCK = {}
for i = 1, 4096 do BLOCK[i] = ("%015d\n"):format(i * 7919 % 1000003) end
BLOCK = table.concat(BLOCK) -- 64 KB in which no two lines are the same

-- Makes a file of so many bytes; a large one is mostly a hole.
local function make(path, size)
  local file <close> = fs.open(path, "w")
  for at = 0, math.min(size, 4 * MB) - 1, #BLOCK do file:write(BLOCK:sub(1, math.min(#BLOCK, size - at))) end
  if size <= 4 * MB then return end
  file:seek("set", size - 1)
  file:write "!"
end

-- Changes a file in place: fs.write would put another one there.
local function rewrite(path, mode, bytes)
  local file <close> = fs.open(path, mode)
  file:write(bytes)
end

local function is_open(path)
  for _, entry in ipairs(fs.list "/proc/self/fd") do
    local ok, target = pcall(fs.readlink, "/proc/self/fd/" .. entry.name)
    if ok and target:find(path, 1, true) == 1 then return true end
  end
  return false
end

-- fn(address, path), while a server has a file of so many bytes.
local function sharing(size, fn, handler, options)
  local dir <close> = fs.temp_dir()
  local path = dir.path .. "/it"
  make(path, size)
  local function answer(req) return handler and handler(path, req) or response.file(path) end
  raw.serve(answer, options, function(address, server) fn(address, path, server) end)
end

-- A client that has asked for the file, and has read the head and more of the body than what the handler wrote before it: so the file is on its way.
local function asking(address, request)
  local socket = net.connect(address)
  socket:write(request or raw.GET)
  local bytes = ""
  while not bytes:find "\r\n\r\n.." do bytes = bytes .. assert(socket:read(65536, WAIT)) end
  local head, rest = bytes:match "^(.-\r\n\r\n)(.*)$"
  return socket, head, rest
end

-- Reads to the end of the connection, be it a rude one; returns the number of bytes.
local function drain(socket)
  local n = 0
  while true do
    local ok, bytes = pcall(socket.read, socket, 1 << 18, WAIT)
    if not ok then assert.is_truthy(bytes.code == "ECONNRESET" or bytes.code == "ETRUNCATED", bytes.code) end -- the latter by TLS
    if not ok or not bytes then return n end
    n = n + #bytes
  end
end

describe("a file as a response", function()
  it("can be a part of a body of any length", function()
    sharing(MB, function(address, path)
      local all = fs.read(path)
      local expected = all .. "-" .. all:sub(3, 100002) .. all:sub(1, 5)
      local old <close> = raw.connect(address)
      old:send "GET / HTTP/1.0\r\n\r\n"
      assert.equal("\r\n\r\n" .. expected, old:rest():sub(-#expected - 4)) -- until the end of the connection
      local client <close> = raw.connect(address)
      client:send(raw.GET, raw.GET)
      for _ = 1, 2 do
        local answer = client:answer()
        assert.equal("chunked", answer.headers["transfer-encoding"])
        assert.is_true(answer.body == expected)
      end
    end, function(path)
      return response.stream(function(out)
        local file <close> = fs.open(path)
        native.write_file(out, file, 0, MB)
        out:write "-"
        native.write_file(out, file, 2, 100000)
        native.write_file(out, file, 0, 5)
      end)
    end)
  end)

  it("is the file, or the asked part of it, byte by byte", function()
    sharing(3 * MB + 5, function(address, path)
      local url, all = "http://" .. address .. "/", fs.read(path)
      assert.is_true(http.get(url).body == all)
      local part = http.get(url, { headers = { Range = "bytes=100000-2100000" } })
      assert.equal(206, part.status)
      assert.is_true(part.body == all:sub(100001, 2100001))
      local last = http.get(url, { headers = { Range = "bytes=-70000" } })
      assert.is_true(last.body == all:sub(-70000))
      local parts = http.get(url, { headers = { Range = "bytes=0-99999,200000-1299999,5-9" } }).body
      for _, text in ipairs { all:sub(1, 100000), all:sub(200001, 1300000), all:sub(6, 10) } do
        assert.is_truthy(parts:find("\r\n\r\n" .. text .. "\r\n--", 1, true))
      end
    end)
  end)

  it("leaves the connection to the next request, also one that came with the first", function()
    sharing(2 * MB, function(address, path)
      local all = fs.read(path)
      local client <close> = raw.connect(address)
      client:send(raw.GET, raw.get("/", "Range: bytes=1000000-1999999\r\n"), "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", raw.GET)
      assert.is_true(client:answer().body == all)
      assert.is_true(client:answer().body == all:sub(1000001, 2000000))
      local head = client:answer "HEAD"
      assert.equal(tostring(#all), head.headers["content-length"])
      assert.is_true(client:answer().body == all)
      client:send(raw.get("/", "If-None-Match: " .. head.headers.etag .. "\r\n"))
      assert.equal(304, client:answer("GET").status)
      assert.is_false(is_open(path))
    end)
  end)

  it("does not hold a thread of the pool while its client does not read", function()
    sharing(BIG, function(address, path)
      local sockets = {}
      for i = 1, 50 do sockets[i] = asking(address) end
      for _ = 1, 20 do assert.equal(BIG, fs.stat(path).size) end -- each needs a thread
      local other = http.get("http://" .. address, { stream = true, timeout = WAIT })
      local n = 0
      for piece in other:chunks() do n = n + #piece end
      assert.equal(BIG, n)
      for _, socket in ipairs(sockets) do socket:close() end
      raw.eventually(function() return not is_open(path) end, "the files are closed")
    end)
  end)

  it("is cut, not filled up, when it becomes shorter", function()
    local ended = task.channel(1)
    sharing(BIG, function(address, path)
      local socket <close>, head, rest = asking(address)
      assert.is_truthy(head:lower():find("content-length: " .. BIG, 1, true))
      rewrite(path, "w", "short")
      assert.is_true(#rest + drain(socket) < BIG)
      local e = ended:receive(WAIT)
      assert.equal("EIO", e.code)
      assert.matches("it: the file became shorter", e.message)
    end, function(path)
      return response.stream(function(out)
        local file <close> = fs.open(path)
        ended:send(failure(native.write_file, out, file, 0, BIG))
        assert.equal("ECLOSED", failure(out.write, out, ("x"):rep(BIG)).code) -- nobody can fill it up
      end, { headers = { ["content-length"] = tostring(BIG) } })
    end)
  end)

  it("is as long as was said when it becomes longer", function()
    sharing(BIG, function(address, path)
      local socket <close>, _, rest = asking(address)
      rewrite(path, "a", ("x"):rep(MB))
      local n = #rest
      while n < BIG do n = n + #assert(socket:read(1 << 18, WAIT)) end
      assert.equal(BIG, n)
      socket:write "GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-0\r\nConnection: close\r\n\r\n"
      assert.matches("^HTTP/1.1 206", (socket:read(65536, WAIT)))
    end)
  end)

  -- Serves `fn(out, file)`, and returns the error that it raised, once the client has done `act(socket, path, server)`.
  local function ends(act, fn, options)
    local e
    sharing(BIG, function(address, path, server)
      local socket <close> = asking(address)
      act(socket, path, server)
      raw.eventually(function() return e and not is_open(path) end, "an error, and the file is closed")
    end, function(path)
      return response.stream(function(out)
        out:write "x"
        local file <close> = fs.open(path)
        e = failure(fn, out, file)
      end, { headers = { ["content-length"] = tostring(BIG + 1) } })
    end, options)
    return e
  end

  -- `ends` for what begins in some seconds, more of them on a machine on which the file was not on its way by then.
  local function ends_in_time(act, fn)
    local seconds, done, e = 0.1, nil, nil
    repeat
      seconds = seconds * 2
      done, e = pcall(ends, act, function(...) return fn(seconds, ...) end)
    until done or seconds > WAIT
    assert(done, e)
    return e
  end

  local function send(out, file) return native.write_file(out, file, 0, BIG) end

  it("ends when its client leaves", function()
    assert.equal("EPIPE", ends(function(socket) socket:close() end, function(out, file)
      return task.shield(WAIT, send, out, file) -- else the task is cancelled
    end).code)
  end)

  it("ends when its task is cancelled, or out of time, and nothing follows", function()
    for _, case in ipairs { "ECANCELED", "EDEADLINE" } do
      local received, over
      local e = ends_in_time(function(socket)
        raw.eventually(function() return over end, "the end")
        received = drain(socket)
      end, function(seconds, out, file)
        local ok, e
        if case == "EDEADLINE" then
          ok, e = pcall(task.deadline, seconds, send, out, file)
        else
          local sending = task.spawn(send, out, file)
          raw.eventually(function()
            return not pcall(out.write, out, "") -- EBUSY: the other task sends
          end, "the file is on its way")
          sending:cancel()
          ok, e = pcall(sending.join, sending)
        end
        over = true
        assert.is_false(ok)
        assert.equal("ECLOSED", failure(out.write, out, "more").code)
        error(e, 0)
      end)
      assert.equal(case, e.code)
      assert.is_true(received < BIG)
    end
  end)

  it("ends when the server does", function()
    local e = ends(function(_, _, server) server:abort() end, send)
    assert.is_true(e.code == "ECONNABORTED" or e.code == "ECANCELED", e.code)
  end)

  it("ends when its client takes nothing for too long", function()
    local e = ends(function() end, function(out, file) return task.shield(WAIT, send, out, file) end, { write_timeout = 1 })
    assert.equal("EPIPE", e.code)
  end)

  it("goes on when its handle is closed", function()
    sharing(BIG, function(address)
      local socket <close>, _, rest = asking(address, "GET / HTTP/1.0\r\n\r\n")
      assert.equal(BIG, #rest + drain(socket))
    end, function(path)
      return response.stream(function(out)
        local file = fs.open(path)
        local sending = task.spawn(send, out, file)
        raw.eventually(function() return not pcall(out.write, out, "") end, "the file is on its way")
        assert.equal("EBUSY", failure(send, out, fs.open(path)).code)
        file:close()
        assert.equal("EBADF", failure(native.write_file, out, file, 0, 1).code)
        sending:join()
      end, { headers = { ["content-length"] = tostring(BIG) } })
    end)
  end)

  it("is refused where it does not fit, and tells what is wrong with it", function()
    local seen = {}
    sharing(10, function(address)
      local got = raw.ask(address, raw.GET)
      assert.same({ 200, 10 }, { got.status, #got.body })
    end, function(path)
      return response.stream(function(out)
        local file <close> = fs.open(path)
        seen.long = failure(native.write_file, out, file, 0, 11)
        seen.none = failure(native.write_file, out, file, 0, 0)
        seen.class = failure(native.write_file, out, io.stdout, 0, 1)
        native.write_file(out, file, 0, 10)
      end, { headers = { ["content-length"] = "10" } })
    end)
    assert.matches("longer than its Content%-Length", tostring(seen.long))
    assert.matches("number > 0", tostring(seen.none))
    assert.matches("green.file expected", tostring(seen.class))
    sharing(10, function(address)
      assert.is_true(raw.ask(address, raw.GET).truncated)
    end, function()
      return response.stream(function(out)
        local broken <close> = fs.open "/proc/self/mem"
        out:write "x"
        seen.broken = failure(native.write_file, out, broken, 0, 9)
      end, { headers = { ["content-length"] = "10" } })
    end)
    assert.same({ "EIO", "response.file" }, { seen.broken.code, seen.broken.op })
    assert.matches("/proc/self/mem", seen.broken.message)
  end)

  it("is read in pieces where the kernel cannot send it", function()
    local text = fs.read "/proc/version" -- what is in /proc has no pages that could be sent
    sharing(0, function(address) assert.equal(text, raw.ask(address, raw.GET).body) end, function()
      return response.stream(function(out)
        local file <close> = fs.open "/proc/version"
        native.write_file(out, file, 0, #text)
      end, { headers = { ["content-length"] = tostring(#text) } })
    end)
  end)
end)

local function answering(fn, use, options)
  raw.answering(fn, function(address) use((options and "https" or "http") .. "://localhost:" .. address:match "%d+$" .. "/") end, options)
end

local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

describe("a file as a request", function()
  local function with_file(size, fn)
    local dir <close> = fs.temp_dir()
    make(dir.path .. "/it", size)
    fn(dir.path .. "/it", dir.path)
  end

  -- The body as it came.
  local function echo(_, req) return response.text(req:body(16 * MB)) end

  it("is the file, byte by byte, alone and as a part of a form", function()
    with_file(3 * MB + 5, function(path)
      local all = fs.read(path)
      sharing(0, function(address)
        assert.is_true(http.post("http://" .. address, { body = { file = path } }).body == all)
        local form = http.post("http://" .. address, { multipart = { { name = "a", value = "1" }, { name = "f", file = path }, { name = "b", file = path } } })
        local first = assert(form.body:find(all, 1, true))
        assert.is_truthy(form.body:find(all, first + #all, true))
        assert.is_true(http.get("http://" .. address, {}).reused)
      end, echo)
    end)
  end)

  it("has an unknown size: it is sent as it comes", function()
    sharing(0, function(address, path)
      local url = "http://" .. address
      assert.equal(fs.read "/proc/version", http.post(url, { body = { file = "/proc/version" } }).body)
      assert(os.execute("mkfifo " .. path .. ".pipe"))
      local writer = task.spawn(function()
        local pipe <close> = io.open(path .. ".pipe", "w")
        for _ = 1, 5 do pipe:write(BLOCK) end
      end)
      assert.is_true(http.post(url, { body = { file = path .. ".pipe" }, timeout = WAIT }).body == BLOCK:rep(5))
      writer:join()
    end, echo)
    local e = failure(http.post, "http://127.0.0.1:1/", { body = { file = "/proc/self/mem" } })
    assert.equal("EIO", e.code)
  end)

  it("stops when the server is not interested, and when it stops reading", function()
    with_file(BIG, function(path)
      answering(function(socket)
        socket:write "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno!"
        drain(socket)
      end, function(url)
        local got = http.post(url, { body = { file = path }, timeout = WAIT })
        assert.same({ 413, "no!" }, { got.status, got.body })
      end)
      local go = task.channel()
      answering(function() go:receive(WAIT) end, function(url)
        local e = failure(http.post, url, { body = { file = path }, timeout = WAIT, timeouts = { idle = 1 } })
        assert.same({ "ETIMEDOUT", "send" }, { e.code, e.phase })
        go:send(true)
      end)
      assert.is_false(is_open(path))
    end)
  end)

  it("is not sent on when the server has answered that it does not want it", function()
    with_file(BIG, function(path)
      local go, received = task.channel(), task.channel(1)
      answering(function(socket, _, rest)
        socket:write "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno" -- and does not say the rest
        go:receive(WAIT)
        received:send(#rest + drain(socket))
      end, function(url)
        do
          local got <close> = http.post(url, { body = { file = path }, timeout = WAIT, stream = true })
          assert.equal(413, got.status)
          raw.eventually(function() return not is_open(path) end, "the file is closed")
          go:send(true)
        end
        assert.is_true(received:receive(WAIT) < BIG)
      end)
    end)
  end)

  it("does not count our disk as the server's time", function()
    local forever = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c" -- holds a thread of the pool
    with_file(BIG, function(path, dir)
      local bases, queries = {}, {}
      for i = 1, 8 do bases[i] = db.connect("sqlite:" .. dir .. "/" .. i) end
      answering(function(socket, _, rest)
        local n = #rest
        while n == 0 do n = #assert(socket:read(65536, WAIT)) end -- the file is open
        for i, base in ipairs(bases) do queries[i] = task.spawn(pcall, base.query, base, forever) end
        task.spawn(function()
          task.sleep(3)
          for _, query in ipairs(queries) do query:cancel() end
        end)
        while n < BIG do n = n + #assert(socket:read(1 << 18, WAIT)) end
        socket:write(OK)
      end, function(url)
        assert.equal("ok", http.post(url, { body = { file = path }, timeout = WAIT, timeouts = { idle = 2 } }).body)
      end)
      for _, query in ipairs(queries) do query:wait() end
      for _, base in ipairs(bases) do base:close() end
    end)
  end)

  it("takes as long as it takes while the server reads", function()
    with_file(BIG, function(path)
      local slept = 0
      answering(function(socket, _, rest)
        local n = #rest
        while n < BIG do
          if slept < 6 then -- longer than `idle` in all
            slept = slept + 0.1
            task.sleep(0.1)
          end
          for _ = 1, 16 do n = n + #(n < BIG and assert(socket:read(1 << 18, WAIT)) or "") end
        end
        socket:write(OK)
      end, function(url)
        assert.equal("ok", http.post(url, { body = { file = path }, timeout = WAIT, timeouts = { idle = 5 } }).body)
      end)
    end)
  end)

  it("is an error when the server leaves", function()
    with_file(BIG, function(path)
      answering(function() end, function(url)
        assert.equal("ECONNRESET", failure(http.post, url, { body = { file = path }, timeout = WAIT, retry = false }).code)
      end)
      raw.eventually(function() return not is_open(path) end, "the file is closed")
    end)
  end)

  it("goes through TLS both ways, whole or not at all", function()
    local certs <close> = certificates()
    local tls = { tls = { cert = certs.site.cert, key = certs.site.key } }
    with_file(5 * MB + 5, function(path, dir)
      local all = fs.read(path)
      answering(function(socket, head, rest)
        if head:find "^GET" then
          socket:write(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"):format(#all))
          socket:write(all)
          return
        end
        local length, pieces, n = tonumber(head:match "Content%-Length: (%d+)"), { rest }, #rest
        while n < length do
          pieces[#pieces + 1] = assert(socket:read(1 << 18, WAIT))
          n = n + #pieces[#pieces]
        end
        socket:write(table.concat(pieces):find(all, 1, true) and OK or "HTTP/1.1 500 Wrong\r\nContent-Length: 0\r\n\r\n")
      end, function(url)
        local opts = { ca = certs.ca, timeout = WAIT }
        opts.body = { file = path }
        assert.equal("ok", http.post(url, opts).body)
        opts.body, opts.multipart = nil, { { name = "f", file = path } }
        assert.equal("ok", http.post(url, opts).body)
        opts.multipart = nil
        assert.equal(#all, http.download(url, dir .. "/got", opts).size)
        assert.is_true(fs.read(dir .. "/got") == all)
      end, tls)
    end)
    with_file(BIG, function(path)
      answering(function(socket)
        rewrite(path, "w", "short")
        drain(socket)
      end, function(url)
        local e = failure(http.post, url, { ca = certs.ca, timeout = WAIT, body = { file = path } })
        assert.same({ "EIO", "http.post" }, { e.code, e.op })
      end, tls)
    end)
  end)
end)
