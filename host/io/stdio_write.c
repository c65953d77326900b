/* SPDX-License-Identifier: MIT
 *
 * Writing, flushing, seeking. Bytes are accepted into the file's buffer at once. The task that fills the buffer waits until it is
 * written, except for regular files, which the thread pool writes while the script goes on.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "io/stdio.h"

/* ---- what writes: write, flush, seek, close are one kind of job ---- */

int gl_writejob_step(gl_filejob *j) {
  gl_writejob *w = (gl_writejob *)j;
  gl_file *f = j->file;
  if (w->text.len) {
    gl_file_rewind(f);
    if (!gl_file_put(f, gl_buf_at(&w->text), w->text.len)) return UV_ENOMEM;
    gl_buf_free(&w->text);
  }
  if (!w->target) w->target = f->accepted;
  if (f->written < w->target) {
    ssize_t status = gl_file_drain(f);
    if (gl_must_wait(status)) return gl_file_wait(f, GL_WRITER, status, 0);
    if (status < 0) return (int)status;
  }
  return gl_stdio_take_error(f);
}

static int push_write(lua_State *L, gl_op *op) { /* the result is on the stack already */
  return op->status < 0 ? gl_stdio_fail(L, op->status, NULL) : 1;
}

static int push_flush(lua_State *L, gl_op *op) {
  if (op->status < 0) return gl_stdio_fail(L, op->status, NULL);
  lua_pushboolean(L, 1);
  return 1;
}

static int push_print(lua_State *L, gl_op *op) {
  (void)L;
  (void)op;
  return 0;
}

void gl_writejob_free(gl_op *op) {
  gl_buf_free(&((gl_writejob *)op)->text);
  gl_filejob_free(op);
}

static const gl_optype write_type = {"file:write", push_write, gl_filejob_cancel, gl_writejob_free};
static const gl_optype print_type = {"print", push_print, gl_filejob_cancel, gl_writejob_free};
static const gl_optype flush_type = {"file:flush", push_flush, gl_filejob_cancel, gl_writejob_free};

static int wait_write(lua_State *L, const gl_optype *type, gl_file *f) {
  gl_writejob *w = gl_op_new(L, type, sizeof *w, 0);
  gl_file_start(&w->job, f, GL_WRITER, gl_writejob_step);
  return gl_await(L, &w->job.op, GL_FOREVER);
}

/* ---- write ---- */

/* Says whether bytes can be accepted now. Those of a file with one position wait while another task reads it. */
static bool may_put(gl_file *f) {
  gl_descriptor_look(&f->d);
  gl_file_queue *q = &f->queue[GL_READER];
  if (!f->d.seekable || gl_file_idle(f, GL_WRITER)) return true;
  return q->state == GL_QUEUE_POOLED && !q->reading && !q->jobs.head && !f->in.len;
}

static bool put_value(lua_State *L, gl_buf *to, int idx) {
  char number[64];
  size_t len;
  const char *text = number;
  if (lua_type(L, idx) != LUA_TNUMBER) text = lua_tolstring(L, idx, &len);
  else if (lua_isinteger(L, idx)) len = (size_t)snprintf(number, sizeof number, LUA_INTEGER_FMT, (LUAI_UACINT)lua_tointeger(L, idx));
  else len = (size_t)snprintf(number, sizeof number, LUA_NUMBER_FMT, (LUAI_UACNUMBER)lua_tonumber(L, idx));
  return gl_buf_add(to, text, len);
}

static bool put_values(lua_State *L, gl_buf *to, int arg, int n) {
  for (int i = arg; i < arg + n; i++)
    if (!put_value(L, to, i)) return false;
  return true;
}

/* Counts the values that can be written, up to the first one that cannot. */
static int count_good(lua_State *L, int arg, int n) {
  int good = 0;
  while (good < n && (lua_type(L, arg + good) == LUA_TNUMBER || lua_type(L, arg + good) == LUA_TSTRING)) good++;
  return good;
}

/* Another task reads: the text is accepted when this job is the first of the queue. */
static int write_later(lua_State *L, gl_file *f, int arg, int n) {
  gl_writejob *w = gl_op_new(L, &write_type, sizeof *w, 0);
  if (put_values(L, &w->text, arg, n)) gl_file_start(&w->job, f, GL_WRITER, gl_writejob_step);
  else gl_op_done(&w->job.op, UV_ENOMEM);
  return gl_await(L, &w->job.op, GL_FOREVER);
}

