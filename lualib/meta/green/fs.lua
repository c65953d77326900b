-- SPDX-License-Identifier: MIT
---@meta green.fs

---Files. Unless it says otherwise a function waits, on the thread pool, one hop for all it does. Failures raise error
---objects that name the operation and the path: "fs.write: /x/y: permission denied", `code` "EACCES". Paths with NUL
---bytes are refused. What a cancelled task began is undone or finished in the background; it leaves nothing behind.
---
---```lua
---local fs = require "green.fs"
---local dir <close> = fs.temp_dir()
---local path = fs.join(dir.path, "note.txt")
---fs.write(path, "hello")
---fs.append(path, " world")
---assert(fs.read(path) == "hello world")
---```
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

---A whole regular file. Raises EFBIG when it is larger than `max`, EINVAL for a pipe or a device.
---@param path string
---@param max? integer bytes (64 MB)
---@return string
function fs.read(path, max) end

---Replace a file as a whole: whoever reads sees all of the old or all of the new, also after a crash. It is written
---under another name in the same folder and renamed. Mode, and where allowed the owner, of the old file are kept; links
---are followed. `sync = false` does not wait for the disk: quicker, whole to every reader, but not after a power cut.
---Raises EINVAL for what is not a regular file.
---@param path string
---@param data string
---@param opts? { mode?: green.fs.mode, sync?: boolean } sync: true
function fs.write(path, data, opts) end

---Add to the end of a file; made when it is not there. Lines that tasks or processes append do not mix.
---@param path string
---@param data string
---@param opts? { mode?: green.fs.mode, sync?: boolean } sync: false
function fs.append(path, data, opts) end

---Copy a file over whatever file `to` is, as fs.write would; its permissions come along. With `recursive`, `from` may be
---a folder: `to` must not exist (EEXIST) and appears when it is complete. Links inside are copied as links; pipes,
---sockets and devices raise EINVAL, more than 256 levels ELOOP.
---@param from string
---@param to string
---@param opts? { recursive?: boolean }
function fs.copy(from, to, opts) end

-- ---- names ----

---nil when there is nothing by that name. Links are followed.
---@param path string
---@return green.stat?
function fs.stat(path) end

---The same for a link itself.
---@param path string
---@return green.stat?
function fs.lstat(path) end

---Is there anything by that name? False for a link that leads nowhere.
---@param path string
---@return boolean
function fs.exists(path) end

---The entries of a directory, sorted by name, without "." and "..".
---@param path string
---@return { name: string, type: green.fs.type }[]
function fs.list(path) end

---Everything below a directory, a folder before what is in it, sorted; links are not followed. What goes away meanwhile
---is left out.
---
---```lua
---for path, kind in fs.walk "lib" do
---  if kind == "file" and fs.extension(path) == ".lua" then print(path) end
---end
---```
---@param dir string
---@return fun(): string?, green.fs.type?
function fs.walk(dir) end

---The absolute path without links. Raises ENOENT.
---@param path string
---@return string
function fs.realpath(path) end

---Make a directory. With `parents` also those above it, and one that is there already is fine. `mode` is that of the
---last one; otherwise what the umask leaves.
---@param path string
---@param opts? { parents?: boolean, mode?: green.fs.mode }
function fs.mkdir(path, opts) end

---Remove a file, a link or an empty directory; with `recursive` a directory with all that is in it. Links are removed,
---never followed, whoever swaps what meanwhile. Raises ENOENT, ENOTEMPTY; EINVAL for "/", "." and ".."; ELOOP below 256
---levels.
---@param path string
---@param opts? { recursive?: boolean }
function fs.remove(path, opts) end

---Within a file system; what is at `to` is replaced.
---@param from string
---@param to string
function fs.rename(from, to) end

---A second name for a file.
---@param path string
---@param new string
function fs.link(path, new) end

---A link: `path` will lead to `target`, which is kept as it is written and need not exist.
---@param target string
---@param path string
function fs.symlink(target, path) end

