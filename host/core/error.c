/* SPDX-License-Identifier: MIT */
#include "core/error.h"

#include <stdarg.h>
#include <string.h>

#include <lauxlib.h>
#include <uv.h>

#define META "green.error"

static int error_tostring(lua_State *L) {
  lua_settop(L, 1);
  if (!lua_istable(L, 1)) lua_pushliteral(L, META);
  else lua_getfield(L, 1, "message");
  return 1;
}

void gl_error_open(lua_State *L) {
  luaL_newmetatable(L, META);
  lua_pushcfunction(L, error_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
}

static void push_object(lua_State *L, const char *op, const char *code, const char *fmt, va_list args) {
  luaL_checkstack(L, 6, op);
  lua_createtable(L, 0, 3);
  lua_pushstring(L, op);
  lua_pushliteral(L, ": ");
  lua_pushvfstring(L, fmt, args);
  lua_concat(L, 3);
  lua_setfield(L, -2, "message");
  lua_pushstring(L, code);
  lua_setfield(L, -2, "code");
  lua_pushstring(L, op);
  lua_setfield(L, -2, "op");
  luaL_setmetatable(L, META);
}

void gl_error_push(lua_State *L, const char *op, const char *code, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  push_object(L, op, code, fmt, args);
  va_end(args);
}

int gl_error_raise(lua_State *L, const char *op, const char *code, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  push_object(L, op, code, fmt, args);
  va_end(args);
  return lua_error(L);
}

/* Pushes "file:line: " of the innermost frame that is not ours, or "". */
static void push_position(lua_State *L) {
  lua_Debug ar;
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline <= 0 || strncmp(ar.source, "@green:", 7) == 0) continue;
    lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
    return;
  }
  lua_pushliteral(L, "");
}

int gl_error_misuse(lua_State *L, const char *fmt, ...) {
  va_list args;
  luaL_checkstack(L, 4, NULL);
  push_position(L);
  va_start(args, fmt);
  lua_pushvfstring(L, fmt, args);
  va_end(args);
  lua_concat(L, 2);
  return lua_error(L);
}

int gl_error_status(lua_State *L, const char *op, int status, const char *subject) {
  const char *code = uv_err_name(status);
  if (subject) return gl_error_raise(L, op, code, "%s: %s", subject, uv_strerror(status));
  return gl_error_raise(L, op, code, "%s", uv_strerror(status));
}

static const char departure_key; /* in an error object: a peer has left */

int gl_error_departure(lua_State *L, const char *op, int status, const char *subject) {
  gl_error_push(L, op, uv_err_name(status), "%s: %s", subject, uv_strerror(status));
  lua_pushboolean(L, 1);
  lua_rawsetp(L, -2, &departure_key);
  return lua_error(L);
}

static int is_object(lua_State *L, int idx) {
  if (!lua_istable(L, idx) || !lua_getmetatable(L, idx)) return 0;
  luaL_getmetatable(L, META);
  int same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}

int gl_error_is_departure(lua_State *L, int idx) {
  if (!is_object(L, idx)) return 0;
  int left = lua_rawgetp(L, idx, &departure_key) != LUA_TNIL;
  lua_pop(L, 1);
  return left;
}

int gl_error_is(lua_State *L, int idx, const char *code) {
  if (!is_object(L, idx)) return 0;
  lua_getfield(L, idx, "code");
  const char *have = lua_tostring(L, -1);
  int same = have && strcmp(have, code) == 0;
  lua_pop(L, 1);
  return same;
}
