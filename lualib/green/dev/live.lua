-- SPDX-License-Identifier: MIT
-- Internal.
-- --dev adds a script to pages. The script waits for news of the code, loads the page again after a change, and shows what is wrong:
-- an edit that cannot be loaded, migrations that are pending. It is served from the same origin, so that a Content-Security-Policy
-- with 'self' allows it.
local guard = require "green.dev.guard"
local response = require "green.response"
local native = require "green.http.native"
local task = require "green.task"
local valid = require "green.valid"

local PREFIX = "/.greenlua/dev"
local PERIOD = 0.2 -- seconds between two looks at the files while a browser waits for news
local CLIENT = [[
// Part of greenlua --dev.
(() => {
  const seen = new URL(document.currentScript.src).search.slice(1);
  const news = new EventSource("/.greenlua/dev?" + seen);
  let box;
  const element = (parent, style, text) => {
    const node = document.createElement("div");
    node.style.cssText = style;
    node.textContent = text;
    return parent.appendChild(node);
  };
  const show = (title, text) => {
    if (box) box.remove();
    box = undefined;
    if (!text) return;
    box = element(document.documentElement, "all:initial;position:fixed;z-index:2147483647;left:0;right:0;bottom:0;max-height:60vh;" +
      "overflow:auto;box-sizing:border-box;padding:14px 18px;background:#3b0d0c;color:#fff;border-top:3px solid #ff6b5e;" +
      "font:14px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;box-shadow:0 -6px 24px rgba(0,0,0,.35)", "");
    box.id = "greenlua-dev";
    box.setAttribute("role", "alert");
    element(box, "font:600 15px/1.4 system-ui,sans-serif;margin:0 0 6px;color:#ffb4ab", title);
    element(box, "white-space:pre-wrap;overflow-wrap:anywhere", text);
  };
  news.addEventListener("reload", () => { news.close(); location.reload(); });
  news.addEventListener("message", event => { const { title, problem } = JSON.parse(event.data); show(title, problem); });
  addEventListener("pagehide", () => news.close());
})();
]]

local M = {}

-- ---- the news ----

local function news(req, state)
  req.cancel_on_disconnect = true
  local seen = req.query_string
  return response.events(function(events)
    local told
    while not state.stopping() do
      state.look()
      if state.stamp() ~= seen then return events:send { event = "reload", data = state.stamp() } end
      local title, problem = state.problem()
      problem = problem or false
      if problem ~= told then
        events:send { data = { title = title, problem = problem and valid(problem) } }
        told = problem
      end
      task.sleep(PERIOD)
    end
  end)
end

-- Returns the answer to a request for one of --dev's own addresses, else nil.
function M.answer(req, state)
  if req.raw_path:sub(1, #PREFIX) ~= PREFIX or req.method ~= "GET" then return nil end
  if req.raw_path == PREFIX then return guard.refuse_origin(req) or news(req, state) end
  if req.raw_path ~= PREFIX .. ".js" then return nil end
  local res = response.text(CLIENT)
  return res:header("content-type", "text/javascript; charset=utf-8"):header("cache-control", "no-store")
end

-- ---- the pages ----

local function sources_of(policy, ...)
  for _, wanted in ipairs { ... } do
    for directive in policy:gmatch "[^;]+" do
      local name, sources = directive:match "^%s*([%w-]+)%s*(.*)$"
      if name and name:lower() == wanted then return sources:lower() end
    end
  end
  return "*" -- a policy without the directive allows every source
end

local function permits(sources)
  if sources:find("'strict-dynamic'", 1, true) then return false end
  return (" " .. sources .. " "):find " %* " ~= nil or sources:find("'self'", 1, true) ~= nil
end

local function is_permitted(headers)
  local policy = headers["content-security-policy"]
  if not policy then return true end
  if type(policy) == "table" then policy = table.concat(policy, ", ") end
  for one in policy:gmatch "[^,]+" do
    if not permits(sources_of(one, "script-src-elem", "script-src", "default-src")) then return false end
    if not permits(sources_of(one, "connect-src", "default-src")) then return false end
  end
  return true
end

-- Tells whether a response is a page that a person looks at and may load again: not a fragment that a script asked for, nor the answer to a
-- form.
local function is_page(res, req)
  if getmetatable(res) ~= native.response or not res.stream and type(res.body) ~= "string" then return false end
  local headers = res.headers
  if not headers or res.status == 206 or req.method ~= "GET" then return false end
  if not tostring(headers["content-type"] or ""):lower():find "^%s*text/html" or headers["content-encoding"] then return false end
  local wanted_for = req:header "sec-fetch-dest"
  return not wanted_for or wanted_for == "document" or wanted_for == "iframe" or wanted_for == "frame"
end

local function place_of(body)
  local lower, at, from = body:lower(), nil, 1
  while true do
    local found = lower:find("</body", from, true)
    if not found then return at or #body + 1 end
    at, from = found, found + 1
  end
end

-- Returns the response, with the script in it if the response is a page. `stamp` names the code that made the page.
function M.inject(res, req, stamp)
  if not is_page(res, req) or not is_permitted(res.headers) then return res end
  local script = ('<script src="%s.js?%s"></script>'):format(PREFIX, stamp)
  if res.stream then -- the script goes behind everything, where browsers run it, too
    local stream = res.stream
    res.stream = function(out)
      stream(out)
      out:write(script)
    end
  else
    local at = place_of(res.body)
    res.body = res.body:sub(1, at - 1) .. script .. res.body:sub(at)
  end
  for _, name in ipairs { "content-length", "etag", "last-modified", "accept-ranges" } do res.headers[name] = nil end
  res.headers["cache-control"] = "no-store" -- the browser must not show the page with the script when --dev is off
  return res
end

return M
