/* SPDX-License-Identifier: MIT */
#include "core/near.h"

#include <string.h>

#include <lauxlib.h>

#define LONGEST 63 /* letters compared; longer words are cut */

static size_t min(size_t a, size_t b) { return a < b ? a : b; }

/* Damerau and Levenshtein's distance, where no place is edited twice: row i holds what the first i letters of
 * `a` cost to become each beginning of `b`. */
static size_t distance(const char *a, size_t na, const char *b, size_t nb) {
  size_t rows[3][LONGEST + 1];
  size_t *before = rows[0], *above = rows[1], *row = rows[2];
  for (size_t j = 0; j <= nb; j++) above[j] = j;
  for (size_t i = 1; i <= na; i++) {
    row[0] = i;
    for (size_t j = 1; j <= nb; j++) {
      row[j] = min(min(above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = min(row[j], before[j - 2] + 1);
    }
    size_t *oldest = before;
    before = above;
    above = row;
    row = oldest;
  }
  return above[nb];
}

bool gl_near(const char *word, const char *name, size_t *mistakes) {
  size_t nword = strnlen(word, LONGEST), nname = strnlen(name, LONGEST);
  *mistakes = distance(word, nword, name, nname);
  return *mistakes <= min(nword, nname) / 3 + (min(nword, nname) > 1);
}

static const char *nearest(const char *word, const char *const names[]) {
  const char *best = NULL;
  size_t mistakes, fewest = 0;
  for (; *names; names++) {
    if (!gl_near(word, *names, &mistakes) || (best && mistakes >= fewest)) continue;
    best = *names;
    fewest = mistakes;
  }
  return best;
}

const char *gl_near_push_hint(lua_State *L, const char *word, const char *const names[]) {
  const char *near = word ? nearest(word, names) : NULL;
  if (near) return lua_pushfstring(L, "; did you mean '%s'?", near);
  if (!names[0]) return lua_pushliteral(L, "; there are none");
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addstring(&b, names[1] ? "; there are " : "; there is ");
  for (int i = 0; names[i]; i++) {
    if (i > 0) luaL_addstring(&b, ", ");
    luaL_addstring(&b, names[i]);
  }
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}
