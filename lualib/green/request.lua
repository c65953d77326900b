-- SPDX-License-Identifier: MIT
-- Internal.
-- What Lua adds to a request: query, cookies, and the body as JSON, a form or parts. What the client got wrong
-- raises an error with a status, which the server answers by itself.
local fault = require "green.error"
local fields = require "green.http.fields.native"
local json = require "green.json"
local multipart = require "green.multipart"
local native = require "green.http.native"
local options = require "green.options"

local MAX_FIELDS = 1000
local MAX_BODY = 1024 * 1024

-- ---- urlencoded ----

-- "a=1&b" -> { { "a", "1" }, { "b", "" } }
local function pairs_of(op, text)
  local list, bad = fields.form(text, MAX_FIELDS)
  if list then return list end
  if bad then fault.status(400, op, "EINVAL", "invalid percent escape in '%s'", bad:sub(1, 40)) end
  fault.status(413, op, "EMSGSIZE", "more than %d fields", MAX_FIELDS)
end

-- The first value of each name.
local function first_of(list)
  local out = {}
  for _, pair in ipairs(list) do
    if out[pair[1]] == nil then out[pair[1]] = pair[2] end
  end
  return out
end

-- ---- coded bodies ----

local CHUNKS = { decode = "boolean" }

-- What the server's requests call for a body with a Content-Encoding (host/web/body.c); `raw` gives its pieces as they came.
local coded = {}

function coded.body(req, max, raw)
  local body = req.decoded_body
  if not body then
    body = require("green.http.coded_body").body(req:header "content-encoding", raw, max)
    req.decoded_body = body
  end
  return body
end

function coded.chunks(req, opts, raw)
  local encoding = req:header "content-encoding"
  if options.check("req:chunks", opts, CHUNKS).decode == false or not encoding then return raw end
  return require("green.http.coded_body").chunks(encoding, raw)
end

-- ---- body ----

local methods, getters = {}, {}

-- Of a server or of inject.
local function is_request(req, method)
  local kind = type(req)
  if kind == "userdata" or kind == "table" and req.raw_path then return end
  fault.misuse("use req:%s(...), not req.%s(...)", method, method)
end

local function media_type(req) return fields.parameters(req:header("content-type") or "") end

function methods.json(req, max)
  is_request(req, "json")
  local body = req:body(max)
  if body == "" then fault.status(400, "request.json", "EINVAL", "invalid JSON: the body is empty") end
  local ok, value = pcall(json.decode, body)
  if ok then return value end
  if not fault.is(value, "EJSON") then error(value, 0) end -- cancelled, or out of time or memory
  fault.status(400, "request.json", "EINVAL", "invalid JSON: %s", (tostring(value):gsub("^json%.decode: ", "")))
end

function methods.parts(req)
  is_request(req, "parts")
  local kind, parameters = media_type(req)
  if kind ~= "multipart/form-data" then fault.status(415, "request.parts", "EINVAL", "the body is not multipart/form-data") end
  return multipart.parts(parameters and parameters.boundary, req:chunks())
end

-- Fields as strings, files as { filename=, type=, body= }; `max` bounds all of them together.
local function multipart_pairs(req, max)
  local list, left = {}, max
  for part in methods.parts(req) do
    local body = part:body(left)
    left = left - #body
    list[#list + 1] = { part.name, part.filename and { filename = part.filename, type = part.headers["content-type"], body = body } or body }
  end
  return list
end

function methods.form(req, max)
  is_request(req, "form")
  local cached = req.parsed_form
  if not cached then
    local kind = media_type(req)
    if kind == "application/x-www-form-urlencoded" then
      cached = pairs_of("request.form", req:body(max))
    elseif kind == "multipart/form-data" then
      cached = multipart_pairs(req, max or MAX_BODY)
    else
      fault.status(415, "request.form", "EINVAL", "the body is not a form")
    end
    req.parsed_form = cached
  end
  return first_of(cached), cached
end

-- ---- query and cookies ----

function getters.query_pairs(req) return pairs_of("request.query", req.query_string) end

function getters.query(req) return first_of(req.query_pairs) end

function methods.query_all(req, name)
  is_request(req, "query_all")
  local out = {}
  for _, pair in ipairs(req.query_pairs) do
    if pair[1] == name then out[#out + 1] = pair[2] end
  end
  return out
end

function getters.cookies(req) return fields.cookies(req.headers.cookie or "") end

function getters.ctx() return {} end
function getters.params() return {} end

-- ----

-- Into the tables that the server's requests look things up in, and those of app:inject.
for name, f in pairs(methods) do native.request.methods[name] = f end
for name, f in pairs(getters) do native.request.getters[name] = f end
for name, f in pairs(coded) do native.request.coded[name] = f end
