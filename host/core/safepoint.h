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

/* Tries whether the CallInfo is as expected; without memory for the trial, the next call tries again. Until a trial succeeds, every
 * instruction is PLAIN. Allocates on L, and raises nothing. */
void gl_safepoint_init(lua_State *L);

/* Returns what the next instruction does. Call in a count hook, with the record that the hook was given. */
gl_safepoint gl_safepoint_next(const lua_Debug *ar);

/* Is a <close> variable being closed, as its block was left or by an error that a pcall is about to catch? A closing that has begun
 * must come to its end. (A closing by an error where Lua cannot yield does not show.) Call in a hook. Looks at every frame of L. */
bool gl_safepoint_closes(lua_State *L);

#endif
