-- SPDX-License-Identifier: MIT
-- Servers of others, which all have the same routes:
--
--     local servers <close> = require "peers.servers" (names)  -- starts them, all if no names are given
--     for _, server in ipairs(servers) do server.plain, server.secure, servers.ca end
--
--     /anything       method, target and some headers of the request    /store/NAME    PUT, GET, DELETE
--     /status/N       that status, no body                              /refuse        413 before the body was read, and the end
--     /redirect/N     to /anything, with that status                    /hang          no answer
--     /redirect-to    to ?url=                                          /close         an answer, and Connection: close
--     /cookies/set    two, and then to /cookies, which says them        /silence       the end instead of an answer
--     /gzip /deflate /br   coded                                        /cut /cut/chunked   half of an answer, and the end
--     /chunked        in chunks, with a trailer                         /reset         half of an answer, and a reset
--     /drip           ten pieces with pauses                            /leave         an answer, and the end unannounced
--     /bytes/N        0 1 2 ... 255 0 1 ..., Range is heeded            /hints         103, then an answer
--     /basic /bearer  for us:pa; for "token"
--
-- A server's `lacks` says why it does not have a route, `differs` where it does something else than the others, and why.
local certificates = require "net.certificates"
local fs = require "green.fs"
local process = require "green.process"
local start = require "peers.start"

local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"
local PYTHON = require "peers.python"

local CODES = { 200, 201, 204, 304, 400, 401, 404, 410, 418, 429, 500, 503 }
local REDIRECTS = { 301, 302, 303, 307, 308 }
local SIZES = { 0, 1, 1000, 1000000 }

local BY_HAND = "nginx has no script here, and says nothing that is not HTTP"
local ANSWERS_FOR_IT = "the reverse proxy answers for the server behind it"

