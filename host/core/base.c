/* SPDX-License-Identifier: MIT */
#include "core/base.h"

static int new_coroutine(lua_State *L) {
  gl_task *t = lua_touserdata(L, 1);
  lua_State *co = lua_newthread(L);
  t->co_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushboolean(L, 0);
  lua_rawseti(L, LUA_REGISTRYINDEX, -(lua_Integer)t->co_ref);
  t->co = co;
  return 0;
}

bool gl_base_acquire(gl_host *h, gl_task *t) {
  lua_State *L = h->L;
  if (h->spares > 0) {
    gl_spare *s = &h->spare[--h->spares];
    t->co = s->co;
    t->co_ref = s->ref;
  } else {
    lua_pushcfunction(L, new_coroutine);
    lua_pushlightuserdata(L, t);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
      lua_pop(L, 1);
      luaL_unref(L, LUA_REGISTRYINDEX, t->co_ref);
      t->co_ref = LUA_NOREF;
      return false;
    }
  }
  t->kept_ref = -t->co_ref;
  *gl_extra(t->co) |= GL_HELD_BIT; /* only the host resumes the base of a task */
  return true;
}

/* Gives both slots back to the registry. */
static void free_slots(gl_task *t) {
  lua_State *L = t->host->L;
  lua_pushnil(L);
  lua_rawseti(L, LUA_REGISTRYINDEX, t->kept_ref);
  luaL_unref(L, LUA_REGISTRYINDEX, t->co_ref != LUA_NOREF ? t->co_ref : t->error_ref);
  t->co_ref = t->error_ref = t->kept_ref = LUA_NOREF;
}

/* Puts a coroutine that has returned, with its two slots, among the spare ones. */
static void keep_spare(gl_host *h, gl_task *t) {
  lua_State *co = t->co;
  if (t->has_kept) {
    lua_pushboolean(h->L, 0);
    lua_rawseti(h->L, LUA_REGISTRYINDEX, t->kept_ref);
  }
  lua_settop(co, 0);
  if (lua_gethook(co)) lua_sethook(co, NULL, 0, 0);
  h->spare[h->spares++] = (gl_spare){co, t->co_ref};
  t->has_kept = false;
  t->co_ref = t->kept_ref = LUA_NOREF;
}

void gl_base_release(gl_task *t) {
  gl_host *h = t->host;
  if (t->kept_ref == LUA_NOREF) return;
  if (t->co) *gl_extra(t->co) &= ~GL_HELD_BIT;
  if (t->co && t->status == LUA_OK && !t->exposed && h->spares < GL_SPARES) keep_spare(h, t);
  else free_slots(t);
  t->co = NULL;
}

static const char nil_error; /* stands for the error nil, which would free its slot */

void gl_base_fail(gl_task *t) {
  lua_State *L = t->host->L;
  if (!t->co) return;
  *gl_extra(t->co) &= ~GL_HELD_BIT;
  lua_xmove(t->co, L, 1);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_pushlightuserdata(L, (void *)(uintptr_t)&nil_error);
  }
  t->error_ref = t->co_ref;
  t->co_ref = LUA_NOREF;
  lua_rawseti(L, LUA_REGISTRYINDEX, t->error_ref);
  t->co = NULL;
}

bool gl_task_push_error(lua_State *L, const gl_task *t) {
  if (t->error_ref == LUA_NOREF) return false;
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->error_ref);
  if (lua_touserdata(L, -1) == &nil_error) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
  return true;
}

void gl_task_keep(lua_State *L, gl_task *t) {
  t->has_kept = true;
  lua_rawseti(L, LUA_REGISTRYINDEX, t->kept_ref);
}

void gl_task_push_kept(lua_State *L, gl_task *t) { lua_rawgeti(L, LUA_REGISTRYINDEX, t->kept_ref); }
