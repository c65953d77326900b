/* SPDX-License-Identifier: MIT */
#include "stdlib/load.h"

#include <lauxlib.h>
#include <stdbool.h>

#include "core/pcall.h"
#include "core/preempt.h"

#define PIECE 4096 /* bytes compiled between two looks at the slice: about 0.2 ms */
#define CURRENT 5  /* stack index of the string that a reader function returned last */

/* A text that is being compiled. */
typedef struct gl_source {
  const char *at;
  size_t left;     /* bytes of the text, or of what the reader function returned last */
  bool is_text;    /* no reader function is asked for more */
  bool making_way; /* in gl_preempt_check: what is raised meanwhile is not about the text */
} gl_source;

/* Asks the reader function for the next string. False: there is none. */
static bool ask_for_more(lua_State *L, gl_source *source) {
  luaL_checkstack(L, 2, "too many nested functions");
  lua_pushvalue(L, 1);
  lua_call(L, 0, 1);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return false;
  }
  if (!lua_isstring(L, -1)) luaL_error(L, "reader function must return a string");
  lua_replace(L, CURRENT);
  source->at = lua_tolstring(L, CURRENT, &source->left);
  return true;
}

static const char *read_piece(lua_State *L, void *context, size_t *size) {
  gl_source *source = context;
  source->making_way = true;
  gl_preempt_check(L);
  source->making_way = false;
  *size = 0;
  if (source->left == 0 && (source->is_text || !ask_for_more(L, source))) return NULL;
  const char *piece = source->at;
  *size = source->left < PIECE ? source->left : PIECE;
  source->at += *size;
  source->left -= *size;
  return piece;
}

static int load_text(lua_State *L, const char *mode) {
  gl_source source = {.is_text = true};
  source.at = lua_tolstring(L, 1, &source.left);
  int status = lua_load(L, read_piece, &source, luaL_optstring(L, 2, source.at), mode);
  return source.making_way ? lua_error(L) : status;
}

static int load_from_function(lua_State *L, const char *mode) {
  gl_source source = {0};
  const char *name = luaL_optstring(L, 2, "=(load)");
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, CURRENT);
  int status = lua_load(L, read_piece, &source, name, mode);
  return source.making_way ? lua_error(L) : status;
}

int gl_load(lua_State *L) {
  bool has_environment = !lua_isnone(L, 4);
  const char *mode = luaL_optstring(L, 3, "bt");
  int status = lua_isstring(L, 1) ? load_text(L, mode) : load_from_function(L, mode);
  if (status != LUA_OK) {
    gl_pcall_caught(L); /* the error may be the reader function's */
    luaL_pushfail(L);
    lua_insert(L, -2);
    return 2;
  }
  if (has_environment) {
    lua_pushvalue(L, 4);
    if (!lua_setupvalue(L, -2, 1)) lua_pop(L, 1);
  }
  return 1;
}
