/* SPDX-License-Identifier: MIT
 *
 * Lua files, looked for and read without blocking the loop: at once where the kernel has names and bytes in its caches, else on the
 * thread pool. Upvalue 2 of each function is the stock one (gl_stdio_stock).
 */
#include "io/chunk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/trace.h"
#include "core/work.h"
#include "io/descriptor.h"
#include "io/module.h"
#include "io/stdio.h"

#define STEP 65536
#define PATH_LIMIT 4096
#define CACHED_MAX (256 * 1024) /* a larger file is read on the pool, though it may be cached */

typedef struct chunk_op {
  gl_work work;
  const char *names;    /* in the pinned string: a name, or of a module several, with ';' between them; the first that opens counts */
  size_t found, length; /* where in `names` the present one lies */
  gl_buf text;
  bool opened;
  bool module;          /* `names` may be several */
  bool search_only;     /* package.searchpath wants the name only */
} chunk_op;

/* ---- looking and reading: 0, a negative errno, or (cached) UV_EAGAIN = only the pool can tell ---- */

static int open_now(const char *path) {
  int fd;
  do fd = open(path, O_RDONLY | O_CLOEXEC);
  while (fd < 0 && errno == EINTR);
  return fd < 0 ? -errno : fd;
}

static int read_all(gl_buf *text, int fd) {
  for (;;) {
    char *room = gl_buf_room(text, STEP);
    if (!room) return UV_ENOMEM;
    ssize_t n = read(fd, room, STEP);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 ? -errno : 0;
    gl_buf_grew(text, (size_t)n);
  }
}

static int read_cached(gl_buf *text, int fd) {
  struct stat st;
  gl_descriptor d;
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > CACHED_MAX) return UV_EAGAIN;
  gl_descriptor_init(&d, fd, true);
  gl_descriptor_look(&d);
  for (;;) {
    char *room = gl_buf_room(text, (size_t)st.st_size + 1);
    ssize_t n = room ? gl_descriptor_read(&d, room, (size_t)st.st_size + 1) : UV_ENOMEM;
    if (n == 0) return 0;
    if (n < 0) return n == GL_WAIT_POOL || n == GL_WAIT_READY ? UV_EAGAIN : (int)n;
    gl_buf_grew(text, (size_t)n);
  }
}

static int read_file(chunk_op *c, int fd, bool cached) {
  c->opened = true;
  int err = c->search_only ? 0 : cached ? read_cached(&c->text, fd) : read_all(&c->text, fd);
  close(fd);
  return err;
}

