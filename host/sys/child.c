/* SPDX-License-Identifier: MIT */
#include "sys/child.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/check.h"
#include "core/opqueue.h"

#define GRACE 5.0 /* seconds between TERM and KILL for a child whose task has ended */

/* ---- life ---- */

void gl_child_unref(gl_child *c) {
  if (--c->refs == 0) free(c);
}

static void on_closed(uv_handle_t *handle) {
  gl_child *c = handle->data;
  c->host->census.handles--;
  gl_child_unref(c);
}

static void on_exit_status(uv_process_t *uv, int64_t code, int signal) {
  gl_child *c = uv->data;
  c->exited = true;
  c->code = code;
  c->signal = signal;
  gl_belong_to_nobody(&c->belonging);
  gl_timer_drop(&c->host->clock, &c->grace);
  uv_close((uv_handle_t *)uv, on_closed);
  gl_opqueue_finish(&c->waiting, 0);
  if (c->on_exit) c->on_exit(c);
}

static void on_grace(gl_timer *timer) { gl_child_kill(GL_CONTAINER(timer, gl_child, grace), SIGKILL); }

static gl_child *child_new(gl_host *h, bool group) {
  gl_child *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  c->host = h;
  c->group = group;
  c->grace.fire = on_grace;
  c->refs = 2; /* the caller's, the handle's */
  c->uv.data = c;
  h->census.handles++;
  return c;
}

/* ---- starting ---- */

static uv_stdio_container_t inherit(int fd) {
  if (fd < 0 || fcntl(fd, F_GETFD) < 0) return (uv_stdio_container_t){.flags = UV_IGNORE}; /* closed: /dev/null */
  return (uv_stdio_container_t){.flags = UV_INHERIT_FD, .data.fd = fd};
}

static uv_stdio_container_t container(const gl_command *cmd, int i, const int theirs[3]) {
  switch (cmd->stdio[i]) {
    case GL_CHILD_NULL: return inherit(-1);
    case GL_CHILD_PIPE: return inherit(theirs[i]);
    case GL_CHILD_FD: return inherit(cmd->fd);
    case GL_CHILD_STDOUT: return container(cmd, 1, theirs);
    default: return inherit(i);
  }
}

static int spawn(gl_host *h, const gl_command *cmd, const int theirs[3], gl_child **out) {
  gl_child *c = child_new(h, cmd->group);
  if (!c) return UV_ENOMEM;
  uv_stdio_container_t stdio[3];
  for (int i = 0; i < 3; i++) stdio[i] = container(cmd, i, theirs);
  uv_process_options_t options = {
    .exit_cb = on_exit_status,
    .file = cmd->file ? cmd->file : cmd->argv[0],
    .args = cmd->argv,
    .env = cmd->env,
    .cwd = cmd->cwd,
    .flags = cmd->group ? UV_PROCESS_DETACHED : 0,
    .stdio_count = 3,
    .stdio = stdio,
  };
  int err = uv_spawn(&h->loop, &c->uv, &options);
  if (!err) {
    *out = c;
    return 0;
  }
  uv_close((uv_handle_t *)&c->uv, on_closed);
  gl_child_unref(c);
  return err;
}

int gl_child_start(gl_host *h, const gl_command *cmd, gl_child **c, gl_pipe *pipes[3]) {
  int theirs[3] = {-1, -1, -1}, err = 0;
  for (int i = 0; i < 3; i++) {
    pipes[i] = NULL;
    if (!err && cmd->stdio[i] == GL_CHILD_PIPE) err = gl_pipe_open(h, i == 0, &pipes[i], &theirs[i]);
  }
  if (!err) err = spawn(h, cmd, theirs, c);
  for (int i = 0; i < 3; i++) {
    if (theirs[i] >= 0) close(theirs[i]);
    if (!err || !pipes[i]) continue;
    gl_pipe_close(pipes[i]);
    gl_pipe_unref(pipes[i]);
    pipes[i] = NULL;
  }
  return err;
}

/* ---- ending ---- */

int gl_child_kill(gl_child *c, int signal) {
  if (c->group && kill(-c->uv.pid, signal) == 0) return 0; /* may outlive its leader */
  return c->exited ? UV_ESRCH : uv_process_kill(&c->uv, signal);
}

void gl_child_end(gl_child *c, double grace) {
  if (c->exited || c->grace.slot) return;
  gl_child_kill(c, SIGTERM);
  if (!gl_timer_arm(&c->host->clock, &c->grace, grace)) gl_child_kill(c, SIGKILL);
}

static void on_task_end(gl_belonging *b) { gl_child_end(GL_CONTAINER(b, gl_child, belonging), GRACE); }

void gl_child_belong(gl_child *c, gl_task *t) {
  if (!c->exited) gl_belong(&c->belonging, t, on_task_end);
}

/* ---- waiting from Lua ---- */

void gl_child_unwait(gl_op *op) { gl_opqueue_cancel(&((gl_child_op *)op)->child->waiting, op); }

void gl_child_free_op(gl_op *op) {
  gl_child *c = ((gl_child_op *)op)->child;
  if (c) gl_child_unref(c);
}

void gl_child_object(const gl_op *op, char *out, size_t size) {
  const gl_child *c = ((const gl_child_op *)op)->child;
  if (c) snprintf(out, size, "process %d", (int)c->uv.pid);
}

int gl_child_await(lua_State *L, gl_child_op *w, double timeout) {
  gl_child *c = w->child;
  if (c->exited) gl_op_done(&w->op, 0);
  else gl_opqueue_push(&c->waiting, &w->op);
  return gl_await(L, &w->op, timeout);
}

/* ---- signals by name ---- */

void gl_signal_push(lua_State *L, int signal) {
  const char *name = sigabbrev_np(signal);
  if (name) lua_pushstring(L, name);
  else lua_pushfstring(L, "%d", signal); /* a real-time signal */
}

int gl_signal_check(lua_State *L, int idx, int def) {
  if (lua_isnoneornil(L, idx)) return def;
  if (lua_isinteger(L, idx)) {
    lua_Integer number = lua_tointeger(L, idx);
    luaL_argcheck(L, number >= 0 && number < NSIG, idx, "no such signal");
    return (int)number;
  }
  const char *name = luaL_checkstring(L, idx);
  if (strncmp(name, "SIG", 3) == 0) name += 3;
  for (int number = 1; number < NSIG; number++) {
    const char *known = sigabbrev_np(number);
    if (known && strcmp(known, name) == 0) return number;
  }
  return luaL_argerror(L, idx, lua_pushfstring(L, "unknown signal '%s'", name));
}
