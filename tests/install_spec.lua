-- SPDX-License-Identifier: MIT
-- What `cmake --install` puts in place, and that it works there: one binary, the man page, completions for three shells.
-- --help, the man page and the completions name the same options.
-- Needs: terminal
local fs = require "green.fs"
local interpreter = require "interpreter"
local process = require "green.process"

local root = fs.absolute(arg[0]:match "^(.*)/tests/[^/]*$" or ".")
local prefix = fs.temp_dir()

local function run(command, options)
  options = options or {}
  options.timeout = options.timeout or 60
  options.env = options.env or { LUA_INIT = false, LUA_PATH = false, GREENLUA_LUALIB = false }
  options.env.PATH = prefix.path .. "/bin:" .. os.getenv "PATH"
  return process.capture(command, options)
end

local function read(path) return fs.read(fs.join(prefix.path, path)) end

local function words(text)
  local list = {}
  for word in text:gmatch "%S+" do table.insert(list, word) end
  table.sort(list)
  return list
end

-- The options that a text names at the places a pattern finds.
local function options_in(text, ...)
  local seen, list = {}, {}
  for _, pattern in ipairs { ... } do
    for name in text:gmatch(pattern) do
      name = name:gsub("\\", "")
      if not seen[name] then table.insert(list, name) end
      seen[name] = true
    end
  end
  table.sort(list)
  return list
end

