/* SPDX-License-Identifier: MIT */
#include "core/coro.h"

#include <string.h>

#include "core/alone.h"
#include "core/error.h"
#include "core/host.h"
#include "core/kill.h"
#include "core/op.h"
#include "core/scope.h"
#include "core/shake.h"
#include "core/task.h"
#include "core/trace.h"

static lua_State *check_coroutine(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "thread");
  return co;
}

static void mark_held(lua_State *co) { *gl_extra(co) |= GL_HELD_BIT; }
static void clear_held(lua_State *co) { *gl_extra(co) &= ~GL_HELD_BIT; }

/* Is L what the script takes for the main thread: the base of the running task? */
static bool is_base(lua_State *L) {
  gl_host *h = gl_host_of(L);
  return (h->task && h->task->co == L) || L == h->L; /* the main thread of Lua runs the last finalizers */
}

/* ---- resume ---- */

/* `co` has failed, and L goes on: what must end does not get away by it. */
static void follow(lua_State *L, const lua_State *co) {
  gl_kill_follow(L);
  gl_alone_follow(L, co);
}

/* Runs `co`, and passes each of its waits through to the task: by yielding L in turn (this then returns through `k`), or by
 * parking. Afterwards `co` has yielded to its user, returned or failed: returns how many values are on `co`, or -1 when the
 * error is on top of it. */
static int run_coroutine(lua_State *L, lua_State *co, int nargs, lua_KFunction k) {
  gl_host *h = gl_host_of(L);
  for (;;) {
    lua_State *before = h->running;
    int nres = 0;
    gl_host_set_running(h, co);
    if (h->shake) gl_shake_arm(co);
    int status = lua_resume(co, L, nargs, &nres);
    gl_host_set_running(h, before);
    if (h->task && gl_kill_is_under_way(h->task)) gl_kill_continue(L);
    if (status != LUA_YIELD) {
      if (h->task) gl_scope_abandon(h, co);
      if (status == LUA_OK) return nres;
      gl_trace_coroutine(L, co);
      follow(L, co);
      return -1;
    }
    if (!h->awaiting) {
      if (h->task) gl_scope_suspend(h, co);
      return nres;
    }
    mark_held(co);
    if (before == L && lua_isyieldable(L)) return lua_yieldk(L, 0, (lua_KContext)co, k);
    h->awaiting = false;
    gl_op_park(h, h->task);
    clear_held(co);
    nargs = 0;
  }
}

/* Moves what run_coroutine has left on `co` to L. True: *n results; false: the error. */
static bool deliver(lua_State *L, lua_State *co, int *n) {
  if (*n < 0) {
    lua_xmove(co, L, 1);
    return false;
  }
  if (!lua_checkstack(L, *n + 1)) {
    lua_pop(co, *n);
    lua_pushliteral(L, "too many results to resume");
    return false;
  }
  lua_xmove(co, L, *n);
  return true;
}

/* Moves the arguments to `co`, if the script may resume it. False: the error is on L. */
static bool begin_resume(lua_State *L, lua_State *co, int nargs) {
  if (!lua_checkstack(co, nargs)) {
    lua_pushliteral(L, "too many arguments to resume");
    return false;
  }
  if (gl_coro_is_held(co)) {
    lua_pushliteral(L, "cannot resume non-suspended coroutine");
    return false;
  }
  lua_xmove(L, co, nargs);
  if ((*gl_extra(co) & GL_SUSPENDED_BIT) && gl_host_of(L)->task) gl_scope_resume(gl_host_of(L), co);
  return true;
}

/* Must resume raise the error on top of L instead of returning it, as it is that of Ctrl-C? Ctrl-C is meant for the whole script:
 * under lua it ends up in the main thread, whatever coroutine is running, unless a coroutine has caught it. */
static bool passes_interrupt(lua_State *L) {
  static const char what[] = "interrupted!";
  gl_task *t = gl_host_of(L)->task;
  size_t len;
  if (!t || !t->interrupting || lua_type(L, -1) != LUA_TSTRING) return false;
  const char *message = lua_tolstring(L, -1, &len);
  if (len < sizeof what - 1 || strcmp(message + len - (sizeof what - 1), what) != 0) return false;
  t->interrupting = L != t->co;
  return true;
}

static int resume_end(lua_State *L, lua_State *co, int n) {
  bool ok = deliver(L, co, &n);
  if (!ok && passes_interrupt(L)) return lua_error(L);
  if (!ok) n = 1;
  lua_pushboolean(L, ok);
  lua_insert(L, -(n + 1));
  return n + 1;
}

static int resume_k(lua_State *L, int status, lua_KContext ctx) {
  lua_State *co = (lua_State *)ctx;
  (void)status;
  clear_held(co);
  return resume_end(L, co, run_coroutine(L, co, 0, resume_k));
}

