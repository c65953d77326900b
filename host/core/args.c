/* SPDX-License-Identifier: MIT */
#include "core/args.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <lauxlib.h>

#include "core/error.h"
#include "core/near.h"
#include "core/op.h"

#define MOST_ARGUMENTS 3

static int is_listed(const char *name, const char *const names[]) {
  for (; *names; names++)
    if (strcmp(name, *names) == 0) return 1;
  return 0;
}

int gl_args_refuse(lua_State *L, int idx, const char *why) {
  return idx > MOST_ARGUMENTS ? gl_error_misuse(L, "option 'tls': %s", why) : luaL_argerror(L, idx, why);
}

/* The option whose name and value are on top. */
static int refuse_name(lua_State *L, int idx, const char *const names[]) {
  const char *word = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
  const char *shown = luaL_tolstring(L, -2, NULL);
  return gl_args_refuse(L, idx, lua_pushfstring(L, "unknown option '%s'%s", shown, gl_near_push_hint(L, word, names)));
}

void gl_args_check_names(lua_State *L, int idx, const char *const names[]) {
  if (lua_isnoneornil(L, idx)) return;
  if (!lua_istable(L, idx)) gl_args_refuse(L, idx, lua_pushfstring(L, "a table expected, got %s", luaL_typename(L, idx)));
  for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
    if (name && is_listed(name, names)) continue;
    refuse_name(L, idx, names);
  }
}

/* Pushes the field and returns its type; LUA_TNIL when there is no table. */
static int push_field(lua_State *L, int idx, const char *name) {
  if (lua_istable(L, idx)) return lua_getfield(L, idx, name);
  lua_pushnil(L);
  return LUA_TNIL;
}

static int refuse_type(lua_State *L, int idx, const char *name, const char *expected) {
  return gl_args_refuse(L, idx, lua_pushfstring(L, "%s: %s expected, got %s", name, expected, luaL_typename(L, -1)));
}

double gl_args_timeout(lua_State *L, int idx, double def) {
  if (push_field(L, idx, "timeout") != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TNUMBER) refuse_type(L, idx, "timeout", "number of seconds");
    def = lua_tonumber(L, -1);
    if (!(def >= 0)) gl_args_refuse(L, idx, "timeout: a number of seconds >= 0 expected");
  }
  lua_pop(L, 1);
  return def < GL_FOREVER ? def : GL_FOREVER;
}

int gl_args_family(lua_State *L, int idx) {
  lua_Integer family = 0;
  if (push_field(L, idx, "family") != LUA_TNIL) {
    family = lua_tointeger(L, -1);
    if (family != 4 && family != 6) gl_args_refuse(L, idx, "family: 4 or 6 expected");
  }
  lua_pop(L, 1);
  return family == 4 ? AF_INET : family == 6 ? AF_INET6 : AF_UNSPEC;
}

int gl_args_bool(lua_State *L, int idx, const char *name, int def) {
  int type = push_field(L, idx, name);
  if (type != LUA_TNIL && type != LUA_TBOOLEAN) refuse_type(L, idx, name, "boolean");
  if (type == LUA_TBOOLEAN) def = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return def;
}

lua_Integer gl_args_integer(lua_State *L, int idx, const char *name, lua_Integer def, lua_Integer min, lua_Integer max) {
  if (push_field(L, idx, name) != LUA_TNIL) {
    int is = 0;
    def = lua_tointegerx(L, -1, &is);
    if (!is) refuse_type(L, idx, name, "integer");
    if (def < min || def > max) gl_args_refuse(L, idx, lua_pushfstring(L, "%s: from %I to %I expected", name, (LUAI_UACINT)min, (LUAI_UACINT)max));
  }
  lua_pop(L, 1);
  return def;
}

int gl_args_word(lua_State *L, int idx, const char *name, const char *const words[]) {
  int i = 0;
  if (push_field(L, idx, name) != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TSTRING) refuse_type(L, idx, name, "string");
    const char *word = lua_tostring(L, -1);
    while (words[i] && strcmp(words[i], word) != 0) i++;
    if (!words[i]) gl_args_refuse(L, idx, lua_pushfstring(L, "%s: unknown '%s'%s", name, word, gl_near_push_hint(L, word, words)));
  }
  lua_pop(L, 1);
  return i;
}

lua_Integer gl_args_permissions(lua_State *L, int idx) {
  if (lua_type(L, idx) == LUA_TNUMBER) return lua_isinteger(L, idx) ? lua_tointeger(L, idx) : -1;
  const char *digits = lua_type(L, idx) == LUA_TSTRING ? lua_tostring(L, idx) : "";
  return *digits && strlen(digits) < 8 && !digits[strspn(digits, "01234567")] ? strtol(digits, NULL, 8) : -1;
}

lua_Integer gl_args_mode(lua_State *L, int idx, lua_Integer min, lua_Integer max) {
  lua_Integer mode = -1;
  if (push_field(L, idx, "mode") != LUA_TNIL) {
    mode = gl_args_permissions(L, -1);
    if (mode < min || mode > max) gl_args_refuse(L, idx, "mode: permission bits expected, an integer or octal digits (\"600\")");
  }
  lua_pop(L, 1);
  return mode;
}

const char *gl_args_string(lua_State *L, int idx, const char *name) {
  size_t n = 0;
  if (push_field(L, idx, name) == LUA_TNIL) return NULL;
  if (lua_type(L, -1) != LUA_TSTRING) refuse_type(L, idx, name, "string");
  const char *text = lua_tolstring(L, -1, &n);
  if (strlen(text) != n) gl_args_refuse(L, idx, lua_pushfstring(L, "%s: no NUL expected", name));
  return text;
}

/* ---- where to ---- */

/* Pushes "host:port", "[v6]:port". */
static void push_host_port(lua_State *L, int list) {
  if (push_field(L, 1, "host") == LUA_TTABLE && list) {
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
  }
  if (lua_type(L, -1) != LUA_TSTRING) luaL_argerror(L, 1, "an address, or a table with address, host and port, or path expected");
  const char *host = lua_tostring(L, -1);
  lua_Integer port = gl_args_integer(L, 1, "port", -1, 0, 65535);
  if (port < 0) luaL_argerror(L, 1, "port: integer expected, got nil");
  lua_pushfstring(L, strchr(host, ':') ? "[%s]:%I" : "%s:%I", host, (LUAI_UACINT)port);
}

const char *gl_args_target(lua_State *L, const char *const names[], int list, size_t *len) {
  if (!lua_istable(L, 1)) {
    const char *text = luaL_checklstring(L, 1, len);
    lua_settop(L, 2);
    gl_args_check_names(L, 2, names);
    return text;
  }
  lua_settop(L, 1);
  gl_args_check_names(L, 1, names);
  if (!gl_args_string(L, 1, "address")) {
    const char *path = gl_args_string(L, 1, "path");
    if (path) lua_pushfstring(L, "unix:%s", path);
    else push_host_port(L, list);
  }
  lua_insert(L, 1);
  lua_settop(L, 2);
  return lua_tolstring(L, 1, len);
}
