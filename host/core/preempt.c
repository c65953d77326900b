/* SPDX-License-Identifier: MIT */
#include "core/preempt.h"

#include <string.h>

#include "core/allowhook.h"
#include "core/alone.h"
#include "core/backstop.h"
#include "core/hook.h"
#include "core/hookcount.h"
#include "core/kill.h"
#include "core/park.h"
#include "core/safepoint.h"
#include "core/scope.h"
#include "core/shake.h"
#include "core/stall.h"
#include "core/task.h"
#include "core/watchdog.h"

#define OVERLONG "greenlua: task.atomic holds everybody up for more than " GL_NUMBER(GL_ATOMIC_MS) " ms: it is preempted now\n"

#define OFF_MS 10 /* CPU time with hooks off, after the slice has ended, after which they are switched on */
#define MISSED_MS 10 /* CPU time after which a hook that was set and has not come is set again */

static _Thread_local gl_host *watched_host; /* the host that this thread runs, for the handler */

/* ---- in the signal handler ---- */

static void preempt_hook(lua_State *L, lua_Debug *ar);

/* Switches hooks on, if L has run with hooks off for a while since the first signal: true. A short hook function gets to its end, and
 * the script's hook stays what it is. */
static bool force_hooks(gl_host *h, lua_State *L) {
  gl_slices *s = &h->slices;
  uint64_t now = gl_watchdog_cpu_us(h->watchdog);
  if (s->off_beat != gl_pulse_beats(&h->pulse)) {
    s->off_beat = gl_pulse_beats(&h->pulse);
    s->off_since = now;
  }
  if (now - s->off_since < OFF_MS * 1000) return false;
  s->forced_on = L;
  gl_allowhook_set(L);
  return true;
}

/* Sets the hook on the running coroutine. Where the script has a hook for lines, Lua may be between its look at the mask and at the
 * count, and miss this one: it is set again when it has not come after a while. Not earlier: setting a hook visits every frame, and
 * with 200,000 of them that takes as long as the next signal. The signal handler calls this, too. */
static void set_preempt_hook(gl_host *h) {
  struct gl_watchdog *w = h->watchdog;
  lua_State *L = gl_allowhook_is_off(h->L) ? h->L : h->running; /* the host works on its main state for the task now, and a finalizer runs */
  lua_Hook now = lua_gethook(L);
  if (h->slices.hooks_change) return; /* the next signal comes soon */
  atomic_store_explicit(&w->hooked_on, h->running, memory_order_relaxed);
  atomic_store_explicit(&w->hooked_in, gl_pulse_beats(&h->pulse), memory_order_relaxed);
  bool forced = gl_allowhook_is_off(L) && force_hooks(h, L);
  if (now == preempt_hook && gl_watchdog_cpu_us(w) - h->slices.set_at < MISSED_MS * 1000) return;
  if (now == gl_hook_event && !forced && (lua_gethookmask(L) & LUA_MASKCOUNT)) {
    h->slices.asked = true;
    return;
  }
  gl_hook_take_over(L);
  h->slices.set_at = gl_watchdog_cpu_us(w);
}

/* Is the running task in an atomic section that may go on for a while? The slice then ends when the task leaves the section. The
 * signal handler calls this, too. */
static bool defers_preemption(gl_host *h) {
  gl_slices *s = &h->slices;
  const gl_task *t = h->task;
  if (!t || !t->atomic || t->overlong) return false;
  uint64_t now = gl_watchdog_cpu_us(h->watchdog);
  if (s->section != t->id) {
    s->section = t->id;
    s->section_began = now;
  }
  if (now - s->section_began >= GL_ATOMIC_MS * 1000) return false;
  s->deferred_beat = gl_pulse_beats(&h->pulse);
  return true;
}

static uint64_t running_id(const gl_host *h) { return h->task ? h->task->id : 0; }

static void on_signal(int signo) {
  (void)signo;
  gl_host *h = watched_host;
  if (h) gl_backstop_last_words(h);
  if (!h || !h->watchdog || !h->running || gl_pulse_beats(&h->pulse) != atomic_load(&h->watchdog->overrun)) return;
  struct gl_watchdog *w = h->watchdog;
  bool reports = gl_watchdog_reports(h);
  const char *advice = atomic_exchange(&w->report, NULL);
  if (advice && reports && gl_stall_in_c(h->running)) gl_stall_report(&w->stalls, GL_STALLED ":\n", h->running, running_id(h), advice);
  if (atomic_exchange(&w->late, false) && reports) gl_stall_report(&w->stalls, GL_STALLED ", which came back to:\n", h->running, running_id(h), NULL);
  if (!defers_preemption(h)) set_preempt_hook(h);
}

/* ---- in the hook ---- */

/* May the hook yield on L: is L the coroutine that the host knows to be running, outside of C calls that cannot be left? */
static bool can_yield(const gl_host *h, lua_State *L) { return L == h->running && lua_isyieldable(L); }

