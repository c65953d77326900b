/* SPDX-License-Identifier: MIT
 *
 * Lua's coroutine library with the stock semantics to the letter, plus two things: the host knows which
 * coroutine runs, and an await inside a coroutine of the script passes through that coroutine, level by level, to the task.
 *
 *     task base --resume--> generator --resume--> helper --gl_await-->
 *        ^------- yield -------^------- yield -------'        the driver goes on
 *
 * To the script these coroutines stand still: their status is "normal", and nobody else can resume them. The base of a task
 * looks like the main thread of stock Lua.
 */
#ifndef GL_CORE_CORO_H
#define GL_CORE_CORO_H

#include <lua.h>

/* Replaces resume, wrap, close, status, running, yield, isyieldable and create in the table `coroutine`. */
int gl_install_coroutine(lua_State *L);

#endif
