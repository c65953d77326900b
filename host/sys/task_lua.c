/* SPDX-License-Identifier: MIT */
#include "sys/task_lua.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/backstop.h"
#include "core/cancel.h"
#include "core/class.h"
#include "core/error.h"
#include "core/log.h"
#include "core/op.h"
#include "core/opqueue.h"
#include "core/task.h"
#include "core/trace.h"
#include "sys/spawned.h"

/* ---- join ---- */

typedef struct join_op {
  gl_op op;
  gl_task *target; /* one reference is the op's */
} join_op;

/* Raises the error of the handle at index 1. */
static int raise_left(lua_State *L, gl_task_handle *at) {
  luaL_checkstack(L, 4, NULL);
  lua_getiuservalue(L, 1, GL_HANDLE_TRACE);
  lua_getiuservalue(L, 1, GL_HANDLE_RESULT);
  gl_trace_task(L, at->s ? at->s->task->trace : lua_tostring(L, -2));
  return lua_error(L);
}

/* Pushes the results of the task whose handle is at index 1, or raises its error. */
static int push_results(lua_State *L) {
  gl_task_handle *at = lua_touserdata(L, 1);
  if (at->failed) {
    if (at->s) gl_spawned_settle(at->s);
    return raise_left(L, at);
  }
  int n = at->nresults;
  if (n == 0) return 0;
  luaL_checkstack(L, n + 1, "too many results to join");
  lua_getiuservalue(L, 1, GL_HANDLE_RESULT);
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
  snprintf(out, size, t->spawn_site ? "task %d, %s%s" : "task %d", (int)t->id, gl_task_spawn_words(t), t->spawn_site);
}

static gl_task *awaits_join(const gl_op *op) { return ((const join_op *)op)->target; }

static const gl_optype join_type = {"task.join", push_join, cancel_join, free_join, object_join, awaits_join};

static const char *how_it_ended(const gl_task_handle *at) { return !at->failed ? "done" : at->cancelled ? "cancelled" : "failed"; }

static int push_wait(lua_State *L, gl_op *op) {
  (void)op;
  lua_pushstring(L, how_it_ended(lua_touserdata(L, 1)));
  return 1;
}

static const gl_optype wait_type = {"task.wait", push_wait, cancel_join, free_join, object_join, awaits_join};

/* A join of what task.single has spawned. */
static const gl_optype single_type = {"task.single", push_join, cancel_join, free_join, object_join, awaits_join};

/* Is it a join in so many words? Tasks that wait for each other so in a circle are what the script made them. */
static bool is_plain(const gl_optype *type) { return type == &join_type || type == &wait_type; }

static gl_task_handle *check_handle(lua_State *L) { return gl_class_self(L, GL_TASK_HANDLE); }

/* Says whether the task has ended. */
static bool is_over(const gl_task_handle *at) { return !at->s || at->s->task->state == GL_TASK_ENDED; }

/* Does it run in the parent of this process, a forked child, where nobody can wait for it? */
static bool is_elsewhere(const gl_task_handle *at) { return at->s && gl_task_is_foreign(at->s->task); }

/* A task that is not in the background waits for others: neither are they, nor those they wait for, from here on. */
static void lift_for(const gl_task *waiter, gl_task *t) {
  if (!waiter || gl_task_is_background(waiter)) return;
  while (gl_task_is_background(t)) {
    t->lifted = true;
    gl_runqueue_lift(t->host, t);
    if (!(t = gl_op_awaited(t))) return;
  }
}

/* Does `t` wait for `self`, or for a task that does? Returns in which way that the script has no part in, task.single or require, one of them
 * does, `type` included; NULL: in none. */
static const gl_optype *waits_in_circle(const gl_task *t, const gl_task *self, const gl_optype *type) {
  const gl_optype *way = is_plain(type) ? NULL : type;
  for (int i = 0; t != self; i++) {
    const gl_task *next = gl_op_awaited(t);
    if (i == GL_LONGEST_CHAIN || !next) return NULL;
    if (!is_plain(t->op->type)) way = t->op->type;
    t = next;
  }
  return way;
}

static int raise_circle(lua_State *L, const gl_optype *type, const gl_optype *way) {
  const char *why = way == &single_type ? "task.single was called with this key in the function that is run for it"
                                        : "the task requires a module that is being loaded here";
  return gl_error_raise(L, type->name, "EDEADLK", "it would wait for itself: %s", why);
}

