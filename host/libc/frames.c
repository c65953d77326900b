/* SPDX-License-Identifier: MIT */
#include "libc/frames.h"

#include <dlfcn.h>
#include <stdint.h>

#include "libc/layer.h"

#define LEVELS 64  /* that are looked at */
#define UPVALUES 8 /* of a function */

lua_CFunction gl_frames_function(lua_State *L, int level) {
  lua_Debug ar;
  if (!lua_getstack(L, level, &ar) || !lua_checkstack(L, 1) || !lua_getinfo(L, "f", &ar)) return NULL;
  lua_CFunction f = lua_tocfunction(L, -1);
  lua_pop(L, 1);
  return f;
}

/* Takes the value on top of L off, and notes it if it is a userdata. */
static void note(gl_frames *f, lua_State *L) {
  if (lua_type(L, -1) == LUA_TUSERDATA && f->n < GL_FRAMES_OBJECTS) f->object[f->n++] = lua_topointer(L, -1);
  lua_pop(L, 1);
}

/* Notes the objects of the function at this level. */
static void look_at(gl_frames *f, lua_State *L, lua_Debug *ar) {
  for (int i = 1; lua_getlocal(L, ar, i); i++) note(f, L);
  lua_getinfo(L, "f", ar);
  for (int i = 1; i <= UPVALUES && lua_getupvalue(L, -1, i); i++) note(f, L);
  lua_pop(L, 1);
}

void gl_frames_look(gl_frames *f, lua_State *L, int level) {
  bool first = true;
  lua_Debug ar;
  f->n = 0;
  f->user = NULL;
  f->inner = false;
  if (!lua_checkstack(L, 2)) return;
  for (int end = level + LEVELS; level < end && lua_getstack(L, level, &ar); level++) {
    lua_CFunction function = gl_frames_function(L, level);
    if (!function || gl_layer_is_ours((const void *)(uintptr_t)function)) continue;
    size_t before = f->n;
    look_at(f, L, &ar);
    if (f->n > before && !f->user) {
      f->user = function;
      f->inner = first;
    }
    first = false;
  }
}

const void *gl_frames_module(lua_CFunction function) {
  Dl_info info;
  return function && dladdr((void *)(uintptr_t)function, &info) ? info.dli_fbase : NULL;
}
