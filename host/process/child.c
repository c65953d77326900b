/* SPDX-License-Identifier: MIT */
#include "process/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/check.h"
#include "core/opqueue.h"
#include "core/task.h"
#include "process/spawn.h"

#define GRACE 5.0      /* seconds between TERM and KILL for a child whose task has ended */
#define LOOK 20000000u /* ns between two looks at the processes it has left */

/* ---- life ---- */

void gl_child_unref(gl_child *c) {
  if (--c->refs == 0) free(c);
}

static void on_closed(uv_handle_t *handle) {
  gl_child *c = handle->data;
  c->host->census.handles--;
  gl_child_unref(c);
}

/* ---- its end ---- */

static void stop_grace(gl_child *c) {
  if (!gl_timer_is_armed(&c->host->clock, &c->grace)) return;
  gl_timer_drop(&c->host->clock, &c->grace);
  c->host->holds--;
}

/* Processes that the child has left behind get the rest of its grace. */
static void linger(gl_child *c) {
  if (gl_tree_ended(&c->rest)) return;
  uint64_t now = uv_hrtime(), next = now + LOOK;
  if (now >= c->killed_at || !gl_timer_arm_at(&c->host->clock, &c->grace, next < c->killed_at ? next : c->killed_at)) {
    gl_tree_kill(&c->rest);
    return;
  }
  c->host->holds++;
  c->refs++;
}

static void exited(gl_child *c) {
  c->exited = true;
  gl_disown(&c->owned);
  stop_grace(c);
  linger(c);
  if (c->fd >= 0) {
    uv_poll_stop(&c->uv.poll);
    close(c->fd);
  }
  uv_close(&c->uv.handle, on_closed);
  gl_opqueue_finish(&c->waiting, 0);
  if (c->on_exit) c->on_exit(c);
}

/* A C module that waits for any child may have reaped this one: then nobody knows how it ended. */
static bool reap(gl_child *c, int flags) {
  int status = 0;
  pid_t got;
  do got = waitpid(c->pid, &status, flags);
  while (got < 0 && errno == EINTR);
  if (got == 0) return false;
  c->ended_by = got > 0 && WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  c->code = got < 0 ? -1 : WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  return true;
}

static void on_readable(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  gl_child *c = poll->data;
  if (reap(c, WNOHANG)) exited(c);
}

static void on_sigchld(uv_signal_t *uv, int number) {
  (void)number;
  gl_child *c = uv->data;
  if (!c->exited && c->pid && reap(c, WNOHANG)) exited(c);
}

/* ---- starting ---- */

static void on_grace(gl_timer *timer) {
  gl_child *c = GL_CONTAINER(timer, gl_child, grace);
  c->host->holds--;
  if (!c->exited) {
    gl_child_kill(c, SIGKILL);
    gl_tree_kill(&c->rest);
    return;
  }
  linger(c);
  gl_child_unref(c);
}

static gl_child *child_new(gl_host *h, const gl_command *cmd) {
  gl_child *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  c->host = h;
  c->starter = getpid();
  c->group = cmd->group;
  c->shell = cmd->shell;
  c->fd = -1;
  c->grace.fire = on_grace;
  c->refs = 2; /* the caller's, the handle's */
  return c;
}

static int descriptor(const gl_command *cmd, int i, const int theirs[3]) {
  switch (cmd->stdio[i]) {
    case GL_CHILD_NULL: return -1;
    case GL_CHILD_PIPE: return theirs[i];
    case GL_CHILD_FD: return cmd->fd;
    case GL_CHILD_STDOUT: return descriptor(cmd, 1, theirs);
    default: return fcntl(i, F_GETFD) < 0 ? -1 : i; /* a closed one becomes /dev/null */
  }
}

