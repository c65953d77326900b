/* SPDX-License-Identifier: MIT */
#include "sys/popen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "core/scope.h"
#include "sys/execute.h"

#define POPEN "green.popen"
#define NUMBER_ROOM 64 /* a number as text */
#define BUFFER 4096    /* as stdio gives a pipe */
#define GRACE 5.0 /* seconds between TERM and KILL for a command whose close was cancelled */

typedef struct pipe_file {
  gl_pipe *pipe;   /* NULL once closed */
  gl_child *child; /* NULL before it runs, and once closed */
  gl_buf out;      /* accepted, not written */
  size_t limit;    /* of `out` */
  bool by_line;    /* a newline empties `out` */
} pipe_file;

static pipe_file *to_file(lua_State *L) { return luaL_checkudata(L, 1, POPEN); }

static pipe_file *check_file(lua_State *L) {
  pipe_file *f = to_file(L);
  if (!f->pipe) luaL_error(L, "attempt to use a closed file");
  return f;
}

static int fail(lua_State *L, int status) {
  errno = -status;
  return luaL_fileresult(L, 0, NULL);
}

/* ---- reading ---- */

static const gl_read_type read_type = GL_READ_TYPE("io.read", fail);

static int file_read(lua_State *L) {
  pipe_file *f = check_file(L);
  if (f->pipe->writes) return fail(L, UV_EBADF);
  return gl_pipe_read(L, f->pipe, &read_type, 2, 0, GL_FOREVER);
}

static int fail_line(lua_State *L, int status) { return luaL_error(L, "%s", strerror(-status)); }

/* At the end the iterator returns nothing, as stock, not a nil. */
static int push_line(lua_State *L, gl_op *op) {
  int n = gl_read_push(L, op);
  return n == 1 && lua_isnil(L, -1) ? 0 : n;
}

static const gl_read_type lines_type = {{"io.lines", push_line, gl_read_cancel, gl_read_free}, fail_line};

static int next_line(lua_State *L) {
  int n = (int)lua_tointeger(L, lua_upvalueindex(2));
  lua_settop(L, 0);
  luaL_checkstack(L, n + 1, "too many arguments");
  lua_pushvalue(L, lua_upvalueindex(1));
  for (int i = 1; i <= n; i++) lua_pushvalue(L, lua_upvalueindex(2 + i));
  pipe_file *f = lua_touserdata(L, 1);
  if (!f->pipe) return luaL_error(L, "file is already closed");
  if (f->pipe->writes) return fail_line(L, UV_EBADF);
  return gl_pipe_read(L, f->pipe, &lines_type, 2, 0, GL_FOREVER);
}

#define MAX_FORMATS 250

static int file_lines(lua_State *L) {
  check_file(L);
  int n = lua_gettop(L) - 1;
  luaL_argcheck(L, n <= MAX_FORMATS, MAX_FORMATS + 2, "too many arguments");
  lua_pushinteger(L, n);
  lua_insert(L, 2); /* file n formats... */
  lua_pushcclosure(L, next_line, n + 2);
  return 1;
}

/* ---- writing ---- */

static int push_write(lua_State *L, gl_op *op) {
  if (op->status < 0) return fail(L, op->status);
  lua_rawgeti(L, LUA_REGISTRYINDEX, op->pin);
  return 1;
}

static int push_flush(lua_State *L, gl_op *op) {
  if (op->status < 0) return fail(L, op->status);
  lua_pushboolean(L, 1);
  return 1;
}

static const gl_optype write_type = {"io.write", push_write, NULL, gl_write_free};
static const gl_optype flush_type = {"io.flush", push_flush, NULL, gl_write_free};

/* Empty `out`. Is that done without waiting? Else *status says whether waiting would help. */
static bool drained(pipe_file *f, int *status) {
  const char *bytes = gl_buf_at(&f->out);
  size_t n = f->out.len;
  *status = n ? gl_pipe_try(f->pipe, &bytes, &n) : 0;
  gl_buf_eat(&f->out, *status == 0 || *status == UV_EAGAIN ? f->out.len - n : f->out.len);
  return *status == 0;
}

static int await_drained(lua_State *L, pipe_file *f, const gl_optype *type) {
  gl_write_op *w = gl_op_new(L, type, sizeof *w, 1);
  w->own = f->out;
  f->out = (gl_buf){0};
  return gl_pipe_write(L, f->pipe, w, gl_buf_at(&w->own), w->own.len, GL_FOREVER);
}

static const char *text_of(lua_State *L, int idx, char *number, size_t *len) {
  if (lua_type(L, idx) != LUA_TNUMBER) return luaL_checklstring(L, idx, len);
  *len = (size_t)(lua_isinteger(L, idx) ? lua_integer2str(number, NUMBER_ROOM, lua_tointeger(L, idx))
                                        : lua_number2str(number, NUMBER_ROOM, lua_tonumber(L, idx)));
  return number;
}

static int file_write(lua_State *L) {
  pipe_file *f = check_file(L);
  int top = lua_gettop(L), status;
  bool line = false;
  if (!f->pipe->writes) return fail(L, UV_EBADF);
  for (int i = 2; i <= top; i++) {
    char number[NUMBER_ROOM];
    size_t len;
    const char *text = text_of(L, i, number, &len);
    if (!gl_buf_add(&f->out, text, len)) return fail(L, UV_ENOMEM);
    line = line || (f->by_line && memchr(text, '\n', len));
  }
  lua_settop(L, 1);
  if (!line && f->out.len <= f->limit) return 1;
  if (drained(f, &status)) return 1;
  return status == UV_EAGAIN ? await_drained(L, f, &write_type) : fail(L, status);
}

