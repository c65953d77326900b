/* SPDX-License-Identifier: MIT */
#include "client/spec.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/error.h"

void gl_spec_op(const char *method, char out[GL_SPEC_OP]) {
  static const char *const named[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", NULL};
  const char *const *name = named;
  while (*name && strcmp(*name, method) != 0) name++;
  snprintf(out, GL_SPEC_OP, "http.%s", *name ? *name : "request");
  for (char *at = out; *at; at++) *at = (char)tolower((unsigned char)*at);
}

void gl_spec_raise(lua_State *L, const char *code, const char *format, const char *what) {
  char op[GL_SPEC_OP] = "http.request";
  if (lua_getfield(L, 1, "method") == LUA_TSTRING) gl_spec_op(lua_tostring(L, -1), op);
  gl_error_push(L, op, code, format, what);
  lua_pushstring(L, "request"); /* as lualib/green/http/failure.lua does */
  lua_setfield(L, -2, "phase");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "sent");
  lua_error(L);
}

void gl_spec_refuse(lua_State *L, const char *format, const char *what) { gl_spec_raise(L, "EINVAL", format, what); }

const char *gl_spec_text(lua_State *L, int idx, const char *name, size_t *len) {
  size_t n = 0;
  int type = lua_getfield(L, idx, name);
  if (type != LUA_TNIL && type != LUA_TSTRING) luaL_error(L, "%s: a string expected", name);
  const char *text = lua_tolstring(L, -1, &n);
  lua_pop(L, 1);
  if (len) *len = n;
  else if (text && strlen(text) != n) gl_spec_refuse(L, "%s: it has a NUL", name);
  return text;
}

const char *gl_spec_need(lua_State *L, int idx, const char *name) {
  const char *text = gl_spec_text(L, idx, name, NULL);
  if (!text) luaL_error(L, "%s: a string expected", name);
  return text;
}

bool gl_spec_flag(lua_State *L, int idx, const char *name, bool otherwise) {
  bool flag = lua_getfield(L, idx, name) == LUA_TNIL ? otherwise : lua_toboolean(L, -1);
  lua_pop(L, 1);
  return flag;
}

double gl_spec_number_at(lua_State *L, int idx, const char *name) {
  int ok;
  double value = lua_tonumberx(L, idx, &ok);
  if (!ok || !(value >= 0)) luaL_error(L, "%s: a number >= 0 expected", name);
  return value < GL_FOREVER ? value : GL_FOREVER;
}

double gl_spec_number(lua_State *L, int idx, const char *name, double otherwise) {
  double value = lua_getfield(L, idx, name) == LUA_TNIL ? otherwise : gl_spec_number_at(L, -1, name);
  lua_pop(L, 1);
  return value;
}

void gl_spec_check_value(lua_State *L, const char *name, const char *value, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (((unsigned char)value[i] < ' ' && value[i] != '\t') || value[i] == 0x7f) gl_spec_refuse(L, "header '%s': a value holds no CR, LF, NUL or other control character", name);
}
