/* SPDX-License-Identifier: MIT */
#include "core/kill.h"

#include "core/allowhook.h"
#include "core/error.h"
#include "core/hook.h"
#include "core/safepoint.h"
#include "core/scope.h"
#include "core/task.h"

#define MAX_CAUGHT 3          /* errors a doomed task may catch and go on, counted with the turns between */
#define MAX_KILLS 2000        /* so many errors at random; then one at every instruction */
#define MAX_KILL_DELAY 5000   /* instructions between two errors in a task that catches them all */
#define MAX_WAIT 10000        /* instructions without a loop after which an error that is due waits for none; */
#define SLICE_WAIT (MAX_WAIT / 8) /* a slice used up meanwhile counts as so many of them */

bool gl_kill_insists(const gl_task *t) { return t->kill_count > MAX_CAUGHT; }

bool gl_kill_is_under_way(const gl_task *t) { return t->raise_in || gl_kill_insists(t); }

/* Is a variable being closed, on L or on one of the coroutines that have resumed L? */
static bool closes(lua_State *L, const gl_task *t) {
  lua_State *co = t->co;
  while (co && co != L && !gl_safepoint_closes(co)) co = gl_safepoint_resumed(co);
  return (co && co != L) || gl_safepoint_closes(L);
}

bool gl_kill_lets_close(lua_State *L, const gl_task *t) {
  return gl_scope_must_end(t) && t->closing_us > t->closing_least && closes(L, t);
}

bool gl_kill_pays(lua_State *L, gl_task *t, uint32_t us) {
  uint32_t *account = t->cleanup_us ? &t->cleanup_us : gl_kill_lets_close(L, t) ? &t->closing_us : NULL;
  if (account) *account = *account > us ? *account - us : 0;
  return account != NULL;
}

static void raise_end(lua_State *L, gl_task *t) {
  if (t->end_requested) t->closing_least = t->closing_us / 2;
  gl_allowhook_set(L); /* a message handler, or what closes variables, may take too long as well */
  gl_scope_raise(L, t, "preempt");
  gl_scope_raise_exhausted(L, t, "preempt"); /* in a shield */
}

/* Instructions until the next error: a random number; in the end 1. */
static int next_kill(gl_host *h, gl_task *t) {
  if (t->kill_count > MAX_CAUGHT + MAX_KILLS) return 1;
  t->kill_count++;
  uint32_t random = h->kill_random ? h->kill_random : 2463534242u;
  random ^= random << 13;
  random ^= random >> 17;
  random ^= random << 5;
  h->kill_random = random;
  return (int)(random % MAX_KILL_DELAY) + 1;
}

static void set_next_kill(lua_State *L, gl_host *h) { gl_hook_insist(L, next_kill(h, h->task)); }

/* Raises the error that is due, if nothing is lost by it here, or if it has waited for long. */
static void raise_if_safe(lua_State *L, gl_host *h, const lua_Debug *ar) {
  gl_task *t = h->task;
  gl_safepoint at = ar ? gl_safepoint_next(ar) : GL_POINT_REPEATS;
  if (at == GL_POINT_TAKES) return;
  if (at == GL_POINT_PLAIN && --t->raise_in > 0) return;
  t->raise_in = 0;
  if (!t->end_requested && closes(L, t)) {
    gl_scope_request_end(t); /* as if it had been raised before */
    return;
  }
  if (t->end_requested && gl_kill_lets_close(L, t)) return;
  if (gl_kill_insists(t)) set_next_kill(L, h);
  else if (lua_gethook(L) == h->preempt_hook) gl_hook_restore(L);
  raise_end(L, t);
}

bool gl_kill_soon(lua_State *L, gl_host *h, const lua_Debug *ar) {
  gl_task *t = h->task;
  t->raise_in = t->kill_count > MAX_CAUGHT + MAX_KILLS ? 1 : MAX_WAIT;
  gl_safepoint_init(L);
  raise_if_safe(L, h, ar);
  if (!t->raise_in) return false;
  gl_pulse_beat(&h->pulse); /* the wait for a safe point has slices of its own: the one that has ended says nothing about it */
  if (lua_gethook(L) == h->preempt_hook) gl_hook_insist(L, 1);
  else gl_hook_take_over(L);
  return true;
}

bool gl_kill_at_safepoint(lua_State *L, gl_host *h, const lua_Debug *ar, bool overran) {
  gl_task *t = h->task;
  if (!gl_scope_must_end(t) || t->cleanup_us) {
    t->raise_in = 0;
    return false;
  }
  if (overran) t->raise_in = t->raise_in > SLICE_WAIT ? t->raise_in - SLICE_WAIT : 1;
  raise_if_safe(L, h, ar);
  return t->raise_in > 0;
}

bool gl_kill_again(lua_State *L, gl_host *h) {
  if (!gl_scope_must_end(h->task) && !gl_scope_shields(h->task)) return false;
  set_next_kill(L, h);
  return true;
}

void gl_kill_continue(lua_State *L) {
  gl_host *h = gl_host_of(L);
  if (!h->watchdog || lua_gethook(L) == h->preempt_hook) return;
  if (h->task->raise_in) gl_hook_take_over(L);
  else if (gl_scope_must_end(h->task)) set_next_kill(L, h);
}

void gl_kill_follow(lua_State *L) {
  gl_host *h = gl_host_of(L);
  gl_task *t = h->task;
  if (h->watchdog && t && gl_kill_insists(t) && gl_scope_must_end(t)) set_next_kill(L, h);
}
