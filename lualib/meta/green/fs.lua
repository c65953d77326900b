---@meta green.fs
-- SPDX-License-Identifier: MIT

---Files and folders. What waits does so on the thread pool, one hop for all it does.
---Failures raise error objects that name the operation and the path: "fs.write: /x/y: permission denied", `code` "EACCES".
---Paths with NUL bytes are refused. What a cancelled task began is undone or finished in the background; it leaves nothing
---behind.
---Everything here waits.
---Raises: ENOENT, EACCES, ENOSPC and the system's others.
---```lua
---local fs = require "green.fs"
---local dir <close> = fs.temp_dir()
---local path = fs.join(dir.path, "note.txt")
---fs.write(path, "hello")
---fs.append(path, " world")
---print(fs.read(path), fs.stat(path).size) --> hello world  11
---```
---@class green.fs
local fs = {}

---@class green.stat
---@field type green.fs.type
---@field size integer bytes
---@field mode integer permission bits
---@field mtime number last change of the content, seconds since 1970
---@field atime number last access
---@field ctime number last change of the content or of what is known about it
---@field uid integer owner
---@field gid integer group
---@field device integer
---@field inode integer with `device`: which file it is
---@field links integer names it has

---@alias green.fs.type "file"|"directory"|"link"|"fifo"|"socket"|"char"|"block"|"unknown"
---@alias green.fs.mode integer|string permission bits: an integer, or octal digits ("644")

-- ---- whole files ----

---A whole regular file.
---Raises: EFBIG when it is larger than `max`; EINVAL for a pipe or a device; ENOENT and the system's others.
---```lua
---fs.write("note.txt", "hello")
---print(fs.read "note.txt") --> hello
---```
---@param path string
---@param max? integer bytes (64 MB)
---@return string
function fs.read(path, max) end

---Replaces a file as a whole: whoever reads sees all of the old or all of the new, also after a crash. It is written
---under another name in the same folder and renamed. Mode, and where allowed the owner, of the old file are kept; links
---are followed. `sync = false` does not wait for the disk: quicker, whole to every reader, but not after a power cut.
---Raises: EINVAL for what is not a regular file; ENOSPC and the system's others.
---```lua
---fs.write("secret.txt", "xyzzy", { mode = "600" })
---```
---@param path string
---@param data string
---@param opts? { mode?: green.fs.mode, sync?: boolean } sync: true
function fs.write(path, data, opts) end

---Adds to the end of a file; it is made when it is not there. Lines that tasks or processes append do not mix.
---```lua
---fs.append("visits.log", "one\n")
---fs.append("visits.log", "two\n")
---print(#fs.read "visits.log") --> 8
---```
---@param path string
---@param data string
---@param opts? { mode?: green.fs.mode, sync?: boolean } sync: false
function fs.append(path, data, opts) end

---Copies a file over whatever file `to` is, as fs.write would; its permissions come along. With `recursive`, `from` may be
---a folder: `to` must not exist and appears when it is complete. Links inside are copied as links.
---Raises: EISDIR for a folder without `recursive`; EEXIST when a folder's copy is there already; EINVAL for pipes, sockets and devices; ELOOP for more than 256 levels;
---the system's others.
---```lua
---fs.write("a.txt", "x")
---fs.copy("a.txt", "b.txt")
---print(fs.read "b.txt") --> x
---```
---@param from string
---@param to string
---@param opts? { recursive?: boolean }
function fs.copy(from, to, opts) end

-- ---- names ----

---What is known about a file; nil when there is nothing by that name. Links are followed.
---```lua
---fs.write("a.txt", "abc")
---local stat = fs.stat "a.txt"
---print(stat.type, stat.size, fs.stat "nothing") --> file  3  nil
---```
---@param path string
---@return green.stat?
function fs.stat(path) end

---The same for a link itself.
---```lua
---fs.symlink("nowhere", "way")
---print(fs.lstat "way".type, fs.stat "way") --> link  nil
---```
---@param path string
---@return green.stat?
function fs.lstat(path) end

---Is there anything by that name? False for a link that leads nowhere.
---```lua
---print(fs.exists "nothing.txt") --> false
---```
---@param path string
---@return boolean
function fs.exists(path) end

---The entries of a directory, sorted by name, without "." and "..".
---```lua
---for _, entry in ipairs(fs.list "/") do print(entry.name, entry.type) end
---```
---@param path string
---@return { name: string, type: green.fs.type }[]
function fs.list(path) end