static bool is_due(gl_file *f, size_t before) {
  if (f->buffering == GL_BUFFER_GUESS) f->buffering = f->d.terminal ? GL_BUFFER_LINE : GL_BUFFER_FULL;
  if (f->out.len >= f->limit) return true;
  if (f->buffering == GL_BUFFER_FULL || !f->out.len) return false;
  return f->buffering == GL_BUFFER_NONE || memchr(gl_buf_at(&f->out) + before, '\n', f->out.len - before);
}

/* Ends a write whose bytes were accepted behind `before` others. The value that the write returns is on top. */
static int accepted(lua_State *L, gl_file *f, size_t before, const gl_optype *type) {
  f->accepted += f->out.len - before;
  bool due = is_due(f, before) || type == &print_type; /* print flushes, as in stock Lua */
  if (!due) return f->error ? gl_stdio_fail(L, gl_stdio_take_error(f), NULL) : 1;
  bool idle = gl_file_idle(f, GL_WRITER);
  ssize_t status = idle ? gl_file_drain(f) : GL_WAIT_POOL;
  if (!status) status = gl_stdio_take_error(f);
  if (!gl_must_wait(status)) return status < 0 ? gl_stdio_fail(L, (int)status, NULL) : 1;
  bool behind = f->d.seekable && f->buffering == GL_BUFFER_FULL && (idle || f->out.len < f->limit); /* the pool writes while the script goes on */
  if (!behind && gl_may_wait(L)) return wait_write(L, type, f);
  if (f->buffering == GL_BUFFER_NONE) gl_file_flush_sync(f);
  else gl_file_flush_async(f);
  return 1;
}

/* As in stock Lua, what comes before a wrong argument is written. */
static int write_values(lua_State *L, gl_file *f, int arg, int n) {
  int good = count_good(L, arg, n);
  if (!f->writable) {
    if (good < n) luaL_checkstring(L, arg + good);
    return gl_stdio_fail(L, UV_EBADF, NULL);
  }
  if (!may_put(f)) {
    if (good < n) luaL_checkstring(L, arg + good);
    return write_later(L, f, arg, n);
  }
  gl_file_rewind(f);
  size_t before = f->out.len;
  bool enough = put_values(L, &f->out, arg, good);
  if (enough && good == n) return accepted(L, f, before, &write_type);
  f->accepted += f->out.len - before;
  if (!enough) return luaL_error(L, "not enough memory");
  return luaL_checkstring(L, arg + good) != NULL;
}

static int method_write(lua_State *L) {
  gl_file *f = gl_stdio_check(L);
  if (!f) return gl_stdio_stock(L);
  int n = lua_gettop(L) - 1;
  lua_pushvalue(L, 1);
  return write_values(L, f, 2, n);
}

static int io_write(lua_State *L) {
  int n = lua_gettop(L);
  gl_file *f = gl_stdio_default(L, GL_OUTPUT);
  return f ? write_values(L, f, 1, n) : gl_stdio_stock(L);
}

/* Puts the whole line at once, so that lines of two tasks do not mix. */
static int io_print(lua_State *L) {
  gl_files *fs = gl_io_files(L);
  gl_file *f = fs->standard[STDOUT_FILENO];
  int n = lua_gettop(L);
  luaL_checkstack(L, 2, NULL);
  for (int i = 1; i <= n; i++) {
    luaL_tolstring(L, i, NULL);
    lua_replace(L, i);
  }
  bool ok = true;
  size_t before = f->out.len;
  for (int i = 1; i <= n && ok; i++) ok = (i == 1 || gl_buf_add(&f->out, "\t", 1)) && put_value(L, &f->out, i);
  if (!ok || !gl_buf_add(&f->out, "\n", 1)) {
    f->accepted += f->out.len - before;
    return luaL_error(L, "not enough memory");
  }
  gl_descriptor_look(&f->d);
  (void)accepted(L, f, before, &print_type); /* nobody is told of errors */
  return 0;
}

/* ---- flush ---- */