/* The handle stays at index 1. */
static int await_end(lua_State *L, gl_task *t, const gl_optype *type) {
  double timeout = gl_check_timeout(L, 2, GL_FOREVER);
  const gl_optype *way = waits_in_circle(t, gl_host_of(L)->task, type);
  if (way) return raise_circle(L, type, way);
  if (t == gl_host_of(L)->task) return luaL_error(L, "a task cannot join itself");
  lift_for(gl_host_of(L)->task, t);
  join_op *j = gl_op_new(L, type, sizeof *j, 0);
  j->target = t;
  t->refs++;
  gl_opqueue_push(&t->joiners, &j->op);
  return gl_await(L, &j->op, timeout);
}

/* handle:join([timeout]) -> its results, or raises its error */
static int task_join(lua_State *L) {
  gl_task_handle *at = check_handle(L);
  if (is_elsewhere(at)) return gl_error_raise(L, join_type.name, "ESRCH", "the task is one of the parent process");
  return is_over(at) ? push_results(L) : await_end(L, at->s->task, &join_type);
}

/* single(handle) -> what join returns, in the name of task.single */
static int task_single(lua_State *L) {
  gl_task_handle *at = check_handle(L);
  return is_over(at) ? push_results(L) : await_end(L, at->s->task, &single_type);
}

static int push_elsewhere(lua_State *L) {
  lua_pushliteral(L, "elsewhere");
  return 1;
}

/* handle:wait([timeout]) -> how the task ended. A failure counts as told then, but is not raised: this raises errors of the
 * waiting task only */
static int task_wait(lua_State *L) {
  gl_task_handle *at = check_handle(L);
  if (is_elsewhere(at)) return push_elsewhere(L);
  if (!is_over(at)) return await_end(L, at->s->task, &wait_type);
  if (at->s) gl_spawned_settle(at->s);
  lua_pushstring(L, how_it_ended(at));
  return 1;
}

/* ---- the handle ---- */

static int task_cancel(lua_State *L) {
  gl_task_handle *at = check_handle(L);
  if (at->s) gl_task_cancel(at->s->task);
  return 0;
}

static int task_status(lua_State *L) {
  const gl_task_handle *at = check_handle(L);
  const char *status = "ready";
  if (is_elsewhere(at)) return push_elsewhere(L);
  if (is_over(at)) status = how_it_ended(at);
  else if (at->s->task->state == GL_TASK_RUNNING) status = "running";
  else if (at->s->task->state == GL_TASK_WAITING) status = "waiting";
  lua_pushstring(L, status);
  return 1;
}

static int handle_tostring(lua_State *L) {
  lua_pushfstring(L, "task %I", (LUAI_UACINT)check_handle(L)->id);
  return 1;
}

/* set_endless(handle): the log says of a failure that the task was not meant to end */
static int task_set_endless(lua_State *L) {
  gl_task_handle *at = check_handle(L);
  if (at->s) at->s->endless = true;
  return 0;
}

/* ---- context: values that follow a task into its children ---- */

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

/* ---- the module ---- */

static int task_spawn(lua_State *L) {
  gl_spawned_start(L, GL_SPAWN_TASK);
  return 1;
}

/* spawn_system(fn, ...) -> handle: for work on behalf of a task, whose deadline, cancel and context it does not inherit. nil: the state is
 * being closed, and no task will run any more. Finalizers may call it. */
static int task_spawn_system(lua_State *L) {
  if (gl_host_of(L)->closing) lua_pushnil(L);
  else gl_spawned_start(L, GL_SPAWN_SYSTEM);
  return 1;
}

/* spawn_daemon(fn, ...) -> handle: the same for work without an end of its own. It is cancelled when nothing but daemons is left. */
static int task_spawn_daemon(lua_State *L) {
  if (gl_host_of(L)->closing) lua_pushnil(L);
  else gl_spawned_start(L, GL_SPAWN_DAEMON);
  return 1;
}

/* spawn_named(name, fn, ...) -> handle: a daemon that has a name where others say where they were spawned */
static int task_spawn_named(lua_State *L) {
  luaL_checkstring(L, 1);
  if (gl_host_of(L)->closing) lua_pushnil(L);
  else gl_spawned_start(L, GL_SPAWN_NAMED);
  return 1;
}

static gl_task *check_task(lua_State *L, const char *op) {
  gl_task *t = gl_host_of(L)->task;
  if (!t) gl_error_raise(L, op, "ENOTASK", "outside of a task");
  return t;
}

static int fail_nested(lua_State *L) { return luaL_error(L, "too many limits within each other"); }

/* cpu_limit(seconds): limits further CPU use of the running task, and of what it spawns */
static int task_cpu_limit(lua_State *L) {
  double seconds = luaL_checknumber(L, 1);
  luaL_argcheck(L, seconds > 0 && seconds < 1e6, 1, "a number of seconds > 0 expected");
  return gl_budget_limit_cpu(gl_host_of(L), check_task(L, "task.cpu_limit"), seconds) ? 0 : fail_nested(L);
}

