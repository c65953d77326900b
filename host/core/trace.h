/* SPDX-License-Identifier: MIT
 *
 * Tracebacks across coroutines and tasks. An error that leaves a coroutine or a task leaves the frames of that behind, and the
 * traceback made where the error ends does not show them any more. A host remembers these frames for the last such error.
 */
#ifndef GL_CORE_TRACE_H
#define GL_CORE_TRACE_H

#include "core/host.h"

/* Remembers the frames of `co`, which has failed with the error on top of it. Works on L; may raise (memory). */
void gl_trace_coroutine(lua_State *L, lua_State *co);

/* Shows the frames of task `t`, which has failed with the error on top of L, to the page of --dev. May raise (memory). */
void gl_trace_failed(lua_State *L, const gl_task *t);

/* Remembers `text`, the traceback of a task, for the error on top of L, which the task that joined it raises again on L. `text` may
 * be NULL: there was no memory for it. */
void gl_trace_task(lua_State *L, const char *text);

/* Makes the string on top of L the remembered error, if it is that with a position in front. */
void gl_trace_renamed(lua_State *L);

/* Pushes "message\nstack traceback:\n\t..." (without the first line when message is NULL): the frames remembered for the error at
 * `error`, then those of `co` from `level` on. */
void gl_trace_push(lua_State *L, lua_State *co, const char *message, int level, int error);

/* Forgets the names of functions of modules, as a module is being loaded: the next traceback finds them anew. */
void gl_trace_forget_names(lua_State *L);

#endif
