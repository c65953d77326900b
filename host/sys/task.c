/* SPDX-License-Identifier: MIT
 *
 * Task handles. A handle keeps the ended task with its results until it is collected; an error nobody
 * joined is logged, a moment later or when its handle goes, whichever is first.
 */
#include "sys/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "core/error.h"
#include "core/op.h"
#include "core/task.h"
#include "core/trace.h"

#define HANDLE "green.task"
#define UNJOINED_GRACE 1.0 /* seconds a failed task waits for somebody to join it before it is logged */

typedef struct spawned {
  gl_task *task;   /* NULL once the handle is gone and the task has ended */
  gl_timer grace;
  char *site;      /* "file:line" of the spawn */
  bool handle;     /* the handle is alive */
  bool logging;    /* the task that writes the log record is under way */
} spawned;

/* ---- failures nobody joined ---- */

static void drop(spawned *s) {
  if (s->handle || s->logging || s->grace.slot || (s->task && s->task->state != GL_TASK_ENDED)) return;
  if (s->task) gl_task_unref(s->task);
  free(s->site);
  free(s);
}

static void log_unjoined(spawned *s) {
  char what[256];
  if (s->task->joined || s->task->status == LUA_OK || s->task->cancelled) return;
  s->task->joined = true;
  snprintf(what, sizeof what, "task spawned at %s failed", s->site ? s->site : "?");
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
  s->logging = false;
  drop(s);
}

static void on_grace(gl_timer *timer) {
  spawned *s = GL_CONTAINER(timer, spawned, grace);
  s->logging = !s->task->joined && gl_task_start(s->task->host, log_main, s, on_logged, false) != NULL;
  drop(s);
}

static void on_end(gl_task *t, int status, int nresults) {
  (void)nresults;
  spawned *s = t->owner;
  if (status != LUA_OK && !t->joined) {
    if (!s->handle) log_unjoined(s);
    else gl_timer_arm(&t->host->clock, &s->grace, UNJOINED_GRACE);
  }
  drop(s);
}

/* ---- join ---- */

typedef struct join_op {
  gl_op op;
  gl_task *target; /* referenced */
} join_op;

static int push_results(lua_State *L, gl_task *t) {
  t->joined = true;
  if (t->status != LUA_OK) {
    if (!gl_task_push_error(L, t)) return luaL_error(L, "not enough memory");
    gl_trace_task(L, t);
    return lua_error(L);
  }
  int n = t->nresults;
  if (n == 0) return 0; /* its coroutine may be somebody else's by now */
  luaL_checkstack(L, n, "too many results to join");
  if (!lua_checkstack(t->co, n)) return luaL_error(L, "too many results to join");
  for (int i = 0; i < n; i++) lua_pushvalue(t->co, -n);
  lua_xmove(t->co, L, n);
  return n;
}

static int push_join(lua_State *L, gl_op *op) { return push_results(L, ((join_op *)op)->target); }

static void cancel_join(gl_op *op) {
  join_op *j = (join_op *)op;
  gl_op **at = &j->target->joiners;
  while (*at != op) at = &(*at)->next;
  *at = op->next;
  gl_op_done(op, UV_ECANCELED);
}

static void free_join(gl_op *op) { gl_task_unref(((join_op *)op)->target); }

static void object_join(const gl_op *op, char *out, size_t size) {
  const gl_task *t = ((const join_op *)op)->target;
  snprintf(out, size, t->site ? "task %d, spawned at %s" : "task %d", (int)t->id, t->site);
}

static const gl_optype join_type = {"task.join", push_join, cancel_join, free_join, object_join};

static const char *how_it_ended(const gl_task *t) { return t->status == LUA_OK ? "done" : t->cancelled ? "cancelled" : "failed"; }

static int push_wait(lua_State *L, gl_op *op) {
  lua_pushstring(L, how_it_ended(((join_op *)op)->target));
  return 1;
}

static const gl_optype wait_type = {"task.wait", push_wait, cancel_join, free_join, object_join};

/* A handle that was collected can still be found: by a finalizer, and as the key of a weak table. */
static spawned *check_handle(lua_State *L) {
  spawned *s = *(spawned **)luaL_checkudata(L, 1, HANDLE);
  if (!s) luaL_argerror(L, 1, "the handle of the task was collected");
  return s;
}