---Everything below a directory, a folder before what is in it, sorted; links are not followed. What goes away meanwhile
---is left out.
---Waits in the loop.
---```lua
---fs.mkdir("lib/deep", { parents = true })
---fs.write("lib/deep/a.lua", "return 1")
---for path, kind in fs.walk "lib" do
---  if kind == "file" and fs.extension(path) == ".lua" then print(path) end --> lib/deep/a.lua
---end
---```
---@param dir string
---@return fun(): string?, green.fs.type?
function fs.walk(dir) end

---The absolute path without links.
---Raises: ENOENT, ELOOP and the system's others.
---```lua
---print(fs.realpath "/usr/..") --> /
---```
---@param path string
---@return string
function fs.realpath(path) end

---Makes a directory. With `parents` also those above it, and one that is there already is fine. `mode` is that of the
---last one; otherwise what the umask leaves.
---Raises: EEXIST; ENOENT without `parents`; the system's others.
---```lua
---fs.mkdir("cache/pages", { parents = true })
---```
---@param path string
---@param opts? { parents?: boolean, mode?: green.fs.mode }
function fs.mkdir(path, opts) end

---Removes a file, a link or an empty directory; with `recursive` a directory with all that is in it. Links are removed,
---never followed, whoever swaps what meanwhile.
---Raises: ENOENT; ENOTEMPTY; EINVAL for "/", "." and ".."; ELOOP below 256 levels; the system's others.
---```lua
---fs.mkdir("old/deep", { parents = true })
---fs.remove("old", { recursive = true })
---```
---@param path string
---@param opts? { recursive?: boolean }
function fs.remove(path, opts) end

---Renames within a file system; what is at `to` is replaced.
---Raises: EXDEV for another file system; ENOENT and the system's others.
---```lua
---fs.write("a.new", "x")
---fs.rename("a.new", "a")
---```
---@param from string
---@param to string
function fs.rename(from, to) end

---A second name for a file.
---Raises: EEXIST; ENOENT and the system's others.
---```lua
---fs.write("one", "x")
---fs.link("one", "two")
---print(fs.stat "two".links) --> 2
---```
---@param path string
---@param new string
function fs.link(path, new) end

---Makes a link: `path` will lead to `target`, which is kept as it is written and need not exist.
---Raises: EEXIST and the system's others.
---```lua
---fs.symlink("releases/2", "current")
---print(fs.readlink "current") --> releases/2
---```
---@param target string
---@param path string
function fs.symlink(target, path) end

---Where a link leads, as it is written.
---Raises: EINVAL when it is no link; ENOENT and the system's others.
---```lua
---fs.symlink("a", "to-a")
---print(fs.readlink "to-a") --> a
---```
---@param path string
---@return string
function fs.readlink(path) end

---Sets the permission bits.
---```lua
---fs.write("run", "#!/bin/sh")
---fs.chmod("run", "755")
---print(("%o"):format(fs.stat "run".mode)) --> 755
---```
---@param path string
---@param mode green.fs.mode
function fs.chmod(path, mode) end

---Sets both times; the file is made when it is not there.
---```lua
---fs.touch("stamp", 1e9)
---print(fs.stat "stamp".mtime) --> 1000000000.0
---```
---@param path string
---@param time? number seconds since 1970; now
function fs.touch(path, time) end

---Sets the time of the last access and of the last change.
---```lua
---fs.touch "stamp"
---fs.utime("stamp", nil, 1e9)
---```
---@param path string
---@param atime? number seconds since 1970; now
---@param mtime? number seconds since 1970; now
function fs.utime(path, atime, mtime) end

-- ---- open files ----

---Opens a file. Modes are those of fopen ("r", "r+", "w", "w+", "a", "a+", with "b" if you like) and "x" after "w" or
---"a": it must not be there yet.
---Raises: EISDIR; EEXIST; EINVAL for a named pipe or a socket; ENOENT and the system's others.
---```lua
---local file <close> = fs.open("/etc/hosts")
---for chunk in function() return file:read() end do io.write(chunk) end
---```
---@param path string
---@param mode? string "r"
---@return green.File
function fs.open(path, mode) end

---A new file, readable and writable, that is removed when it is closed. `file.path` is its name.
---```lua
---local file <close> = fs.temp_file()
---file:write "scratch"
---```
---@param dir? string $TMPDIR or /tmp
---@return green.File
function fs.temp_file(dir) end

---A new directory that is removed with all that is in it by `<close>` or `:close()`.
---```lua
---local dir <close> = fs.temp_dir()
---fs.write(fs.join(dir.path, "a"), "x")
---```
---@param dir? string $TMPDIR or /tmp
---@return green.TempDir
function fs.temp_dir(dir) end