describe("an installed greenlua", function()
  local bash, zsh, fish = "share/bash-completion/completions/greenlua", "share/zsh/site-functions/_greenlua",
    "share/fish/vendor_completions.d/greenlua.fish"

  setup(function()
    local got = run { "cmake", "--install", fs.dirname(interpreter), "--prefix", prefix.path }
    assert.equal(0, got.code, got.stderr)
  end)

  teardown(function() prefix:close() end)

  it("is one binary that works where nothing else is", function()
    local got = run({ "greenlua", "-e", "print(require 'green.url'.encode ' ')" }, { cwd = "/" })
    assert.same({ 0, "%20\n", "" }, { got.code, got.stdout, got.stderr })
    assert.equal("url.encode(text)", run({ "greenlua", "doc", "url.encode" }, { cwd = "/" }).stdout:match "^%S+")
  end)

  it("has the stubs for editors, as they ship inside", function()
    assert.equal(fs.read(root .. "/lualib/meta/green/http.lua"), read "share/greenlua/meta/green/http.lua")
    local settings = require "green.json".decode(fs.read(root .. "/.luarc.json"))
    for _, dir in ipairs(settings["workspace.library"]) do assert.is_true(fs.exists(fs.join(root, dir, "green.lua"))) end
    assert.equal("Lua 5.4", settings["runtime.version"])
  end)

  describe("names the same options", function()
    local help = options_in(run({ interpreter, "--help" }).stdout, "\n  (%-%-?%a[%w-]*)", ", (%-%-%a[%w-]*)")
    local function without_rest(list)
      local kept = {}
      for _, name in ipairs(list) do
        if name ~= "--" and name ~= "-" then table.insert(kept, name) end
      end
      return kept
    end

    it("in the man page", function()
      local page = read "share/man/man1/greenlua.1":match "%.SH OPTIONS(.-)%.SH COMMANDS"
      assert.same(help, without_rest(options_in(page, "\n%.TP\n%.BI? (\\%-[\\%-%w]*)")))
    end)

    it("in bash", function()
      assert.same(help, words(read(bash):match 'options="([^"]*)"'))
    end)

    it("in zsh", function()
      assert.same(help, options_in(read(zsh), "'[^'%[]-(%-%-?%a[%w-]*)[+=]?%["))
    end)

    it("in fish", function()
      local short = options_in(read(fish), "\ncomplete [^\n]- %-s (%w)")
      for i, letter in ipairs(short) do short[i] = "-" .. letter end
      local list = options_in(read(fish), "\ncomplete [^\n]- %-l (%w[%w-]*)")
      for _, name in ipairs(list) do table.insert(short, "--" .. name) end
      table.sort(short)
      assert.same(help, short)
    end)
  end)

  it("has the commands of --help in the man page and the completions", function()
    local count = 0
    for command in run({ interpreter, "--help" }).stdout:gmatch "\n  (%l+) [%u[]" do
      count = count + 1
      assert.is_truthy(read "share/man/man1/greenlua.1":find("\n.BI " .. command .. " ", 1, true), command)
      for _, path in ipairs { bash, zsh, fish } do assert.is_truthy(read(path):find("%f[%a]" .. command .. "%f[%A]"), path) end
    end
    assert.is_true(count > 0)
  end)

  it("has a man page without mistakes", function()
    local got = run { "groff", "-man", "-ww", "-Tutf8", "-z", prefix.path .. "/share/man/man1/greenlua.1" }
    assert.same({ 0, "" }, { got.code, got.stderr })
  end)

  -- What the completion of each shell makes of a line that ends where TAB is pressed.
  local function check(complete)
    local dir <close> = fs.temp_dir()
    fs.write(dir.path .. "/hello.lua", "")
    fs.mkdir(dir.path .. "/kitchen")
    for line, expected in pairs {
      ["greenlua --li"] = "--listen", ["greenlua -W --gr"] = "--grace", ["greenlua hel"] = "hello.lua",
      ["greenlua do"] = "doc", ["greenlua att"] = "attach", ["greenlua --con"] = "--console", ["greenlua doc http.ge"] = "http.get", ["greenlua -l green.f"] = "green.fs",
      ["greenlua -e x=1 hello.lua kit"] = "kitchen",
    } do
      assert.equal(expected, complete(line, dir.path), line)
    end
  end

  it("completes in bash", function()
    local script = [[
      source "$0"
      COMP_WORDS=($1)
      COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
      _greenlua
      echo "${COMPREPLY[@]}"]]
    check(function(line, dir)
      return (run({ "bash", "-c", script, fs.join(prefix.path, bash), line }, { cwd = dir }).stdout:gsub("\n$", ""))
    end)
  end)

  it("completes addresses' followers in bash", function()
    local script = [[source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _greenlua; echo "${COMPREPLY[@]}"]]
    local got = run { "bash", "-c", script, fs.join(prefix.path, bash), "greenlua", "--listen", "127.0.0.1", ":", "80", "--g" }
    assert.equal("--grace\n", got.stdout)
    assert.equal("", got.stderr)
  end)

  -- An interactive zsh in a pseudo-terminal: TAB, then a widget that shows what the line became.
  it("completes in zsh", function()
    local script = [[
      zmodload zsh/zpty
      zpty z zsh -f -i
      zpty -w z "fpath=($1 \$fpath) PS1= PS2=; bindkey '^I' complete-word; autoload -U compinit; compinit -u -D"
      zpty -w z 'show() { print -r -- "<<$BUFFER>>"; BUFFER=; zle accept-line }; zle -N show; bindkey "^X" show; print REA""DY'
      zpty -r z out '*READY*'
      zpty -w -n z "$2"$'\t\x18'
      zpty -r z out '*<<*>>*'
      print -r -- "${${out##*<<}%%>>*}"
      zpty -d z]]
    check(function(line, dir)
      local out = run({ "zsh", "-f", "-c", script, "zsh", fs.dirname(fs.join(prefix.path, zsh)), line }, { cwd = dir }).stdout
      return out:match "(%S+)%s*$":gsub("[=/]$", "")
    end)
  end)

  it("completes in fish", function()
    local home <close> = fs.temp_dir()
    check(function(line, dir)
      local got = run({ "fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", fs.join(prefix.path, fish), line },
        { cwd = dir, env = { HOME = home.path, XDG_DATA_HOME = home.path, XDG_CONFIG_HOME = home.path } })
      assert.equal("", got.stderr)
      return (got.stdout:match "^[^\t\n]*":gsub("/$", ""))
    end)
  end)
end)
