/* SPDX-License-Identifier: MIT
 *
 * Task handles. What a task returned, or its error and where that came from, goes to its handle: values of Lua's own, without a
 * finalizer, which would keep all of it alive for one collection more, and so make each collection longer than the last. Of
 * the task nothing is left then; but one that failed stays until somebody joins it or, a moment later, it is logged.
 */
#include "sys/task_lua.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base.h"
#include "core/cancel.h"
#include "core/check.h"
#include "core/class.h"
#include "core/error.h"
#include "core/log.h"
#include "core/op.h"
#include "core/opqueue.h"
#include "core/task.h"
#include "core/trace.h"

#define HANDLE "green.task"
#define UNJOINED_GRACE 1.0 /* seconds a failed task waits for somebody to join it before it is logged */

typedef struct spawned spawned;

/* Its two user values: what the task returned (of several values, its coroutine with these on top) or its error; of an error,
 * the traceback. */
typedef struct handle {
  spawned *s;      /* NULL: it ended, and the handle has all of it */
  int nresults;
  bool failed, cancelled;
} handle;

enum { LEFT = 1, TRACE };

/* The tasks that failed, unjoined and not yet logged, in the order they did. */
typedef struct failures {
  spawned *first, **end;
} failures;

struct spawned {
  gl_task *task;   /* keeps its handle */
  handle *handle;
  failures *failures;
  spawned *next, **at; /* in failures; at = NULL: it is not */
  gl_timer grace;
  uint16_t size;   /* of this block */
  bool busy;       /* being logged or settled, which may run finalizers that join it */
  bool system;     /* a failure is logged at once, unless somebody waits for it */
  bool endless;    /* it was meant to run until somebody cancels it */
  char spawn_site[]; /* "file:line" of the spawn, or "" */
};

/* ---- the end of a task ---- */

static void add_failure(spawned *s) {
  s->at = s->failures->end;
  *s->at = s;
  s->failures->end = &s->next;
}

static void unlink_failure(spawned *s) {
  if (!s->at) return;
  *s->at = s->next;
  if (s->next) s->next->at = s->at;
  else s->failures->end = s->at;
}

/* The handle has all there is, or will. */
static void let_go(spawned *s) {
  gl_task *t = s->task;
  gl_alloc *alloc = &t->host->alloc;
  gl_timer_drop(&t->host->clock, &s->grace);
  unlink_failure(s);
  s->handle->s = NULL;
  t->spawn_site = NULL;
  gl_task_unref(t);
  gl_give(alloc, s, s->size);
}

static int keep_trace(lua_State *L) {
  spawned *s = lua_touserdata(L, 1);
  gl_task_push_kept(L, s->task);
  lua_pushstring(L, s->task->trace);
  lua_setiuservalue(L, -2, TRACE);
  return 0;
}

/* If this finds no memory, the state's end looks after it. */
static void look_later(spawned *s) {
  if (!gl_timer_is_armed(&s->task->host->clock, &s->grace)) gl_timer_arm(&s->task->host->clock, &s->grace, s->system ? 0 : UNJOINED_GRACE);
}

/* Nobody will have to be told of this failure any more. Without memory for the traceback, it stays as it is. */
static void settle(spawned *s) {
  lua_State *L = s->task->host->L;
  s->task->joined = true;
  if (s->busy) return;
  s->busy = true;
  lua_pushcfunction(L, keep_trace);
  lua_pushlightuserdata(L, s);
  int status = lua_pcall(L, 1, 0, 0);
  s->busy = false;
  if (status == LUA_OK) {
    let_go(s);
  } else {
    lua_pop(L, 1);
    look_later(s);
  }
}

static void log_unjoined(spawned *s) {
  char what[256];
  if (s->task->joined) return;
  s->task->joined = true;
  const char *how = s->system    ? "system task on behalf of %s failed"
                    : s->endless ? "task.every at %s failed, and does not run again ({ on_error = \"continue\" } would)"
                                 : "task spawned at %s failed";
  snprintf(what, sizeof what, how, *s->spawn_site ? s->spawn_site : "?");
  gl_task_log_error(s->task, what);
}

static int log_main(lua_State *L) {
  log_unjoined(lua_touserdata(L, 1));
  return 0;
}

