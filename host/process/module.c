/* SPDX-License-Identifier: MIT */
#include "process/module.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/class.h"
#include "core/error.h"
#include "core/scope.h"
#include "io/module.h"
#include "process/command.h"
#include "process/run.h"

#define CHILD "green.child"
#define PIPE "green.pipe"
#define MAX_WAIT 60.0 /* seconds, unless the caller says otherwise: no default waits for ever */
#define GRACE 5.0     /* seconds between TERM and KILL */

/* ---- pipes ---- */

static gl_pipe *check_pipe(lua_State *L) { return gl_class_check(L, 1, PIPE); }

/* Returns how many bytes a read wants at most: the number at idx, or, if there is none, as many as there are; 0 for a format. */
static size_t check_some(lua_State *L, int idx) {
  if (lua_isnoneornil(L, idx)) return GL_SCRATCH;
  if (lua_type(L, idx) != LUA_TNUMBER) return 0;
  lua_Integer max = luaL_checkinteger(L, idx);
  luaL_argcheck(L, max > 0, idx, "a number of bytes > 0 expected");
  return (size_t)max;
}

/* pipe:read([max | format [, timeout]]) */
static int pipe_read(lua_State *L) {
  gl_pipe *p = check_pipe(L);
  size_t some = check_some(L, 2);
  double timeout = gl_check_timeout(L, 3, MAX_WAIT);
  lua_settop(L, 2);
  return gl_pipe_read(L, p, 2, some, timeout);
}

static int next_line(lua_State *L) {
  lua_settop(L, 0);
  for (int i = 1; i <= 3; i++) lua_pushvalue(L, lua_upvalueindex(i));
  return pipe_read(L);
}

/* pipe:lines([format [, timeout]]): the iterator over what read gives for that */
static int pipe_lines(lua_State *L) {
  check_pipe(L);
  lua_settop(L, 3);
  if (lua_isnil(L, 2)) {
    lua_pushliteral(L, "l");
    lua_replace(L, 2);
  }
  lua_pushcclosure(L, next_line, 3);
  return 1;
}

static int push_write(lua_State *L, gl_op *op) {
  if (op->status < 0) return gl_error_status(L, op->type->name, op->status, NULL);
  return 0;
}

static const gl_optype write_type = {"process.write", push_write, NULL, gl_write_free};

static int pipe_write(lua_State *L) {
  size_t n;
  check_pipe(L);
  const char *bytes = luaL_checklstring(L, 2, &n);
  double timeout = gl_check_timeout(L, 3, MAX_WAIT);
  gl_pipe *p = check_pipe(L);
  int status = gl_pipe_try(p, &bytes, &n);
  if (status == 0) return 0;
  if (status != UV_EAGAIN) return gl_error_status(L, "process.write", status, NULL);
  gl_write_op *w = gl_op_new(L, &write_type, sizeof *w, 2);
  return gl_pipe_write(L, p, w, bytes, n, timeout);
}

/* Bytes on their way are still written. */
static int pipe_close(lua_State *L) {
  gl_pipe *p = *(gl_pipe **)gl_class_self(L, PIPE);
  gl_buf nothing = {0};
  if (!p) return 0;
  if (p->writes) gl_pipe_finish(p, &nothing);
  else gl_pipe_close(p);
  return 0;
}

static int pipe_gc(lua_State *L) {
  gl_pipe **handle = gl_class_self(L, PIPE);
  gl_pipe *p = *handle;
  if (!p) return 0;
  *handle = NULL;
  gl_pipe_close(p);
  gl_pipe_unref(p);
  return 0;
}

/* ---- children ---- */

static gl_child *check_child(lua_State *L) { return gl_class_check(L, 1, CHILD); }

static int child_pid(lua_State *L) {
  lua_pushinteger(L, check_child(L)->pid);
  return 1;
}

static int push_exit(lua_State *L, const gl_child *c) {
  if (c->ended_by) lua_pushnil(L);
  else lua_pushinteger(L, (lua_Integer)c->code);
  if (c->ended_by) gl_signal_push(L, c->ended_by);
  else lua_pushnil(L);
  return 2;
}

static int push_wait(lua_State *L, gl_op *op) { return push_exit(L, ((gl_child_op *)op)->child); }

static const gl_optype wait_type = {"process.wait", push_wait, gl_child_unwait, gl_child_free_op, gl_child_object};

static int await_exit(lua_State *L, gl_child *c, const gl_optype *type, double timeout) {
  gl_child_op *w = gl_op_new(L, type, sizeof *w, 0);
  w->child = c;
  c->refs++;
  return gl_child_await(L, w, timeout);
}

