/* SPDX-License-Identifier: MIT */
#include "web/websocket_options.h"

#include <lauxlib.h>

#include "core/class.h"
#include "core/error.h"
#include "core/library.h"
#include "core/memory.h"

#define POOL "green.ws.pool"
#define THRESHOLD 1024 /* bytes of the smallest message that is compressed, unless the option says otherwise */

static double number_option(lua_State *L, int options, const char *name, double def) {
  lua_getfield(L, options, name);
  int ok = 1;
  double value = lua_isnil(L, -1) ? def : lua_tonumberx(L, -1, &ok);
  if (!ok || !(value > 0) || value > 1e9) gl_error_misuse(L, "option '%s' must be a number > 0", name);
  lua_pop(L, 1);
  return value;
}

void gl_ws_read_limits(lua_State *L, int options, gl_ws_limits *limits) {
  *limits = (gl_ws_limits){
    .max_message = (size_t)number_option(L, options, "max_message", 1 << 20),
    .max_pending = (size_t)number_option(L, options, "max_pending", 1 << 20),
    .ping_interval = number_option(L, options, "ping_interval", 30),
    .idle_timeout = number_option(L, options, "idle_timeout", 120),
  };
}

bool gl_ws_read_wish(lua_State *L, int options, gl_permessage_wish *wish) {
  *wish = (gl_permessage_wish){.threshold = THRESHOLD, .window = GL_DEFLATE_WINDOW_MAX};
  int type = lua_getfield(L, options, "compression"), at = lua_gettop(L);
  bool wanted = type == LUA_TNIL || type == LUA_TTABLE || lua_toboolean(L, at);
  if (type == LUA_TTABLE) {
    wish->window = (int)number_option(L, at, "window_bits", GL_DEFLATE_WINDOW_MAX);
    wish->threshold = (size_t)number_option(L, at, "threshold", THRESHOLD);
    lua_getfield(L, at, "context_takeover");
    wish->takeover = lua_toboolean(L, -1);
  }
  if (wish->window < GL_DEFLATE_WINDOW_MIN || wish->window > GL_DEFLATE_WINDOW_MAX) gl_error_misuse(L, "option 'window_bits' must be 8 to 15");
  lua_settop(L, at - 1);
  return wanted;
}

void gl_ws_need_zlib(lua_State *L, const char *op) {
  const char *error = gl_library_need("libz.so.1");
  if (error) gl_error_raise(L, op, "ENOLIBRARY", "compressed messages need zlib (or compression = false): %s", error);
}

/* ---- the pool ---- */

static int pool_gc(lua_State *L) {
  gl_deflate_pool **pool = luaL_checkudata(L, 1, POOL);
  if (*pool) gl_deflate_pool_unref(*pool);
  *pool = NULL;
  return 0;
}

void gl_ws_push_pool(lua_State *L) {
  static const luaL_Reg meta[] = {{"__gc", pool_gc}, {NULL, NULL}};
  gl_class_new(L, POOL, NULL, meta);
  gl_deflate_pool **pool = lua_newuserdatauv(L, sizeof *pool, 0);
  *pool = NULL;
  luaL_setmetatable(L, POOL);
  if (!(*pool = gl_deflate_pool_new())) gl_memory_raise(L);
}

gl_deflate_pool *gl_ws_pool(lua_State *L) { return *(gl_deflate_pool **)lua_touserdata(L, lua_upvalueindex(1)); }