local function bytes(count)
  local all = {}
  for i = 0, 255 do all[i + 1] = string.char(i) end
  local block = table.concat(all)
  return block:rep(count // 256) .. block:sub(1, count % 256)
end

-- What servers send as it lies there.
local function write_files(folder)
  local function write(name, contents) fs.write(fs.join(folder, name), contents) end
  write("squeezed", ("squeezed"):rep(1000))
  write("count", "one two 4")
  write("drops", ("drop by 10"):rep(10))
  write("in", "in")
  fs.mkdir(fs.join(folder, "bytes"))
  fs.mkdir(fs.join(folder, "store"))
  for _, size in ipairs(SIZES) do write("bytes/" .. size, bytes(size)) end
  assert(process.capture({ PYTHON, "-c", [[if True:
    import brotli, gzip, zlib
    text = b"squeezed" * 1000
    for name, body in ("gz", gzip.compress(text)), ("zz", zlib.compress(text)), ("br", brotli.compress(text)):
        open("squeezed." + name, "wb").write(body)
  ]] }, { cwd = folder }).code == 0)
end

local function codes_of_nginx()
  local lines = {}
  for _, code in ipairs(CODES) do
    lines[#lines + 1] = ("location = /status/%d { return %d%s; }"):format(code, code, code == 200 and ' ""' or "")
  end
  for _, code in ipairs(REDIRECTS) do lines[#lines + 1] = ("location = /redirect/%d { return %d /anything; }"):format(code, code) end
  return table.concat(lines, "\n")
end

-- nginx itself, and as a reverse proxy before `behind`: two servers of one process.
local function start_nginx(env, behind)
  local folder = fs.join(env.folder, "nginx")
  fs.mkdir(folder)
  fs.write(fs.join(folder, "htpasswd"), "us:{PLAIN}pa\n")
  local template = fs.read(here .. "nginx.conf.in")
  local values = {
    USER = start.is_root() and "user root root;" or "", FOLDER = env.folder, CERT = env.certs.site.cert, KEY = env.certs.site.key,
    CODES = codes_of_nginx(), UPSTREAM = behind,
  }
  return start.configured(function(ports)
    values.PORT, values.TLS, values.PROXY, values.PROXY_TLS = table.unpack(ports)
    fs.write(fs.join(folder, "nginx.conf"), (template:gsub("@([A-Z_]+)@", values)))
    return { "/usr/sbin/nginx", "-p", folder, "-e", "nginx.log", "-c", "nginx.conf" }
  end, { count = 4, log = fs.join(folder, "nginx.log"), ready = "start worker process " })
end

local function go(env)
  local program = fs.join(env.folder, "go-peer")
  local cache = fs.absolute(here .. "../../build/go")
  local built = process.capture({ "go", "build", "-o", program, here .. "main.go" },
    { env = { GOCACHE = cache, GOPATH = cache .. "/path", GO111MODULE = "off" }, timeout = 300 })
  assert(built.code == 0, built.stderr)
  return start.printing { program, env.certs.site.key, env.certs.site.cert, env.folder }
end

local function stdlib(version)
  return function(env) return start.printing { PYTHON, here .. "stdlib.py", env.certs.site.key, env.certs.site.cert, env.folder, version } end
end

-- In this order: a later one may need an earlier one.
local KINDS = {
  { name = "node", program = "node", lingers = false,
    start = function(env) return start.printing { "node", here .. "node.js", env.certs.site.key, env.certs.site.cert } end },
  { name = "go", program = "go", lingers = false, start = go },
  { name = "python http.server", program = PYTHON, lingers = true, start = stdlib "HTTP/1.1",
    lacks = { hints = "http.server has no 103" } },
  { name = "python http.server 1.0", program = PYTHON, lingers = true, start = stdlib "HTTP/1.0",
    lacks = { hints = "HTTP/1.0 has no 1xx" },
    differs = { version = "1.0", kept = "HTTP/1.0: a connection for each answer",
      unannounced = "a body ends with the connection, and Python's TLS does not say that it ends" } },
  { name = "aiohttp", program = PYTHON, module = "aiohttp", lingers = true,
    start = function(env) return start.printing { PYTHON, here .. "async.py", env.certs.site.key, env.certs.site.cert, env.folder } end,
    lacks = { hints = "aiohttp has no 103" } },
  { name = "nginx", program = "nginx", lingers = true, needs = "go",
    start = function(env)
      local child, plain, secure, proxy, proxy_secure = start_nginx(env, env.ports.go)
      env.proxy = { proxy, proxy_secure }
      return child, plain, secure
    end,
    lacks = { hang = BY_HAND, cut = BY_HAND, reset = BY_HAND, leave = BY_HAND, hints = BY_HAND },
    differs = { expects = "nginx agrees before it refuses" } },
  { name = "nginx before go", program = "nginx", needs = "nginx", lingers = false,
    start = function(env) return nil, table.unpack(env.proxy) end,
    lacks = { hints = "nginx 1.22 drops 103", leave = "nginx asks again on a connection that ended, and answers 502" },
    differs = { silence = ANSWERS_FOR_IT, expects = ANSWERS_FOR_IT } },
}

-- What is missing for it; nil: nothing.
local function missing(kind, env)
  if not start.installed(kind.program) then return kind.program end
  if kind.module and process.capture({ PYTHON, "-c", "import " .. kind.module }).code ~= 0 then return kind.module end
  if kind.needs and not env.ports[kind.needs] then return kind.needs end
end

local Servers = {}
Servers.__index = Servers

function Servers:close()
  for _, child in ipairs(self.children) do child:close() end
  self.certs:close()
  self.dir:close()
end
Servers.__close = Servers.close

local function start_all(names)
  local dir, certs = fs.temp_dir(), certificates()
  local env = { folder = dir.path, certs = certs, ports = {} }
  local self = setmetatable({ dir = dir, certs = certs, ca = certs.ca, children = {}, absent = {} }, Servers)
  write_files(dir.path)
  for _, kind in ipairs(KINDS) do
    if not names or names[kind.name] then
      local lack = missing(kind, env)
      self.absent[kind.name] = lack
      if not lack then
        local child, plain, secure = kind.start(env)
        self.children[#self.children + 1] = child
        env.ports[kind.name] = plain
        self[kind.name] = { plain = "http://127.0.0.1:" .. plain, secure = "https://127.0.0.1:" .. secure, port = plain, secure_port = secure }
      end
    end
  end
  return self
end

return { start = start_all, kinds = KINDS, codes = CODES, redirects = REDIRECTS, bytes = bytes }