static int child_wait(lua_State *L) {
  gl_child *c = check_child(L);
  double timeout = gl_check_timeout(L, 2, MAX_WAIT);
  if (c->exited) return push_exit(L, c);
  return await_exit(L, c, &wait_type, timeout);
}

static int child_kill(lua_State *L) {
  check_child(L);
  int number = gl_signal_check(L, 2, SIGTERM);
  gl_child *c = check_child(L); /* again: to make a string of a number may run finalizers */
  int err = c->exited ? UV_ESRCH : gl_child_kill(c, number);
  if (err && err != UV_ESRCH) return gl_error_status(L, "process.kill", err, NULL);
  lua_pushboolean(L, err == 0);
  return 1;
}

static int push_close(lua_State *L, gl_op *op) {
  (void)L;
  (void)op;
  return 0;
}

static const gl_optype close_type = {"process.close", push_close, gl_child_unwait, gl_child_free_op, gl_child_object};

/* A task that was cancelled cannot wait here; the child ends all the same. */
static int child_close(lua_State *L) {
  gl_child *c = *(gl_child **)gl_class_self(L, CHILD);
  if (!c) return 0;
  double grace = gl_check_timeout(L, 2, GRACE);
  if (c->exited) return 0;
  gl_child_end(c, grace);
  const gl_task *t = gl_host_of(L)->task;
  if (!t || gl_scope_check(t) != GL_DONE) return 0;
  return await_exit(L, c, &close_type, GL_FOREVER);
}

/* Nobody can wait for the child any more, and the host may be closing: there is no time for a grace. */
static int child_gc(lua_State *L) {
  gl_child **handle = gl_class_self(L, CHILD);
  gl_child *c = *handle;
  if (!c) return 0;
  *handle = NULL;
  if (!c->exited) gl_child_kill(c, SIGKILL);
  gl_child_unref(c);
  return 0;
}

/* ---- spawn ---- */

static void **push_handle(lua_State *L, const char *class) {
  void **handle = lua_newuserdatauv(L, sizeof *handle, 0);
  *handle = NULL;
  luaL_setmetatable(L, class);
  return handle;
}

/* The handles are made first: once the child runs, nothing may raise. */
static int process_spawn(lua_State *L) {
  gl_command cmd;
  gl_child *c;
  gl_pipe *pipes[3];
  void **handle[3];
  gl_command_check(L, 1, &cmd);
  lua_getfield(L, 1, "keep");
  bool keep = lua_toboolean(L, -1) || !gl_host_of(L)->task;
  gl_io_before_start(L, true, cmd.stdio[0] == GL_CHILD_INHERIT);
  void **child = push_handle(L, CHILD);
  for (int i = 0; i < 3; i++) {
    handle[i] = NULL;
    if (cmd.stdio[i] == GL_CHILD_PIPE) handle[i] = push_handle(L, PIPE);
    else lua_pushnil(L);
  }
  int err = gl_child_start(gl_host_of(L), &cmd, &c, pipes);
  if (err) return gl_command_fail(L, 1, "process.spawn", err);
  *child = c;
  if (!keep) gl_child_own(c, gl_host_of(L)->task);
  for (int i = 0; i < 3; i++)
    if (handle[i]) *handle[i] = pipes[i];
  return 4;
}

static int process_environ(lua_State *L) {
  lua_newtable(L);
  for (char **at = environ; at && *at; at++) {
    const char *equals = strchr(*at, '=');
    if (!equals) continue;
    lua_pushlstring(L, *at, (size_t)(equals - *at));
    lua_pushstring(L, equals + 1);
    lua_rawset(L, -3);
  }
  return 1;
}

/* ---- the module ---- */

int luaopen_green_process(lua_State *L) {
  static const luaL_Reg pipe[] = {{"read", pipe_read}, {"lines", pipe_lines}, {"write", pipe_write}, {"close", pipe_close}, {NULL, NULL}};
  static const luaL_Reg child[] = {
    {"pid", child_pid}, {"wait", child_wait}, {"kill", child_kill}, {"close", child_close}, {NULL, NULL},
  };
  static const luaL_Reg pipe_meta[] = {{"__gc", pipe_gc}, {"__close", pipe_close}, {NULL, NULL}};
  static const luaL_Reg child_meta[] = {{"__gc", child_gc}, {"__close", child_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"spawn", process_spawn}, {"run", gl_process_run}, {"environ", process_environ}, {NULL, NULL}};
  gl_class_new(L, PIPE, pipe, pipe_meta);
  gl_class_new(L, CHILD, child, child_meta);
  luaL_newlib(L, functions);
  return 1;
}
