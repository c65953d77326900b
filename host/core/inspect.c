/* SPDX-License-Identifier: MIT */
#include "core/inspect.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base.h"
#include "core/cancel.h"
#include "core/check.h"
#include "core/fault.h"
#include "core/host.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/op.h"
#include "core/preempt.h"
#include "core/prompt.h"
#include "core/shake.h"
#include "core/task.h"

#define DESCRIPTION 300 /* bytes of the longest description of a wait */

static int debug_census(lua_State *L) {
  const gl_census *c = &gl_host_of(L)->census;
  lua_createtable(L, 0, 5);
  lua_pushinteger(L, c->tasks);
  lua_setfield(L, -2, "tasks");
  lua_pushinteger(L, c->ops);
  lua_setfield(L, -2, "ops");
  lua_pushinteger(L, c->handles);
  lua_setfield(L, -2, "handles");
  lua_pushinteger(L, c->parked);
  lua_setfield(L, -2, "parked");
  lua_pushinteger(L, c->pins);
  lua_setfield(L, -2, "pins");
  return 1;
}

/* preempted() -> how many slices were used up so far */
static int debug_preempted(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)gl_preempt_count(gl_host_of(L)));
  return 1;
}

/* report_stalls(on): switches the reports of C functions that hold the loop for long */
static int debug_report_stalls(lua_State *L) {
  gl_preempt_set_reports(gl_host_of(L), lua_toboolean(L, 1));
  return 0;
}

/* cancel_at(n [, how]), for tests: interrupts the running task in its n-th wait from now, as a cancel would or, with
 * how = "deadline", as a deadline would; n = 0: never. Returns how many waits of the last call were still to go, and the
 * name of the operation that was interrupted. */
static int debug_cancel_at(lua_State *L) {
  static const char *const how[] = {"cancel", "deadline", NULL};
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 0 && n <= INT32_MAX, 1, "a number of waits >= 0 expected");
  int which = luaL_checkoption(L, 2, "cancel", how);
  gl_task *t = gl_host_of(L)->task;
  if (!t) return luaL_error(L, "outside of a task");
  const char *hit = t->host->fault.waiter == t ? t->host->fault.hit : NULL;
  lua_pushinteger(L, gl_fault_wait(t->host, (uint32_t)n, which == 0 ? GL_CANCELLED : GL_DEADLINE_EXCEEDED));
  lua_pushstring(L, hit);
  return 2;
}

/* end_at(n), for tests: cancels the running task at the n-th instruction of this coroutine from now, as if it had used up its
 * slice there: the task need not wait. n = 0: never. */
static int debug_end_at(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 0 && n <= INT32_MAX, 1, "a number of instructions >= 0 expected");
  if (!gl_host_of(L)->task) return luaL_error(L, "outside of a task");
  gl_preempt_end_at(L, (int)n);
  return 0;
}

/* fail_alloc(n), for tests: refuses the running task its n-th allocation from now; n = 0: none. Returns how many allocations of
 * the last call were still to go. */
static int debug_fail_alloc(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 0 && n <= INT32_MAX, 1, "a number of allocations >= 0 expected");
  gl_task *t = gl_host_of(L)->task;
  if (!t) return luaL_error(L, "outside of a task");
  lua_pushinteger(L, gl_fault_alloc(t->host, (uint32_t)n));
  gl_memory_set_edge(t->host);
  return 1;
}

/* shake(seed), for tests: switches tasks at random from now on; seed = 0: no more */
static int debug_shake(lua_State *L) {
  lua_Integer seed = luaL_checkinteger(L, 1);
  luaL_argcheck(L, seed >= 0, 1, "a seed >= 0 expected");
  gl_shake(L, (uint64_t)seed);
  return 0;
}

/* The live task with the number at index 1; NULL: there is none. */
static gl_task *find_task(lua_State *L) {
  lua_Integer id = luaL_checkinteger(L, 1);
  gl_task *t = gl_host_of(L)->live;
  while (t && (lua_Integer)t->id != id) t = t->next_live;
  return t;
}

/* cancel(id) -> true: the task is cancelled; false: there is none */
static int debug_cancel(lua_State *L) {
  gl_task *t = find_task(L);
  if (t) gl_task_cancel(t);
  lua_pushboolean(L, t != NULL);
  return 1;
}

/* coroutine(id) -> the base coroutine of a task that has begun; nil: there is none */
static int debug_coroutine(lua_State *L) {
  gl_task *t = find_task(L);
  if (!t || !t->co || t->co_ref == LUA_NOREF) return 0;
  t->exposed = true;
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->co_ref);
  return 1;
}

/* memory() -> { used=, held=, limit= }, bytes: in use by Lua, tasks and ops; held for them; --max-memory */
static int debug_memory(lua_State *L) {
  const gl_host *h = gl_host_of(L);
  size_t used = gl_alloc_used(&h->alloc), held = gl_alloc_held(&h->alloc);
  lua_createtable(L, 0, 3);
  lua_pushinteger(L, (lua_Integer)used);
  lua_setfield(L, -2, "used");
  lua_pushinteger(L, (lua_Integer)held);
  lua_setfield(L, -2, "held");
  if (!h->memory.limit) return 1;
  lua_pushinteger(L, (lua_Integer)h->memory.limit);
  lua_setfield(L, -2, "limit");
  return 1;
}

