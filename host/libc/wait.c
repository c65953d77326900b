/* SPDX-License-Identifier: MIT */
#include "libc/wait.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/back.h"
#include "core/scope.h"
#include "libc/abandon.h"
#include "libc/describe.h"
#include "libc/sslerrors.h"

#define PATIENCE 8          /* calls of a task that must end that fail at once; the next ones wait a little first, */
#define PAUSE_MS 10         /* ms: C code that tries again and again holds nobody up */
#define BLIND_NS 10000000   /* ns until the next look at a descriptor of which the epoll will not tell */

typedef struct wait_op {
  gl_op op;
  gl_layer *layer;
  gl_watch *watches; /* on the C stack of the task, or owned by a function there */
  size_t n;
  gl_call call;
} wait_op;

/* ---- the op ---- */

static int push_wait(lua_State *L, gl_op *op) {
  (void)L;
  (void)op;
  return 0;
}

static void free_wait(gl_op *op) {
  wait_op *w = (wait_op *)op;
  for (size_t i = 0; i < w->n; i++) gl_watch_remove(w->layer->watcher, &w->watches[i]);
  w->n = 0;
}

/* The watches go with the C stack: they are removed before the task goes on. */
static void cancel_wait(gl_op *op) {
  free_wait(op);
  gl_op_done(op, UV_ECANCELED);
}

static void name_wait(const gl_op *op, char *out, size_t size) { gl_call_describe(&((const wait_op *)op)->call, out, size); }

static void on_wait(gl_watch *watch) {
  wait_op *w = watch->owner;
  if (!w->op.done) gl_op_done(&w->op, 0);
}

#define KIND(id, name) const gl_optype gl_##id##_type = {"libc." name, push_wait, cancel_wait, free_wait, name_wait}
KIND(accept, "accept");
KIND(connect, "connect");
KIND(epoll, "epoll_wait");
KIND(poll, "poll");
KIND(read, "read");
KIND(recv, "recv");
KIND(select, "select");
KIND(send, "send");
KIND(sleep, "sleep");
KIND(system, "system");
KIND(waitpid, "waitpid");
KIND(write, "write");

/* ---- the ways out ---- */

/* Makes the call fail, and the task's own error be raised once the C code is back in Lua. */
static gl_waited fail_ended(gl_layer *l, const gl_optype *type) {
  l->host->task->cut_short = true;
  l->host->task->detached_from = type->name;
  gl_back_arm(l->host);
  errno = ECANCELED;
  return GL_WAITED_FAILED;
}

static gl_waited fail(int error) {
  errno = error;
  return GL_WAITED_FAILED;
}

void gl_wait_pause(gl_layer *l, const gl_optype *type, int ms) {
  struct timespec time = {0, ms * 1000000L};
  wait_op *w = gl_layer_finalizes(l) ? NULL : gl_op_make(l->host, type, sizeof *w);
  if (!w) nanosleep(&time, NULL);
  else gl_op_wait(&w->op, uv_hrtime() + (uint64_t)ms * 1000000, true);
}

/* Counts the waits of a task that must end. C code that does nothing but try again gets a pause before each. */
static void slow_down(gl_layer *l, const gl_optype *type) {
  uint64_t id = l->host->task->id;
  if (l->failed_task != id) l->failures = 0;
  l->failed_task = id;
  if (++l->failures > PATIENCE) gl_wait_pause(l, type, PAUSE_MS);
}

/* Nothing can park in a finalizer: waits on the thread, for a short while. */
static gl_waited wait_in_finalizer(const gl_optype *type, const gl_watch *watches, size_t n, uint64_t due) {
  struct pollfd *fds = n ? calloc(n, sizeof *fds) : NULL;
  if (n && !fds) return fail(ENOMEM);
  for (size_t i = 0; i < n; i++) fds[i] = (struct pollfd){.fd = watches[i].fd, .events = (short)watches[i].events};
  uint64_t now = uv_hrtime(), most = now + GL_FINALIZER_MS * 1000000ull;
  bool whole = due && due <= most;
  uint64_t until = whole ? due : most;
  int got = poll(fds, n, until > now ? (int)((until - now + 999999) / 1000000) : 0);
  free(fds);
  if (got > 0) return GL_WAITED_READY;
  return whole || type == &gl_sleep_type ? GL_WAITED_TIMEOUT : gl_wait_refuse(type);
}

gl_waited gl_wait_refuse(const gl_optype *type) {
  fprintf(stderr, "greenlua: %s in a finalizer would wait for more than %d ms: it fails\n", type->name, GL_FINALIZER_MS);
  return fail(EAGAIN);
}

