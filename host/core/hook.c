/* SPDX-License-Identifier: MIT */
#include "core/hook.h"

#include <string.h>

#include <lauxlib.h>

#include "core/hookcount.h"
#include "core/host.h"
#include "core/safepoint.h"
#include "core/task.h"

#define INSIDE 1000    /* instructions after which the preemption looks whether the hook function that it switched hooks on in has ended */
#define MAX_STEP 10000 /* instructions between two moments to preempt: about 0.1 ms */

/* A hook of the script: a userdata, whose user value is the function. */
typedef struct user_hook {
  int mask;  /* events that the script asked for */
  int count; /* instructions between two calls */
  int left;  /* instructions until the next call */
  int step;  /* instructions that Lua counts now, at most `left` */
} user_hook;

static const char hooks_key = 'k'; /* registry: coroutine (weak) -> user_hook */

/* Pushes the hook of `co`, or nil. `co` may be L. */
static user_hook *push_hook(lua_State *L, lua_State *co) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &hooks_key);
  lua_pushthread(co);
  if (co != L) lua_xmove(co, L, 1);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  return lua_touserdata(L, -1);
}

static void next_step(user_hook *u) {
  if (u->left <= 0) u->left = u->count;
  u->step = u->left < MAX_STEP ? u->left : MAX_STEP;
}

/* Did the script ask for this event? Of the count events, which end a step each, it asked for one per `count` instructions. */
static bool is_due(lua_State *L, user_hook *u, int event) {
  if (event != LUA_HOOKCOUNT) return true;
  int before = u->step;
  u->left -= before;
  bool due = u->left <= 0;
  next_step(u);
  if (u->step != before) lua_sethook(L, gl_hook_event, u->mask, u->step);
  return due;
}

static void call_hook(lua_State *L, lua_Debug *ar) {
  static const char *const names[] = {"call", "return", "line", "count", "tail call"};
  lua_getiuservalue(L, -1, 1);
  lua_pushstring(L, names[ar->event]);
  if (ar->currentline >= 0) lua_pushinteger(L, ar->currentline);
  else lua_pushnil(L);
  lua_call(L, 2, 0);
}

/* The script's hook function has returned. Was the preemption's hook set over it meanwhile, without the script's events? The script
 * gets them from here on. */
static void pass_events(lua_State *L, const gl_host *h, const user_hook *u) {
  if (lua_gethook(L) == h->preempt_hook && (lua_gethookmask(L) & u->mask) != u->mask) lua_sethook(L, h->preempt_hook, LUA_MASKCOUNT | u->mask, 1);
}

void gl_hook_event(lua_State *L, lua_Debug *ar) {
  gl_host *h = gl_host_of(L);
  user_hook *u = push_hook(L, L);
  if (u && is_due(L, u, ar->event)) {
    call_hook(L, ar);
    pass_events(L, h, u);
  }
  lua_pop(L, 1);
  if (ar->event == LUA_HOOKCOUNT && h->user_hook_ran) h->user_hook_ran(L, ar);
}

/* ---- beside our own ---- */

/* The hook of a C module that was taken over on L; NULL = none, or the module or the script has set another since. */
static gl_saved_hook *foreign_hook(lua_State *L) {
  gl_host *h = gl_host_of(L);
  return h->foreign_hook.L == L && lua_gethook(L) == h->preempt_hook ? &h->foreign_hook : NULL;
}

static gl_saved_hook look_at_hook(lua_State *L) {
  return (gl_saved_hook){L, lua_gethook(L), lua_gethookmask(L), lua_gethookcount(L), gl_hookcount_left(L)};
}

static void count_off(gl_saved_hook *saved, int n) { saved->left = saved->left > n ? saved->left - n : 1; }

/* Takes what our hook, which is about to be replaced, has counted off what is left to the saved one. */
static void settle_count(gl_saved_hook *saved) { count_off(saved, lua_gethookcount(saved->L) - gl_hookcount_left(saved->L)); }