static void on_logged(gl_task *t, int status, int nresults) {
  (void)status;
  (void)nresults;
  spawned *s = t->owner;
  s->busy = false;
  settle(s);
}

static void on_grace(gl_timer *timer) {
  spawned *s = GL_CONTAINER(timer, spawned, grace);
  s->busy = gl_task_start(s->task->host, log_main, s, on_logged, false) != NULL;
  if (!s->busy) look_later(s);
}

/* The state closes. */
static int log_failures(lua_State *L) {
  failures *f = lua_touserdata(L, 1);
  while (f->first) {
    spawned *s = f->first;
    s->busy = true;
    log_unjoined(s);
    let_go(s);
  }
  return 0;
}

static void push_failures(lua_State *L) {
  failures *f = lua_newuserdatauv(L, sizeof *f, 0);
  f->first = NULL;
  f->end = &f->first;
  gl_class_finalizer(L, log_failures);
}

/* What it returned goes to its handle. Allocates nothing. */
static void hand_over(gl_task *t, int nresults) {
  lua_State *L = t->host->L;
  gl_task_push_kept(L, t);
  if (nresults == 1) {
    lua_xmove(t->co, L, 1);
  } else {
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->co_ref);
    t->exposed = true; /* not to be reused */
  }
  lua_setiuservalue(L, -2, LEFT);
  lua_pop(L, 1);
}

static void hand_over_error(gl_task *t) {
  lua_State *L = t->host->L;
  gl_task_push_kept(L, t);
  if (gl_task_push_error(L, t)) lua_setiuservalue(L, -2, LEFT);
  lua_pop(L, 1);
}

static void on_end(gl_task *t, int status, int nresults) {
  spawned *s = t->owner;
  handle *at = s->handle;
  at->failed = status != LUA_OK;
  at->cancelled = t->cancelled;
  at->nresults = nresults;
  if (!at->failed) {
    if (nresults) hand_over(t, nresults);
    let_go(s);
    return;
  }
  hand_over_error(t);
  add_failure(s);
  if (t->joined || t->cancelled) settle(s);
  else look_later(s);
}

/* ---- join ---- */

typedef struct join_op {
  gl_op op;
  gl_task *target; /* referenced */
} join_op;

/* Raises the error of the handle at index 1. */
static int raise_left(lua_State *L, handle *at) {
  luaL_checkstack(L, 4, NULL);
  lua_getiuservalue(L, 1, TRACE);
  lua_getiuservalue(L, 1, LEFT);
  gl_trace_task(L, at->s ? at->s->task->trace : lua_tostring(L, -2));
  return lua_error(L);
}

/* What the task of the handle at index 1 left: its results, or its error raised. */
static int push_results(lua_State *L) {
  handle *at = lua_touserdata(L, 1);
  if (at->failed) {
    if (at->s) settle(at->s);
    return raise_left(L, at);
  }
  int n = at->nresults;
  if (n == 0) return 0;
  luaL_checkstack(L, n + 1, "too many results to join");
  lua_getiuservalue(L, 1, LEFT);
  if (n == 1) return 1;
  lua_State *co = lua_tothread(L, -1);
  if (!lua_checkstack(co, n)) return luaL_error(L, "too many results to join");
  for (int i = 0; i < n; i++) lua_pushvalue(co, -n);
  lua_xmove(co, L, n);
  return n;
}

static int push_join(lua_State *L, gl_op *op) {
  (void)op;
  return push_results(L);
}

static void cancel_join(gl_op *op) { gl_opqueue_cancel(&((join_op *)op)->target->joiners, op); }

static void free_join(gl_op *op) { gl_task_unref(((join_op *)op)->target); }

static void object_join(const gl_op *op, char *out, size_t size) {
  const gl_task *t = ((const join_op *)op)->target;
  snprintf(out, size, t->spawn_site ? "task %d, spawned at %s" : "task %d", (int)t->id, t->spawn_site);
}

static const gl_optype join_type = {"task.join", push_join, cancel_join, free_join, object_join};

static const char *how_it_ended(const handle *at) { return !at->failed ? "done" : at->cancelled ? "cancelled" : "failed"; }

static int push_wait(lua_State *L, gl_op *op) {
  (void)op;
  lua_pushstring(L, how_it_ended(lua_touserdata(L, 1)));
  return 1;
}

