/* SPDX-License-Identifier: MIT */
#include "sys/spawned.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base.h"
#include "core/check.h"
#include "core/class.h"
#include "core/error.h"
#include "core/scope.h"
#include "core/task.h"

#define UNJOINED_GRACE 1.0 /* seconds a failed task waits for somebody to join it before it is logged */

/* ---- the end of a task ---- */

static void add_failure(gl_spawned *s) {
  s->at = s->failures->end;
  *s->at = s;
  s->failures->end = &s->next;
}

static void unlink_failure(gl_spawned *s) {
  if (!s->at) return;
  *s->at = s->next;
  if (s->next) s->next->at = s->at;
  else s->failures->end = s->at;
}

/* -> RELEASED */
static void release(gl_spawned *s) {
  gl_task *t = s->task;
  gl_alloc *alloc = &t->host->alloc;
  gl_timer_drop(&t->host->clock, &s->grace);
  unlink_failure(s);
  s->handle->s = NULL;
  t->spawn_site = NULL;
  gl_task_unref(t);
  gl_block_free(alloc, s, s->size);
}

static int keep_trace(lua_State *L) {
  gl_spawned *s = lua_touserdata(L, 1);
  gl_task_push_kept(L, s->task);
  lua_pushstring(L, s->task->trace);
  lua_setiuservalue(L, -2, GL_HANDLE_TRACE);
  return 0;
}

/* Without memory for the timer, log_failures reports it when the state closes. */
static void report_later(gl_spawned *s) {
  if (!gl_timer_is_armed(&s->task->host->clock, &s->grace)) gl_timer_arm(&s->task->host->clock, &s->grace, s->system ? 0 : UNJOINED_GRACE);
}

void gl_spawned_settle(gl_spawned *s) {
  lua_State *L = s->task->host->L;
  s->task->joined = true;
  if (s->busy) return;
  s->busy = true;
  lua_pushcfunction(L, keep_trace);
  lua_pushlightuserdata(L, s);
  int status = lua_pcall(L, 1, 0, 0);
  s->busy = false;
  if (status == LUA_OK) {
    release(s);
  } else {
    lua_pop(L, 1);
    report_later(s);
  }
}

static void log_failure(gl_spawned *s) {
  char what[256];
  if (s->task->joined) return;
  s->task->joined = true;
  const char *how = s->system    ? "system task %d on behalf of %s failed"
                    : s->endless ? "task %d, task.every at %s failed, and does not run again ({ on_error = \"continue\" } would)"
                                 : "task %d spawned at %s failed";
  snprintf(what, sizeof what, how, (int)s->task->id, *s->spawn_site ? s->spawn_site : "?");
  gl_task_log_error(s->task, what);
}

static int log_main(lua_State *L) {
  log_failure(lua_touserdata(L, 1));
  return 0;
}

static void on_logged(gl_task *t, int status, int nresults) {
  (void)status;
  (void)nresults;
  gl_spawned *s = t->owner;
  s->busy = false;
  gl_spawned_settle(s);
}

static void on_grace(gl_timer *timer) {
  gl_spawned *s = GL_CONTAINER(timer, gl_spawned, grace);
  s->busy = gl_task_start(s->task->host, log_main, s, on_logged, false) != NULL;
  if (!s->busy) report_later(s);
}

/* Runs as the finalizer of the list, when the state closes. */
static int log_failures(lua_State *L) {
  gl_spawned_failures *f = lua_touserdata(L, 1);
  while (f->first) {
    gl_spawned *s = f->first;
    s->busy = true;
    log_failure(s);
    release(s);
  }
  return 0;
}

void gl_spawned_push_failures(lua_State *L) {
  gl_spawned_failures *f = lua_newuserdatauv(L, sizeof *f, 0);
  f->first = NULL;
  f->end = &f->first;
  gl_class_finalizer(L, log_failures);
}

/* Gives the handle what the task returned. Allocates nothing. */
static void keep_results(gl_task *t, int nresults) {
  lua_State *L = t->host->L;
  gl_task_push_kept(L, t);
  if (nresults == 1) {
    lua_xmove(t->co, L, 1);
  } else {
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->co_ref);
    t->exposed = true; /* its coroutine is not used again */
  }
  lua_setiuservalue(L, -2, GL_HANDLE_RESULT);
  lua_pop(L, 1);
}

static void keep_error(gl_task *t) {
  lua_State *L = t->host->L;
  gl_task_push_kept(L, t);
  if (gl_task_push_error(L, t)) lua_setiuservalue(L, -2, GL_HANDLE_RESULT);
  lua_pop(L, 1);
}

/* Is the failure one of many, of tasks whose common budget is exhausted, and somebody will be told of another one? */
static bool is_told(const gl_task *t) {
  gl_budget *b = t->exhausted ? gl_budget_exhausted(t) : NULL;
  if (!b) return false;
  bool told = b != &t->own && (b->told || GL_CONTAINER(b, gl_task, own)->state != GL_TASK_ENDED);
  b->told = true;
  return told;
}

static void on_end(gl_task *t, int status, int nresults) {
  gl_spawned *s = t->owner;
  gl_task_handle *at = s->handle;
  at->failed = status != LUA_OK;
  at->cancelled = t->cancelled;
  at->nresults = nresults;
  if (!at->failed) {
    if (nresults) keep_results(t, nresults);
    release(s);
    return;
  }
  keep_error(t);
  add_failure(s);
  bool told = is_told(t);
  if (told || t->joined || t->cancelled) gl_spawned_settle(s);
  else report_later(s);
}