/* Tries one name. After an error of the open the next one is tried. */
static int try_name(chunk_op *c, bool cached) {
  char path[PATH_LIMIT];
  if (c->length >= sizeof path) return -ENAMETOOLONG;
  memcpy(path, c->names + c->found, c->length);
  path[c->length] = '\0';
  int fd = cached ? gl_open_cached(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : open_now(path);
  return fd < 0 ? fd : read_file(c, fd, cached);
}

static int look_for(chunk_op *c, bool cached) {
  int err = -ENOENT;
  for (c->found = 0;; c->found += c->length + 1) {
    c->length = strcspn(c->names + c->found, c->module ? ";" : "");
    err = try_name(c, cached);
    bool last = c->names[c->found + c->length] == '\0';
    if (c->opened || err == UV_EAGAIN || last) return err;
  }
}

/* ---- compiling ---- */

/* The byte order mark is skipped, and a first line that begins with '#', but for its end: lines keep their numbers. */
static int compile(lua_State *L, const gl_buf *text, const char *name, const char *mode) {
  const char *at = text->len ? gl_buf_at(text) : "", *end = at + text->len;
  if (text->len >= 3 && memcmp(at, "\xEF\xBB\xBF", 3) == 0) at += 3;
  if (at < end && *at == '#') {
    const char *eol = memchr(at, '\n', (size_t)(end - at));
    at = eol ? eol : end;
    if (eol && eol + 1 < end && eol[1] == LUA_SIGNATURE[0]) at++;
  }
  return luaL_loadbufferx(L, at, (size_t)(end - at), name, mode);
}

static void push_name(lua_State *L, const chunk_op *c) { lua_pushlstring(L, c->names + c->found, c->length); }

/* Pushes the function or a message, as luaL_loadfilex does. */
static int load_found(lua_State *L, const chunk_op *c, const char *mode) {
  push_name(L, c);
  const char *name = lua_tostring(L, -1);
  if (c->work.op.status == UV_ENOMEM) {
    lua_pushliteral(L, "not enough memory");
    return LUA_ERRMEM;
  }
  if (c->work.op.status < 0) {
    lua_pushfstring(L, "cannot %s %s: %s", c->opened ? "read" : "open", name, strerror(-c->work.op.status));
    return LUA_ERRFILE;
  }
  return compile(L, &c->text, lua_pushfstring(L, "@%s", name), mode);
}

/* ---- the op ---- */

static void run_chunk(gl_work *w) {
  chunk_op *c = (chunk_op *)w;
  gl_buf_free(&c->text);
  c->opened = false;
  w->result = look_for(c, false);
}

static void free_chunk(gl_op *op) { gl_buf_free(&((chunk_op *)op)->text); }

static const gl_optype loadfile_type;

/* `names`: stack index of the string of candidates. */
static int start_chunk(lua_State *L, const gl_optype *type, int names, bool search_only) {
  const char *list = lua_tostring(L, names);
  chunk_op *c = gl_op_new(L, type, sizeof *c, names);
  c->names = list;
  c->module = type != &loadfile_type;
  c->search_only = search_only;
  c->work.run = run_chunk;
  int err = look_for(c, true);
  if (err == UV_EAGAIN) return gl_work_await(L, &c->work, GL_FOREVER);
  gl_op_done(&c->work.op, err);
  return gl_await(L, &c->work.op, GL_FOREVER);
}

/* ---- loadfile, dofile ---- */

/* Below lie name, mode, environment, is there one; the function or its message is on top. */
static int loaded(lua_State *L, int status) {
  if (status != LUA_OK) {
    luaL_pushfail(L);
    lua_insert(L, -2);
    return 2;
  }
  if (lua_toboolean(L, 4)) {
    lua_pushvalue(L, 3);
    if (!lua_setupvalue(L, -2, 1)) lua_pop(L, 1);
  }
  return 1;
}

static int push_loadfile(lua_State *L, gl_op *op) { return loaded(L, load_found(L, (chunk_op *)op, lua_tostring(L, 2))); }

static void object_chunk(const gl_op *op, char *out, size_t size) { snprintf(out, size, "%s", ((const chunk_op *)op)->names); }

static const gl_optype loadfile_type = {"loadfile", push_loadfile, gl_work_cancel, free_chunk, object_chunk};

static int after_stdin(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  size_t n;
  const char *text = luaL_tolstring(L, -1, &n);
  gl_buf all = {.data = (char *)(uintptr_t)text, .len = n};
  return loaded(L, compile(L, &all, "=stdin", lua_tostring(L, 2)));
}

static int load_stdin(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_callk(L, 0, 1, 0, after_stdin);
  return after_stdin(L, LUA_OK, 0);
}

static int chunk_loadfile(lua_State *L) {
  const char *name = luaL_optstring(L, 1, NULL);
  luaL_optstring(L, 2, NULL);
  if (!gl_may_wait(L)) return gl_stdio_stock(L);
  bool env = !lua_isnone(L, 3);
  lua_settop(L, 3);
  lua_pushboolean(L, env);
  return name ? start_chunk(L, &loadfile_type, 1, false) : load_stdin(L);
}

static int done_dofile(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  return lua_gettop(L) - 1;
}

static int do_loaded(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  if (lua_isnil(L, -2)) return lua_error(L);
  lua_settop(L, 2); /* name function */
  lua_callk(L, 0, LUA_MULTRET, ctx, done_dofile);
  return done_dofile(L, LUA_OK, ctx);
}

/* Upvalue 1 is the loadfile of above. */
static int chunk_dofile(lua_State *L) {
  luaL_optstring(L, 1, NULL);
  if (!gl_may_wait(L)) return gl_stdio_stock(L);
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_callk(L, 1, 2, 0, do_loaded);
  return do_loaded(L, LUA_OK, 0);
}

/* ---- package.searchpath, require ---- */

static void push_tried(lua_State *L, const char *names) {
  luaL_gsub(L, names, ";", "'\n\tno file '");
  lua_pushfstring(L, "no file '%s'", lua_tostring(L, -1));
  lua_remove(L, -2);
}

/* Pushes the candidates for module `name` in `path`, as one string. */
static void push_names(lua_State *L, const char *name, const char *path, const char *sep, const char *dirsep) {
  if (*sep && strchr(name, *sep)) name = luaL_gsub(L, name, sep, dirsep);
  luaL_gsub(L, path, "?", name);
}

static int push_searchpath(lua_State *L, gl_op *op) {
  chunk_op *c = (chunk_op *)op;
  if (c->opened) {
    push_name(L, c);
    return 1;
  }
  luaL_pushfail(L);
  push_tried(L, c->names);
  return 2;
}

static const gl_optype searchpath_type = {"package.searchpath", push_searchpath, gl_work_cancel, free_chunk, object_chunk};

static int chunk_searchpath(lua_State *L) {
  const char *name = luaL_checkstring(L, 1), *path = luaL_checkstring(L, 2);
  const char *sep = luaL_optstring(L, 3, "."), *dirsep = luaL_optstring(L, 4, LUA_DIRSEP);
  if (!gl_may_wait(L)) return gl_stdio_stock(L);
  push_names(L, name, path, sep, dirsep);
  return start_chunk(L, &searchpath_type, lua_gettop(L), true);
}

static int push_search(lua_State *L, gl_op *op) {
  chunk_op *c = (chunk_op *)op;
  if (!c->opened) {
    push_tried(L, c->names);
    return 1;
  }
  int status = load_found(L, c, NULL);
  push_name(L, c);
  if (status == LUA_OK) return 2;
  return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s", lua_tostring(L, 1), lua_tostring(L, -1), lua_tostring(L, -2));
}

static const gl_optype search_type = {"require", push_search, gl_work_cancel, free_chunk, object_chunk};

/* The searcher for Lua files in package.searchers. Upvalue 1 is the package table. */
static int search_lua(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  gl_trace_forget_names(L);
  if (!gl_may_wait(L)) return gl_stdio_stock(L);
  lua_getfield(L, lua_upvalueindex(1), "path");
  const char *path = lua_tostring(L, -1);
  if (!path) return luaL_error(L, "'package.path' must be a string");
  push_names(L, name, path, ".", LUA_DIRSEP);
  return start_chunk(L, &search_type, lua_gettop(L), false);
}

/* ---- in their places ---- */

/* Puts `f` in the place of the stock function on top. Upvalue 1 becomes the value below. */
static void wrap(lua_State *L, lua_CFunction f) {
  lua_pushvalue(L, -2);
  lua_insert(L, -2);
  lua_pushcclosure(L, f, 2);
}

void gl_install_chunk(lua_State *L) {
  gl_io_push_read_all(L); /* read */
  lua_getglobal(L, "loadfile");
  wrap(L, chunk_loadfile); /* read loadfile */
  lua_pushvalue(L, -1);
  lua_setglobal(L, "loadfile");
  lua_getglobal(L, "dofile");
  wrap(L, chunk_dofile);
  lua_setglobal(L, "dofile");
  lua_settop(L, -3);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "searchpath");
  wrap(L, chunk_searchpath);
  lua_setfield(L, -2, "searchpath");
  lua_getfield(L, -1, "searchers");
  lua_pushvalue(L, -2);
  lua_rawgeti(L, -2, 2); /* package searchers package stock */
  wrap(L, search_lua);
  lua_rawseti(L, -3, 2);
  lua_pop(L, 3);
}