/* Lets all other ready tasks run, and counts a slice. Does not yield where the script has a hook (`hooked`): Lua would report a
 * call twice, count anew, or call that hook with the yield under way. */
static void preempt_yield(lua_State *L, gl_host *h, const lua_Debug *ar, bool hooked) {
  gl_task *t = h->task;
  h->slices.count++;
  t->cuts++;
  if (!hooked && can_yield(h, L)) {
    gl_runqueue_add_preempted(h, t);
    h->awaiting = true;
    lua_yield(L, 0); /* takes effect when the hook returns */
  } else {
    gl_pause(h, t, gl_runqueue_add_preempted);
    if (!gl_scope_must_end(t) || t->cleanup_us) return;
    if (t->raise_in) gl_kill_continue(L);
    else gl_kill_soon(L, h, ar);
  }
}

/* Begins a slice of long work that `t` runs, until others have to have the CPU, or until `t` has used up what is left to it beyond a limit. */
static void begin_slice(gl_host *h, const gl_task *t) {
  uint64_t least = gl_runqueue_owes(&h->queue) ? GL_LEAST_NS : GL_SURPLUS_NS, most = GL_SLICE_MS * 1000000;
  uint64_t due = gl_clock_next(&h->clock), now = due ? uv_hrtime() : 0;
  if (t && t->exhausted) most = gl_kill_cleanup_ns(t, most);
  if (gl_runqueue_holds_up(&h->queue) || gl_host_has_left_over(h) || most < least) most = least;
  else if (due && due < now + most) most = due > now + least ? due - now : least;
  gl_watchdog_begin_slice(h, least, most);
}

/* An error is about to be raised at `t`, which may catch it: what comes then is a slice of its own. */
static void begin_another_slice(gl_host *h, const gl_task *t) {
  gl_pulse_beat(&h->pulse);
  if (h->queue.turn != GL_TURN_SHORT) begin_slice(h, t);
}

/* Ends a slice. Raises in a task that must end, on alternate slices, and not in the time for its clean-up. */
static void end_slice(lua_State *L, gl_host *h, const lua_Debug *ar, bool hooked) {
  gl_task *t = h->task;
  uint32_t us = gl_meter_us(&h->meter, gl_budget_charge(h, t));
  if (t->atomic && !t->overlong) {
    t->overlong = true;
    if (!h->watchdog->quiet) gl_stall_report(&h->watchdog->stalls, OVERLONG, L, t->id, NULL);
  }
  if (gl_scope_must_end(t)) {
    if (!gl_kill_pays(L, t, us) && gl_kill_is_due(t)) {
      if (t->exhausted) begin_another_slice(h, t);
      if (gl_kill_soon(L, h, ar)) return;
    }
  } else {
    gl_scope_retract_end(t);
  }
  if (t->exchange && h->on_make_way) h->on_make_way(h, t, us);
  preempt_yield(L, h, ar, hooked);
}

/* Goes on with killing the running task, which has caught whatever was raised. True: the task need not end (any more), or closes variables,
 * and nothing has happened. */
static bool is_spared(lua_State *L, gl_host *h, const lua_Debug *ar, bool overran) {
  if (gl_kill_lets_close(L, h->task)) return true;
  if (!gl_kill_again(L, h)) return true;
  if (overran) preempt_yield(L, h, ar, true);
  else if (gl_scope_must_end(h->task)) gl_kill_soon(L, h, ar);
  return false;
}

/* Must preempt_hook stay on L over the yield?
 *
 *     hook runs: lua_yield    Lua marks the call (CIST_HOOKYIELD)
 *     resumed                 Lua drops the next hook event of the marked call, whichever hook is set by then
 *     1st instruction after   with preempt_hook still set, its count event is what is dropped
 *     2nd instruction after   preempt_hook runs, sees that the slice did not end, and unhooks itself
 *
 * Without it the dropped event would be the first one of the hook that the script sets next. Where another hook has to be put
 * back, or an error raised, it does not stay. */
static bool stays_hooked(lua_State *L, gl_host *h) {
  return can_yield(h, L) && !gl_scope_must_end(h->task) && !gl_hook_is_set(L);
}

/* A test has ordered that the running task ends here. */
static void end_as_ordered(lua_State *L, gl_host *h, const lua_Debug *ar) {
  gl_task *t = h->task;
  h->fault.ender = NULL;
  t->cancelled = true;
  gl_hook_restore(L);
  if (gl_scope_must_end(t) && !t->cleanup_us) gl_kill_soon(L, h, ar);
}

