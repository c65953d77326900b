/* SPDX-License-Identifier: MIT
 *
 * The C functions of modules that a coroutine is in the middle of, and the objects that these were given.
 */
#ifndef GL_LIBC_FRAMES_H
#define GL_LIBC_FRAMES_H

#include <stdbool.h>
#include <stddef.h>

#include <lua.h>

#define GL_FRAMES_OBJECTS 32 /* more are not noted */

typedef struct gl_frames {
  size_t n;
  const void *object[GL_FRAMES_OBJECTS]; /* userdata on the stacks and in the upvalues of these functions */
  lua_CFunction user;                    /* the innermost function that has any; NULL = none has */
  bool inner;                            /* `user` is the innermost function of a module at all */
} gl_frames;

/* Looks at the functions of L from this level on. Allocates nothing that L does not have room for, and raises nothing. */
void gl_frames_look(gl_frames *f, lua_State *L, int level);

/* Where the module of a function lies in memory. */
const void *gl_frames_module(lua_CFunction function);

/* The C function at `level` of L; NULL: none, or one of Lua. */
lua_CFunction gl_frames_function(lua_State *L, int level);

#endif
