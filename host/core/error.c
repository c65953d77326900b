/* SPDX-License-Identifier: MIT */
#include "core/error.h"

#include <stdarg.h>
#include <string.h>

#include <lauxlib.h>
#include <uv.h>

#include "core/class.h"

#define META "green.error"

static int error_tostring(lua_State *L) {
  lua_settop(L, 1);
  if (!lua_istable(L, 1)) lua_pushliteral(L, META);
  else lua_getfield(L, 1, "message");
  return 1;
}

void gl_error_init(lua_State *L) {
  static const luaL_Reg meta[] = {{"__tostring", error_tostring}, {NULL, NULL}};
  gl_class_new(L, META, NULL, meta);
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

int gl_error_status(lua_State *L, const char *op, int status, const char *subject) {
  const char *code = uv_err_name(status);
  if (subject) return gl_error_raise(L, op, code, "%s: %s", subject, uv_strerror(status));
  return gl_error_raise(L, op, code, "%s", uv_strerror(status));
}

static const char departure_key; /* key in error objects that gl_error_departure made */

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

/* ---- what a log says of any error ---- */

#define SHOWN_FIELDS 10
#define SHOWN_TEXT 200 /* bytes shown of a string */

static void push_shown(lua_State *L, int idx) {
  size_t n;
  switch (lua_type(L, idx)) {
    case LUA_TNUMBER: case LUA_TBOOLEAN: luaL_tolstring(L, idx, NULL); break;
    case LUA_TSTRING: {
      const char *text = lua_tolstring(L, idx, &n);
      lua_pushlstring(L, text, n < SHOWN_TEXT ? n : SHOWN_TEXT);
      lua_pushfstring(L, n > SHOWN_TEXT ? "\"%s...\"" : "\"%s\"", lua_tostring(L, -1));
      lua_remove(L, -2);
      break;
    }
    default: lua_pushfstring(L, "a %s", luaL_typename(L, idx));
  }
}

static void push_key(lua_State *L, int idx) {
  if (lua_type(L, idx) == LUA_TSTRING) {
    lua_pushfstring(L, "%s = ", lua_tostring(L, idx));
    return;
  }
  push_shown(L, idx);
  lua_pushfstring(L, "[%s] = ", lua_tostring(L, -1));
  lua_remove(L, -2);
}

/* Pushes `{ foo = 1, [2] = "x" }`. Raw access only, so that no code of the script runs. */
static void push_fields(lua_State *L, int idx) {
  int n = 0;
  luaL_checkstack(L, 10, NULL);
  lua_pushliteral(L, "{");
  int text = lua_gettop(L);
  for (lua_pushnil(L); n <= SHOWN_FIELDS && lua_next(L, idx); lua_settop(L, text + 1)) {
    lua_pushvalue(L, text); /* text key value text */
    if (n++ == SHOWN_FIELDS) {
      lua_pushliteral(L, ", ...");
    } else {
      lua_pushstring(L, n > 1 ? ", " : " ");
      push_key(L, text + 1);
      push_shown(L, text + 2);
    }
    lua_concat(L, lua_gettop(L) - text - 2);
    lua_replace(L, text);
  }
  lua_settop(L, text);
  lua_pushliteral(L, " }");
  lua_concat(L, 2);
}

void gl_error_describe(lua_State *L, int idx) {
  int type = lua_type(L, idx), own = luaL_getmetafield(L, idx, "__tostring") != LUA_TNIL;
  if (own) lua_pop(L, 1);
  if (own || type == LUA_TSTRING || type == LUA_TNUMBER || type == LUA_TBOOLEAN || type == LUA_TNIL) luaL_tolstring(L, idx, NULL);
  else if (type == LUA_TTABLE) push_fields(L, lua_absindex(L, idx));
  else lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, idx));
}