/* ---- what every task is doing ---- */

struct gl_inspector {
  uv_signal_t signal;
  gl_turn_hook turn;
  gl_host *host;
  bool (*about)(const gl_task *t, gl_about *out); /* NULL = there are no requests */
  bool taken; /* found by look_for_other: the script waits for the signal by name */
};

void gl_inspect_requests(gl_host *h, bool (*about)(const gl_task *t, gl_about *out)) {
  if (h->inspector) h->inspector->about = about;
}

static const char *state_name(const gl_task *t) {
  static const char *const names[] = {"ready", "running", "waiting", "ended"};
  return names[t->state];
}

/* The innermost line of Lua a task stands at: "app.lua:12", or "". */
static void find_line(lua_State *co, char *out, size_t size) {
  lua_Debug ar;
  *out = 0;
  for (int level = 0; co && lua_getstack(co, level, &ar); level++) {
    if (!lua_getinfo(co, "Sl", &ar) || ar.currentline < 0 || strncmp(ar.source, "@green:", 7) == 0) continue;
    snprintf(out, size, "%s:%d", ar.short_src, ar.currentline);
    return;
  }
}

/* Tells about the task of a request; false: it is of none. */
static bool look_at_request(const gl_task *t, gl_about *about) {
  *about = (gl_about){0};
  const struct gl_inspector *i = t->host->inspector;
  return i && i->about && i->about(t, about);
}

/* What the task is, in a few words: "GET /orders", "script", "job receipt 12" or "spawned at app.lua:3". */
static void name_task(const gl_task *t, const gl_about *about, char *out, size_t size) {
  if (*about->method) snprintf(out, size, "%s %s", about->method, about->path);
  else if (t->spawn_site) snprintf(out, size, "%s%s", gl_task_spawn_words(t), t->spawn_site);
  else snprintf(out, size, t->id == 1 ? "script" : "task of the host");
}

/* For how many seconds it has been waiting. */
static double seconds_since(const gl_host *h, const gl_task *t) { return (double)((uint32_t)uv_now(&h->loop) - t->op->since) / 1000; }

/* CPU time used by the task, with all that it has a limit in common with, seconds. */
static double cpu_used(const gl_task *t) { return (double)t->budget->cpu / 1e9; }

static void set_text(lua_State *L, const char *key, const char *text) {
  if (!*text) return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, key);
}

static void push_request(lua_State *L, const gl_about *about) {
  set_text(L, "method", about->method);
  set_text(L, "path", about->path);
  set_text(L, "request", about->request);
  set_text(L, "peer", about->peer);
}

/* Sets the field `task` to the handle of a task that a script has spawned. */
static void push_handle(lua_State *L, gl_task *t) {
  if (!t->has_kept || t->kept_ref == LUA_NOREF) return;
  gl_task_push_kept(L, t);
  if (luaL_testudata(L, -1, "green.task")) lua_setfield(L, -2, "task");
  else lua_pop(L, 1);
}

static void push_numbers(lua_State *L, const gl_host *h, const gl_task *t) {
  lua_pushinteger(L, (lua_Integer)t->id);
  lua_setfield(L, -2, "id");
  lua_pushnumber(L, (double)((uint32_t)uv_now(&h->loop) - t->born) / 1000);
  lua_setfield(L, -2, "age");
  lua_pushnumber(L, cpu_used(t));
  lua_setfield(L, -2, "cpu");
  lua_pushinteger(L, t->cuts);
  lua_setfield(L, -2, "cuts");
  lua_pushboolean(L, t->stack != NULL);
  lua_setfield(L, -2, "parked");
}

static void push_task(lua_State *L, const gl_host *h, gl_task *t) {
  char line[LUA_IDSIZE + 16], name[DESCRIPTION], what[DESCRIPTION] = "";
  gl_about about;
  look_at_request(t, &about);
  name_task(t, &about, name, sizeof name);
  find_line(t->co, line, sizeof line);
  if (t->op) gl_op_describe(t->op, what, sizeof what);
  lua_createtable(L, 0, 17);
  push_numbers(L, h, t);
  set_text(L, "name", name);
  set_text(L, "state", state_name(t));
  set_text(L, "spawned", t->spawn_site && !t->named ? t->spawn_site : "");
  set_text(L, "waits_for", what);
  if (t->op) {
    lua_pushnumber(L, seconds_since(h, t));
    lua_setfield(L, -2, "since");
  }
  push_request(L, &about);
  lua_pushstring(L, line);
  lua_setfield(L, -2, "line");
  push_handle(L, t);
}

