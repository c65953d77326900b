-- SPDX-License-Identifier: MIT
-- Internal.
-- This file decides whether a request is tried again, and after what pause.
local date = require "green.date"
local err = require "green.error"
local options = require "green.options"
local task = require "green.task"

local KNOWN = { max = "integer", on = "table|function", backoff = "seconds|function" }
local ON = { 429, 502, 503, 504, "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EAI_AGAIN" }
local UNSENT = { ECONNREFUSED = true, EAI_AGAIN = true } -- after these errors nothing has reached the server
local IDEMPOTENT = { GET = true, HEAD = true, OPTIONS = true, TRACE = true, PUT = true, DELETE = true } -- RFC 9110, 9.2.2

local M = {}

local function set_of(op, list)
  local set = {}
  for i, each in ipairs(list) do
    if type(each) ~= "string" and math.type(each) ~= "integer" then
      err.misuse("%s: option 'retry': on[%d]: a status or the code of an error expected", op, i)
    end
    set[each] = true
  end
  return set
end

--- Checks the option and returns it completed; nil for none.
function M.check(op, given)
  if not given then return nil end
  options.check(op .. ": retry", given, KNOWN)
  if given.max and given.max < 0 then err.misuse("%s: option 'retry': max: an integer >= 0 expected", op) end
  local on = given.on or ON
  return { max = given.max or 2, on = type(on) == "function" and on or set_of(op, on), backoff = given.backoff or 0.5 }
end

-- Returns the seconds that an answer's Retry-After asks for, nil without one.
local function asked_for(response)
  local text = response and response.headers["retry-after"]
  if not text then return nil end
  if text:find "^%d+$" then return tonumber(text) end
  local at = date.parse(text)
  return at and math.max(0, at - os.time())
end

local function is_wanted(policy, request, response, failure, attempt)
  if type(policy.on) == "function" then return policy.on(response, failure, attempt) end
  if response then return policy.on[response.status] and IDEMPOTENT[request.method] end
  if not policy.on[failure.code] then return false end
  if IDEMPOTENT[request.method] then return true end
  if request.led_on then return false end -- a server has answered by a redirect, so that it had the request
  return failure.sent == false or failure.sent == nil and UNSENT[failure.code]
end

-- Returns the pause before the next try. It doubles each time, and half of it is random, so that clients that failed together do not
-- come back together.
local function backoff(policy, attempt)
  if type(policy.backoff) == "function" then
    return options.argument("http: retry", "what backoff returned", policy.backoff(attempt), "seconds")
  end
  return policy.backoff * 2 ^ (attempt - 1) * (0.5 + math.random() / 2)
end

--- Calls try() until its answer or error is final. `patience` is the longest pause, in seconds, that a server may ask for.
function M.run(policy, request, patience, try)
  if request.body and request.body.once then return try() end
  for attempt = 1, policy.max do
    local ok, answer = pcall(try)
    local response, failure = ok and answer or nil, not ok and answer or nil
    if failure and (not err.is(failure) or failure.code == "ECANCELED") then error(failure, 0) end
    local asked = asked_for(response)
    local again = is_wanted(policy, request, response, failure, attempt) and (asked or 0) <= patience
    if not again and failure then error(failure, 0) end
    if not again then return response end
    if response then response:close() end
    task.sleep(math.max(asked or 0, backoff(policy, attempt)))
  end
  return try()
end

return M
