/* SPDX-License-Identifier: MIT */
#include "client/stats.h"

#include <lauxlib.h>

#include "client/pool_lua.h"

static void set_count(lua_State *L, const char *name, uint64_t n) {
  lua_pushinteger(L, (lua_Integer)n);
  lua_setfield(L, -2, name);
}

static uint32_t count_of(lua_State *L, const char *name) {
  lua_getfield(L, -1, name);
  uint32_t n = (uint32_t)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return n;
}

/* Adds to the counts of the table on top, where those of another origin of the same host may be: one with another proxy or another TLS identity. */
static void add_counts(lua_State *L, const gl_pool_host *h) {
  set_count(L, "connections", count_of(L, "connections") + h->total);
  set_count(L, "active", count_of(L, "active") + h->total - h->idle - h->dialing);
  set_count(L, "idle", count_of(L, "idle") + h->idle);
  set_count(L, "dialing", count_of(L, "dialing") + h->dialing);
  set_count(L, "waiting", count_of(L, "waiting") + h->waiting);
}

/* Pushes a copy of the pool's counts by origin, and sets *n to their number. The copy is made without a call of Lua in between, since a finalizer
 * may change the pool in every one. */
static const gl_pool_host *push_copy(lua_State *L, const gl_pool *p, size_t *n) {
  for (size_t room = gl_pool_hosts(p, NULL, 0) + 4;; room = *n + 4) {
    gl_pool_host *copy = lua_newuserdatauv(L, room * sizeof *copy, 0);
    *n = gl_pool_hosts(p, copy, room);
    if (*n <= room) return copy;
    lua_pop(L, 1);
  }
}

static void push_hosts(lua_State *L, const gl_pool *p) {
  size_t n;
  const gl_pool_host *list = push_copy(L, p, &n);
  lua_createtable(L, 0, (int)n);
  for (size_t i = 0; i < n; i++) {
    if (lua_getfield(L, -1, list[i].name) == LUA_TNIL) {
      lua_pop(L, 1);
      lua_createtable(L, 0, 5);
      lua_pushvalue(L, -1);
      lua_setfield(L, -3, list[i].name);
    }
    add_counts(L, &list[i]);
    lua_pop(L, 1);
  }
  lua_remove(L, -2);
}

int gl_stats_lua(lua_State *L) {
  const gl_pool *p = gl_pool_of(L);
  luaL_checkstack(L, 8, "http stats");
  push_hosts(L, p);
  gl_pool_stats s = p->stats;
  lua_createtable(L, 0, 8);
  set_count(L, "connections", s.total);
  set_count(L, "active", s.total - s.idle - s.dialing);
  set_count(L, "idle", s.idle);
  set_count(L, "dialing", s.dialing);
  set_count(L, "waiting", s.waiting);
  set_count(L, "requests", s.requests);
  set_count(L, "reused", s.reused);
  lua_insert(L, -2);
  lua_setfield(L, -2, "hosts");
  return 1;
}
