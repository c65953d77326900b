/* SPDX-License-Identifier: MIT
 *
 * The base coroutine of a task, and the two registry slots that come with it. A new coroutine costs 0.3 us, a used one 0.1 us,
 * so those that returned are kept in h->spare and run again.
 *
 *     slot      co_ref                              kept_ref = -co_ref (luaL_ref hands out no negative keys)
 *     holds     the coroutine while the task        false, or what gl_task_keep has kept
 *               lives; after a failure the error,
 *               as error_ref
 *
 * Both slots are made with the coroutine, so that keeping an error or a value allocates nothing.
 */
#ifndef GL_CORE_BASE_H
#define GL_CORE_BASE_H

#include "core/task.h"

/* Gives the task a coroutine, new or used. False: out of memory. Calls no Lua code. */
bool gl_base_acquire(gl_host *h, gl_task *t);

/* Takes the coroutine and the slots of the task back: a coroutine that returned is kept for the next task, unless the script
 * has got hold of it; any other is left to the collector. Harmless when the task has none. */
void gl_base_release(gl_task *t);

/* Puts the error on top of the failed coroutine into the coroutine's slot. The coroutine is garbage from then on, so
 * that the many tasks of one that hoards memory make room as they fail, each for the error of the next. */
void gl_base_fail(gl_task *t);

/* Keeps the value on top of L (popped) until on_end of the task has returned; when the task fails, until its last reference is
 * gone. The task must have a coroutine: one that was spawned has, and one that runs. */
void gl_task_keep(lua_State *L, gl_task *t);

/* Pushes what was kept; false when nothing was. */
void gl_task_push_kept(lua_State *L, gl_task *t);

/* Pushes the error that a task ended with. False: it found no memory to begin, and nothing was pushed. */
bool gl_task_push_error(lua_State *L, const gl_task *t);

#endif