/* ---- where it was spawned ---- */

#define SITE_MAX (LUA_IDSIZE + 16)

/* Writes the digits by hand: snprintf would be an eighth of what a task costs. */
static size_t put_site(char spawn_site[SITE_MAX], const lua_Debug *ar) {
  char digits[16];
  size_t n = strlen(ar->short_src), first = sizeof digits;
  memcpy(spawn_site, ar->short_src, n);
  spawn_site[n++] = ':';
  for (int line = ar->currentline; line > 0 || first == sizeof digits; line /= 10) digits[--first] = (char)('0' + line % 10);
  memcpy(spawn_site + n, digits + first, sizeof digits - first);
  n += sizeof digits - first;
  spawn_site[n++] = '\0';
  return n;
}

/* Finds "file:line" of the first frame that is not in a module of greenlua, or "". Returns its size with the NUL. */
static size_t call_site(lua_State *L, char spawn_site[SITE_MAX]) {
  lua_Debug ar;
  int level = 1;
  *spawn_site = '\0';
  do
    if (!lua_getstack(L, level, &ar) || !lua_getinfo(L, "Sl", &ar)) return 1;
  while ((ar.currentline < 0 || strncmp(ar.source, "@green:", 7) == 0) && ++level < 20);
  return put_site(spawn_site, &ar);
}

/* Takes the name at index 1 off the stack, as much of it as fits. Returns its size with the NUL. */
static size_t take_name(lua_State *L, char spawn_site[SITE_MAX]) {
  size_t n;
  const char *name = lua_tolstring(L, 1, &n);
  if (n >= SITE_MAX) n = SITE_MAX - 1;
  memcpy(spawn_site, name, n);
  spawn_site[n] = '\0';
  lua_remove(L, 1);
  return n + 1;
}

static void set_site(gl_task *t, const gl_spawned *s, bool named) {
  t->spawn_site = *s->spawn_site ? s->spawn_site : NULL;
  t->named = named;
}

/* Pushes a copy of the running task's context, or nil when it has none. */
static void copy_context(lua_State *L) {
  gl_task *t = gl_host_of(L)->task;
  if (!t || t->context_ref == LUA_NOREF) {
    lua_pushnil(L);
    return;
  }
  lua_newtable(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->context_ref);
  lua_pushnil(L);
  while (lua_next(L, -2)) { /* copy context key value */
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -5);
  }
  lua_pop(L, 1);
}

/* ---- spawn ---- */

/* Refuses a task that would be one too many. In a shield, the clean-up of a task whose budget is exhausted may still spawn some. */
static void check_budget(lua_State *L) {
  gl_host *h = gl_host_of(L);
  gl_task *t = h->task;
  if (!t || (!t->exhausted && gl_budget_admits_task(h, t))) return;
  if (gl_scope_check(t) == GL_EXHAUSTED) gl_scope_raise_exhausted(L, t, "task.spawn");
  if (!gl_budget_has_dole(t)) gl_error_raise(L, "task.spawn", "ECPULIMIT", "a task beyond its limit has no time left for the tasks of its clean-up");
}

void gl_spawned_start(lua_State *L, gl_spawned_kind kind) {
  static gl_task *(*const spawn[])(lua_State *, int, void *, gl_task_end) = {gl_task_spawn, gl_task_spawn_system, gl_task_spawn_daemon, gl_task_spawn_daemon};
  bool system = kind != GL_SPAWN_TASK, named = kind == GL_SPAWN_NAMED;
  char spawn_site[SITE_MAX];
  size_t len = named ? take_name(L, spawn_site) : call_site(L, spawn_site), size = sizeof(gl_spawned) + len;
  luaL_checktype(L, 1, LUA_TFUNCTION);
  if (!system) check_budget(L);
  gl_alloc *alloc = &gl_host_of(L)->alloc;
  int nargs = lua_gettop(L) - 1;
  gl_task_handle *at = lua_newuserdatauv(L, sizeof *at, 2);
  *at = (gl_task_handle){0};
  luaL_setmetatable(L, GL_TASK_HANDLE);
  lua_insert(L, 1); /* handle fn args... */
  int context = LUA_NOREF;
  if (!system) {
    copy_context(L);
    context = lua_isnil(L, -1) ? (lua_pop(L, 1), LUA_NOREF) : luaL_ref(L, LUA_REGISTRYINDEX);
  }
  gl_spawned *s = gl_block_calloc(alloc, size);
  gl_task *t = s ? spawn[kind](L, nargs, s, on_end) : NULL;
  if (!t) {
    gl_block_free(alloc, s, size);
    luaL_unref(L, LUA_REGISTRYINDEX, context);
    luaL_error(L, "not enough memory for a task");
  }
  memcpy(s->spawn_site, spawn_site, len);
  s->size = (uint16_t)size;
  s->failures = lua_touserdata(L, lua_upvalueindex(1));
  s->grace.fire = on_grace;
  s->handle = at;
  s->system = system;
  s->task = t;
  at->s = s;
  at->id = t->id;
  t->context_ref = context;
  set_site(t, s, named);
  lua_pushvalue(L, 1);
  gl_task_keep(L, t);
}
