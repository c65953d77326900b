/* SPDX-License-Identifier: MIT */
#include "core/alone.h"

#include <lauxlib.h>

#include "core/allowhook.h"
#include "core/hook.h"
#include "core/safepoint.h"
#include "core/watchdog.h"

#define LOOK_AGAIN 100 /* instructions until the next look at the clock, */
#define LOOKS 20       /* and how many looks there are at least: where a hypervisor has taken the CPU away, its clock has gone on */
#define WHAT(what) "greenlua: " what " holds everybody up for more than " GL_NUMBER(GL_ALONE_MS) " ms: it is ended now\n"

gl_alone gl_alone_begin(gl_host *h) {
  gl_alone before = {h->running, h->task};
  h->task = NULL;
  h->slices.alone_on = NULL;
  gl_host_set_running(h, h->L);
  return before;
}

void gl_alone_end(gl_host *h, gl_alone before) {
  gl_host_set_running(h, before.running);
  h->task = before.task;
  if (h->preempt_hook && lua_gethook(h->L) == h->preempt_hook) gl_hook_restore(h->L);
}

/* The finalizer of the first object that had one: Lua calls it last. */
static int on_last(lua_State *L) {
  gl_host *h = gl_host_of(L);
  if (h->closing) gl_alone_end(h, (gl_alone){NULL, NULL});
  return 0;
}

static int make_last(lua_State *L) {
  lua_newuserdatauv(L, 0, 0);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, on_last);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

bool gl_alone_init(lua_State *L) {
  lua_pushcfunction(L, make_last);
  if (lua_pcall(L, 0, 0, 0) == LUA_OK) return true;
  lua_pop(L, 1);
  return false;
}

void gl_alone_close(gl_host *h) {
  h->closing = true;
  gl_pulse_wake(&h->pulse);
  gl_alone_begin(h);
  lua_close(h->L);
}

/* ---- its time ---- */

bool gl_alone_is(const gl_host *h, lua_State *L) { return !h->task || L == h->L || gl_in_finalizer(L); }

static bool is_counted(lua_State *L, const gl_host *h) {
  const gl_slices *s = &h->slices;
  bool marked;
  if (gl_in_finalizer(L) && gl_safepoint_finalizer(L, &marked)) return marked;
  return s->alone_on == L && s->alone_beat == gl_pulse_beats(&h->pulse);
}

/* Counts the time of what runs on L. */
static void count(lua_State *L, gl_host *h) {
  gl_slices *s = &h->slices;
  if (gl_in_finalizer(L)) gl_safepoint_mark_finalizer(L);
  s->alone_on = L;
  s->alone_beat = gl_pulse_beats(&h->pulse);
}

static bool is_over(gl_host *h) {
  gl_slices *s = &h->slices;
  if (s->alone_looks++ < LOOKS) return false;
  return gl_watchdog_cpu_us(h->watchdog) - s->alone_since >= GL_ALONE_MS * 1000;
}

void gl_alone_check(lua_State *L, gl_host *h) {
  gl_slices *s = &h->slices;
  if (!is_counted(L, h)) {
    count(L, h);
    s->alone_since = gl_watchdog_cpu_us(h->watchdog);
    s->alone_looks = 0;
    s->alone_over = false;
  }
  if (!s->alone_over && !is_over(h)) {
    lua_sethook(L, h->preempt_hook, LUA_MASKCOUNT, LOOK_AGAIN);
    return;
  }
  bool finalizer = gl_in_finalizer(L), news = !s->alone_over;
  s->alone_over = true;
  if (news && !h->watchdog->quiet) gl_stall_report(&h->watchdog->stalls, finalizer ? WHAT("a finalizer (__gc)") : WHAT("what runs outside of tasks"), L, 0, NULL);
  lua_sethook(L, h->preempt_hook, LUA_MASKCOUNT, 1); /* should the error be caught, it is raised at the next instruction again */
  gl_allowhook_set(L);
  luaL_error(L, "%s took more than %d ms", finalizer ? "a finalizer" : "what runs outside of tasks", GL_ALONE_MS);
}

void gl_alone_follow(lua_State *L, const lua_State *co) {
  gl_host *h = gl_host_of(L);
  const gl_slices *s = &h->slices;
  if (!s->alone_over || !h->watchdog || !gl_alone_is(h, L)) return;
  if (!is_counted(L, h) && !(co && s->alone_on == co && s->alone_beat == gl_pulse_beats(&h->pulse))) return;
  count(L, h);
  gl_hook_insist(L, 1);
  gl_allowhook_set(L);
}
