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
#define MAX_KILL_BITS 13      /* of the number of instructions between two errors in a task that catches them all */
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
  return gl_scope_must_end(t) && t->closing_us > t->closing_least && (gl_scope_shields(t) || closes(L, t));
}

/* Takes what all tasks of its budget together have used off what is left to a task. */
static void share_time(gl_task *t) {
  const gl_budget *b = gl_budget_exhausted(t);
  if (b && t->cleanup_us > b->cleanup_us) t->cleanup_us = b->cleanup_us;
  if (b && t->closing_us > b->closing_us) t->closing_us = b->closing_us;
}

bool gl_kill_pays(lua_State *L, gl_task *t, uint32_t us) {
  uint32_t *account = t->cleanup_us ? &t->cleanup_us : gl_kill_lets_close(L, t) ? &t->closing_us : NULL;
  if (account) *account = *account > us ? *account - us : 0;
  share_time(t);
  return account != NULL;
}

uint64_t gl_kill_cleanup_ns(const gl_task *t, uint64_t most) {
  const gl_budget *b = gl_budget_exhausted(t);
  uint32_t us = b && b->cleanup_us < t->cleanup_us ? b->cleanup_us : t->cleanup_us;
  return us * 1000ull < most ? us * 1000ull : most;
}

void gl_kill_hurry(gl_task *t) {
  if (!gl_scope_is_overdue(t)) return;
  if (!t->end_requested) gl_scope_request_end(t); /* a task that has waited in shields may not know of it yet */
  share_time(t);
  if (!gl_kill_insists(t)) t->kill_count = MAX_CAUGHT + 1;
}

bool gl_kill_is_due(gl_task *t) {
  gl_kill_hurry(t);
  return t->kill_count++ % 2 == 0;
}

static void raise_end(lua_State *L, gl_task *t) {
  if (t->end_requested) t->closing_least = t->closing_us / 2;
  gl_allowhook_set(L); /* a message handler, or what closes variables, may take too long as well */
  gl_scope_raise(L, t, "preempt");
  gl_scope_raise_exhausted(L, t, "preempt"); /* in a shield */
}

static uint32_t next_random(gl_host *h) {
  uint32_t random = h->kill_random ? h->kill_random : 2463534242u;
  random ^= random << 13;
  random ^= random >> 17;
  random ^= random << 5;
  return h->kill_random = random;
}

/* Instructions until the next error: a random number of a random size, since a loop around a pcall has only a few between one call and
 * the next; in the end 1. */
static int next_kill(gl_host *h, gl_task *t) {
  if (t->kill_count > MAX_CAUGHT + MAX_KILLS) return 1;
  t->kill_count++;
  return (int)(next_random(h) % (1u << next_random(h) % MAX_KILL_BITS)) + 1;
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
