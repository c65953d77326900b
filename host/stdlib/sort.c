/* SPDX-License-Identifier: MIT */
#include "stdlib/sort.h"

#include <lauxlib.h>
#include <limits.h>
#include <stdbool.h>
#include <time.h>

#include "stdlib/array.h"
#include "stdlib/steps.h"

#define SMALL 100         /* parts below this size have the middle one as a candidate for the pivot */
#define TOO_UNEVEN 128    /* a part so many times as large as the other: candidates are drawn at random from then on */

/* Stack: 1 table, 2 comparator or nil. `steps`: see steps.h. */
typedef struct gl_sort {
  lua_State *L;
  int steps;
} gl_sort;

/* Is the value at index a less than the one at b? Both indices are negative. */
static inline bool is_less(gl_sort *sort, int a, int b) {
  lua_State *L = sort->L;
  gl_steps_count(L, &sort->steps, 1);
  if (lua_isnil(L, 2)) return lua_compare(L, a, b, LUA_OPLT);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, a - 1);
  lua_pushvalue(L, b - 2);
  lua_call(L, 2, 1);
  bool less = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return less;
}

/* Stores the topmost value at i, and the one below at j. */
static inline void store_two(lua_State *L, unsigned i, unsigned j) {
  lua_seti(L, 1, i);
  lua_seti(L, 1, j);
}

/* Puts the elements at i < j in order. */
static void order_two(gl_sort *sort, unsigned i, unsigned j) {
  lua_State *L = sort->L;
  lua_geti(L, 1, i);
  lua_geti(L, 1, j);
  if (is_less(sort, -1, -2)) store_two(L, i, j);
  else lua_pop(L, 2);
}

/* Puts the median of the elements at low, middle and high in the middle; those at low and high are in order. */
static void order_three(gl_sort *sort, unsigned low, unsigned middle, unsigned high) {
  lua_State *L = sort->L;
  lua_geti(L, 1, middle);
  lua_geti(L, 1, low);
  if (is_less(sort, -2, -1)) {
    store_two(L, middle, low);
    return;
  }
  lua_pop(L, 1);
  lua_geti(L, 1, high);
  if (is_less(sort, -1, -2)) store_two(L, middle, high);
  else lua_pop(L, 2);
}

static void fail_order(lua_State *L) { luaL_error(L, "invalid order function for sorting"); }

/* Parts low..high around the pivot, which is on top of the stack (popped) and at high - 1. Returns where the pivot ends up. */
static unsigned part(gl_sort *sort, unsigned low, unsigned high) {
  lua_State *L = sort->L;
  unsigned i = low, j = high - 1;
  for (;;) {
    while (lua_geti(L, 1, ++i), is_less(sort, -1, -2)) {
      if (i == high - 1) fail_order(L);
      lua_pop(L, 1);
    }
    while (lua_geti(L, 1, --j), is_less(sort, -3, -1)) {
      if (j < i) fail_order(L);
      lua_pop(L, 1);
    }
    if (j < i) break;
    store_two(L, i, j);
  }
  lua_pop(L, 1);
  store_two(L, high - 1, i);
  return i;
}

static unsigned choose_middle(unsigned low, unsigned high, unsigned random) {
  if (high - low < SMALL || random == 0) return low + (high - low) / 2;
  unsigned quarter = (high - low) / 4;
  return random % (quarter * 2) + low + quarter;
}

static unsigned draw_random(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (unsigned)now.tv_nsec * 2654435761u + (unsigned)now.tv_sec;
}

/* Sorts low..high. */
static void sort_range(gl_sort *sort, unsigned low, unsigned high, unsigned random) {
  lua_State *L = sort->L;
  while (low < high) {
    order_two(sort, low, high);
    if (high - low == 1) return;
    unsigned middle = choose_middle(low, high, random);
    order_three(sort, low, middle, high);
    if (high - low == 2) return;
    lua_geti(L, 1, middle);
    lua_pushvalue(L, -1);
    lua_geti(L, 1, high - 1);
    store_two(L, middle, high - 1);
    unsigned pivot = part(sort, low, high), smaller;
    if (pivot - low < high - pivot) {
      sort_range(sort, low, pivot - 1, random);
      smaller = pivot - low;
      low = pivot + 1;
    } else {
      sort_range(sort, pivot + 1, high, random);
      smaller = high - pivot;
      high = pivot - 1;
    }
    if ((high - low) / TOO_UNEVEN > smaller) random = draw_random();
  }
}

int gl_table_sort(lua_State *L) {
  lua_Integer n = gl_array_length(L, 1, GL_ARRAY_READ | GL_ARRAY_WRITE);
  if (n <= 1) return 0;
  luaL_argcheck(L, n < INT_MAX, 1, "array too big");
  if (!lua_isnoneornil(L, 2)) luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  gl_sort sort = {L, GL_STEPS};
  sort_range(&sort, 1, (unsigned)n, 0);
  return 0;
}
