/* SPDX-License-Identifier: MIT
 *
 * The options of a server that stands behind others: which peers are trusted proxies, which of their headers count (web/forwarded.h), and
 * whether their connections begin with one of the PROXY protocol (net/proxied.h).
 */
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/near.h"
#include "web/forwarded.h"
#include "web/server_lua.h"

#define MOST 10000 /* networks; each request looks at all of them */

/* ---- proxy_headers ---- */

static int header_bit(lua_State *L, int idx) {
  static const char *const names[] = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", NULL}; /* in the order of the bits */
  const char *name = lua_type(L, idx) == LUA_TSTRING ? lua_tostring(L, idx) : NULL;
  if (!name) gl_error_misuse(L, "option 'proxy_headers' must be a list of names, not of a %s", luaL_typename(L, idx));
  for (int i = 0; names[i]; i++)
    if (strcasecmp(name, names[i]) == 0) return 1 << i;
  gl_error_misuse(L, "option 'proxy_headers': unknown header '%s'%s", name, gl_near_push_hint(L, name, names));
  return 0;
}

static int read_headers(lua_State *L, int idx, bool behind) {
  int type = lua_getfield(L, idx, "proxy_headers"), bits = 0, list = lua_gettop(L);
  if (type == LUA_TNIL) {
    lua_pop(L, 1);
    return GL_X_FORWARDED_FOR | GL_X_FORWARDED_PROTO | GL_X_FORWARDED_HOST;
  }
  if (type != LUA_TTABLE) gl_error_misuse(L, "option 'proxy_headers' must be a list of names, not a %s", lua_typename(L, type));
  if (!behind) gl_error_misuse(L, "option 'proxy_headers' means nothing without 'trusted_proxies'");
  lua_Unsigned n = lua_rawlen(L, list);
  for (lua_Unsigned i = 1; i <= n; i++) {
    lua_rawgeti(L, list, (lua_Integer)i);
    bits |= header_bit(L, -1);
    lua_pop(L, 1);
  }
  if ((bits & GL_FORWARDED) && bits != GL_FORWARDED)
    gl_error_misuse(L, "option 'proxy_headers': 'forwarded' excludes the others: a proxy that sets one kind passes the other on as its client wrote it");
  lua_pop(L, 1);
  return bits;
}

/* ---- proxy_protocol ---- */

static bool read_protocol(lua_State *L, int idx, bool behind) {
  int type = lua_getfield(L, idx, "proxy_protocol");
  if (type != LUA_TNIL && type != LUA_TBOOLEAN) gl_error_misuse(L, "option 'proxy_protocol' must be true or false");
  bool on = lua_toboolean(L, -1);
  if (on && !behind) gl_error_misuse(L, "option 'proxy_protocol' means nothing without 'trusted_proxies'");
  lua_pop(L, 1);
  return on;
}

/* ---- trusted_proxies ---- */

/* Reads the networks of the list on top of the stack into `set`; NULL: only checks them. Returns their number. */
static uint32_t read_networks(lua_State *L, gl_networks *set) {
  int list = lua_gettop(L);
  uint32_t n = 0;
  for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, list); i++, lua_pop(L, 1)) {
    gl_network one;
    const char *text = lua_rawgeti(L, list, i) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    if (!text) gl_error_misuse(L, "option 'trusted_proxies' must be a list of networks, not of a %s", luaL_typename(L, -1));
    if (strcmp(text, "unix") == 0) {
      if (set) set->unix_sockets = true;
      continue;
    }
    const char *wrong = strlen(text) == lua_rawlen(L, -1) ? gl_network_parse(text, &one) : "not an IP address";
    if (wrong) gl_error_misuse(L, "option 'trusted_proxies': '%s': %s", text, wrong);
    if (set) set->at[n] = one;
    n++;
  }
  return n;
}

void gl_server_read_proxies(lua_State *L, int idx, gl_web_server *s) {
  int type = lua_getfield(L, idx, "trusted_proxies");
  s->proxy_headers = read_headers(L, idx, type != LUA_TNIL);
  bool announce = read_protocol(L, idx, type != LUA_TNIL);
  if (type != LUA_TNIL && type != LUA_TTABLE) gl_error_misuse(L, "option 'trusted_proxies' must be a list of networks, not a %s", lua_typename(L, type));
  if (type == LUA_TTABLE) {
    if (lua_rawlen(L, -1) > MOST) gl_error_misuse(L, "option 'trusted_proxies' may have %d networks", MOST);
    uint32_t n = read_networks(L, NULL);
    gl_networks *set = calloc(1, sizeof *set + n * sizeof *set->at);
    if (!set) luaL_error(L, "not enough memory");
    set->n = n;
    read_networks(L, set); /* raises nothing any more: no Lua has run since the first look */
    s->trusted_proxies = set;
    if (announce) s->server.announcers = set;
  }
  lua_pop(L, 1);
}
