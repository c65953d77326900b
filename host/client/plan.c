/* SPDX-License-Identifier: MIT */
#include "client/plan.h"

#include "client/outgoing.h"
#include "core/class.h"
#include "core/error.h"

#define CLASS "green.http.plan"

/* Finalizer: gives the model back, which round trips that are under way may need for longer. */
static int plan_gc(lua_State *L) {
  gl_roundtrip **at = luaL_checkudata(L, 1, CLASS);
  gl_roundtrip *model = *at;
  *at = NULL;
  if (model) gl_roundtrip_unref(model);
  return 0;
}

void gl_plan_setup(lua_State *L) {
  static const luaL_Reg meta[] = {{"__gc", plan_gc}, {NULL, NULL}};
  gl_class_new(L, CLASS, NULL, meta);
}

int gl_plan_lua(lua_State *L) {
  gl_pool *p = gl_outgoing_read(L);
  if (!lua_isnil(L, 2)) return luaL_error(L, "body: none expected");
  gl_roundtrip **at = lua_newuserdatauv(L, sizeof *at, 0);
  *at = gl_pool_take_claim(p);
  luaL_setmetatable(L, CLASS);
  return 1;
}

gl_pool *gl_plan_begin(lua_State *L) {
  gl_roundtrip *model = gl_class_check(L, 1, CLASS);
  gl_pool *p = model->pool;
  if (p->closed) gl_error_raise(L, "http", "ECANCELED", "the program ends");
  gl_roundtrip *rt = gl_roundtrip_again(model);
  if (!rt) gl_error_raise(L, "http", "ENOMEM", "not enough memory");
  gl_pool_claim(p, rt);
  return p;
}
