-- SPDX-License-Identifier: MIT
-- The prompt as a person has it: in a real terminal.
-- Needs: terminal
local fs = require "green.fs"
local http = require "green.http"
local tmux = require "tmux"

local APP = [[
local app = require "green.app".new()
app:get("/", function() return "first\n" end)
return app
]]

local function prompt(opts)
  local screen = tmux.greenlua("", opts)
  screen:until_ ">"
  return screen
end

local function address_on(screen)
  return screen:shows("serving app.lua on "):match "serving app.lua on (http://[%d.:]+)"
end

-- A prompt beside the served APP, and the app's address.
local function serving(flags)
  local screen = tmux.greenlua(("-i %s --listen 127.0.0.1:0 app.lua"):format(flags or ""), { files = { ["app.lua"] = APP } })
  local address = address_on(screen)
  screen:until_ ">"
  return screen, address
end

local function count(text, part)
  return select(2, text:gsub(part:gsub("%p", "%%%0"), ""))
end

describe("a prompt on a terminal", function()
  it("prints what expressions are worth, and keeps locals", function()
    local s <close> = prompt()
    s:line "local x = 41"
    s:line "x + 1"
    s:until_ "> x + 1\n42\n>"
    s:line "_ * 2, 'a'"
    s:until_(function(text) return text:find '\n84 +"a"\n>$' end)
  end)

  it("lets a line wait, and shows the time of a slow one", function()
    local s <close> = prompt()
    s:line "task.sleep(0.6) or 7"
    s:until_(function(text) return text:find "\n7\n%(%d+%.%d+ s%)\n>$" end)
  end)

  it("lets a line wait for a request to itself", function()
    local s <close> = serving()
    s:line "http.get(app:url('/')).status"
    s:until_ "\n200\n>"
  end)

  it("serves requests while a line is half typed", function()
    local s <close>, address = serving()
    s:type "half = "
    s:until_ "> half ="
    assert.equal("first\n", http.get(address).body)
    s:line "12"
    s:line "half"
    s:until_ "> half = 12\n> half\n12\n>"
  end)

  it("serves requests while a line waits and while one hogs", function()
    local s <close>, address = serving()
    for _, line in ipairs { "task.sleep(100)", "while true do end" } do
      s:line(line)
      s:until_("> " .. line)
      assert.equal("first\n", http.get(address).body)
      s:keys "C-c"
      s:until_ "\n>"
    end
  end)

  it("redraws itself below what background tasks print", function()
    local s <close> = prompt()
    s:line "printed = 0"
    s:line "every = task.every(0.05, function() if go then print('tick') printed = printed + 1 end end)"
    s:line "task.spawn(function() while not go do task.sleep(0.01) end end) go = true"
    s:type "typed + "
    s:until_(function(text) return text:find "tick\n> typed %+$" and count(text, "tick") >= 3 end)
    s:line "1 and nil"
    s:line "every:cancel()"
    local text = s:until_(function(text) return text:find "> every:cancel%(%)\n[tick\n]*>$" end)
    assert.equal(1, count(text, "> typed"), text)
  end)

  it("redraws itself below a failure nobody joined", function()
    local s <close> = prompt()
    s:line "local t = task.after(0.3, error, 'lost') t = nil"
    s:type "typed"
    local text = s:until_(function(text) return text:find "lost" and text:find "\n> typed$" end)
    assert.equal(1, count(text, "> typed"), text)
  end)

  it("cancels what a line started with Ctrl-C, its children included, and nothing else", function()
    local s <close> = prompt()
    s:line "other = task.spawn(task.sleep, 1000)"
    s:line "child = task.spawn(task.sleep, 1000) task.sleep(100)"
    s:until_ "task.sleep(100)"
    s:keys "C-c"
    s:shows "interrupted!"
    s:until_ "\n>"
    s:line "child:status(), other:status()"
    s:until_(function(text) return text:find '\n"cancelled" +"waiting"\n>$' end)
  end)

  it("ends a loop with Ctrl-C", function()
    local s <close> = prompt()
    s:line "while true do end"
    s:until_ "while true do end"
    s:keys "C-c"
    s:until_ "^Cinterrupted!\nstack traceback:\n        stdin:1: in main chunk\n>"
    s:line "1 + 1"
    s:until_ "\n2\n>"
  end)

  it("clears a typed line with Ctrl-C, and leaves with Ctrl-D", function()
    local s <close> = prompt()
    s:type "some text"
    s:keys "C-c"
    s:until_ "> some text^C\n>"
    s:line "task.every(0.01, function() end)"
    s:until_ "\n>"
    s:keys "C-d"
    s:until_ "exit 0"
  end)

  it("takes statements of several lines", function()
    local s <close> = prompt()
    s:line "for i = 1, 2 do"
    s:until_ "> for i = 1, 2 do\n>>"
    s:line "print(i)"
    s:line "end"
    s:until_ ">> end\n1\n2\n>"
    s:keys "Up"
    s:until_ "> for i = 1, 2 do\n>> print(i)\n>> end"
  end)

  it("takes a paste of 200 lines, statements and expressions", function()
    local s <close> = prompt()
    local lines = { "local sum = 0" }
    for i = 1, 197 do lines[#lines + 1] = ("sum = sum + %d -- ä"):format(i) end
    lines[#lines + 1] = "sum"
    lines[#lines + 1] = "function f()\nreturn 1\nend"
    s:paste(table.concat(lines, "\n"))
    s:until_ ">> end"
    s:keys "Enter"
    s:until_ ("\n" .. 197 * 198 // 2 .. "\n>")
  end)

  it("cuts a value of 10 MB, and says so", function()
    local s <close> = prompt()
    s:line "('x'):rep(10 * 2^20 // 1 | 0)"
    s:until_(function(text) return text:gsub("\n", ""):find("10485760 bytes; print it to see all", 1, true) end)
    s:until_ "\n>"
    s:line "print(('y'):rep(10 * 2^20 // 1 | 0) .. 'z')"
    s:until_(function(text) return text:gsub("\n", ""):find "yz.*>$" end) -- and its time, if that was slow
  end)

  it("shows bytes that are not UTF-8, printed or typed", function()
    local s <close> = prompt()
    s:line "'\\xff\\x00ä'"
    s:until_ "\n\"\\xFF\\x00ä\"\n>"
    s:keys("-H", "22", "ff", "fe", "22")
    s:until_ "> \"\\xFF\\xFE\""
    s:keys "Enter"
    s:until_ "\n\"\\xFF\\xFE\"\n>"
  end)

  it("edits what is wider than a column, or nothing", function()
    local s <close> = prompt()
    s:type "'漢字e\u{301}x'"
    s:keys("Left", "BSpace", "BSpace", "BSpace")
    s:until_ "> '漢'"
    s:keys("Enter")
    s:until_ "\n\"漢\"\n>"
  end)

  it("follows the size of the terminal", function()
    local s <close> = prompt { columns = 80 }
    local text = "'" .. ("abcdefghi-"):rep(10) .. "'"
    s:line "print 'before'"
    s:type(text)
    for _, columns in ipairs { 40, 100, 30, 80 } do
      s:resize(columns, 20)
      s:until_(function(screen)
        local typed = screen:gsub("%s*\n", ""):gsub("%s+$", "")
        return typed:sub(-#text - 2) == "> " .. text
      end, true) -- the terminal folds lines by itself meanwhile, and what it leaves above is its business
    end
    s:keys "Enter"
    s:until_ "\"\n>"
  end)

  it("completes names, fields, methods, modules and files", function()
    local s <close> = prompt { files = { ["some_file.txt"] = "" } }
    for typed, completed in pairs {
      ["string.for"] = "string.format", ["http.ge"] = "http.get", ["collectg"] = "collectgarbage", ["('x'):re"] = "('x'):re",
      ["require 'green.ht"] = "require 'green.http", ["io.open 'some_"] = "io.open 'some_file.txt", [".rou"] = ".routes",
    } do
      s:type(typed)
      s:keys "Tab"
      s:until_("> " .. completed)
      s:keys "C-c"
      s:until_ "^C\n>"
    end
    s:type "task.s"
    s:keys "Tab"
    s:until_ "semaphore  shield     single     sleep      spawn\n> task.s"
  end)

  it("remembers lines between runs, and finds them again", function()
    local home <close> = fs.temp_dir()
    do
      local s <close> = prompt { home = home.path }
      s:line "'needle'"
      s:line "for i = 1, 1 do\n end"
      s:line "'other'"
      s:until_ "\"other\"\n>"
      s:keys "C-d"
      s:until_ "exit 0"
    end
    assert.equal(384, fs.stat(home.path .. "/.local/state/greenlua/history").mode & 511)
    local s <close> = prompt { home = home.path }
    s:keys "Up"
    s:until_ "> 'other'"
    s:keys("C-u", "C-r")
    s:type "need"
    s:shows "(search 'need') 'needle'"
    s:keys "Enter"
    s:until_ "\"needle\"\n>"
  end)

  it("gives a line the terminal as it was", function()
    local s <close> = prompt()
    s:line "io.read()"
    s:until_ "> io.read()"
    s:line "typed"
    s:until_ "> io.read()\ntyped\n\"typed\"\n>"
  end)

  it("runs init.lua, and commands", function()
    local s <close> = prompt { files = { [".keep"] = "" }, env = { XDG_CONFIG_HOME = "." } }
    s:close()
    local home <close> = fs.temp_dir()
    fs.mkdir(home.path .. "/.config/greenlua", { parents = true })
    fs.write(home.path .. "/.config/greenlua/init.lua", "answer = 42")
    local t <close> = prompt { home = home.path, files = { ["b.lua"] = "loaded = 'yes'" } }
    t:line "answer"
    t:until_ "\n42\n>"
    t:line ".load b.lua"
    t:line "loaded"
    t:until_ "\n\"yes\"\n>"
    t:line ".time 1 + 1"
    t:until_(function(text) return text:find "\n2\n[%d.e-]+ us\n>$" end)
    t:line ".nope"
    t:until_ "no command '.nope'; .help lists them\n>"
    t:line ".help"
    t:shows "  .load FILE    run a file in this environment"
    t:line ".quit"
    t:until_ "exit 0"
  end)

  it("shows the app's routes, and reloads it", function()
    local s <close>, address = serving()
    s:line ".routes"
    s:until_ "\n  GET     /\n>"
    fs.write(s.folder.path .. "/app.lua", (APP:gsub("first", "second")))
    s:line ".reload"
    s:until_ "\nreloaded\n>"
    assert.equal("second\n", http.get(address).body)
    fs.write(s.folder.path .. "/app.lua", "return nil +")
    s:line ".reload"
    s:until_ "\n>"
    assert.equal("second\n", http.get(address).body)
  end)

  it("reloads with --dev, by itself and when asked to", function()
    local s <close>, address = serving "--dev"
    local file = s.folder.path .. "/app.lua"
    fs.write(file, (APP:gsub("first", "the second")))
    assert.equal("the second\n", http.get(address).body)
    s:shows "app.lua changed: reloaded"
    s:line ".reload"
    s:until_ "\nreloaded\n>"
    fs.write(file, "return nil +")
    s:line ".reload"
    s:until_(function(text) return text:find "the old code goes on serving" and text:find "\n>$" end)
    assert.equal("the second\n", http.get(address).body)
  end)

  it("shows rows as a table", function()
    local s <close> = prompt()
    s:line "base = require 'green.db'.connect 'sqlite::memory:'"
    s:line "base:query \"select 1 as id, 'soup' as dish union select 20, null\""
    s:until_ "\nid  dish\n 1  soup\n20\n>"
  end)

  it("gives the terminal back when it is told to end", function()
    local s <close> = prompt()
    s:line "print(require 'green.repl.native'.pid())"
    local pid = s:until_(function(text) return text:find "\n%d+\n>$" end):match "\n(%d+)\n>$"
    s:type "half"
    s:until_ "> half"
    os.execute("kill -TERM " .. pid)
    s:until_ "exit 143"
    s:type "echoed"
    s:until_ "echoed"
  end)

  it("has no editor on a dumb terminal", function()
    local s <close> = prompt { env = { TERM = "dumb" } }
    s:line "local x = { 1 }"
    s:until_ "\n>"
    s:line "x"
    s:until_ "> x\n{ 1 }\n>"
    s:line "for i = 1, 1 do"
    s:until_ "\n>>"
    s:line "print 'in' end"
    s:until_ ">> print 'in' end\nin\n>"
  end)
end)