/* tasks() -> list of every live task, oldest last: see lualib/meta/green/debug.lua. A finalizer that runs meanwhile may cancel tasks, but
 * none ends before the driver runs. */
static int debug_tasks(lua_State *L) {
  gl_host *h = gl_host_of(L);
  lua_newtable(L);
  luaL_checkstack(L, 8, NULL);
  lua_Integer i = 0;
  for (gl_task *t = h->live; t; t = t->next_live) {
    push_task(L, h, t);
    lua_rawseti(L, -2, ++i);
  }
  return 1;
}

/* ---- SIGUSR1 ---- */

static void on_turn_end(gl_turn_hook *turn) { gl_inspect_print(GL_CONTAINER(turn, struct gl_inspector, turn)->host); }

static void look_for_other(uv_handle_t *handle, void *arg) {
  struct gl_inspector *i = arg;
  if (handle->type != UV_SIGNAL || handle == (uv_handle_t *)&i->signal) return;
  if (uv_is_closing(handle) /* it may have been for this signal: libuv has forgotten which */ || ((uv_signal_t *)handle)->signum == SIGUSR1) i->taken = true;
}

/* Prints at the end of the turn, when no task is in the middle of a step. */
static void on_signal(uv_signal_t *signal, int signo) {
  struct gl_inspector *i = signal->data;
  (void)signo;
  i->taken = false;
  uv_walk(signal->loop, look_for_other, i);
  if (!i->taken) gl_at_turn_end(i->host, &i->turn);
}

static void on_signal_closed(uv_handle_t *signal) { free(signal->data); }

void gl_inspect_start(gl_host *h) {
  struct gl_inspector *i = calloc(1, sizeof *i);
  if (!i || uv_signal_init(&h->loop, &i->signal) != 0) {
    free(i);
    return;
  }
  i->host = h;
  i->turn.run = on_turn_end;
  i->signal.data = i;
  h->inspector = i;
  uv_signal_start(&i->signal, on_signal, SIGUSR1);
  uv_unref((uv_handle_t *)&i->signal); /* it does not keep the loop alive */
}

void gl_inspect_stop(gl_host *h) {
  if (!h->inspector) return;
  uv_close((uv_handle_t *)&h->inspector->signal, on_signal_closed);
  h->inspector = NULL;
}

/* Prints text that a script or a client may have chosen (a path, a chunk), escaped as in the log. */
static void print_text(const char *before, const char *text) {
  fputs(before, stderr);
  gl_log_text(text, strlen(text), false);
}

static void print_request(const gl_about *about) {
  print_text(", ", about->method);
  print_text(" ", about->path);
  print_text(" [", about->request);
  print_text(*about->peer ? "] of " : "]", about->peer);
}

static void print_task(const gl_task *t) {
  const gl_host *h = t->host;
  char line[LUA_IDSIZE + 16], what[DESCRIPTION];
  gl_about about;
  find_line(t->co, line, sizeof line);
  fprintf(stderr, "\ttask %d, %.3f s old, %s", (int)t->id, (double)((uint32_t)uv_now(&h->loop) - t->born) / 1000, state_name(t));
  if (t->op) {
    gl_op_describe(t->op, what, sizeof what);
    print_text(" for ", what);
    fprintf(stderr, " since %.3f s", seconds_since(h, t));
  }
  if (*line) print_text(" at ", line);
  if (t->spawn_site) print_text(t->named ? ", " : ", spawned at ", t->spawn_site);
  fprintf(stderr, ", %.3f s of CPU", cpu_used(t));
  if (t->cuts) fprintf(stderr, ", cut %" PRIu32 " times", t->cuts);
  if (look_at_request(t, &about)) print_request(&about);
  fputc('\n', stderr);
}

static void print_queue(const char *name, const gl_queue_length *q) {
  fprintf(stderr, "%s: %d", name, q->tasks);
  if (q->tasks) fprintf(stderr, " for %.3f s", q->delay);
}

static void print_queues(const gl_host *h) {
  gl_queue_length ready, long_work, background;
  gl_runqueue_measure(h, &ready, &long_work, &background);
  print_queue("; ready", &ready);
  print_queue(", long work", &long_work);
  print_queue(", background", &background);
}

void gl_inspect_print(const gl_host *h) {
  gl_prompt_hide(h, true);
  fprintf(stderr, "greenlua: %d tasks", (int)h->census.tasks);
  print_queues(h);
  fputc('\n', stderr);
  for (const gl_task *t = h->live; t; t = t->next_live) print_task(t);
}

int luaopen_green_debug(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"cancel", debug_cancel}, {"cancel_at", debug_cancel_at}, {"coroutine", debug_coroutine}, {"end_at", debug_end_at}, {"census", debug_census}, {"fail_alloc", debug_fail_alloc}, {"memory", debug_memory},
    {"preempted", debug_preempted}, {"report_stalls", debug_report_stalls}, {"shake", debug_shake}, {"tasks", debug_tasks}, {NULL, NULL},
  };
  luaL_newlib(L, functions);
  return 1;
}
