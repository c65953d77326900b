-- SPDX-License-Identifier: MIT
-- Internal.
-- One request over the wire and its answer, by libcurl.
local native = require "green.http.client.native"

local M = {}

local function lines_of(spec)
  local lines, has_type = {}, false
  local headers = spec.headers
  for i = 1, #headers, 2 do
    local name, value = headers[i], headers[i + 1]
    has_type = has_type or name:lower() == "content-type"
    lines[#lines + 1] = value == "" and name .. ";" or name .. ": " .. value -- libcurl's way to say empty
  end
  if spec.body then
    if not has_type then lines[#lines + 1] = "Content-Type:" end
    lines[#lines + 1] = "Expect:" -- no 100-continue: it costs a second with servers that ignore it
  end
  return lines
end

local function address_of(spec)
  local host = spec.host:find(":", 1, true) and "[" .. spec.host .. "]" or spec.host
  return ("%s://%s:%d%s"):format(spec.scheme, host, spec.port, spec.target)
end

--- answer (status, headers, body), the values of repeated headers, a reader of the body when it is not collected.
function M.send(spec)
  local proxy = spec.proxy
  local answer, repeated, reader = native.request {
    method = spec.method, url = spec.url, address = address_of(spec), headers = lines_of(spec), body = spec.body,
    timeout = spec.timeouts.total, connect_timeout = spec.timeouts.connecting,
    max_body = spec.collect or 0, stream = not spec.collect, verify = spec.tls.verify, ca = spec.tls.ca,
    proxy = proxy and ("http://%s:%d"):format(proxy.host, proxy.port) or "",
    proxy_authorization = proxy and proxy.authorization and "Proxy-Authorization: " .. proxy.authorization,
  }
  return answer, repeated, reader
end

return M