static int file_flush(lua_State *L, gl_file *f) {
  bool idle = gl_file_idle(f, GL_WRITER);
  ssize_t status = idle ? gl_file_drain(f) : GL_WAIT_POOL;
  if (gl_must_wait(status) && gl_may_wait(L)) return wait_write(L, &flush_type, f);
  if (gl_must_wait(status) && !gl_stdio_flush_unwaited(f, &status)) {
    gl_file_flush_async(f);
    status = 0;
  }
  if (!status) status = gl_stdio_take_error(f);
  if (status < 0) return gl_stdio_fail(L, (int)status, NULL);
  lua_pushboolean(L, 1);
  return 1;
}

static int method_flush(lua_State *L) {
  gl_file *f = gl_stdio_check(L);
  return f ? file_flush(L, f) : gl_stdio_stock(L);
}

static int io_flush(lua_State *L) {
  gl_file *f = gl_stdio_default(L, GL_OUTPUT);
  return f ? file_flush(L, f) : gl_stdio_stock(L);
}

static int method_setvbuf(lua_State *L) {
  static const char *const names[] = {"no", "full", "line", NULL};
  gl_file *f = gl_stdio_check(L);
  if (!f) return gl_stdio_stock(L);
  int mode = luaL_checkoption(L, 2, NULL, names);
  lua_Integer size = luaL_optinteger(L, 3, LUAL_BUFFERSIZE);
  f->buffering = (uint8_t)mode;
  if (size > 0 && lua_gettop(L) >= 3) f->limit = (size_t)size;
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- seek ---- */

static int move(gl_file *f, int whence, lua_Integer offset, lua_Integer *at) {
  lua_Integer ahead = (lua_Integer)f->in.len, behind = (lua_Integer)f->out.len;
  bool tell = whence == SEEK_CUR && offset == 0;
  off_t to = lseek(f->d.fd, whence == SEEK_CUR && !tell ? offset - ahead : offset, whence);
  if (to < 0) return -errno;
  *at = tell ? to - ahead + behind : to;
  if (tell) return 0;
  gl_buf_eat(&f->in, f->in.len);
  f->fills = 0;
  gl_file_moved(f);
  return 0;
}

static int step_seek(gl_filejob *j) {
  gl_writejob *w = (gl_writejob *)j;
  int status = gl_writejob_step(j);
  return status ? status : move(j->file, w->whence, w->offset, &w->offset);
}

static int push_seek(lua_State *L, gl_op *op) {
  if (op->status < 0) return gl_stdio_fail(L, op->status, NULL);
  lua_pushinteger(L, ((gl_writejob *)op)->offset);
  return 1;
}

static const gl_optype seek_type = {"file:seek", push_seek, gl_filejob_cancel, gl_writejob_free};

static int method_seek(lua_State *L) {
  static const int modes[] = {SEEK_SET, SEEK_CUR, SEEK_END};
  static const char *const names[] = {"set", "cur", "end", NULL};
  gl_file *f = gl_stdio_check(L);
  if (!f) return gl_stdio_stock(L);
  int whence = modes[luaL_checkoption(L, 2, "cur", names)];
  lua_Integer offset = luaL_optinteger(L, 3, 0), at = 0;
  bool tell = whence == SEEK_CUR && offset == 0 && !f->append, idle = gl_file_idle(f, GL_WRITER);
  ssize_t status = !idle ? GL_WAIT_POOL : tell || !f->out.len ? 0 : gl_file_drain(f);
  if (gl_must_wait(status) && idle && !gl_may_wait(L)) status = gl_file_flush_sync(f);
  if (gl_must_wait(status)) {
    gl_writejob *w = gl_op_new(L, &seek_type, sizeof *w, 0);
    w->whence = whence;
    w->offset = offset;
    gl_file_start(&w->job, f, GL_WRITER, step_seek);
    return gl_await(L, &w->job.op, GL_FOREVER);
  }
  if (!status) status = move(f, whence, offset, &at);
  if (status < 0) return gl_stdio_fail(L, (int)status, NULL);
  lua_pushinteger(L, at);
  return 1;
}

void gl_stdio_install_write(lua_State *L) {
  static const luaL_Reg functions[] = {{"flush", io_flush}, {"write", io_write}, {NULL, NULL}};
  static const luaL_Reg methods[] = {
    {"flush", method_flush}, {"seek", method_seek}, {"setvbuf", method_setvbuf}, {"write", method_write}, {NULL, NULL},
  };
  gl_io_replace(L, functions, methods, NULL);
  lua_pushcfunction(L, io_print); /* of no upvalues, as the stock one: Lua's own tests look */
  lua_setglobal(L, "print");
}
