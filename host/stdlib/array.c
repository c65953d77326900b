/* SPDX-License-Identifier: MIT */
#include "stdlib/array.h"

#include <lauxlib.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "stdlib/pieces.h"
#include "stdlib/steps.h"

/* Has the metatable on top of the stack the metamethod? */
static bool has_metamethod(lua_State *L, const char *name) {
  lua_pushstring(L, name);
  bool has = lua_rawget(L, -2) != LUA_TNIL;
  lua_pop(L, 1);
  return has;
}

static void check_array(lua_State *L, int i, int used) {
  if (lua_type(L, i) == LUA_TTABLE) return;
  if (lua_getmetatable(L, i)) {
    bool usable = (!(used & GL_ARRAY_READ) || has_metamethod(L, "__index")) &&
                  (!(used & GL_ARRAY_WRITE) || has_metamethod(L, "__newindex")) &&
                  (!(used & GL_ARRAY_LENGTH) || has_metamethod(L, "__len"));
    lua_pop(L, 1);
    if (usable) return;
  }
  luaL_checktype(L, i, LUA_TTABLE);
}

lua_Integer gl_array_length(lua_State *L, int i, int used) {
  check_array(L, i, used | GL_ARRAY_LENGTH);
  return luaL_len(L, i);
}

/* Moves n elements of the table at index `from`, from i on, to `to`, from j on: upwards from the first, or downwards from the last. */
static void move_elements(lua_State *L, int from, lua_Integer i, int to, lua_Integer j, lua_Unsigned n, bool upwards) {
  int steps = GL_STEPS;
  for (lua_Unsigned k = 0; k < n; k++) {
    lua_Unsigned at = upwards ? k : n - 1 - k;
    lua_geti(L, from, (lua_Integer)((lua_Unsigned)i + at));
    lua_seti(L, to, (lua_Integer)((lua_Unsigned)j + at));
    gl_steps_count(L, &steps, 1);
  }
}

int gl_table_insert(lua_State *L) {
  lua_Integer end = (lua_Integer)((lua_Unsigned)gl_array_length(L, 1, GL_ARRAY_READ | GL_ARRAY_WRITE) + 1);
  lua_Integer position = end;
  switch (lua_gettop(L)) {
    case 2: break;
    case 3:
      position = luaL_checkinteger(L, 2);
      luaL_argcheck(L, (lua_Unsigned)position - 1 < (lua_Unsigned)end, 2, "position out of bounds");
      if (end > position) move_elements(L, 1, position, 1, position + 1, (lua_Unsigned)end - (lua_Unsigned)position, false);
      break;
    default: return luaL_error(L, "wrong number of arguments to 'insert'");
  }
  lua_seti(L, 1, position);
  return 0;
}

int gl_table_remove(lua_State *L) {
  lua_Integer size = gl_array_length(L, 1, GL_ARRAY_READ | GL_ARRAY_WRITE), position = luaL_optinteger(L, 2, size);
  if (position != size) luaL_argcheck(L, (lua_Unsigned)position - 1 <= (lua_Unsigned)size, 1, "position out of bounds");
  lua_geti(L, 1, position);
  if (position < size) {
    move_elements(L, 1, position + 1, 1, position, (lua_Unsigned)size - (lua_Unsigned)position, true);
    position = size;
  }
  lua_pushnil(L);
  lua_seti(L, 1, position);
  return 1;
}

int gl_table_move(lua_State *L) {
  lua_Integer first = luaL_checkinteger(L, 2), last = luaL_checkinteger(L, 3), to = luaL_checkinteger(L, 4);
  int target = lua_isnoneornil(L, 5) ? 1 : 5;
  check_array(L, 1, GL_ARRAY_READ);
  check_array(L, target, GL_ARRAY_WRITE);
  if (last >= first) {
    luaL_argcheck(L, first > 0 || last < LUA_MAXINTEGER + first, 3, "too many elements to move");
    lua_Integer n = last - first + 1;
    luaL_argcheck(L, to <= LUA_MAXINTEGER - n + 1, 4, "destination wrap around");
    bool upwards = to > last || to <= first || (target != 1 && !lua_compare(L, 1, target, LUA_OPEQ));
    move_elements(L, 1, first, target, to, (lua_Unsigned)n, upwards);
  }
  lua_pushvalue(L, target);
  return 1;
}

int gl_table_unpack(lua_State *L) {
  lua_Integer first = luaL_optinteger(L, 2, 1), last = luaL_opt(L, luaL_checkinteger, 3, luaL_len(L, 1));
  if (first > last) return 0;
  lua_Unsigned n = (lua_Unsigned)last - (lua_Unsigned)first;
  if (n >= INT_MAX || !lua_checkstack(L, (int)++n)) return luaL_error(L, "too many results to unpack");
  int steps = GL_STEPS;
  for (lua_Unsigned k = 0; k < n; k++) {
    lua_geti(L, 1, (lua_Integer)((lua_Unsigned)first + k));
    gl_steps_count(L, &steps, 1);
  }
  return (int)n;
}

/* Appends element i. Returns how many bytes it has. */
static size_t add_element(lua_State *L, luaL_Buffer *b, lua_Integer i) {
  size_t n;
  lua_geti(L, 1, i);
  if (!lua_isstring(L, -1)) luaL_error(L, "invalid value (%s) at index %I in table for 'concat'", luaL_typename(L, -1), (LUAI_UACINT)i);
  const char *s = lua_tolstring(L, -1, &n);
  if (n > b->size - b->n) {
    luaL_addvalue(b);
    return n;
  }
  memcpy(b->b + b->n, s, n);
  luaL_addsize(b, n);
  lua_pop(L, 1);
  return n;
}

int gl_table_concat(lua_State *L) {
  lua_Integer length = gl_array_length(L, 1, GL_ARRAY_READ);
  size_t n;
  const char *separator = luaL_optlstring(L, 2, "", &n);
  lua_Integer i = luaL_optinteger(L, 3, 1), last = luaL_optinteger(L, 4, length);
  int steps = GL_STEPS;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (; i < last; i++) {
    size_t bytes = add_element(L, &b, i);
    if (n > 0) gl_pieces_add(L, &b, separator, n);
    gl_steps_count(L, &steps, 1 + bytes / 1024);
  }
  if (i == last) add_element(L, &b, i);
  luaL_pushresult(&b);
  return 1;
}