/* The signal handler takes hooks over as well, and must not between these two. */
static void begin_change(gl_host *h) {
  h->slices.hooks_change = true;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static void end_change(gl_host *h) {
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  h->slices.hooks_change = false;
}

static void put_back(gl_saved_hook *saved) {
  settle_count(saved);
  lua_sethook(saved->L, saved->hook, saved->mask, saved->count);
  if (saved->mask & LUA_MASKCOUNT) gl_hookcount_set(saved->L, saved->left);
  saved->L = NULL;
}

/* The coroutine on which a C module's hook was taken over does not run any more. */
static void give_back(gl_host *h, gl_saved_hook *f) {
  gl_saved_hook *back = &h->back;
  if (lua_gethook(f->L) == h->preempt_hook) put_back(f);
  else if (back->L == f->L && back->hook == h->preempt_hook) *back = *f; /* back_hook was set over ours */
  f->L = NULL;
}

/* Saves the hook on L, on which the preemption's is about to be set, unless it is known without that. A coroutine of which the host does
 * not know that it runs, as a C module has resumed it, may be collected at any time. */
static void save_foreign(lua_State *L, gl_host *h) {
  gl_saved_hook now = look_at_hook(L), *f = &h->foreign_hook;
  if (foreign_hook(L)) settle_count(f);
  if (now.hook == h->preempt_hook) return;
  if (f->L) give_back(h, f);
  if (now.hook && now.hook != gl_hook_event && (L == h->running || L == h->L)) *f = now;
}

void gl_hook_take_over(lua_State *L) {
  gl_host *h = gl_host_of(L);
  begin_change(h);
  save_foreign(L, h);
  lua_sethook(L, h->preempt_hook, LUA_MASKCOUNT | lua_gethookmask(L), 1);
  end_change(h);
}

void gl_hook_insist(lua_State *L, int count) {
  gl_host *h = gl_host_of(L);
  begin_change(h);
  save_foreign(L, h);
  const gl_saved_hook *f = &h->foreign_hook;
  lua_sethook(L, h->preempt_hook, LUA_MASKCOUNT | (f->L == L ? f->mask : 0), count);
  end_change(h);
}

void gl_hook_await_return(gl_host *h) {
  lua_State *L = h->running;
  if (lua_gethook(L) == h->back_hook) return;
  begin_change(h);
  h->back = look_at_hook(L);
  lua_sethook(L, h->back_hook, LUA_MASKCOUNT | LUA_MASKRET | h->back.mask, 1);
  end_change(h);
}

void gl_hook_counted(lua_State *L) {
  gl_saved_hook *f = foreign_hook(L);
  if (f) count_off(f, lua_gethookcount(L));
}

void gl_hook_returned(lua_State *L, bool counted) {
  gl_host *h = gl_host_of(L);
  if (h->back.L != L) {
    gl_hook_restore(L);
    return;
  }
  begin_change(h);
  if (counted) count_off(&h->back, 1);
  put_back(&h->back);
  end_change(h);
}

void gl_hook_leave(gl_host *h) {
  begin_change(h);
  if (h->back.L && lua_gethook(h->back.L) == h->back_hook) put_back(&h->back);
  h->back.L = NULL;
  if (h->foreign_hook.L) give_back(h, &h->foreign_hook);
  end_change(h);
}

void gl_hook_pass_on(lua_State *L, lua_Debug *ar) {
  const gl_saved_hook *f = foreign_hook(L);
  if (f) f->hook(L, ar);
  else gl_hook_event(L, ar);
}

bool gl_hook_is_of_others(lua_State *L) {
  const gl_host *h = gl_host_of(L);
  lua_Hook now = lua_gethook(L);
  return now && now != h->preempt_hook && now != h->shake_hook;
}

void gl_hook_count(lua_State *L, lua_Debug *ar) {
  user_hook *u = push_hook(L, L);
  bool due = u && u->count > 0 && --u->left <= 0;
  if (due) {
    u->left = u->count;
    call_hook(L, ar);
  }
  lua_pop(L, 1);
}

bool gl_hook_is_set(lua_State *L) {
  bool is = push_hook(L, L) || foreign_hook(L);
  lua_pop(L, 1);
  return is;
}

bool gl_hook_runs(lua_State *L) { return gl_host_of(L)->slices.forced_on && gl_safepoint_in_hook(L); }

void gl_hook_restore(lua_State *L) {
  gl_host *h = gl_host_of(L);
  gl_saved_hook *f = foreign_hook(L);
  if (gl_hook_runs(L)) {
    lua_sethook(L, h->preempt_hook, LUA_MASKCOUNT, INSIDE);
    return;
  }
  if (f) {
    begin_change(h);
    put_back(f);
    end_change(h);
    return;
  }
  user_hook *u = push_hook(L, L);
  if (u && u->count > 0) next_step(u);
  if (u) lua_sethook(L, gl_hook_event, u->mask, u->step);
  else lua_sethook(L, NULL, 0, 0);
  lua_pop(L, 1);
}

/* ---- the library's two functions ---- */

static lua_State *hooked_coroutine(lua_State *L, int *arg) {
  *arg = lua_isthread(L, 1) ? 1 : 0;
  return *arg ? lua_tothread(L, 1) : L;
}

static int parse_mask(const char *events, int count) {
  int mask = 0;
  if (strchr(events, 'c')) mask |= LUA_MASKCALL;
  if (strchr(events, 'r')) mask |= LUA_MASKRET;
  if (strchr(events, 'l')) mask |= LUA_MASKLINE;
  if (count > 0) mask |= LUA_MASKCOUNT;
  return mask;
}

/* Stores the hook on top (popped; nil = none) for `co`. */
static void store_hook(lua_State *L, lua_State *co) {
  if (co != L && !lua_checkstack(co, 1)) luaL_error(L, "stack overflow");
  lua_rawgetp(L, LUA_REGISTRYINDEX, &hooks_key);
  lua_pushthread(co);
  if (co != L) lua_xmove(co, L, 1);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 2);
}

