/* SPDX-License-Identifier: MIT
 *
 * native.settle(request, ...) -> status, headers, body or nil, stream or nil, live: the response that the server would send for the
 * values that a handler returned, for callers that have no connection (app:inject). May wait.
 */
#include <string.h>

#include "h1/status.h"
#include "web/plan.h"
#include "web/response.h"

static void set_header(lua_State *L, int table, const char *name, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, table, name);
}

/* Pushes status, headers and body. The value is at index 2, its headers are in the table at 3. */
static int push_whole(lua_State *L, int status, const gl_plan_body *b) {
  lua_pushinteger(L, status);
  lua_pushvalue(L, 3);
  if (b->at && !gl_status_is_bodiless(status)) lua_pushlstring(L, b->at, b->n);
  else lua_pushnil(L);
  return 3;
}

/* Does the answer to the request at index 1 announce the length of a body that is not sent (HEAD, 304)? */
static bool tells_length(lua_State *L, int status) {
  if (status == 304 || gl_status_is_bodiless(status) || lua_isnil(L, 1)) return status == 304;
  lua_getfield(L, 1, "method");
  bool head = lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), "HEAD") == 0;
  lua_pop(L, 1);
  return head;
}

static int push_response(lua_State *L) {
  gl_plan p = {.what = "response header", .table = 3};
  gl_plan_body b = {0};
  int idx = 4;
  lua_pushvalue(L, 2);
  bool stream = gl_plan_read(L, idx, &p);
  if (!stream) gl_plan_find_body(L, idx, &b);
  gl_plan_read_headers(L, idx + 1, &p);
  if (p.close) set_header(L, 3, "connection", "close");
  if (p.has_length && (((stream || b.at) && !gl_status_is_bodiless(p.status)) || tells_length(L, p.status))) {
    lua_pushfstring(L, "%I", b.at ? (LUAI_UACINT)b.n : (LUAI_UACINT)p.length);
    lua_setfield(L, 3, "content-length");
  }
  if (b.type && !p.has_type && !gl_status_is_bodiless(p.status)) set_header(L, 3, "content-type", b.type);
  int results = push_whole(L, p.status, &b);
  if (b.encoded) gl_json_done(L, &b.json);
  if (!stream || gl_status_is_bodiless(p.status)) return results;
  lua_pushvalue(L, idx + 3);
  lua_pushboolean(L, p.live);
  return results + 2;
}

static int push_plain(lua_State *L) {
  gl_plan_body b = {0};
  if (lua_type(L, 2) == LUA_TSTRING) {
    b.type = GL_TEXT_PLAIN;
    b.at = lua_tolstring(L, 2, &b.n);
  } else {
    lua_pushvalue(L, 2);
    gl_plan_write_json(L, &b);
  }
  set_header(L, 3, "content-type", b.type);
  int results = push_whole(L, 200, &b);
  if (b.encoded) gl_json_done(L, &b.json);
  return results;
}

static int settle_on(lua_State *L, int status, lua_KContext ctx) { /* request value */
  (void)status;
  while (lua_istable(L, 2)) {
    gl_table_kind kind = gl_plan_kind(L);
    if (kind != GL_TABLE_SETTLES) {
      lua_newtable(L);
      return kind == GL_TABLE_PLAIN ? push_plain(L) : push_response(L);
    }
    lua_insert(L, 2);
    lua_pushvalue(L, 1);
    lua_callk(L, 2, 1, ctx, settle_on);
  }
  lua_newtable(L);
  if (lua_type(L, 2) == LUA_TSTRING) return push_plain(L);
  if (lua_isnil(L, 2)) return push_whole(L, 204, &(gl_plan_body){0});
  lua_settop(L, 2);
  return gl_plan_refuse(L);
}

static int native_settle(lua_State *L) {
  luaL_checkany(L, 1);
  if (lua_gettop(L) == 1) lua_pushnil(L);
  gl_response_of_results(L, 2);
  return settle_on(L, LUA_OK, 0);
}

void gl_response_functions(lua_State *L) {
  lua_pushcfunction(L, native_settle);
  lua_setfield(L, -2, "settle");
}
