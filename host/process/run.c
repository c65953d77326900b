/* SPDX-License-Identifier: MIT */
#include "process/run.h"

#include <signal.h>

#include "core/check.h"
#include "core/error.h"
#include "io/module.h"
#include "process/command.h"

#define COMMAND 1 /* stack index of the command table, which the op pins */

typedef struct run_op {
  gl_op op;
  gl_child *child;
  gl_pipe *pipes[3];
  gl_timer limit;
  uv_write_t input;
  size_t max_output;
  double timeout;
  bool writing;   /* the child has not taken all of its input yet */
  int status;     /* why the run was broken off, or 0 */
} run_op;

/* ---- on the loop ---- */

static bool has_ended(const gl_pipe *p) { return !p || p->ended; }

static void finish_if_ended(run_op *r) {
  if (r->op.done || r->writing || (r->child && !r->child->exited)) return;
  if (!r->status && (!has_ended(r->pipes[1]) || !has_ended(r->pipes[2]))) return;
  gl_timer_drop(&r->op.host->clock, &r->limit);
  gl_op_done(&r->op, r->status);
}

static void close_pipes(run_op *r) {
  for (int i = 0; i < 3; i++)
    if (r->pipes[i]) gl_pipe_close(r->pipes[i]);
}

/* A child that may not be killed (it runs as another user) is left alone. */
static void forget_child(run_op *r) {
  r->child->on_exit = NULL;
  gl_child_unref(r->child);
  r->child = NULL;
}

static void break_off(run_op *r, int status) {
  if (r->status || r->op.done) return;
  r->status = status;
  int err = gl_child_kill(r->child, SIGKILL);
  if (err && err != UV_ESRCH) forget_child(r);
  close_pipes(r);
  finish_if_ended(r);
}

static void on_limit(gl_timer *timer) { break_off(GL_CONTAINER(timer, run_op, limit), UV_ETIMEDOUT); }

static void on_exit_status(gl_child *c) { finish_if_ended(c->owner); }

static size_t arrived(const gl_pipe *p) { return p ? p->in.len : 0; }

static void on_news(gl_pipe *p) {
  run_op *r = p->owner;
  if (!r || r->op.done) return;
  if (arrived(r->pipes[1]) + arrived(r->pipes[2]) > r->max_output) break_off(r, UV_EMSGSIZE);
  else if (p->ended && p->ended != UV_EOF) break_off(r, p->ended);
  else finish_if_ended(r);
}

/* A child that did not want to read all of it is no failure. */
static void on_input(uv_write_t *req, int status) {
  run_op *r = req->data;
  (void)status;
  r->writing = false;
  gl_pipe_close(r->pipes[0]);
  finish_if_ended(r);
}

/* ---- the op ---- */

static int fail(lua_State *L, run_op *r) {
  const char *op = r->op.type->name;
  if (lua_getfield(L, -1, "op") == LUA_TSTRING) op = lua_tostring(L, -1); /* command op */
  if (r->status != UV_ETIMEDOUT && r->status != UV_EMSGSIZE) return gl_command_fail(L, -2, op, r->op.status);
  lua_getfield(L, -2, "argv"); /* command op argv */
  lua_rawgeti(L, -1, 1);
  const char *name = lua_tostring(L, -1);
  if (r->status == UV_ETIMEDOUT) return gl_error_raise(L, op, "ETIMEDOUT", "%s: timed out after %f s", name, r->timeout);
  return gl_error_raise(L, op, "EMSGSIZE", "%s: more than %I bytes of output", name, (LUAI_UACINT)r->max_output);
}

static void push_output(lua_State *L, const gl_pipe *p) {
  if (!p) lua_pushnil(L);
  else if (!p->in.len) lua_pushliteral(L, "");
  else lua_pushlstring(L, gl_buf_at(&p->in), p->in.len);
}

static int push_run(lua_State *L, gl_op *op) {
  run_op *r = (run_op *)op;
  lua_rawgeti(L, LUA_REGISTRYINDEX, op->pin);
  if (op->status < 0) return fail(L, r);
  if (r->child->ended_by) lua_pushnil(L);
  else lua_pushinteger(L, (lua_Integer)r->child->code);
  if (r->child->ended_by) gl_signal_push(L, r->child->ended_by);
  else lua_pushnil(L);
  push_output(L, r->pipes[1]);
  push_output(L, r->pipes[2]);
  return 4;
}

static void cancel_run(gl_op *op) { break_off((run_op *)op, UV_ECANCELED); }

static void drop_pipe(gl_pipe *p) {
  if (!p) return;
  p->owner = NULL;
  gl_pipe_close(p);
  gl_pipe_unref(p);
}

static void free_run(gl_op *op) {
  run_op *r = (run_op *)op;
  for (int i = 0; i < 3; i++) drop_pipe(r->pipes[i]);
  if (r->child) forget_child(r);
}

static const gl_optype run_type = {"process.run", push_run, cancel_run, free_run};

/* ---- start ---- */

static void start_input(run_op *r, const char *input, size_t len) {
  uv_buf_t buf = {.base = (char *)(uintptr_t)input, .len = len};
  gl_pipe *in = r->pipes[0];
  r->input.data = r;
  r->writing = len && uv_write(&r->input, &in->uv.stream, &buf, 1, on_input) == 0;
  if (!r->writing) gl_pipe_close(in);
}

static void start(run_op *r, const gl_command *cmd, const char *input, size_t len) {
  int err = gl_child_start(r->op.host, cmd, &r->child, r->pipes);
  if (err) {
    gl_op_done(&r->op, err);
    return;
  }
  r->child->owner = r;
  r->child->on_exit = on_exit_status;
  for (int i = 1; i < 3; i++) {
    if (!r->pipes[i]) continue;
    r->pipes[i]->owner = r;
    r->pipes[i]->news = on_news;
    if (!err) err = gl_pipe_start(r->pipes[i]);
  }
  if (r->pipes[0]) start_input(r, input, len);
  r->limit.fire = on_limit;
  if (!err && r->timeout < GL_FOREVER && !gl_timer_arm(&r->op.host->clock, &r->limit, r->timeout)) err = UV_ENOMEM;
  if (err) break_off(r, err);
}

static double opt_number(lua_State *L, const char *name, double def) {
  lua_getfield(L, COMMAND, name);
  return luaL_optnumber(L, -1, def);
}

int gl_process_run(lua_State *L) {
  gl_command cmd;
  size_t len = 0;
  lua_settop(L, COMMAND);
  gl_command_check(L, COMMAND, &cmd);
  double timeout = opt_number(L, "timeout", GL_FOREVER), max_output = opt_number(L, "max_output", 0);
  lua_getfield(L, COMMAND, "input");
  const char *input = luaL_optlstring(L, -1, NULL, &len);
  if (input) cmd.stdio[0] = GL_CHILD_PIPE;
  gl_io_before_start(L, true, cmd.stdio[0] == GL_CHILD_INHERIT);
  run_op *r = gl_op_new(L, &run_type, sizeof *r, COMMAND);
  r->timeout = timeout;
  r->max_output = max_output < (double)(1ULL << 53) ? (size_t)max_output : (size_t)1 << 53;
  start(r, &cmd, input, len);
  return gl_await(L, &r->op, GL_FOREVER);
}
