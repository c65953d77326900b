/* SPDX-License-Identifier: MIT
 *
 * Ends a task that must end (gl_scope_must_end: cancelled, past its deadline, over its CPU limit) and goes on computing. The hook
 * of the preemption asks here at the end of each slice:
 *
 *     FREE --an await raises, or raise_end--> END REQUESTED    has GL_CLEANUP_US for its clean-up   (gl_scope_request_end)
 *      ^                                          |  gl_kill_pays: nothing of that time is left
 *      |  gl_scope_retract_end:                   v
 *      |  nothing asks it to end              KILLED ON ALTERNATE SLICES    kill_count odd: an error was raised; even: a slice to go on
 *      |  any more                                |  gl_kill_insists: the task has caught all of them
 *      |                                          v
 *      +------------------------------------- KILLED AT RANDOM    the hook raises after a random number of instructions (next_kill)
 *      |                                          |  MAX_KILLS more
 *      |                                          v
 *      '------------------------------------- KILLED AT EVERY INSTRUCTION    which no nest of loops around pcall survives
 *
 * A task that goes on, and does not clean up, has used up that time when an error gets through at last, and what it closes then would
 * lose whatever it must give back. So closing variables has as much time once more: all of it for what closes, half of what is left
 * of it for what one error makes the task close, so that what never ends leaves something to what is closed after that. And
 * a task in which nothing catches errors any more begins anew with both (step.c:fail_coroutine), so that all of it takes less than
 * 4 * GL_CLEANUP_US of CPU.
 *
 * With a CPU limit (core/budget.h) that would be a multiple of the limit, for each task. There, all tasks of the budget have together a
 * small part of the limit for their clean-up, and GL_CLEANUP_US once for closing variables, and for what they do in a shield. What is left of
 * the one is how long the slices of such a task are; when nothing is left, they are as short as slices get, the task is killed at random,
 * and if it has kept its slices by waiting in a shield, from its next wait on (gl_scope_raise).
 *
 * An error that is due is not raised between any two instructions, but where nothing is lost by it (core/safepoint.h): where a
 * loop repeats, or after so many instructions without a loop that the task cannot be on its way to keep something. Until then
 * t->raise_in counts down, and the hook comes at each instruction.
 */
#ifndef GL_CORE_KILL_H
#define GL_CORE_KILL_H

#include <stdbool.h>

#include "core/host.h"

/* Has the task caught so many errors that it is killed at random instructions now? */
bool gl_kill_insists(const gl_task *t);

/* The running task, which must end, has used up a slice, and `us` of CPU time since it was last charged. Does it pay for that with time
 * it still has for its clean-up, or for what it closes? False: an error is due. */
bool gl_kill_pays(lua_State *L, gl_task *t, uint32_t us);

/* Returns for how long a task whose budget is exhausted may go on before an error is due, at most `most` ns. */
uint64_t gl_kill_cleanup_ns(const gl_task *t, uint64_t most);

/* The running task, which must end, has used up a slice that it does not pay for: is it to be raised at now, or has it another slice to
 * go on first? Counts. */
bool gl_kill_is_due(gl_task *t);

/* Kills a task at random from now on if its budget is exhausted and nothing is left of the time for its clean-up. */
void gl_kill_hurry(gl_task *t);

/* Is the running task, for which gl_kill_insists, in the middle of closing variables, or in a shield, and has time left for that? Looks at
 * every frame. */
bool gl_kill_lets_close(lua_State *L, const gl_task *t);

/* Raises in the running task, which must end, or has the preemption's hook raise at one of the next instructions (true). False:
 * neither, since what closes variables gets its time first. `ar` is the hook's record; NULL: in C, where nothing is lost. */
bool gl_kill_soon(lua_State *L, gl_host *h, const lua_Debug *ar);

/* In the hook, while an error is due (t->raise_in > 0): raises it if this is a safe point, or if it has waited for long. `overran`:
 * another slice was used up by the wait. False: no error is due any more, as it was raised in a wait, or its scope was left. */
bool gl_kill_at_safepoint(lua_State *L, gl_host *h, const lua_Debug *ar, bool overran);

/* In the hook, on a task for which gl_kill_insists: sets the hook for the next random instruction. That leaves a <close> variable
 * the time to do its work, and sooner or later the error meets a loop around a pcall outside of that pcall. False: the task
 * need not end (any more), and nothing has happened. */
bool gl_kill_again(lua_State *L, gl_host *h);

/* Is an error due in the task, or the next one at random? */
bool gl_kill_is_under_way(const gl_task *t);

/* Has the error that is under way in the running task raised in L, which goes on: what was to raise it has gone back to L, or L has stopped
 * running meanwhile. */
void gl_kill_continue(lua_State *L);

/* Goes on with ending the running task in L, when a coroutine that L had resumed failed because the task must end. */
void gl_kill_follow(lua_State *L);

#endif
