/* SPDX-License-Identifier: MIT */
#include "sys/scope_lua.h"

#include "core/cancel.h"
#include "core/class.h"
#include "core/error.h"
#include "core/op.h"
#include "core/scope.h"

#define SCOPE "green.scope"

/* The scope keeps its coroutine: the address is not used again before the scope's finalizer ran. */
static void enter(lua_State *L, gl_scope *s, int idx, double seconds, bool shield) {
  idx = lua_absindex(L, idx);
  lua_pushthread(L);
  lua_setiuservalue(L, idx, 1);
  gl_scope_enter(L, s, seconds, shield);
}

static int scope_enter(lua_State *L) {
  double seconds = gl_check_timeout(L, 1, GL_FOREVER);
  bool shield = lua_toboolean(L, 2);
  gl_task *t = gl_host_of(L)->task;
  if (!t) return gl_error_raise(L, "scope.enter", "ENOTASK", "outside of a task");
  gl_scope *s = lua_newuserdatauv(L, sizeof *s, 1);
  *s = (gl_scope){0};
  luaL_setmetatable(L, SCOPE);
  enter(L, s, -1, seconds, shield);
  return 1;
}

/* atomic() -> a scope; nil outside of a task, where nothing is preempted and nothing can wait */
static int scope_atomic(lua_State *L) {
  if (!gl_host_of(L)->task) return 0;
  gl_scope *s = lua_newuserdatauv(L, sizeof *s, 1);
  *s = (gl_scope){0};
  luaL_setmetatable(L, SCOPE);
  lua_pushthread(L);
  lua_setiuservalue(L, -2, 1);
  if (gl_host_of(L)->task->atomic == UINT16_MAX) return luaL_error(L, "too many atomic sections in each other");
  gl_scope_enter_atomic(L, s);
  return 1;
}

/* scope:atomic(): leaves the scope, if that was not done, and enters it again as an atomic section. Allocates nothing. */
static int scope_enter_atomic(lua_State *L) {
  gl_scope *s = luaL_checkudata(L, 1, SCOPE);
  gl_host *h = gl_host_of(L);
  if (!h->task) return gl_error_raise(L, "scope.atomic", "ENOTASK", "outside of a task");
  gl_scope_leave(h, s);
  if (h->task->atomic == UINT16_MAX) return luaL_error(L, "too many atomic sections in each other");
  lua_pushthread(L);
  lua_setiuservalue(L, 1, 1);
  gl_scope_enter_atomic(L, s);
  return 0;
}

/* Does a task that is not in the background wait for the end of this one? */
static bool is_awaited(const gl_task *t) {
  for (const gl_op *op = t->joiners.head; op; op = op->next)
    if (op->task && !gl_task_is_background(op->task)) return true;
  return false;
}

/* background() -> a scope. Who is joined already does not fall behind. */
static int scope_background(lua_State *L) {
  gl_task *t = gl_host_of(L)->task;
  if (!t) return gl_error_raise(L, "task.background", "ENOTASK", "outside of a task");
  gl_scope *s = lua_newuserdatauv(L, sizeof *s, 1);
  *s = (gl_scope){0};
  luaL_setmetatable(L, SCOPE);
  lua_pushthread(L);
  lua_setiuservalue(L, -2, 1);
  if (t->background == UINT16_MAX) return luaL_error(L, "too many background sections in each other");
  gl_scope_enter_background(L, s);
  if (is_awaited(t)) t->lifted = true;
  return 1;
}

static int scope_leave(lua_State *L) {
  gl_scope_leave(gl_host_of(L), luaL_checkudata(L, 1, SCOPE));
  return 0;
}

/* scope:shield(): leaves the scope and enters it again as a shield without a deadline. Allocates nothing. */
static int scope_shield(lua_State *L) {
  gl_scope *s = luaL_checkudata(L, 1, SCOPE);
  gl_host *h = gl_host_of(L);
  if (!h->task) return gl_error_raise(L, "scope.shield", "ENOTASK", "outside of a task");
  gl_scope_leave(h, s);
  enter(L, s, 1, GL_FOREVER, true);
  return 0;
}

static int scope_cancel(lua_State *L) {
  gl_scope_cancel(luaL_checkudata(L, 1, SCOPE));
  return 0;
}

int luaopen_green_scope(lua_State *L) {
  static const luaL_Reg methods[] = {{"atomic", scope_enter_atomic}, {"cancel", scope_cancel}, {"leave", scope_leave}, {"shield", scope_shield}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", scope_leave}, {"__close", scope_leave}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"atomic", scope_atomic}, {"background", scope_background}, {"enter", scope_enter}, {NULL, NULL}};
  gl_class_new(L, SCOPE, methods, meta);
  luaL_newlib(L, functions);
  return 1;
}
