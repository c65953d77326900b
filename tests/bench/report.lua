-- SPDX-License-Identifier: MIT
--
-- Turns the results of tests/bench/run into tables, and says beside each aim
-- of greenlua what was measured. Records, one per line, tab-separated:
--   load   scenario server connections requests requests/s tick_us user sys errors
--   memory idle|wait server count before after broken     (bytes of memory)
--   failed scenario server what
-- Exits 1 if any server failed or answered with errors: its figures are void.

local SCENARIOS = { "plaintext", "json", "pipelined", "sleep", "proxy" }

local AIMS = {
    { "plaintext", "epoll", 1.10 },
    { "json", "epoll", 1.20 },
    { "pipelined", "epoll", 3.00 },
    { "sleep", "epoll", 1.25 },
    { "proxy", "epoll", 1.60 },
    { "proxy", "nginx-lua", 1.00 },
    { "proxy", "go", 1.00 },
}
local AIM_IDLE, AIM_WAITING = 1024, 1536 -- bytes

local loads, memory = {}, {} -- figures: by scenario and server, by server
local faults, void = {}, {}  -- what went wrong, and which figures it spoils

local function fault(scenario, server, what, ...)
    void[scenario .. server] = true
    faults[#faults + 1] = string.format("%s: %s " .. what, scenario, server, ...)
end

-- t[k], made if missing; keys keep the order in which they came.
local function sub(t, k)
    if not t[k] then
        t[k] = {}
        t[#t + 1] = k
    end
    return t[k]
end

local take = {}

function take.load(scenario, server, connections, requests, rate, tick_us, user, sys, errors)
    local rows = sub(loads, scenario)
    rows.connections = connections
    requests, errors = tonumber(requests), tonumber(errors)
    if errors > 0 or requests == 0 then
        fault(scenario, server, "had %d errors in %d requests", errors, requests)
    end
    local function per_request(ticks)
        return ticks * tick_us / math.max(requests, 1)
    end
    local rounds = sub(rows, server)
    rounds[#rounds + 1] = {
        rate = tonumber(rate),
        user = per_request(user),
        sys = per_request(sys),
        cpu = per_request(user + sys),
        errors = errors,
    }
end

function take.memory(kind, server, count, before, after, broken)
    if broken ~= "0" then
        fault("memory", server, "lost %s of %s connections (%s)", broken, count, kind)
    end
    sub(memory, server)[kind] = (after - before) / count
    memory.counts = memory.counts or {}
    memory.counts[kind] = count
end

function take.failed(scenario, server, what)
    fault(scenario, server, "%s", what)
end

local function each(rounds, field)
    local values = {}
    for i, round in ipairs(rounds) do values[i] = round[field] end
    table.sort(values)
    return values
end

local function median(values)
    local n = #values
    return (values[(n + 1) // 2] + values[n // 2 + 1]) / 2
end

-- The median of the ratios round by round, so that what slows down a whole
-- round does not count.
local function ratio(scenario, server, to)
    local rows = loads[scenario]
    if not (rows and rows[server] and rows[to]) then return nil end
    local ratios = {}
    for i = 1, math.min(#rows[server], #rows[to]) do
        ratios[i] = rows[server][i].cpu / rows[to][i].cpu
    end
    table.sort(ratios)
    return median(ratios)
end

local function sum(values)
    local total = 0
    for _, v in ipairs(values) do total = total + v end
    return total
end

local function print_load(scenario)
    local rows = loads[scenario]
    print(string.format("\n%s: %s connections, %d rounds, CPU in us per request",
        scenario, rows.connections, #rows[rows[1]]))
    print("server             req/s     CPU    min..max          user  system  vs epoll  errors")
    for _, server in ipairs(rows) do
        local rounds = rows[server]
        local cpu = each(rounds, "cpu")
        local to_epoll = ratio(scenario, server, "epoll")
        print(string.format("%-14s %8.0f  %6.2f  %6.2f..%-6.2f  %6.2f  %6.2f  %8s  %6d",
            server, median(each(rounds, "rate")), median(cpu), cpu[1], cpu[#cpu],
            median(each(rounds, "user")), median(each(rounds, "sys")),
            to_epoll and string.format("%.2fx", to_epoll) or "-",
            sum(each(rounds, "errors"))))
    end
end

-- What a waiting request takes on top of its connection.
local function waiting(m)
    return m.wait and m.idle and m.wait - m.idle
end

local function bytes(n)
    return n and string.format("%.0f", n) or "-"
end

local function print_memory()
    if #memory == 0 then return end
    print(string.format("\nmemory: resident bytes (%s idle connections, %s waiting requests)",
        memory.counts.idle, memory.counts.wait))
    print("server          idle connection  waiting request  of which not its connection")
    for _, server in ipairs(memory) do
        local m = memory[server]
        print(string.format("%-14s  %15s  %15s  %28s",
            server, bytes(m.idle), bytes(m.wait), bytes(waiting(m))))
    end
end

local function print_aim(what, aim, unit, measured, is_void)
    local verdict = "not measured"
    if is_void then
        verdict = "void, see below"
    elseif measured then
        verdict = string.format(unit, measured) .. (measured <= aim and ", met" or ", MISSED")
    end
    print(string.format("  %-32s  %-11s  %s", what, string.format(unit, aim), verdict))
end

local function print_aims()
    print("\naims of greenlua                    at most      measured")
    for _, aim in ipairs(AIMS) do
        local scenario, to, most = table.unpack(aim)
        print_aim(scenario .. ", CPU vs " .. to, most, "%.2fx", ratio(scenario, "greenlua", to),
            void[scenario .. "greenlua"] or void[scenario .. to])
    end
    local m = memory.greenlua or {}
    print_aim("memory per idle connection", AIM_IDLE, "%.0f bytes", m.idle, void.memorygreenlua)
    print_aim("memory per waiting request", AIM_WAITING, "%.0f bytes", waiting(m), void.memorygreenlua)
end

for line in io.lines(arg[1]) do
    local fields = {}
    for field in line:gmatch "[^\t]+" do fields[#fields + 1] = field end
    take[fields[1]](table.unpack(fields, 2))
end
for _, scenario in ipairs(SCENARIOS) do
    if loads[scenario] then print_load(scenario) end
end
print_memory()
print_aims()
for _, text in ipairs(faults) do print("!!! " .. text) end
os.exit(#faults == 0)