static int co_resume(lua_State *L) {
  lua_State *co = check_coroutine(L);
  int nargs = lua_gettop(L) - 1;
  if (!begin_resume(L, co, nargs)) {
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
  }
  return resume_end(L, co, run_coroutine(L, co, nargs, resume_k));
}

/* ---- wrap ---- */

/* Raises the error on top of L out of a wrapped coroutine. */
static int wrap_fail(lua_State *L, int stat) {
  if (stat != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) { /* add the position, as stock Lua does */
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
    gl_trace_renamed(L);
  }
  return lua_error(L);
}

/* Closes the variables of `co`, which is not running, on behalf of L. */
static int close_coroutine(lua_State *L, lua_State *co) {
  gl_host *h = gl_host_of(L);
  lua_State *before = h->running;
  gl_host_set_running(h, co); /* what runs by now: a loop in a __close is preempted there */
  int status = lua_resetthread(co);
  gl_host_set_running(h, before);
  if (status != LUA_OK) follow(L, co);
  return status;
}

static int wrap_end(lua_State *L, lua_State *co, int n) {
  if (n < 0) {
    int stat = lua_status(co);
    if (stat != LUA_OK && stat != LUA_YIELD) { /* it failed: its variables are closed, which may wait, too */
      stat = close_coroutine(L, co);
      lua_xmove(co, L, 1);
    } else {
      lua_xmove(co, L, 1);
    }
    return wrap_fail(L, stat);
  }
  if (!deliver(L, co, &n)) return wrap_fail(L, LUA_OK);
  return n;
}

static int wrap_k(lua_State *L, int status, lua_KContext ctx) {
  lua_State *co = (lua_State *)ctx;
  (void)status;
  clear_held(co);
  return wrap_end(L, co, run_coroutine(L, co, 0, wrap_k));
}

static int wrap_call(lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  int nargs = lua_gettop(L);
  if (!begin_resume(L, co, nargs)) return wrap_fail(L, LUA_OK);
  return wrap_end(L, co, run_coroutine(L, co, nargs, wrap_k));
}

static int co_create(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  return 1;
}

static int co_wrap(lua_State *L) {
  co_create(L);
  lua_pushcclosure(L, wrap_call, 1);
  return 1;
}

/* ---- the rest ---- */

static int co_yield(lua_State *L) {
  if (is_base(L)) {
    lua_pushliteral(L, "attempt to yield from outside a coroutine"); /* without a position, as in stock Lua */
    return lua_error(L);
  }
  gl_task *t = gl_host_of(L)->task;
  if (t && gl_scope_holds(t, L)) return gl_error_raise(L, "coroutine.yield", "EATOMIC", "cannot yield out of task.atomic");
  return lua_yield(L, lua_gettop(L));
}

static const char *status_of(lua_State *L, lua_State *co) {
  if (L == co) return "running";
  if (gl_coro_is_held(co)) return "normal";
  lua_Debug ar;
  switch (lua_status(co)) {
    case LUA_YIELD: return "suspended";
    case LUA_OK:
      if (lua_getstack(co, 0, &ar)) return "normal"; /* it has frames, so it has resumed another coroutine */
      return lua_gettop(co) == 0 ? "dead" : "suspended";
    default: return "dead";
  }
}

static int co_status(lua_State *L) {
  lua_pushstring(L, status_of(L, check_coroutine(L)));
  return 1;
}

static int co_isyieldable(lua_State *L) {
  lua_State *co = lua_isnone(L, 1) ? L : check_coroutine(L);
  lua_pushboolean(L, !is_base(co) && lua_isyieldable(co));
  return 1;
}

static int co_running(lua_State *L) {
  bool main = is_base(L);
  gl_task *t = gl_host_of(L)->task;
  if (main && t) t->exposed = true;
  lua_pushthread(L);
  lua_pushboolean(L, main);
  return 2;
}

static int co_close(lua_State *L) {
  lua_State *co = check_coroutine(L);
  const char *status = status_of(L, co);
  if (*status != 'd' && *status != 's') return luaL_error(L, "cannot close a %s coroutine", status);
  if (close_coroutine(L, co) == LUA_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushboolean(L, 0);
  lua_xmove(co, L, 1);
  return 2;
}

int gl_install_coroutine(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"create", co_create}, {"resume", co_resume},   {"running", co_running},         {"status", co_status},
    {"wrap", co_wrap},     {"yield", co_yield},     {"isyieldable", co_isyieldable}, {"close", co_close},
    {NULL, NULL},
  };
  lua_getglobal(L, "coroutine");
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
  return 0;
}