/* ---- the wait ---- */

/* Puts the watches into the epoll. False: it will not tell of one of them. */
static bool add_watches(wait_op *w, gl_watch *watches, size_t n) {
  bool told = true;
  w->watches = watches;
  for (w->n = 0; w->n < n; w->n++) {
    watches[w->n].on_ready = on_wait;
    watches[w->n].owner = w;
    watches[w->n].closed = watches[w->n].listed = false;
    if (gl_watch_add(w->layer->watcher, &watches[w->n]) != 0) told = false;
  }
  return told;
}

bool gl_wait_enter(gl_layer *l, const gl_optype *type, gl_kept *kept) {
  *kept = (gl_kept){.error = errno, .host_error = h_errno};
  if (gl_scope_check(l->host->task) != GL_DONE) {
    slow_down(l, type);
    fail_ended(l, type);
    return false;
  }
  l->failures = 0;
  kept->ssl = gl_sslerrors_take();
  return true;
}

gl_waited gl_wait_leave(gl_layer *l, const gl_optype *type, gl_kept *kept, int outcome) {
  gl_sslerrors_put(kept->ssl);
  h_errno = kept->host_error;
  errno = kept->error;
  switch (outcome) {
    case GL_DONE: return GL_WAITED_READY;
    case GL_TIMED_OUT: return GL_WAITED_TIMEOUT;
    case GL_NO_STACK: return fail(ENOMEM);
    default: return fail_ended(l, type);
  }
}

/* Parks the task. Returns a gl_outcome. */
static int park(gl_layer *l, const gl_optype *type, gl_watch *watches, size_t n, uint64_t due) {
  gl_host *h = l->host;
  if (n && !l->watcher) l->watcher = gl_watcher_new(h);
  wait_op *w = n && !l->watcher ? NULL : gl_op_make(h, type, sizeof *w);
  if (!w) return GL_NO_STACK;
  w->layer = l;
  gl_call_note(&w->call, h, n ? watches[0].fd : -1);
  uint64_t next_look = add_watches(w, watches, n) ? 0 : uv_hrtime() + BLIND_NS;
  bool blind = next_look && (!due || next_look < due);
  l->fd = n == 1 ? watches[0].fd : n ? GL_NO_FD : GL_NO_FDS;
  int outcome = gl_op_wait(&w->op, blind ? next_look : due, false);
  l->fd = GL_NO_FD; /* without a C stack the task has not left */
  return outcome == GL_TIMED_OUT && blind ? GL_DONE : outcome;
}

/* A call that waits for one descriptor is in the middle of an exchange, and for many a loop that serves several. */
static gl_waited abandon(gl_layer *l, const gl_optype *type, const gl_watch *watches, size_t n) {
  if (n == 1 && errno == ECANCELED && type != &gl_epoll_type) gl_abandon_note(l, watches->fd, watches->events & POLLOUT);
  return GL_WAITED_FAILED;
}

gl_waited gl_wait(gl_layer *l, const gl_optype *type, gl_watch *watches, size_t n, uint64_t due) {
  gl_kept kept;
  if (gl_layer_finalizes(l)) return wait_in_finalizer(type, watches, n, due);
  if (!gl_wait_enter(l, type, &kept)) return abandon(l, type, watches, n);
  gl_waited result = gl_wait_leave(l, type, &kept, park(l, type, watches, n, due));
  for (size_t i = 0; i < n; i++)
    if (watches[i].closed) return GL_WAITED_CLOSED;
  return result == GL_WAITED_FAILED ? abandon(l, type, watches, n) : result;
}

gl_waited gl_wait_for(gl_layer *l, const gl_optype *type, int fd, short events, uint64_t due) {
  gl_watch watch = {.fd = fd, .events = (unsigned short)events};
  return gl_wait(l, type, &watch, 1, due);
}

gl_waited gl_wait_again(gl_layer *l, const gl_optype *type, int ms, uint64_t due) {
  uint64_t until = gl_wait_until(ms);
  if (due && due < until) until = due;
  gl_waited result = gl_wait(l, type, NULL, 0, until);
  return result == GL_WAITED_TIMEOUT && until != due ? GL_WAITED_READY : result;
}

bool gl_wait_is_barred(gl_layer *l, const gl_optype *type) {
  if (!l->host->task->trespasses) return false;
  slow_down(l, type);
  fail_ended(l, type);
  return true;
}

uint64_t gl_wait_until(int ms) { return ms < 0 ? 0 : uv_hrtime() + (uint64_t)ms * 1000000; }