static int file_flush(lua_State *L) {
  pipe_file *f = check_file(L);
  int status;
  if (drained(f, &status)) {
    lua_pushboolean(L, 1);
    return 1;
  }
  return status == UV_EAGAIN ? await_drained(L, f, &flush_type) : fail(L, status);
}

static int file_setvbuf(lua_State *L) {
  static const char *const modes[] = {"no", "full", "line", NULL};
  pipe_file *f = check_file(L);
  int mode = luaL_checkoption(L, 2, NULL, modes);
  lua_Integer size = luaL_optinteger(L, 3, LUAL_BUFFERSIZE);
  f->limit = mode == 0 || size < 0 ? 0 : (size_t)size;
  f->by_line = mode == 2;
  lua_pushboolean(L, 1);
  return 1;
}

static int file_seek(lua_State *L) {
  static const char *const modes[] = {"set", "cur", "end", NULL};
  check_file(L);
  luaL_checkoption(L, 2, "cur", modes);
  luaL_optinteger(L, 3, 0);
  return fail(L, UV_ESPIPE);
}

/* ---- closing ---- */

static int push_close(lua_State *L, gl_op *op) { return gl_push_execresult(L, ((gl_child_op *)op)->child); }

static void cancel_close(gl_op *op) {
  gl_child_end(((gl_child_op *)op)->child, GRACE);
  gl_child_unwait(op);
}

static const gl_optype close_type = {"io.close", push_close, cancel_close, gl_child_free_op};

/* Our end of the pipe goes once it is written out. */
static void close_pipe(pipe_file *f) {
  gl_pipe *p = f->pipe;
  f->pipe = NULL;
  if (p->writes) gl_pipe_finish(p, &f->out);
  else gl_pipe_close(p);
  gl_pipe_unref(p);
}

static int file_close(lua_State *L) {
  pipe_file *f = check_file(L);
  gl_child *c = f->child;
  const gl_task *t = gl_host_of(L)->task;
  close_pipe(f);
  if (t && gl_scope_check(t) != GL_DONE) gl_child_end(c, GRACE); /* the wait will be refused */
  gl_child_op *w = gl_op_new(L, &close_type, sizeof *w, 0);
  f->child = NULL;
  w->child = c;
  return gl_child_await(L, w, GL_FOREVER);
}

static int file_gc(lua_State *L) {
  pipe_file *f = to_file(L);
  if (f->pipe) close_pipe(f);
  gl_buf_free(&f->out);
  if (f->child) gl_child_unref(f->child);
  f->child = NULL;
  return 0;
}

/* The end of a <close> variable. */
static int file_end(lua_State *L) {
  lua_settop(L, 1);
  return to_file(L)->pipe ? file_close(L) : 0;
}

static int file_tostring(lua_State *L) {
  pipe_file *f = to_file(L);
  if (f->pipe) lua_pushfstring(L, "file (%p)", (void *)f->pipe);
  else lua_pushliteral(L, "file (closed)");
  return 1;
}

/* ---- io.popen ---- */

static pipe_file *new_file(lua_State *L) {
  pipe_file *f = lua_newuserdatauv(L, sizeof *f, 0);
  *f = (pipe_file){.limit = BUFFER};
  luaL_setmetatable(L, POPEN);
  return f;
}

static int io_popen(lua_State *L) {
  const char *line = luaL_checkstring(L, 1), *mode = luaL_optstring(L, 2, "r");
  luaL_argcheck(L, (mode[0] == 'r' || mode[0] == 'w') && mode[1] == '\0', 2, "invalid mode");
  bool writes = mode[0] == 'w';
  gl_command cmd;
  char *argv[4];
  gl_pipe *pipes[3];
  pipe_file *f = new_file(L);
  gl_shell_command(&cmd, argv, line);
  cmd.stdio[writes ? 0 : 1] = GL_STDIO_PIPE;
  fflush(NULL);
  int err = gl_child_start(gl_host_of(L), &cmd, &f->child, pipes);
  if (err) {
    errno = -err;
    return luaL_fileresult(L, 0, line);
  }
  f->pipe = pipes[writes ? 0 : 1];
  return 1;
}

static int io_type(lua_State *L) {
  luaL_checkany(L, 1);
  const pipe_file *f = luaL_testudata(L, 1, POPEN);
  if (!f) { /* upvalue: the io.type before */
    lua_settop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
  } else {
    lua_pushstring(L, f->pipe ? "file" : "closed file");
  }
  return 1;
}

static void new_class(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"close", file_close}, {"flush", file_flush},     {"lines", file_lines}, {"read", file_read},
    {"seek", file_seek},   {"setvbuf", file_setvbuf}, {"write", file_write}, {NULL, NULL},
  };
  static const luaL_Reg meta[] = {{"__gc", file_gc}, {"__close", file_end}, {"__tostring", file_tostring}, {NULL, NULL}};
  luaL_newmetatable(L, POPEN);
  luaL_setfuncs(L, meta, 0);
  lua_pushliteral(L, LUA_FILEHANDLE);
  lua_setfield(L, -2, "__name");
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

void gl_open_popen(lua_State *L) {
  new_class(L);
  lua_getglobal(L, "io");
  lua_pushcfunction(L, io_popen);
  lua_setfield(L, -2, "popen");
  lua_getfield(L, -1, "type");
  lua_pushcclosure(L, io_type, 1);
  lua_setfield(L, -2, "type");
  lua_pop(L, 1);
}