/* Has the loop call on_readable or on_sigchld when the child ends. */
static int watch(gl_child *c) {
  gl_host *h = c->host;
  int err = c->fd >= 0 ? uv_poll_init(&h->loop, &c->uv.poll, c->fd) : uv_signal_init(&h->loop, &c->uv.signal);
  if (err) return err;
  c->uv.handle.data = c;
  h->census.handles++;
  err = c->fd >= 0 ? uv_poll_start(&c->uv.poll, UV_READABLE, on_readable) : uv_signal_start(&c->uv.signal, on_sigchld, SIGCHLD);
  if (!err && c->fd < 0) raise(SIGCHLD); /* it may have ended before somebody listened */
  if (!err) return 0;
  c->refs++; /* the caller lets go of both */
  uv_close(&c->uv.handle, on_closed);
  return err;
}

static int spawn(gl_host *h, const gl_command *cmd, const int theirs[3], gl_child **out) {
  gl_child *c = child_new(h, cmd);
  if (!c) return UV_ENOMEM;
  gl_spawn s = {
    .file = cmd->file ? cmd->file : cmd->argv[0], .argv = cmd->argv, .env = cmd->env, .cwd = cmd->cwd,
    .session = cmd->group, .inherits = cmd->shell,
  };
  for (int i = 0; i < 3; i++) s.stdio[i] = descriptor(cmd, i, theirs);
  int err = gl_spawn_start(&s, &c->pid, &c->fd);
  if (!err && (err = watch(c)) != 0) {
    kill(c->pid, SIGKILL);
    reap(c, 0);
    if (c->fd >= 0) close(c->fd);
  }
  if (!err) {
    *out = c;
    return 0;
  }
  gl_child_unref(c);
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

/* Says whether the child is the parent's of this process, which was forked since. */
static bool is_foreign(const gl_child *c) { return c->starter != getpid(); }

int gl_child_kill(gl_child *c, int signal) {
  if (is_foreign(c)) return UV_ESRCH;
  if (c->group && kill(-c->pid, signal) == 0) return 0; /* a group may outlive its leader */
  if (c->exited) return UV_ESRCH;
  if (c->shell) return gl_tree_signal(c->pid, signal, NULL);
  return kill(c->pid, signal) == 0 ? 0 : -errno;
}

void gl_child_end(gl_child *c, double grace) {
  if (c->exited || gl_timer_is_armed(&c->host->clock, &c->grace) || is_foreign(c)) return;
  c->killed_at = gl_clock_after(uv_hrtime(), grace);
  if (c->shell) gl_tree_signal(c->pid, SIGTERM, &c->rest);
  else gl_child_kill(c, SIGTERM);
  if (gl_timer_arm_at(&c->host->clock, &c->grace, c->killed_at)) {
    c->host->holds++;
    return;
  }
  gl_child_kill(c, SIGKILL);
  gl_tree_kill(&c->rest);
}

static void on_task_end(gl_owned *b, const gl_task *t) {
  gl_child *c = GL_CONTAINER(b, gl_child, owned);
  if (!c->shell || t->cancelled || t->status != LUA_OK) gl_child_end(c, GRACE);
}

void gl_child_own(gl_child *c, gl_task *t) {
  if (!c->exited) gl_own(&c->owned, t, on_task_end);
}

/* ---- waiting from Lua ---- */

void gl_child_unwait(gl_op *op) { gl_opqueue_cancel(&((gl_child_op *)op)->child->waiting, op); }

void gl_child_free_op(gl_op *op) {
  gl_child *c = ((gl_child_op *)op)->child;
  if (c) gl_child_unref(c);
}

void gl_child_object(const gl_op *op, char *out, size_t size) {
  const gl_child *c = ((const gl_child_op *)op)->child;
  if (c) snprintf(out, size, "process %d", (int)c->pid);
}

int gl_child_await(lua_State *L, gl_child_op *w, double timeout) {
  gl_child *c = w->child;
  if (!c->exited && is_foreign(c)) {
    c->exited = true;
    c->code = -1; /* nobody will know */
  }
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