/* max_tasks(n): limits how many tasks the running one and those it spawns may be at once */
static int task_max_tasks(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n > 0 && n <= INT32_MAX, 1, "a number of tasks > 0 expected");
  return gl_budget_limit_tasks(check_task(L, "task.max_tasks"), (uint32_t)n) ? 0 : fail_nested(L);
}

/* limits() -> the least CPU limit, seconds, and the least number of tasks of the budgets that the running task pays into; nil: none; is it
 * beyond a limit, or does it clean up for a task that is? */
static int task_limits(lua_State *L) {
  const gl_task *t = gl_host_of(L)->task;
  double seconds = HUGE_VAL;
  uint32_t tasks = UINT32_MAX;
  for (const gl_budget *b = t ? t->budget : NULL; b; b = b->outer) {
    if (b->cpu_end && b->cpu_limit < seconds) seconds = b->cpu_limit;
    if (b->max_tasks && b->max_tasks < tasks) tasks = b->max_tasks;
  }
  if (seconds < HUGE_VAL) lua_pushnumber(L, seconds);
  else lua_pushnil(L);
  if (tasks < UINT32_MAX) lua_pushinteger(L, tasks);
  else lua_pushnil(L);
  lua_pushboolean(L, t && (t->exhausted || gl_budget_is_in_dole(t)));
  return 3;
}

/* ---- background ---- */

/* lift(id): the running task will wait for a lock of this one, which then is not in the background until `lower`. True: so it is */
static int task_lift(lua_State *L) {
  gl_host *h = gl_host_of(L);
  uint64_t id = (uint64_t)luaL_checkinteger(L, 1);
  gl_task *t = h->live;
  if (!h->task || gl_task_is_background(h->task)) return 0;
  while (t && t->id != id) t = t->next_live;
  if (!t || t->locks_lifted == UINT16_MAX) return 0;
  t->locks_lifted++;
  gl_runqueue_lift(h, t);
  lua_pushboolean(L, true);
  return 1;
}

/* lower(): the running task has given back a lock for which it was lifted */
static int task_lower(lua_State *L) {
  gl_task *t = gl_host_of(L)->task;
  if (t && t->locks_lifted) t->locks_lifted--;
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

/* current() -> the id of the running task, and whether it runs in the background */
static int task_current(lua_State *L) {
  gl_task *t = gl_host_of(L)->task;
  if (t) lua_pushinteger(L, (lua_Integer)t->id);
  else lua_pushnil(L);
  lua_pushboolean(L, t && gl_task_is_background(t));
  return 2;
}

/* interruptions() -> how many errors have told the running task to end, or interrupted it, so far */
static int task_interruptions(lua_State *L) {
  const gl_task *t = gl_host_of(L)->task;
  lua_pushinteger(L, t ? t->interruptions : 0);
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

/* backstop(seconds): a signal to stop ends the process that much later, whatever scripts do by then */
static int task_backstop(lua_State *L) {
  gl_backstop_arm(gl_host_of(L), luaL_checknumber(L, 1));
  return 0;
}

int luaopen_green_task(lua_State *L) {
  static const luaL_Reg methods[] = {{"join", task_join}, {"cancel", task_cancel}, {"status", task_status}, {"wait", task_wait}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__tostring", handle_tostring}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"backstop", task_backstop}, {"context", task_context}, {"cpu_limit", task_cpu_limit}, {"current", task_current}, {"graced", task_graced}, {"interruptions", task_interruptions}, {"lift", task_lift}, {"limits", task_limits}, {"log", task_log}, {"lower", task_lower},
                                       {"max_tasks", task_max_tasks}, {"process", task_process},
                                       {"set_endless", task_set_endless}, {"single", task_single}, {NULL, NULL}};
  if (luaL_newmetatable(L, GL_TASK_HANDLE)) {
    luaL_setfuncs(L, meta, 0);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    gl_spawned_push_failures(L);
    lua_setfield(L, -2, "failures");
  }
  luaL_newlib(L, functions);
  lua_getfield(L, -2, "failures");
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, task_spawn_system, 1);
  lua_setfield(L, -3, "spawn_system");
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, task_spawn_named, 1);
  lua_setfield(L, -3, "spawn_named");
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, task_spawn_daemon, 1);
  lua_setfield(L, -3, "spawn_daemon");
  lua_pushcclosure(L, task_spawn, 1);
  lua_setfield(L, -2, "spawn");
  return 1;
}
