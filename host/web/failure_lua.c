/* SPDX-License-Identifier: MIT */
#include "web/failure_lua.h"

#include <stdio.h>

#include "core/base.h"
#include "core/error.h"
#include "h1/status.h"
#include "http/failure.h"
#include "web/server_lua.h"

/* Reads the error value at idx: an error object that carries an HTTP status is an answer. May raise (memory). */
static void read_error(lua_State *L, int idx, gl_failure *f) {
  *f = (gl_failure){.status = 500, .reason = GL_INTERNAL};
  if (lua_type(L, idx) != LUA_TTABLE) return;
  idx = lua_absindex(L, idx);
  f->cut = gl_error_is(L, idx, "ECANCELED") || gl_error_is_departure(L, idx);
  lua_pushliteral(L, "status");
  lua_rawget(L, idx);
  lua_Integer status = lua_tointeger(L, -1);
  lua_pushliteral(L, "message");
  lua_rawget(L, idx);
  if (status >= 400 && status <= 599) {
    f->status = (int)status;
    snprintf(f->reason, sizeof f->reason, "%s", lua_isstring(L, -1) ? lua_tostring(L, -1) : gl_status_reason(f->status));
  } else if (status == 0 && (gl_error_is(L, idx, "ECPULIMIT") || gl_error_is(L, idx, "EDEADLINE") || gl_error_is(L, idx, "ETASKLIMIT"))) {
    f->status = 503;
    snprintf(f->reason, sizeof f->reason, "%s", GL_OVERTIME);
  }
  lua_pop(L, 2);
}

/* ---- protected ---- */

typedef struct reading {
  gl_task *task;
  gl_failure *failure;
} reading;

static int read_failure(lua_State *L) {
  reading *r = lua_touserdata(L, 1);
  if (gl_task_push_error(L, r->task)) read_error(L, -1, r->failure);
  return 0;
}

void gl_failure_read(gl_task *t, gl_failure *f) {
  lua_State *L = t->host->L;
  reading r = {t, f};
  *f = (gl_failure){.status = 500, .reason = GL_INTERNAL};
  lua_pushcfunction(L, read_failure);
  lua_pushlightuserdata(L, &r);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
}

typedef struct keeping {
  gl_task *task;
  const gl_failure *failure;
  int dispatch, ref;
} keeping;

static int keep_failure(lua_State *L) {
  keeping *k = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, k->dispatch);
  if (lua_rawgeti(L, -1, GL_ON_ERROR) == LUA_TNIL) return 0;
  lua_createtable(L, 5, 0);
  lua_insert(L, -2);
  lua_rawseti(L, -2, 1);
  gl_task_push_kept(L, k->task);
  lua_rawseti(L, -2, 2);
  lua_pushinteger(L, k->failure->status);
  lua_rawseti(L, -2, 3);
  lua_pushstring(L, k->failure->reason);
  lua_rawseti(L, -2, 4);
  if (gl_task_push_error(L, k->task)) lua_rawseti(L, -2, 5);
  k->ref = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

int gl_failure_keep(gl_task *t, int dispatch, const gl_failure *f) {
  lua_State *L = t->host->L;
  keeping k = {t, f, dispatch, 0};
  lua_pushcfunction(L, keep_failure);
  lua_pushlightuserdata(L, &k);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
  return k.ref;
}

/* ---- for the Lua half ---- */

/* native.failure(err) -> status, reason: the server's answer to a handler's error */
static int native_failure(lua_State *L) {
  gl_failure f;
  lua_settop(L, 1);
  read_error(L, 1, &f);
  lua_pushinteger(L, f.status);
  lua_pushstring(L, f.reason);
  return 2;
}

/* native.refusal(accept or nil, status, reason) -> content type, body */
static int native_refusal(lua_State *L) {
  size_t n;
  gl_failure_body body;
  const char *accept = luaL_optlstring(L, 1, "", &n);
  gl_failure_write(&body, gl_text_of(accept, n), (int)luaL_checkinteger(L, 2), luaL_checkstring(L, 3));
  lua_pushstring(L, body.type);
  lua_pushlstring(L, body.bytes, body.n);
  return 2;
}

void gl_failure_functions(lua_State *L) {
  lua_pushcfunction(L, native_failure);
  lua_setfield(L, -2, "failure");
  lua_pushcfunction(L, native_refusal);
  lua_setfield(L, -2, "refusal");
}