static const gl_optype wait_type = {"task.wait", push_wait, cancel_join, free_join, object_join};

static handle *check_handle(lua_State *L) { return gl_class_self(L, HANDLE); }

/* Has it ended? */
static bool is_over(const handle *at) { return !at->s || at->s->task->state == GL_TASK_ENDED; }

/* Does it run in the parent of this process, a forked child, where nobody can wait for it? */
static bool is_elsewhere(const handle *at) { return at->s && gl_task_is_foreign(at->s->task); }

/* The handle stays at index 1. */
static int await_end(lua_State *L, gl_task *t, const gl_optype *type) {
  double timeout = gl_check_timeout(L, 2, GL_FOREVER);
  if (t == gl_host_of(L)->task) return luaL_error(L, "a task cannot join itself");
  join_op *j = gl_op_new(L, type, sizeof *j, 0);
  j->target = t;
  t->refs++;
  gl_opqueue_push(&t->joiners, &j->op);
  return gl_await(L, &j->op, timeout);
}

/* handle:join([timeout]) -> its results, or raises its error */
static int task_join(lua_State *L) {
  handle *at = check_handle(L);
  if (is_elsewhere(at)) return gl_error_raise(L, join_type.name, "ESRCH", "the task is one of the parent process");
  return is_over(at) ? push_results(L) : await_end(L, at->s->task, &join_type);
}

static int push_elsewhere(lua_State *L) {
  lua_pushliteral(L, "elsewhere");
  return 1;
}

/* handle:wait([timeout]) -> how it ended; whoever waits so takes the blame for a failure, but does not raise it: what
 * this raises is the waiting task's own */
static int task_wait(lua_State *L) {
  handle *at = check_handle(L);
  if (is_elsewhere(at)) return push_elsewhere(L);
  if (!is_over(at)) return await_end(L, at->s->task, &wait_type);
  if (at->s) settle(at->s);
  lua_pushstring(L, how_it_ended(at));
  return 1;
}

/* ---- the handle ---- */

static int task_cancel(lua_State *L) {
  handle *at = check_handle(L);
  if (at->s) gl_task_cancel(at->s->task);
  return 0;
}

static int task_status(lua_State *L) {
  const handle *at = check_handle(L);
  const char *status = "ready";
  if (is_elsewhere(at)) return push_elsewhere(L);
  if (is_over(at)) status = how_it_ended(at);
  else if (at->s->task->state == GL_TASK_RUNNING) status = "running";
  else if (at->s->task->state == GL_TASK_WAITING) status = "waiting";
  lua_pushstring(L, status);
  return 1;
}

static int handle_tostring(lua_State *L) {
  lua_pushfstring(L, "task: %p", (void *)check_handle(L));
  return 1;
}

/* set_endless(handle): should it end by a failure that nobody joins, say what that means */
static int task_set_endless(lua_State *L) {
  handle *at = check_handle(L);
  if (at->s) at->s->endless = true;
  return 0;
}

#define SITE_MAX (LUA_IDSIZE + 16)

/* By hand: printf would be an eighth of what a task costs. */
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

/* "file:line" of where the script spawned it, or "": the first frame that is not one of our own modules. Returns its size. */
static size_t call_site(lua_State *L, char spawn_site[SITE_MAX]) {
  lua_Debug ar;
  int level = 1;
  *spawn_site = '\0';
  do
    if (!lua_getstack(L, level, &ar) || !lua_getinfo(L, "Sl", &ar)) return 1;
  while ((ar.currentline < 0 || strncmp(ar.source, "@green:", 7) == 0) && ++level < 20);
  return put_site(spawn_site, &ar);
}

/* ---- context: values that follow a task into its children ---- */

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

/* context() -> the table of the running task */
static int task_context(lua_State *L) {
  gl_task *t = gl_host_of(L)->task;
  if (!t) return gl_error_raise(L, "task.context", "ENOTASK", "outside of a task");
  if (t->context_ref == LUA_NOREF) {
    lua_newtable(L);
    t->context_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->context_ref);
  return 1;
}

/* ---- spawn ---- */

