/* SPDX-License-Identifier: MIT */
#include "core/inspect.h"

#include "core/host.h"
#include "core/preempt.h"

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

/* preempted() -> how many times a task was made to make way */
static int debug_preempted(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)gl_preempt_count(gl_host_of(L)));
  return 1;
}

/* report_stalls(on): tell on stderr when a C function holds the loop for long */
static int debug_report_stalls(lua_State *L) {
  gl_preempt_report(gl_host_of(L), lua_toboolean(L, 1));
  return 0;
}

int gl_open_debug(lua_State *L) {
  static const luaL_Reg functions[] = {{"census", debug_census}, {"preempted", debug_preempted}, {"report_stalls", debug_report_stalls}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
