-- SPDX-License-Identifier: MIT
-- What may come of a program: { ok = can it return, value = what then (nil: one cannot say), errors = { [error] = true } }. `may` is
-- the set of interruptions that can reach it: ECANCELED, EDEADLINE.
local outcome

local function result(ok, value, errors) return { ok = ok, value = value, errors = errors or {} } end

local function add(to, from)
  for err in pairs(from) do to[err] = true end
  return to
end

-- A wait that is fine unless it is interrupted.
local function waits(may, value) return result(true, value, add({}, may)) end

-- What reaches a task that is spawned: a deadline is inherited, a cancel is not.
local function inherited(may) return { EDEADLINE = may.EDEADLINE } end

local function with(may, code) return add({ [code] = true }, may) end

local function sequence(node, may)
  local value, errors = 0, {}
  for _, each in ipairs(node) do
    local o = outcome(each, may)
    add(errors, o.errors)
    if not o.ok then return result(false, nil, errors) end
    value = value and o.value and value + o.value
  end
  return result(true, value, errors)
end

-- Children side by side: all have to return. Who waits for them may be interrupted.
local function together(node, may)
  local value, ok, errors = 0, true, add({}, may)
  for _, each in ipairs(node) do
    local o = outcome(each, inherited(may))
    add(errors, o.errors)
    ok = ok and o.ok
    value = value and o.value and value + o.value
  end
  return result(ok, ok and value or nil, errors)
end

local kinds = { seq = sequence, map = together }

function kinds.mark(node) return result(true, node.value) end
function kinds.error(node) return result(false, nil, { [node.id] = true }) end
function kinds.sleep(_, may) return waits(may, 0) end
function kinds.compute(node) return result(true, node.rounds * (node.rounds + 1) // 2) end
function kinds.timeout(_, may) return waits(may, 7) end
function kinds.pipeline(node, may) return waits(may, node.n * (node.n + 1) // 2 * node.senders) end
function kinds.permits(node, may) return waits(may, node.tasks) end
function kinds.endless(_, may) return result(false, nil, add({}, may)) end

function kinds.pcall(node, may)
  local o = outcome(node[1], may)
  if not o.ok then return result(true, -1) end
  return result(true, next(o.errors) == nil and o.value or nil)
end

function kinds.close(node, may)
  if node.how == "raises" then return result(false, nil, { [node.id] = true }) end
  return outcome(node[1], may)
end

function kinds.deadline(node, may)
  local o = outcome(node[1], node.seconds < 60 and with(may, "EDEADLINE") or may)
  return o
end

function kinds.shield(node) return outcome(node[1], {}) end
function kinds.parked(node, may) return outcome(node[1], may) end
function kinds.coroutine(node, may) return outcome(node[1], may) end
function kinds.generator(node, may)
  local o = outcome(node[1], may)
  local value = o.value and o.value + node.yields * (node.yields + 1) // 2
  return result(o.ok, value, add(add({}, may), o.errors)) -- it waits between its values, too
end

function kinds.join(node, may)
  local o = outcome(node[1], inherited(may))
  return result(o.ok, o.value, add(add({}, o.errors), may))
end

function kinds.cancel(_, may) return waits(may, 3) end
kinds.ended = kinds.cancel

function kinds.group(node, may)
  local body, children = outcome(node.body, may), together(node, may)
  local nested = together(node.nested or {}, may)
  local errors = add(add(add({}, body.errors), children.errors), nested.errors)
  if node.cancels then return result(body.ok, body.value, errors) end
  local ok = children.ok and nested.ok
  return result(body.ok and ok, ok and body.value or nil, errors)
end

function kinds.race(node, may)
  local ok, value, errors, first = false, nil, add({}, may), true
  for _, each in ipairs(node) do
    local o = outcome(each, inherited(may))
    add(errors, o.errors)
    if o.ok then
      value = (first or value == o.value) and o.value or nil
      first = false
    end
    ok = ok or o.ok
  end
  return result(ok, value, errors)
end

function outcome(node, may) return kinds[node.kind](node, may) end

return outcome