/* Leaves the handle on the stack, instead of the function and its arguments. */
static void spawn(lua_State *L, bool system) {
  char spawn_site[SITE_MAX];
  luaL_checktype(L, 1, LUA_TFUNCTION);
  gl_alloc *alloc = &gl_host_of(L)->alloc;
  int nargs = lua_gettop(L) - 1;
  handle *at = lua_newuserdatauv(L, sizeof *at, 2);
  *at = (handle){0};
  luaL_setmetatable(L, HANDLE);
  lua_insert(L, 1); /* handle fn args... */
  int context = LUA_NOREF;
  if (!system) {
    copy_context(L);
    context = lua_isnil(L, -1) ? (lua_pop(L, 1), LUA_NOREF) : luaL_ref(L, LUA_REGISTRYINDEX);
  }
  size_t len = call_site(L, spawn_site), size = sizeof(spawned) + len;
  spawned *s = gl_take_zeroed(alloc, size);
  gl_task *t = !s ? NULL : system ? gl_task_spawn_system(L, nargs, s, on_end) : gl_task_spawn(L, nargs, s, on_end);
  if (!t) {
    gl_give(alloc, s, size);
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
  t->context_ref = context;
  t->spawn_site = *s->spawn_site ? s->spawn_site : NULL;
  lua_pushvalue(L, 1);
  gl_task_keep(L, t);
}

static int task_spawn(lua_State *L) {
  spawn(L, false);
  return 1;
}

/* spawn_system(fn, ...) -> handle: work on somebody's behalf is a system task, which has nothing of his deadline, cancel and
 * context; nil: the state is being closed, and no task will run any more. Works in finalizers. */
static int task_spawn_system(lua_State *L) {
  if (gl_host_of(L)->closing) lua_pushnil(L);
  else spawn(L, true);
  return 1;
}

/* cpu_limit(seconds): the running task may use so much more CPU, counted in slices it did not make way by itself */
static int task_cpu_limit(lua_State *L) {
  double seconds = luaL_checknumber(L, 1);
  luaL_argcheck(L, seconds > 0 && seconds < 1e6, 1, "a number of seconds > 0 expected");
  gl_task *t = gl_host_of(L)->task;
  if (!t) return gl_error_raise(L, "task.cpu_limit", "ENOTASK", "outside of a task");
  gl_task_limit_cpu(t, seconds);
  return 0;
}

/* log(subject, message [, traceback]): an error that nobody will be told otherwise */
static int task_log(lua_State *L) {
  size_t n;
  const char *subject = luaL_checkstring(L, 1), *trace = luaL_optstring(L, 3, NULL);
  gl_error_describe(L, 2);
  const char *message = lua_tolstring(L, -1, &n);
  gl_log(gl_host_of(L), GL_LOG_ERROR, subject, message, n, trace);
  return 0;
}

static int task_current(lua_State *L) {
  gl_task *t = gl_host_of(L)->task;
  if (t) lua_pushinteger(L, (lua_Integer)t->id);
  else lua_pushnil(L);
  return 1;
}

/* process() -> 1 in the process that the program began in, one more in each child that a C module forks */
static int task_process(lua_State *L) {
  lua_pushinteger(L, gl_host_of(L)->process);
  return 1;
}

/* graced() -> how many tasks a program that was told to stop should wait for */
static int task_graced(lua_State *L) {
  lua_Integer n = 0;
  for (const gl_task *t = gl_host_of(L)->live; t; t = t->next_live) n += t->graced;
  lua_pushinteger(L, n);
  return 1;
}

int luaopen_green_task(lua_State *L) {
  static const luaL_Reg methods[] = {{"join", task_join}, {"cancel", task_cancel}, {"status", task_status}, {"wait", task_wait}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__tostring", handle_tostring}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"context", task_context}, {"cpu_limit", task_cpu_limit}, {"current", task_current}, {"graced", task_graced}, {"log", task_log}, {"process", task_process},
                                       {"set_endless", task_set_endless}, {NULL, NULL}};
  if (luaL_newmetatable(L, HANDLE)) {
    luaL_setfuncs(L, meta, 0);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    push_failures(L);
    lua_setfield(L, -2, "failures");
  }
  luaL_newlib(L, functions);
  lua_getfield(L, -2, "failures");
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, task_spawn_system, 1);
  lua_setfield(L, -3, "spawn_system");
  lua_pushcclosure(L, task_spawn, 1);
  lua_setfield(L, -2, "spawn");
  return 1;
}