---A directory that goes again.
---```lua
---local dir = fs.temp_dir()
---dir:close()
---print(fs.exists(dir.path)) --> false
---```
---@class green.TempDir
---@field path string
local TempDir = {}

---Removes it. More than once is fine.
---Waits where it may; a cancelled task leaves it to the background.
function TempDir:close() end

---An open file, to be declared `<close>`. Tasks may share it: operations run in the order they were asked for, and a
---read that was cancelled has taken nothing.
---Everything here waits.
---Raises: EBADF once it was closed; EIO, ENOSPC and the system's others.
---```lua
---local file <close> = fs.open("ledger", "w+")
---file:write "hello world"
---file:sync()
---print(file:seek("set", 6), file:read(), file:read()) --> 6  world  nil
---print(file:read_at(0, 5)) --> hello
---file:close()
---```
---@class green.File
---@field path string
local File = {}

---Up to `n` bytes from where it stands, fewer only before the end; nil at the end.
---@param n? integer 1 to 64 MB (64 KB)
---@return string?
function File:read(n) end

---The same from `offset`; where the file stands does not matter and does not change.
---@param offset integer
---@param n? integer 1 to 64 MB (64 KB)
---@return string?
function File:read_at(offset, n) end

---Writes all of it, where the file stands (mode "a": at the end).
---@param data string
function File:write(data) end

---Moves to `offset` from the start, from here, or from the end. Returns where that is.
---Waits for "end" only.
---Raises: ESPIPE for devices; EINVAL before the start; EBADF once it was closed.
---@param whence? "set"|"cur"|"end" "cur"
---@param offset? integer 0
---@return integer
function File:seek(whence, offset) end

---Sees what was written onto the disk.
function File:sync() end

---Closes it. More than once is fine.
---Waits after writing.
---Raises: what the system says then, also about what was written before.
function File:close() end

-- ---- watching ----

---@class green.fs.change
---@field name string within the folder; "" when `event` is "lost"
---@field event "create"|"change"|"remove"|"lost"

---What happens to a file, or to the names in a folder (not below it), from now on. A file may be replaced meanwhile:
---that is a "create". Repeated events may come as one; 1024 are kept for whoever is slow, then one says "lost". Leaving
---the loop ends it.
---Waits in the loop, for ever.
---Raises: ENOENT; ENOSPC for too many watches.
---```lua
---fs.mkdir "inbox"
---local watching = fs.watch "inbox"
---fs.append("inbox/a", "x")
---for change in watching do
---  print(change.event) --> create
---  break
---end
---```
---@param path string
---@return green.fs.Watch
function fs.watch(path) end

---For more than a loop.
---```lua
---local watch <close> = fs.watch "."
---local ok, err = pcall(watch.next, watch, 0.01)
---print(err.code) --> ETIMEDOUT
---watch:close()
---```
---@class green.fs.Watch
---@operator call: green.fs.change?
local Watch = {}

---The next change; nil once it was closed. One task at a time.
---Waits.
---Raises: ETIMEDOUT; EBUSY when another task waits.
---@param timeout? number seconds; for ever
---@return green.fs.change?
function Watch:next(timeout) end

---Wakes whoever waits.
---Does not wait.
function Watch:close() end

-- ---- paths as text ----

---The pieces with one "/" between them. A later piece that begins with "/" does not start over. ".." stays.
---Does not wait.
---Raises: nothing.
---```lua
---print(fs.join("a", "b/", "/c")) --> a/b/c
---```
---@param ... string
---@return string
function fs.join(...) end

---The folder a path is in.
---Does not wait.
---Raises: nothing.
---```lua
---print(fs.dirname "a/b", fs.dirname "a", fs.dirname "/") --> a  .  /
---```
---@param path string
---@return string
function fs.dirname(path) end

---The last name of a path.
---Does not wait.
---Raises: nothing.
---```lua
---print(fs.basename "a/b/") --> b
---```
---@param path string
---@return string
function fs.basename(path) end

---The extension with its dot; "" when there is none.
---Does not wait.
---Raises: nothing.
---```lua
---print(fs.extension "a.tar.gz", #fs.extension ".bashrc") --> .gz  0
---```
---@param path string
---@return string
function fs.extension(path) end

---The path from the root, without "." and "..", by the words alone: links are not looked at (see fs.realpath).
---Does not wait.
---Raises: nothing.
---```lua
---print(fs.absolute "/a/./b/../c") --> /a/c
---```
---@param path string
---@return string
function fs.absolute(path) end

return fs
