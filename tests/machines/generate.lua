-- SPDX-License-Identifier: MIT
-- Random structured programs, as trees: { kind = "seq", ... }. What each kind does is in run.lua, what may come of it in model.lua.
local G = {}

-- Seconds of deadlines: already over, about to be, and never.
local SHORT = { 0, 0.0005, 0.002 }

-- A wait without end. It is only made where somebody will cancel it.
local function endless() return { kind = "endless" } end

local block

local function blocks(r, n, size)
  local list = {}
  for i = 1, n do list[i] = block(r, size // n) end
  return list
end

local leaves = {
  function(r) return { kind = "mark", value = r:below(100) } end,
  function(r) return { kind = "sleep", seconds = r:pick { 0, 0, 0.0003, 0.001 } } end,
  function(r) return { kind = "compute", rounds = r:below(200) } end,
  function(r) return { kind = "timeout", what = r:pick { "receive", "acquire", "send" } } end,
  function(r) return { kind = "pipeline", n = r:below(12), capacity = r:below(4) - 1, senders = r:below(3), receivers = r:below(3) } end,
  function(r) return { kind = "permits", permits = r:below(3), tasks = r:below(6), mutex = r:chance(40) } end,
}

local function fails(r) return { kind = "error", id = r:below(1000000) } end

local branches = {
  function(r, size) return { kind = "pcall", block(r, size) } end,
  function(r, size) return { kind = "close", how = r:pick { "plain", "plain", "waits", "raises" }, id = r:below(1000000), block(r, size) } end,
  function(r, size) return { kind = "deadline", seconds = r:pick(SHORT), block(r, size) } end,
  function(r, size) return { kind = "deadline", seconds = 60, block(r, size) } end,
  function(r, size) return { kind = "shield", block(r, size) } end,
  function(r, size) return { kind = "parked", where = r:pick { "sort", "gsub", "tostring", "index", "load" }, block(r, size) } end,
  function(r, size) return { kind = "coroutine", block(r, size) } end,
  function(r, size) return { kind = "generator", yields = r:below(4), block(r, size) } end,
  function(r, size) return { kind = "join", block(r, size) } end,
  function(r, size) return { kind = "cancel", early = r:chance(30), r:chance(40) and endless() or block(r, size) } end,
  function(r, size) return { kind = "ended", at = r:below(600), r:chance(40) and endless() or block(r, size) } end,
  function(r, size) return { kind = "deadline", seconds = r:pick(SHORT), r:chance(50) and endless() or block(r, size) } end,
  function(r, size)
    local node = { kind = "group", body = block(r, size // 3), table.unpack(blocks(r, r:below(4), size)) }
    if r:chance(40) then node.nested = blocks(r, #node, size // 3) end -- each child spawns another in its group
    if r:chance(25) then -- one fails, or the body cancels: then others may wait without end
      node.cancels = r:chance(50)
      if not node.cancels then node[#node + 1] = fails(r) end
      for _ = 1, r:below(3) do node[#node + 1] = endless() end
    end
    return node
  end,
  function(r, size)
    local node = { kind = "race", table.unpack(blocks(r, r:below(3), size)) }
    if r:chance(50) then
      node[#node + 1] = { kind = "mark", value = r:below(100) }
      node[#node + 1] = endless()
    end
    return node
  end,
  function(r, size) return { kind = "map", max = r:below(3), table.unpack(blocks(r, r:below(4), size)) } end,
}

local function statement(r, size)
  if r:chance(4) then return fails(r) end
  if size < 2 or r:chance(30) then return r:pick(leaves)(r) end
  return r:pick(branches)(r, size - 1)
end

function block(r, size)
  local n = r:below(3)
  local node = { kind = "seq" }
  for i = 1, n do node[i] = statement(r, size // n) end
  return node
end

-- A program of about `size` statements.
function G.program(r, size) return block(r, size) end

-- As text, for who looks into a failure.
function G.show(node, indent)
  indent = indent or ""
  local keys, line = {}, indent .. node.kind
  for key, value in pairs(node) do
    if type(key) == "string" and key ~= "kind" and type(value) ~= "table" then keys[#keys + 1] = key end
  end
  table.sort(keys)
  for _, key in ipairs(keys) do line = line .. (" %s=%s"):format(key, node[key]) end
  local out = { line }
  if node.body then
    out[#out + 1] = indent .. "  body:"
    out[#out + 1] = G.show(node.body, indent .. "    ")
  end
  for i, each in ipairs(node.nested or {}) do
    out[#out + 1] = ("%s  spawned by %d:"):format(indent, i)
    out[#out + 1] = G.show(each, indent .. "    ")
  end
  for _, child in ipairs(node) do out[#out + 1] = G.show(child, indent .. "  ") end
  return table.concat(out, "\n")
end

return G