/* sethook([thread,] hook, mask [, count]) */
static int debug_sethook(lua_State *L) {
  int arg, mask = 0, count = 0;
  lua_State *co = hooked_coroutine(L, &arg);
  if (lua_isnoneornil(L, arg + 1)) {
    lua_settop(L, arg + 1);
  } else {
    const char *events = luaL_checkstring(L, arg + 2);
    luaL_checktype(L, arg + 1, LUA_TFUNCTION);
    count = (int)luaL_optinteger(L, arg + 3, 0);
    mask = parse_mask(events, count);
  }
  user_hook *u = NULL;
  if (mask) {
    u = lua_newuserdatauv(L, sizeof *u, 1);
    *u = (user_hook){.mask = mask, .count = count};
    if (count > 0) next_step(u);
    lua_pushvalue(L, arg + 1);
    lua_setiuservalue(L, -2, 1);
  } else {
    lua_pushnil(L);
  }
  store_hook(L, co);
  if (u) lua_sethook(co, gl_hook_event, mask, u->step);
  else lua_sethook(co, NULL, 0, 0);
  return 0;
}

/* gethook([thread]) -> hook, mask, count */
static int debug_gethook(lua_State *L) {
  int arg, n = 0;
  char events[4];
  lua_State *co = hooked_coroutine(L, &arg);
  lua_Hook hook = lua_gethook(co);
  if (co != L && !lua_checkstack(co, 1)) return luaL_error(L, "stack overflow");
  user_hook *u = push_hook(L, co);
  const gl_saved_hook *f = foreign_hook(co);
  if (f || (gl_hook_is_of_others(co) && hook != gl_hook_event)) {
    lua_pushliteral(L, "external hook");
    lua_pushliteral(L, "");
    lua_pushinteger(L, f ? f->count : lua_gethookcount(co));
    return 3;
  }
  if (!u || !hook) {
    luaL_pushfail(L);
    return 1;
  }
  if (u->mask & LUA_MASKCALL) events[n++] = 'c';
  if (u->mask & LUA_MASKRET) events[n++] = 'r';
  if (u->mask & LUA_MASKLINE) events[n++] = 'l';
  lua_getiuservalue(L, -1, 1);
  lua_pushlstring(L, events, (size_t)n);
  lua_pushinteger(L, u->count);
  return 3;
}

void gl_hook_init(lua_State *L) {
  static const luaL_Reg functions[] = {{"gethook", debug_gethook}, {"sethook", debug_sethook}, {NULL, NULL}};
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_setfield(L, LUA_REGISTRYINDEX, "_HOOKKEY"); /* where the stock library has its table, as Lua's own tests know */
  lua_rawsetp(L, LUA_REGISTRYINDEX, &hooks_key);
  lua_getglobal(L, "debug");
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}
