/* SPDX-License-Identifier: MIT
 *
 * Files as Lua values: the methods, with the stock library's results and texts. Each method first does what goes
 * without waiting; the rest, if any, becomes a job of the file.
 */
#include "io/stdio.h"

#include <errno.h>
#include <string.h>

#include "core/memory.h"
#include "core/scope.h"

const char gl_stdio_mark;

/* ---- the value ---- */

/* Writes what is left, closes, and returns true or nil, message, errno, unless the value has a close of its own. Awaits. */
static int stdio_close(lua_State *L);

gl_stdio *gl_stdio_new(lua_State *L) {
  gl_stdio *s = lua_newuserdatauv(L, sizeof *s, 0);
  *s = (gl_stdio){.mark = &gl_stdio_mark};
  luaL_setmetatable(L, LUA_FILEHANDLE);
  return s;
}

void gl_stdio_open(gl_stdio *s, gl_file *file, lua_CFunction closef) {
  s->s.f = file->stream;
  s->s.closef = closef ? closef : stdio_close;
  s->file = file;
  file->owned = true;
}

gl_stdio *gl_stdio_test(lua_State *L, int idx) {
  gl_stdio *s = lua_touserdata(L, idx);
  return s && lua_rawlen(L, idx) >= sizeof *s && s->mark == &gl_stdio_mark ? s : NULL;
}

/* A regular file is written at once, as stock Lua does; a pipe might block for ever. */
bool gl_stdio_flush_unwaited(gl_file *f, ssize_t *status) {
  const gl_file_queue *q = &f->queue[GL_READER];
  if (!f->d.seekable || (q->state == GL_QUEUE_POOLED && q->reading)) return false;
  *status = gl_file_flush_sync(f);
  return true;
}

bool gl_may_wait(lua_State *L) { return gl_host_of(L)->task && !gl_in_finalizer(L); }

int gl_stdio_fail(lua_State *L, int status, const char *name) {
  if (status == UV_ENOMEM) return gl_memory_raise(L); /* stock Lua has these bytes in a buffer of its own, and raises */
  errno = -status;
  return luaL_fileresult(L, 0, name);
}

int gl_stdio_take_error(gl_file *f) {
  int err = f->error;
  f->error = 0;
  return err;
}

gl_file *gl_stdio_check(lua_State *L) {
  luaL_Stream *p = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  gl_stdio *s = gl_stdio_test(L, 1);
  if (!s) return NULL;
  if (!p->closef) luaL_error(L, "attempt to use a closed file");
  return s->file;
}

gl_file *gl_stdio_default(lua_State *L, const char *where) {
  lua_getfield(L, LUA_REGISTRYINDEX, where);
  gl_stdio *s = gl_stdio_test(L, -1);
  if (!s) lua_pop(L, 1);
  else if (!s->s.closef) luaL_error(L, "default %s file is closed", where + strlen("_IO_"));
  return s ? s->file : NULL;
}

int gl_stdio_stock(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* ---- close ---- */

static int step_close(gl_filejob *j) {
  int status = gl_writejob_step(j);
  if (status == GL_AGAIN) return status;
  int err = gl_file_close(j->file);
  return status ? status : err;
}

/* The task waits no longer; the file is closed all the same. */
static void cancel_close(gl_op *op) {
  ((gl_filejob *)op)->file->closing = true;
  gl_filejob_cancel(op);
}

static int push_close(lua_State *L, gl_op *op) {
  if (op->status < 0) return gl_stdio_fail(L, op->status, NULL);
  lua_pushboolean(L, 1);
  return 1;
}

static const gl_optype close_type = {"file:close", push_close, cancel_close, gl_writejob_free};

static int stdio_close(lua_State *L) {
  gl_file *f = ((gl_stdio *)lua_touserdata(L, 1))->file;
  bool idle = gl_file_idle(f, GL_WRITER);
  ssize_t status = idle ? gl_file_drain(f) : GL_WAIT_POOL;
  if (gl_must_wait(status)) {
    if (gl_may_wait(L) && gl_scope_check(gl_host_of(L)->task) == GL_DONE) {
      gl_writejob *w = gl_op_new(L, &close_type, sizeof *w, 1);
      gl_file_start(&w->job, f, GL_WRITER, step_close);
      return gl_await(L, &w->job.op, GL_FOREVER);
    }
    if (!gl_stdio_flush_unwaited(f, &status)) {
      gl_file_close_async(f);
      lua_pushboolean(L, 1);
      return 1;
    }
  }
  if (!status) status = gl_stdio_take_error(f);
  int err = gl_file_close(f);
  if (!status) status = err;
  return status < 0 ? gl_stdio_fail(L, (int)status, NULL) : (lua_pushboolean(L, 1), 1);
}

static int close_with(lua_State *L, luaL_Stream *p) {
  volatile lua_CFunction closef = p->closef;
  p->closef = NULL;
  return closef(L);
}

static int method_close(lua_State *L) {
  if (!gl_stdio_check(L)) return gl_stdio_stock(L);
  return close_with(L, lua_touserdata(L, 1));
}

static int io_close(lua_State *L) {
  if (lua_isnone(L, 1)) lua_getfield(L, LUA_REGISTRYINDEX, GL_OUTPUT);
  return method_close(L);
}

/* Serves __gc, and __close, which has a second argument. Scripts may call both by hand. */
static int method_gc(lua_State *L) {
  luaL_Stream *p = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  gl_stdio *s = gl_stdio_test(L, 1);
  if (!s) return gl_stdio_stock(L);
  if (!gl_in_finalizer(L) || lua_gettop(L) > 1) return p->closef ? close_with(L, p) : 0;
  s->collected = true;
  if (p->closef) close_with(L, p);
  if (s->owner) s->drop(s->owner);
  s->owner = NULL;
  if (!s->file || s->file->standard) return 0;
  if (!s->file->closing) gl_file_close_async(s->file); /* a close that ran out of memory has left the file open */
  s->file->owned = false;
  gl_file_unref(s->file);
  s->file = NULL;
  return 0;
}

static int method_tostring(lua_State *L) {
  luaL_Stream *p = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  if (!p->closef) lua_pushliteral(L, "file (closed)");
  else lua_pushfstring(L, "file (%p)", (void *)p->f);
  return 1;
}

void gl_stdio_install_close(lua_State *L) {
  static const luaL_Reg functions[] = {{"close", io_close}, {NULL, NULL}}, methods[] = {{"close", method_close}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__close", method_gc}, {"__gc", method_gc}, {"__tostring", method_tostring}, {NULL, NULL}};
  gl_io_replace(L, functions, methods, meta);
}