---Where a link leads, as it is written.
---@param path string
---@return string
function fs.readlink(path) end

---@param path string
---@param mode green.fs.mode
function fs.chmod(path, mode) end

---Set both times; the file is made when it is not there.
---@param path string
---@param time? number seconds since 1970; now
function fs.touch(path, time) end

---@param path string
---@param atime? number seconds since 1970; now
---@param mtime? number seconds since 1970; now
function fs.utime(path, atime, mtime) end

-- ---- open files ----

---Open a file. Modes are those of fopen ("r", "r+", "w", "w+", "a", "a+", with "b" if you like) and "x" after "w" or
---"a": it must not be there yet. Raises EISDIR; EINVAL for a named pipe or a socket.
---
---```lua
---local file <close> = fs.open("/etc/hosts")
---for chunk in function() return file:read() end do io.write(chunk) end
---```
---@param path string
---@param mode? string "r"
---@return green.File
function fs.open(path, mode) end

---A new file, readable and writable, that is removed when it is closed. `file.path` is its name.
---@param dir? string $TMPDIR or /tmp
---@return green.File
function fs.temp_file(dir) end

---A new directory that is removed with all that is in it by `<close>` or `:close()`.
---@param dir? string $TMPDIR or /tmp
---@return green.TempDir
function fs.temp_dir(dir) end

---@class green.TempDir
---@field path string
local TempDir = {}

---Remove it. Waits where it may; a cancelled task leaves it to the background.
function TempDir:close() end

---An open file, to be declared `<close>`. Tasks may share it: operations run in the order they were asked for, and a
---read that was cancelled has taken nothing.
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

---All of it, where the file stands (mode "a": at the end).
---@param data string
function File:write(data) end

---Move to `offset` from the start, from here, or from the end (only this waits). Returns where that is. Raises ESPIPE
---for devices.
---@param whence? "set"|"cur"|"end" "cur"
---@param offset? integer 0
---@return integer
function File:seek(whence, offset) end

---Wait until what was written is on the disk.
function File:sync() end

---Waits after writing, and raises what the system says then. More than once is fine.
function File:close() end

-- ---- watching ----

---@class green.fs.change
---@field name string within the folder; "" when `event` is "lost"
---@field event "create"|"change"|"remove"|"lost"

---What happens to a file, or to the names in a folder (not below it), from now on. A file may be replaced meanwhile:
---that is a "create". Repeated events may come as one; 1024 are kept for whoever is slow, then one says "lost". Leaving
---the loop ends it. Raises ENOENT, ENOSPC (too many watches).
---
---```lua
---for change in fs.watch "config.json" do
---  if change.event ~= "remove" then reload() end
---end
---```
---@param path string
---@return green.fs.Watch
function fs.watch(path) end

---`local watch <close> = fs.watch(path)`, for more than a loop.
---@class green.fs.Watch
---@operator call: green.fs.change?
local Watch = {}

---The next one; nil once it was closed. One task at a time (EBUSY). Raises ETIMEDOUT.
---@param timeout? number seconds; for ever
---@return green.fs.change?
function Watch:next(timeout) end

---Wakes whoever waits. Never waits.
function Watch:close() end

-- ---- paths as text; these do not wait ----

---The pieces with one "/" between them. A later piece that begins with "/" does not start over. ".." stays.
---@param ... string
---@return string
function fs.join(...) end

---The folder a path is in: "a/b" -> "a", "a" -> ".", "/" -> "/".
---@param path string
---@return string
function fs.dirname(path) end

---Its last name: "a/b/" -> "b".
---@param path string
---@return string
function fs.basename(path) end

---With its dot: "a.tar.gz" -> ".gz"; "" for "a" and ".bashrc".
---@param path string
---@return string
function fs.extension(path) end

---From the root, without "." and "..", by the words alone: links are not looked at (see fs.realpath).
---@param path string
---@return string
function fs.absolute(path) end

return fs
