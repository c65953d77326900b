/* SPDX-License-Identifier: MIT
 *
 * Reading: bytes in the buffer and in the page cache are taken at once; to wait for the rest is a job of the file.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/format.h"
#include "io/stdio.h"

#define BUDGET 8 /* fills in one step; then other tasks have their turn */

/* ---- read ---- */

typedef struct read_op {
  gl_filejob job;
  gl_buf taken; /* the bytes of the results */
  bool lines;   /* for the iterator of `lines` */
  gl_formats formats;
} read_op;

static bool scan(const gl_file *f, gl_formats *r, bool eof) {
  return gl_formats_scan(r, f->in.len ? gl_buf_at(&f->in) : "", f->in.len, eof);
}

/* Reads until the formats have all they want. Returns 0, a negative errno, or GL_WAIT_* when it would take long. */
static ssize_t read_on(gl_file *f, gl_formats *r) {
  for (int i = 0; i < BUDGET; i++) {
    if (scan(f, r, false)) return 0;
    ssize_t n = gl_file_fill(f, gl_formats_want(r, f->in.len));
    if (n < 0) return n;
    if ((n == 0 || f->at_end) && scan(f, r, true)) return 0;
  }
  return f->d.polled ? GL_WAIT_READY : GL_WAIT_POOL;
}

/* Takes the bytes of the results out of the file's buffer at once: when they are pushed, another task may read from it. */
static int take_results(read_op *r, gl_file *f) {
  size_t n = r->formats.pos;
  if (n == f->in.len) {
    r->taken = f->in;
    f->in = (gl_buf){0};
    return 0;
  }
  if (!gl_buf_add(&r->taken, gl_buf_at(&f->in), n)) return UV_ENOMEM;
  gl_buf_eat(&f->in, n);
  return 0;
}

static int step_read(gl_filejob *j) {
  read_op *r = (read_op *)j;
  gl_file *f = j->file;
  ssize_t status = read_on(f, &r->formats);
  if (gl_must_wait(status)) status = gl_file_wait(f, GL_READER, status, gl_formats_want(&r->formats, f->in.len));
  else if (status == 0) status = take_results(r, f);
  if (status == UV_ENOMEM) gl_buf_free(&f->in); /* the bytes were too many, and are lost, as with stock Lua */
  return (int)status;
}

/* Ends a step of `lines`, with `n` results on top: at its end the file is closed; an error is raised. */
static int finish_lines(lua_State *L, int n) {
  if (lua_toboolean(L, -n)) return n;
  if (n > 1) return luaL_error(L, "%s", lua_tostring(L, -n + 1));
  if (lua_toboolean(L, lua_upvalueindex(3))) {
    gl_stdio *s = lua_touserdata(L, lua_upvalueindex(1));
    s->s.closef = NULL;
    gl_file_close_async(s->file);
  }
  return 0;
}

static int push_read(lua_State *L, gl_op *op) {
  read_op *r = (read_op *)op;
  int n = op->status < 0 ? gl_stdio_fail(L, op->status, NULL)
                         : gl_formats_push(L, &r->formats, r->taken.data ? gl_buf_at(&r->taken) : "");
  if (op->status == 0) gl_formats_refuse(L, &r->formats);
  return r->lines ? finish_lines(L, n) : n;
}

static void free_read(gl_op *op) {
  gl_buf_free(&((read_op *)op)->taken);
  gl_filejob_free(op);
}

static const gl_optype read_type = {"file:read", push_read, gl_filejob_cancel, free_read};

static int push_now(lua_State *L, gl_file *f, const gl_formats *r) {
  const char *bytes = f->in.len ? gl_buf_at(&f->in) : "";
  gl_buf_eat(&f->in, r->pos);
  f->pushing = true;
  int n = gl_formats_push(L, r, bytes);
  f->pushing = false;
  gl_formats_refuse(L, r);
  if (!f->in.len && f->in.cap > GL_SCRATCH * 4) gl_buf_free(&f->in);
  return n;
}

/* Reads a regular file in a finalizer, where stock Lua blocks, too. */
static ssize_t read_blocking(gl_file *f, gl_formats *r) {
  gl_file_flush_sync(f);
  for (;;) {
    ssize_t status = read_on(f, r);
    if (!gl_must_wait(status)) return status;
    char *room = gl_buf_room(&f->in, GL_SCRATCH);
    if (!room) return UV_ENOMEM;
    ssize_t n = gl_descriptor_read_sync(&f->d, room, GL_SCRATCH);
    if (n < 0) return n;
    gl_buf_grew(&f->in, (size_t)n);
    gl_file_moved(f);
    if (n == 0 && scan(f, r, true)) return 0;
  }
}

/* Shows a question on a terminal before its answer is waited for. */
static void show_prompt(gl_file *f) {
  gl_file *out = f->files ? f->files->standard[STDOUT_FILENO] : NULL;
  if (f->d.terminal && out && out->out.len) gl_file_flush_async(out);
}

