-- SPDX-License-Identifier: MIT
-- Internal.
-- This file shows a failed handler to its developer (--dev): message, source, frames with their variables, and the request, as a page or as
-- text for a terminal. The page loads nothing else, so that no address of the app's is needed for it.
local capture = require "green.dev.capture"
local files = require "green.dev.files"
local fs = require "green.fs.native"
local response = require "green.response"
local task = require "green.task"
local template = require "green.template"

local AROUND = 5 -- lines of source before and after the one that failed
local MAX_SOURCE = 4 * 1024 * 1024
local BODY_SHOWN = 2000
local BODY_WAIT = 0.2 -- seconds to wait for the rest of a request's body

local M = {}

-- ---- source ----

local cache_of_one = {}

local function lines_of(path)
  if cache_of_one.path == path then return cache_of_one.lines end
  local ok, stat = pcall(fs.stat, path)
  if not ok or not stat or stat.type ~= "file" or stat.size > MAX_SOURCE then return nil end
  local read, text = pcall(fs.read, path)
  if not read then return nil end
  local lines = {}
  for line in (text:sub(-1) == "\n" and text or text .. "\n"):gmatch "([^\n]*)\n?" do lines[#lines + 1] = (line:gsub("\r$", "")) end
  cache_of_one = { path = path, lines = lines }
  return lines
end

-- Returns { path =, line =, first =, lines = {...} }, nil when there is no such file.
local function excerpt(path, line)
  local lines = path and line and line > 0 and lines_of(path)
  if not lines or line > #lines + 1 then return nil end
  local first, last = math.max(1, line - AROUND), math.min(#lines, line + AROUND)
  return { path = path, line = line, first = first, lines = table.move(lines, first, last, 1, {}) }
end

-- Returns an excerpt of where the error happened: of the file that could not be compiled, or of the app's innermost frame. A place that only
-- the message names is not shown, since a client may have written the message.
local function source_of(report)
  cache_of_one = {}
  local found = excerpt(files.refusal_in(report.message))
  for _, stack in ipairs(report.stacks) do
    for _, frame in ipairs(stack.frames) do
      if not found and files.is_code(frame.path) then found = excerpt(frame.path, frame.line) end
    end
  end
  return found
end

-- ---- text ----

local function excerpt_text(source)
  local out = {}
  for i, line in ipairs(source.lines) do
    local number = source.first + i - 1
    out[i] = ("%s %4d  %s"):format(number == source.line and ">" or " ", number, line)
  end
  return table.concat(out, "\n")
end

local function add_frame(out, frame, with_locals)
  if frame.skipped then
    out[#out + 1] = ("\t...\t(skipping %d levels)"):format(frame.skipped)
    return
  end
  out[#out + 1] = "\t" .. frame.where .. " in " .. frame.place
  for _, variable in ipairs(with_locals and frame.locals or {}) do
    out[#out + 1] = "\t    " .. variable.name .. " = " .. variable.value
  end
  if frame.tail then out[#out + 1] = "\t(...tail calls...)" end
end

-- Tells whether frames are worth showing. After a failed compilation all frames are ours, and say nothing.
local function has_frames(report)
  for _, stack in ipairs(report.stacks) do
    for _, frame in ipairs(stack.frames) do
      if frame.path then return true end
    end
  end
  return false
end

local function traceback(report, with_locals)
  if not has_frames(report) then return "" end
  local out = { "stack traceback:" }
  for _, stack in ipairs(report.stacks) do
    for _, frame in ipairs(stack.frames) do add_frame(out, frame, with_locals) end
    if stack.note then out[#out + 1] = "\t(..." .. stack.note .. "...)" end
  end
  return table.concat(out, "\n")
end

--- Returns the report for a terminal: what failed, why, and where. The lines of a message are indented, so that none looks like one of ours.
function M.text(report, what)
  local trace = traceback(report)
  return what .. ": " .. report.message:gsub("\n\t?", "\n\t") .. (trace ~= "" and "\n" .. trace or "")
end

--- Returns the message and the source, which are enough to mend an edit.
function M.summary(report)
  local source = source_of(report)
  if not source then return report.message end
  return report.message .. "\n\n" .. source.path .. "\n" .. excerpt_text(source)
end

-- ---- the request ----

local function sorted(fields)
  local list = {}
  for name, value in pairs(fields or {}) do
    list[#list + 1] = { name = tostring(name), value = capture.is_secret(name) and "(hidden)" or tostring(value) }
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

local function past(text, class, at) return select(2, text:find(class, at)) + 1 end

-- Returns where the value of the name before `at` begins: behind an equals sign or colon. nil when neither follows the name.
local function value_at(text, at)
  at = past(text, "^[\"']?", past(text, "^%s*", at))
  at = past(text, "^%s*", at)
  if not text:find("^[=:]", at) then return nil end
  return past(text, "^[\"']?", past(text, "^%s*", at + 1))
end

-- Hides the values of names that sound secret, in forms, JSON and the like.
local function hide_secrets(text)
  local out, from, at = {}, 1, 1
  while true do
    local first, last = text:find("[%w_][%w_%-]*", at)
    if not first then break end
    at = last + 1
    local value = capture.is_secret(text:sub(first, last)) and value_at(text, at)
    if value then
      out[#out + 1] = text:sub(from, value - 1) .. "(hidden)"
      at = past(text, "^[^&\"'\n]*", value)
      from = at
    end
  end
  return table.concat(out) .. text:sub(from)
end

local function body_of(req)
  local ok, body = pcall(task.deadline, BODY_WAIT, req.body, req)
  if not ok or body == "" then return nil end
  local kind = (req:header "content-type" or ""):lower()
  if kind:find "^%s*multipart/" then return ("%d bytes of parts"):format(#body) end
  if not utf8.len(body) or body:find "[%z\1-\8\14-\31]" then return ("%d bytes that are no text"):format(#body) end
  if #body <= BODY_SHOWN then return hide_secrets(body) end
  return hide_secrets(body:sub(1, (utf8.offset(body, 0, BODY_SHOWN) or BODY_SHOWN + 1) - 1)) .. ("\n... (%d bytes)"):format(#body)
end

local function query_of(req)
  local ok, query = pcall(function() return req.query end)
  return ok and query or {}
end

local function target_of(req)
  local found = query_of(req)
  for name in pairs(found) do
    if capture.is_secret(name) then return req.raw_path .. "?..." end
  end
  return req.target
end

local function request_of(req)
  return {
    { title = "Parameters", fields = sorted(req.params) },
    { title = "Query", fields = sorted(query_of(req)) },
    { title = "Headers", fields = sorted(req.headers) },
  }
end

local function request_text(req)
  local out = { "request: " .. req.method .. " " .. target_of(req) }
  for _, group in ipairs(request_of(req)) do
    for _, field in ipairs(group.fields) do out[#out + 1] = ("    %s: %s"):format(field.name, field.value) end
  end
  local body = body_of(req)
  if body then out[#out + 1] = "\n" .. body end
  return table.concat(out, "\n")
end

-- ---- the page ----

local PAGE = template.compile([=[
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{{ title }}</title>
<style>
  :root { color-scheme: light dark; --paper: #fff; --back: #f4f4f1; --ink: #1c1d1a; --soft: #62655c; --line: #dcdcd4; --bad: #b3261e;
    --mark: #fde9e7; --name: #175c4c; }
  @media (prefers-color-scheme: dark) {
    :root { --paper: #1d1f1c; --back: #141513; --ink: #e7e8e2; --soft: #9da196; --line: #353831; --bad: #ff8a80; --mark: #46211e;
      --name: #7fd1b9; }
  }
  * { box-sizing: border-box; }
  body { margin: 0; background: var(--back); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
  main { max-width: 60rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
  header { border-left: 4px solid var(--bad); padding-left: 1rem; }
  header p { margin: 0; color: var(--soft); overflow-wrap: anywhere; }
  h1 { margin: .25rem 0 0; font-size: 1.4rem; line-height: 1.35; white-space: pre-wrap; overflow-wrap: anywhere; color: var(--bad); }
  h1 + p { margin-top: .35rem; }
  h2 { margin: 2.25rem 0 .6rem; font-size: 1rem; }
  pre, code, dl, .note, .where { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .86rem; }
  .card { background: var(--paper); border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }
  .card > .where { padding: .5rem 1rem; border-bottom: 1px solid var(--line); color: var(--soft); overflow-wrap: anywhere; }
  pre { margin: 0; padding: .75rem 0; overflow-x: auto; line-height: 1.6; }
  pre.body { padding: .75rem 1rem; white-space: pre-wrap; overflow-wrap: anywhere; }
  pre span { display: block; min-width: max-content; padding: 0 1rem; }
  pre span::before { content: attr(data-n); display: inline-block; width: 3.5ch; margin-right: 1.5ch; text-align: right; color: var(--soft); }
  pre .bad { background: var(--mark); box-shadow: inset 3px 0 var(--bad); }
  ol { list-style: none; margin: 0; padding: 0; }
  li + li { border-top: 1px solid var(--line); }
  li > div, summary { padding: .5rem 1rem; font-size: .92rem; overflow-wrap: anywhere; }
  summary { cursor: pointer; }
  summary:focus-visible { outline: 2px solid var(--name); outline-offset: -2px; }
  .plain { color: var(--soft); }
  .note { padding: .4rem 1rem; background: var(--back); color: var(--soft); font-style: italic; }
  dl { display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; gap: .15rem 1rem; margin: 0; padding: .25rem 1rem .75rem; }
  dt { color: var(--name); overflow-wrap: anywhere; }
  dd { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; min-width: 0; }
  .request dl { padding-top: .75rem; }
  h3 { margin: 0; padding: .6rem 1rem 0; font-size: .86rem; color: var(--soft); }
  footer { margin-top: 2.5rem; color: var(--soft); font-size: .86rem; }
  @media (max-width: 30rem) {
    main { padding: 1.25rem .75rem 3rem; }
    dl { grid-template-columns: 1fr; }
    dd { margin-bottom: .4rem; }
  }
</style>
<main>
<header>
  <p>{{ request }}</p>
  <h1>{{ message }}</h1>
  {% if positions ~= "" then %}<p class="where">{{ positions }}</p>{% end %}
</header>
{% if source then %}
<section id="source">
  <h2>Source</h2>
  <div class="card">
    <div class="where">{{ source.path }}:{{ source.line }}</div>
    <pre>{% for i, text in ipairs(source.lines) do %}<span {- attributes(i) -}>{{ text }}
</span>{% end %}</pre>
  </div>
</section>
{% end %}
{% if framed then %}
<section id="traceback">
  <h2>Traceback</h2>
  <div class="card"><ol>
  {% for _, stack in ipairs(stacks) do %}
    {% for _, frame in ipairs(stack.frames) do %}
      {% if frame.skipped then %}
  <li class="plain"><div>... {{ frame.skipped }} levels ...</div></li>
      {% elseif frame.locals[1] then %}
  <li><details{- frame == open and " open" or "" -}><summary><span class="where">{{ frame.where }}</span> in {{ place(frame) }}</summary>
    <dl>{% for _, variable in ipairs(frame.locals) do %}<dt>{{ variable.name }}</dt><dd>{{ variable.value }}</dd>{% end %}</dl></details></li>
      {% else %}
  <li{- frame.plain and ' class="plain"' or "" -}><div><span class="where">{{ frame.where }}</span> in {{ place(frame) }}</div></li>
      {% end %}
      {% if frame.tail then %}<li class="note">tail calls</li>{% end %}
    {% end %}
    {% if stack.note then %}<li class="note">{{ stack.note }}</li>{% end %}
  {% end %}
  </ol></div>
</section>
{% end %}
<section id="request">
  <h2>Request</h2>
  <div class="card request">
  {% for _, group in ipairs(groups) do if group.fields[1] then %}
    <h3>{{ group.title }}</h3>
    <dl>{% for _, field in ipairs(group.fields) do %}<dt>{{ field.name }}</dt><dd>{{ field.value }}</dd>{% end %}</dl>
  {% end end %}
  {% if body then %}<h3>Body</h3><pre class="body">{{ body }}</pre>{% end %}
  </div>
</section>
<footer>Shown because greenlua runs with <code>--dev</code>; without it this answer says nothing internal.</footer>
</main>
</html>
]=], "greenlua --dev")

-- Splits positions off a message: "a.lua:3: b.lua:5: no tea" becomes "no tea" and "a.lua:3: b.lua:5:".
local function split_positions(message)
  local at = 1
  while true do
    local _, stop = message:find("^[^\n:]+:%d+: ", at)
    if not stop or stop == #message then break end
    at = stop + 1
  end
  return message:sub(at), message:sub(1, math.max(0, at - 2))
end

-- Shortens the place of an unnamed function: "function <app.lua:7>" would name the file a second time.
local function short_place(frame) return frame.unnamed and "function at line " .. frame.unnamed or frame.place end

local function html(report, req)
  local open
  for _, stack in ipairs(report.stacks) do
    for _, frame in ipairs(stack.frames) do
      if not open and frame.locals and frame.locals[1] then open = frame end
    end
  end
  local source = source_of(report)
  local function attributes(i) -- returns the attributes of line i
    local n = source.first + i - 1
    return ('data-n="%d"%s'):format(n, n == source.line and ' class="bad" aria-current="true"' or "")
  end
  local message, positions = split_positions(report.message)
  return PAGE {
    title = "Error: " .. message:match "^[^\n]*", message = message, positions = positions, place = short_place, request = req.method .. " " .. target_of(req),
    source = source, attributes = attributes, stacks = report.stacks, open = open, framed = has_frames(report), groups = request_of(req), body = body_of(req),
  }
end

local function plain(report, req)
  local source = source_of(report)
  local out = { report.message }
  if source then out[#out + 1] = source.path .. "\n" .. excerpt_text(source) end
  if has_frames(report) then out[#out + 1] = traceback(report, true) end
  out[#out + 1] = request_text(req)
  return table.concat(out, "\n\n") .. "\n"
end

local function status_of(err)
  local status = type(err) == "table" and rawget(err, "status")
  return math.type(status) == "integer" and status >= 500 and status <= 599 and status or 500
end

--- Returns the answer of a failed handler: a page for a client that accepts HTML, else text.
function M.answer(report, req)
  local accept = (req:header "accept" or ""):lower()
  local res
  if accept:find("text/html", 1, true) then res = response.html(html(report, req), status_of(report.err))
  else res = response.text(plain(report, req), status_of(report.err)) end
  return res:header("cache-control", "no-store"):header("x-content-type-options", "nosniff"):header("cross-origin-resource-policy", "same-origin")
end

return M
