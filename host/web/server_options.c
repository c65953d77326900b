/* SPDX-License-Identifier: MIT
 *
 * The options of a server: limits and time-outs, of which each is finite.
 */
#include <string.h>

#include "core/error.h"
#include "core/near.h"
#include "web/server_lua.h"

static double time_option(lua_State *L, int idx, const char *name, double def) {
  lua_getfield(L, idx, name);
  int ok;
  double value = lua_isnil(L, -1) ? def : lua_tonumberx(L, -1, &ok);
  if (!lua_isnil(L, -1) && (!ok || !(value > 0) || value > 1e6)) gl_error_misuse(L, "option '%s' must be a number of seconds > 0", name);
  lua_pop(L, 1);
  return value;
}

static lua_Integer size_option(lua_State *L, int idx, const char *name, lua_Integer def, lua_Integer max) {
  lua_getfield(L, idx, name);
  int ok = 1;
  lua_Integer value = lua_isnil(L, -1) ? def : lua_tointegerx(L, -1, &ok);
  if (!ok || value < 1 || value > max) gl_error_misuse(L, "option '%s' must be an integer from 1 to %d", name, (int)max);
  lua_pop(L, 1);
  return value;
}

static bool flag_option(lua_State *L, int idx, const char *name, bool def) {
  lua_getfield(L, idx, name);
  if (!lua_isnil(L, -1) && !lua_isboolean(L, -1)) gl_error_misuse(L, "option '%s' must be true or false", name);
  bool value = lua_isnil(L, -1) ? def : lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

/* Refuses unknown names: a misspelt option would be a limit that is not set. */
static void check_names(lua_State *L, int idx, bool listens) {
  static const char *const all[] = {"tls", "max_target", "max_head", "max_headers", "max_body", "max_connections", "header_timeout",
    "keepalive_timeout", "body_timeout", "write_timeout", "request_timeout", "cpu_limit", "max_tasks", "cancel_on_disconnect",
    "body_min_rate", "underscore_headers", "trust_request_id", "trusted_proxies", "proxy_headers", "proxy_protocol", "http2", "max_streams",
    NULL};
  const char *const *names = listens ? all : all + 1; /* `tls` is of an address */
  lua_pushnil(L);
  while (lua_next(L, idx)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : luaL_typename(L, -2);
    int i = 0;
    while (names[i] && strcmp(names[i], name) != 0) i++;
    if (!names[i]) gl_error_misuse(L, "unknown server option '%s'%s", name, gl_near_push_hint(L, name, names));
    lua_pop(L, 1);
  }
}

void gl_server_read_options(lua_State *L, int idx, gl_web_server *s, bool listens) {
  check_names(L, idx, listens);
  gl_server_limits *l = &s->server.limits;
  l->head.target = (uint32_t)size_option(L, idx, "max_target", 8192, 1 << 20);
  l->head.bytes = (uint32_t)size_option(L, idx, "max_head", 16384, 1 << 20);
  l->head.fields = (uint32_t)size_option(L, idx, "max_headers", 100, 10000);
  l->max_body = (size_t)size_option(L, idx, "max_body", 1 << 20, 1 << 30);
  l->max_connections = (uint32_t)size_option(L, idx, "max_connections", 100000, 10000000);
  l->max_streams = (uint32_t)size_option(L, idx, "max_streams", 100, 10000);
  if (!flag_option(L, idx, "http2", true)) l->max_streams = 0;
  l->header_timeout = time_option(L, idx, "header_timeout", 10);
  l->keepalive_timeout = time_option(L, idx, "keepalive_timeout", 65);
  l->body_timeout = time_option(L, idx, "body_timeout", 30);
  l->body_min_rate = (double)size_option(L, idx, "body_min_rate", 240, 1 << 30);
  l->write_timeout = time_option(L, idx, "write_timeout", 30);
  l->request_timeout = time_option(L, idx, "request_timeout", 60);
  l->cpu_limit = time_option(L, idx, "cpu_limit", 10);
  l->max_tasks = (uint32_t)size_option(L, idx, "max_tasks", 10000, 10000000);
  l->head.drop_underscores = !flag_option(L, idx, "underscore_headers", true);
  s->trust_request_id = flag_option(L, idx, "trust_request_id", false);
  s->cancel_on_disconnect = flag_option(L, idx, "cancel_on_disconnect", false);
  s->cancel_chosen = lua_getfield(L, idx, "cancel_on_disconnect") != LUA_TNIL;
  lua_pop(L, 1);
  gl_server_read_proxies(L, idx, s);
}