static int wait_read(lua_State *L, gl_file *f, const gl_formats *r, size_t size, bool lines, int pin) {
  read_op *op = gl_op_new(L, &read_type, sizeof *op - sizeof op->formats + size, pin);
  memcpy(&op->formats, r, size);
  op->formats.done = 0; /* the scan begins anew: a finalizer may have read meanwhile */
  op->formats.pos = op->formats.seen = 0;
  op->lines = lines;
  show_prompt(f);
  gl_file_start(&op->job, f, GL_READER, step_read);
  return gl_await(L, &op->job.op, GL_FOREVER);
}

/* `pin`: index of the stream; 0 when an upvalue holds it. */
static int file_read(lua_State *L, gl_file *f, int first, int n, bool lines, int pin) {
  size_t size = gl_formats_size(n);
  _Alignas(gl_formats) char few[sizeof(gl_formats) + 4 * sizeof(gl_format)];
  luaL_checkstack(L, n + LUA_MINSTACK, "too many arguments");
  gl_formats *r = (gl_formats *)(void *)few;
  if (size > sizeof few) r = lua_newuserdatauv(L, size, 0);
  gl_formats_parse(L, first, n, r);
  if (f->pushing) f->pushing = gl_in_finalizer(L); /* else a push found no memory, and left the flag behind */
  bool idle = gl_file_idle(f, GL_READER) && !f->pushing;
  ssize_t status = idle ? read_on(f, r) : GL_WAIT_POOL;
  if (gl_must_wait(status) && idle && f->d.seekable && !gl_may_wait(L)) status = read_blocking(f, r);
  if (gl_must_wait(status)) return wait_read(L, f, r, size, lines, pin);
  if (status == UV_ENOMEM) gl_buf_free(&f->in);
  int results = status < 0 ? gl_stdio_fail(L, (int)status, NULL) : push_now(L, f, r);
  return lines ? finish_lines(L, results) : results;
}

static int method_read(lua_State *L) {
  gl_file *f = gl_stdio_check(L);
  return f ? file_read(L, f, 2, lua_gettop(L) - 1, false, 1) : gl_stdio_stock(L);
}

static int io_read(lua_State *L) {
  int n = lua_gettop(L);
  gl_file *f = gl_stdio_default(L, GL_INPUT);
  return f ? file_read(L, f, 1, n, false, lua_gettop(L)) : gl_stdio_stock(L);
}

int gl_io_read_all(lua_State *L) {
  gl_files *fs = lua_touserdata(L, lua_upvalueindex(1));
  lua_settop(L, 0);
  lua_pushliteral(L, "a");
  return file_read(L, fs->standard[STDIN_FILENO], 1, 1, false, 0);
}

/* ---- lines ---- */

#define MAX_FORMATS 250

static int next_line(lua_State *L) {
  gl_stdio *s = lua_touserdata(L, lua_upvalueindex(1));
  int n = (int)lua_tointeger(L, lua_upvalueindex(2));
  if (!s->s.closef) return luaL_error(L, "file is already closed");
  lua_settop(L, 1);
  luaL_checkstack(L, n, "too many arguments");
  for (int i = 1; i <= n; i++) lua_pushvalue(L, lua_upvalueindex(3 + i));
  return file_read(L, s->file, 2, n, true, 0);
}

void gl_stdio_push_lines(lua_State *L, bool toclose) {
  int n = lua_gettop(L) - 1;
  luaL_argcheck(L, n <= MAX_FORMATS, MAX_FORMATS + 2, "too many arguments");
  lua_pushvalue(L, 1);
  lua_pushinteger(L, n);
  lua_pushboolean(L, toclose);
  lua_rotate(L, 2, 3); /* file, its copy, how many, toclose, formats */
  lua_pushcclosure(L, next_line, 3 + n);
}

static int method_lines(lua_State *L) {
  if (!gl_stdio_check(L)) return gl_stdio_stock(L);
  gl_stdio_push_lines(L, false);
  return 1;
}

static int io_lines(lua_State *L) {
  if (lua_isnone(L, 1)) lua_pushnil(L);
  if (!lua_isnil(L, 1)) return gl_stdio_open_lines(L, luaL_checkstring(L, 1));
  lua_getfield(L, LUA_REGISTRYINDEX, GL_INPUT);
  if (!gl_stdio_test(L, -1)) {
    lua_pop(L, 1);
    return gl_stdio_stock(L);
  }
  lua_replace(L, 1);
  gl_stdio_check(L);
  gl_stdio_push_lines(L, false);
  return 1;
}

void gl_stdio_install_read(lua_State *L) {
  static const luaL_Reg functions[] = {{"lines", io_lines}, {"read", io_read}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"lines", method_lines}, {"read", method_read}, {NULL, NULL}};
  gl_io_replace(L, functions, methods, NULL);
}
