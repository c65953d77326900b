/* SPDX-License-Identifier: MIT */
#include "core/shake.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/hook.h"
#include "core/park.h"
#include "core/scope.h"
#include "core/task.h"

#define COUNT_BITS 10 /* bits of the longest count of instructions between two switches; each length in bits is equally likely */

static void shake_hook(lua_State *L, lua_Debug *ar);

static uint32_t draw_random(gl_host *h, uint32_t below) {
  h->shake ^= h->shake << 13;
  h->shake ^= h->shake >> 7;
  h->shake ^= h->shake << 17;
  return (uint32_t)((h->shake >> 32) % below);
}

/* Now and then makes a step of the collector, with finalizers, unless the script has stopped the collector: LUA_GCSTEP would start it. */
static void collect(lua_State *L, gl_host *h, uint32_t seldom) {
  if (draw_random(h, seldom) == 0 && lua_gc(L, LUA_GCISRUNNING) == 1) lua_gc(L, LUA_GCSTEP, 0);
}

static void set_shake_hook(lua_State *L) {
  gl_host *h = gl_host_of(L);
  int count = 1 + (int)draw_random(h, 1u << draw_random(h, COUNT_BITS + 1));
  lua_sethook(L, shake_hook, LUA_MASKCOUNT | LUA_MASKCALL, count);
}

/* Was the function that begins now called by C? */
static bool called_by_c(lua_State *L) {
  lua_Debug caller;
  return !lua_getstack(L, 1, &caller) || (lua_getinfo(L, "S", &caller) && *caller.what == 'C');
}

/* Lets all other ready tasks run. */
static void switch_task(lua_State *L, gl_host *h, bool may_yield) {
  gl_task *t = h->task;
  if (t->exchange && h->on_make_way) h->on_make_way(h, t, gl_meter_us(&h->meter, gl_budget_charge(h, t)));
  if (may_yield && L == h->running && lua_isyieldable(L)) {
    gl_runqueue_add_switched(h, t);
    h->awaiting = true;
    lua_yield(L, 0); /* takes effect when the hook returns */
  } else {
    gl_pause(h, t, gl_runqueue_add_switched);
  }
}

static void shake_hook(lua_State *L, lua_Debug *ar) {
  gl_host *h = gl_host_of(L);
  bool counted = ar->event == LUA_HOOKCOUNT;
  if (!h->shake) {
    gl_hook_restore(L);
    return;
  }
  if (counted) set_shake_hook(L);
  collect(L, h, 64);
  if (!h->task || h->task->atomic || gl_scope_must_end(h->task)) return; /* a task that must end does so when its slice is used up */
  if (counted || (called_by_c(L) && draw_random(h, 2) == 0)) switch_task(L, h, counted);
}

void gl_shake_arm(lua_State *co) {
  if (!lua_gethook(co)) set_shake_hook(co);
}

bool gl_shake_loop(lua_State *L) {
  gl_host *h = gl_host_of(L);
  if (!h->task || h->task->atomic || gl_scope_must_end(h->task)) return false;
  if (gl_in_finalizer(L) || draw_random(h, 4) > 0) return false;
  collect(L, h, 4);
  switch_task(L, h, false);
  return true;
}

static void seed_random(gl_host *h, uint64_t seed) {
  h->shake_hook = shake_hook;
  h->shake = seed ? seed * 0x9E3779B97F4A7C15u | 1 : 0; /* neighbouring seeds give unlike sequences */
}

void gl_shake(lua_State *L, uint64_t seed) {
  seed_random(gl_host_of(L), seed);
  if (seed) gl_shake_arm(L);
}

void gl_shake_all(gl_host *h, uint64_t seed) {
  h->shake_seed = seed;
  seed_random(h, seed); /* no task runs on h->L, which must not get the hook: the host uses it while it is between two tasks */
}

void gl_shake_tell(const gl_host *h) {
  if (h->shake_seed) fprintf(stderr, "greenlua: --shake=%" PRIu64 " goes the same way again, as far as time and the network let it\n", h->shake_seed);
}