static int await_end(lua_State *L, gl_task *t, const gl_optype *type) {
  double timeout = gl_check_timeout(L, 2, GL_FOREVER);
  if (t == gl_host_of(L)->task) return luaL_error(L, "a task cannot join itself");
  join_op *j = gl_op_new(L, type, sizeof *j, 0);
  j->target = t;
  t->refs++;
  j->op.next = t->joiners;
  t->joiners = &j->op;
  return gl_await(L, &j->op, timeout);
}

/* handle:join([timeout]) -> its results, or raises its error */
static int task_join(lua_State *L) {
  gl_task *t = check_handle(L)->task;
  if (t->state == GL_TASK_ENDED) return push_results(L, t);
  return await_end(L, t, &join_type);
}

/* handle:wait([timeout]) -> how it ended; whoever waits so takes the blame for a failure, but does not raise it: what
 * this raises is the waiting task's own */
static int task_wait(lua_State *L) {
  gl_task *t = check_handle(L)->task;
  if (t->state != GL_TASK_ENDED) return await_end(L, t, &wait_type);
  t->joined = true;
  lua_pushstring(L, how_it_ended(t));
  return 1;
}

/* ---- the handle ---- */

static int task_cancel(lua_State *L) {
  gl_task_cancel(check_handle(L)->task);
  return 0;
}

static int task_status(lua_State *L) {
  gl_task *t = check_handle(L)->task;
  const char *status = "ready";
  if (t->state == GL_TASK_ENDED) status = how_it_ended(t);
  else if (t->state == GL_TASK_RUNNING) status = "running";
  else if (t->state == GL_TASK_WAITING) status = "waiting";
  lua_pushstring(L, status);
  return 1;
}

static int handle_gc(lua_State *L) {
  spawned **at = lua_touserdata(L, 1);
  spawned *s = *at;
  if (!s) return 0;
  *at = NULL;
  s->handle = false;
  if (s->task->state == GL_TASK_ENDED) {
    gl_timer_drop(&s->task->host->clock, &s->grace);
    log_unjoined(s);
  }
  drop(s);
  return 0;
}

static int handle_tostring(lua_State *L) {
  lua_pushfstring(L, "task: %p", (void *)check_handle(L)->task);
  return 1;
}

/* Where the script spawned it: the first frame that is not one of our own modules. */
static char *call_site(lua_State *L) {
  lua_Debug ar;
  char text[LUA_IDSIZE + 16];
  int level = 1;
  do
    if (!lua_getstack(L, level, &ar) || !lua_getinfo(L, "Sl", &ar)) return NULL;
  while ((ar.currentline < 0 || strncmp(ar.source, "@green:", 7) == 0) && ++level < 20);
  snprintf(text, sizeof text, "%s:%d", ar.short_src, ar.currentline);
  return strdup(text);
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

static int task_spawn(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  int nargs = lua_gettop(L) - 1;
  spawned **handle = lua_newuserdatauv(L, sizeof *handle, 0);
  *handle = NULL; /* until the task exists there is nothing to collect */
  luaL_setmetatable(L, HANDLE);
  lua_insert(L, 1); /* handle fn args... */
  copy_context(L);
  int context = lua_isnil(L, -1) ? (lua_pop(L, 1), LUA_NOREF) : luaL_ref(L, LUA_REGISTRYINDEX);
  spawned *s = calloc(1, sizeof *s);
  gl_task *t = s ? gl_task_spawn(L, nargs, s, on_end) : NULL; /* handle */
  if (!t) {
    free(s);
    luaL_unref(L, LUA_REGISTRYINDEX, context);
    return luaL_error(L, "not enough memory for a task");
  }
  t->context_ref = context;
  t->site = s->site = call_site(L);
  s->grace.fire = on_grace;
  s->handle = true;
  s->task = t;
  *handle = s;
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

static int task_current(lua_State *L) {
  gl_task *t = gl_host_of(L)->task;
  if (t) lua_pushinteger(L, (lua_Integer)t->id);
  else lua_pushnil(L);
  return 1;
}

int gl_open_task(lua_State *L) {
  static const luaL_Reg methods[] = {{"join", task_join}, {"cancel", task_cancel}, {"status", task_status}, {"wait", task_wait}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", handle_gc}, {"__tostring", handle_tostring}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"context", task_context}, {"cpu_limit", task_cpu_limit}, {"current", task_current}, {"spawn", task_spawn}, {NULL, NULL}};
  luaL_newmetatable(L, HANDLE);
  luaL_setfuncs(L, meta, 0);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  luaL_newlib(L, functions);
  return 1;
}