static void preempt_hook(lua_State *L, lua_Debug *ar) {
  gl_host *h = gl_host_of(L);
  struct gl_watchdog *w = h->watchdog;
  gl_task *t = h->task;
  if (!w) {
    gl_hook_restore(L);
    return;
  }
  bool inside = gl_hook_runs(L);
  if (ar->event != LUA_HOOKCOUNT) { /* an event for the hook that was on L before */
    if (!inside && !gl_alone_is(h, L)) gl_hook_pass_on(L, ar);
    return;
  }
  gl_hook_counted(L);
  if (gl_alone_is(h, L)) {
    gl_alone_check(L, h);
    return;
  }
  bool overran = gl_pulse_beats(&h->pulse) == atomic_load(&w->overrun); /* false: the task has waited since the signal */
  if (defers_preemption(h)) {
    gl_hook_restore(L);
    return;
  }
  if (h->fault.ender == t) {
    end_as_ordered(L, h, ar);
    return;
  }
  if (t->raise_in && !inside) gl_hook_count(L, ar);
  if (t->raise_in && gl_kill_at_safepoint(L, h, ar, overran)) {
    if (overran) preempt_yield(L, h, ar, gl_hook_is_set(L));
    return;
  }
  if (t->exhausted && gl_scope_must_end(t)) gl_kill_hurry(t);
  if (gl_kill_insists(t) && !is_spared(L, h, ar, overran)) return;
  if (inside || !overran || !stays_hooked(L, h)) gl_hook_restore(L);
  if (overran) end_slice(L, h, ar, inside || gl_hook_is_of_others(L));
  else if (gl_scope_must_end(t) && !t->end_requested) gl_kill_soon(L, h, ar); /* it was told to end while others ran, or before it began */
}

/* ---- outside the hook ---- */

bool gl_preempt_is_due(const gl_host *h) {
  const struct gl_watchdog *w = h->watchdog;
  return w && gl_pulse_beats(&h->pulse) == atomic_load_explicit(&w->overrun, memory_order_relaxed);
}

/* Ends the slice if it is used up, or what runs where no task can make way if its time is up. Called in a loop in C (`ar` = NULL), or
 * in a hook of the script. */
static bool check_slice(lua_State *L, const lua_Debug *ar) {
  gl_host *h = gl_host_of(L);
  if (!gl_preempt_is_due(h)) return false;
  if (gl_alone_is(h, L)) {
    gl_alone_check(L, h);
    return false;
  }
  if (defers_preemption(h)) return false;
  if (!gl_kill_insists(h->task) || is_spared(L, h, ar, true)) end_slice(L, h, ar, true);
  return true;
}

bool gl_preempt_check(lua_State *L) {
  bool shaken = gl_host_of(L)->shake && gl_shake_loop(L);
  return check_slice(L, NULL) || shaken;
}

/* A count hook of the user's was called, in which preempt_hook could not be set. */
static void on_user_hook(lua_State *L, const lua_Debug *ar) {
  gl_host *h = gl_host_of(L);
  if (!h->slices.asked) return;
  h->slices.asked = false;
  check_slice(L, ar);
}

void gl_preempt_end_at(lua_State *L, int n) {
  gl_host *h = gl_host_of(L);
  h->fault.ender = n ? h->task : NULL;
  if (n) lua_sethook(L, preempt_hook, LUA_MASKCOUNT, n);
}

/* The task has left its outermost atomic section: a slice that ended in there ends now. */
static void on_atomic_section_left(gl_task *t) {
  gl_host *h = t->host;
  if (!h->watchdog) return;
  bool due = h->slices.deferred_beat == gl_pulse_beats(&h->pulse) && h->task == t && h->running;
  h->slices.section = h->slices.deferred_beat = 0;
  if (due) set_preempt_hook(h);
}

void gl_preempt_begin_slice(gl_host *h) { begin_slice(h, h->queue.batch.head); }

void gl_preempt_end_slice(gl_host *h) { gl_watchdog_end_slice(h); }

/* ---- starting and ending ---- */

static void install_handler(void) {
  struct sigaction sa;
  memset(&sa, 0, sizeof sa);
  sa.sa_handler = on_signal;
  sa.sa_flags = SA_RESTART;
  sigfillset(&sa.sa_mask);
  sigaction(GL_WATCHDOG_SIGNAL, &sa, NULL);
}

bool gl_preempt_start(gl_host *h) {
  watched_host = h;
  h->preempt_hook = preempt_hook;
  h->user_hook_ran = on_user_hook;
  h->atomic_section_left = on_atomic_section_left;
  gl_allowhook_init(h->L);
  gl_hookcount_init(h->L);
  gl_safepoint_learn(h->L);
  install_handler();
  return gl_watchdog_start(h);
}

void gl_preempt_restart(gl_host *h) {
  h->watchdog_due = false;
  if (!h->watchdog) return;
  h->slices.section = h->slices.deferred_beat = 0; /* by the clock of a thread of the parent */
  gl_watchdog_restart(h);
}

void gl_preempt_stop(gl_host *h) {
  if (h->watchdog) gl_watchdog_stop(h);
  watched_host = NULL;
}

void gl_preempt_set_reports(gl_host *h, bool on) {
  struct gl_watchdog *w = h->watchdog;
  if (!w) return;
  if (!on && !w->quiet) gl_stall_flush(&w->stalls);
  w->quiet = !on;
}

uint64_t gl_preempt_count(const gl_host *h) { return h->slices.count; }
