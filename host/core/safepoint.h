/* SPDX-License-Identifier: MIT
 *
 * Where an error may be raised in a script that does not wait. In `local permit <close> = semaphore:acquire()` the permit is
 * nobody's between the return of the call and the next instruction, which marks the variable: an error in between loses the
 * permit for good, and so does an error anywhere in a function that acquires, notes down, and returns. As in virtual machines
 * with safepoints, such an error waits for the end of a loop's round, which each script that takes too long reaches.
 *
 * Lua tells a hook the line, but not the instruction, which stands in Lua's private CallInfo. The head of that struct has been the
 * same in all releases of 5.4; gl_safepoint_init tries whether the library at hand has the same. If not, every instruction is PLAIN.
 */
#ifndef GL_CORE_SAFEPOINT_H
#define GL_CORE_SAFEPOINT_H

#include <stdbool.h>

#include <lua.h>

typedef enum gl_safepoint {
  GL_POINT_PLAIN,  /* a value that must be closed may be nobody's */
  GL_POINT_TAKES,  /* a <close> variable is about to be marked: its value is nobody's yet */
  GL_POINT_REPEATS /* a loop begins its next round: no such value is nobody's */
} gl_safepoint;

/* Notes what pcall and xpcall are. Call before a script can replace them. */
void gl_safepoint_learn(lua_State *L);

/* Tries whether the CallInfo is as expected; without memory for the trial, the next call tries again. Until a trial succeeds, every
 * instruction is PLAIN. Allocates on L, and raises nothing. */
void gl_safepoint_init(lua_State *L);

/* Returns what the next instruction does. Call in a count hook, with the record that the hook was given. */
gl_safepoint gl_safepoint_next(const lua_Debug *ar);

/* Is a <close> variable being closed, as its block was left or by an error that a pcall is about to catch? A closing that has begun
 * must come to its end. Call in a hook, or in a C function. Looks at every frame of L. */
bool gl_safepoint_closes(lua_State *L);

/* Returns the coroutine that a function of C runs for `co`, as coroutine.resume does; NULL: it runs none. */
lua_State *gl_safepoint_resumed(lua_State *co);

/* Does a function run on L that was called in a hook, or by such a function? Looks at every frame of L. May call gl_safepoint_init. */
bool gl_safepoint_in_hook(lua_State *L);

/* Does the finalizer that runs now run on L, rather than on a coroutine that has resumed L, and was it marked? Lua forgets the
 * mark when the finalizer ends. May call gl_safepoint_init. False: not on L, or Lua does not show it. */
bool gl_safepoint_finalizer(lua_State *L, bool *marked);

/* Marks the finalizer that runs on L, if Lua shows it. */
void gl_safepoint_mark_finalizer(lua_State *L);

#endif
