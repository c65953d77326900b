/* SPDX-License-Identifier: MIT
 *
 * Where an error may be raised in a script that does not wait. In `local permit <close> = semaphore:acquire()` the permit is
 * nobody's between the return of the call and the next instruction, which marks the variable: an error in between loses the
 * permit for good, and so does one anywhere in a function that acquires, notes down, and returns. As in virtual machines with
 * safepoints, such an error waits for the end of a loop's round, which each script that takes too long comes to.
 *
 * Lua tells a hook the line, but not the instruction, which stands in its private CallInfo. The head of that has been the same in
 * all releases of 5.4; gl_safepoint_init tries whether it is in the library at hand. If not, every instruction is PLAIN.
 */
#ifndef GL_CORE_SAFEPOINT_H
#define GL_CORE_SAFEPOINT_H

#include <stdbool.h>

#include <lua.h>

typedef enum gl_safepoint {
  GL_POINT_PLAIN,  /* something may be in nobody's hands */
  GL_POINT_TAKES,  /* a <close> variable is about to be marked: something is */
  GL_POINT_REPEATS /* a loop begins its next round: nothing is */
} gl_safepoint;

/* Tries whether the CallInfo is as expected, once there is memory for that; before that, and if it is not, every instruction is PLAIN. Allocates
 * on L, and raises nothing. */
void gl_safepoint_init(lua_State *L);

/* Says, in a count hook, what the next instruction does. */
gl_safepoint gl_safepoint_next(const lua_Debug *ar);

/* In a hook: is a <close> variable being closed, as its block was left or by an error that a pcall is about to catch? What that has
 * begun must come to its end. (An error where Lua cannot yield does not show.) Looks at every frame of L. */
bool gl_safepoint_closes(lua_State *L);

#endif
