/* SPDX-License-Identifier: MIT
 *
 * Where an error comes from when it has left coroutines and tasks behind on its way: their frames, which the traceback of
 * whoever ends with the error does not show any more. A host remembers those of the last such error.
 */
#ifndef GL_CORE_TRACE_H
#define GL_CORE_TRACE_H

#include "core/host.h"

/* `co` has failed, the error on top of it, and its frames are still there: remember them. On L; may raise (memory). */
void gl_trace_coroutine(lua_State *L, lua_State *co);

/* Task `t` has failed, the error on top of L, and its frames are still there: to be shown to who wants to see them. */
void gl_trace_failed(lua_State *L, const gl_task *t);

/* The error on top of L, that of a task, is raised again on L by who joined it: remember the task's traceback, `text` (may
 * be NULL: there was no memory for it). */
void gl_trace_task(lua_State *L, const char *text);

/* The remembered error goes on as the string on top of L. */
void gl_trace_renamed(lua_State *L);

/* Push "message\nstack traceback:\n\t..." (without the first line when message is NULL) of `co` from `level` on, behind what
 * is remembered for the error at `error`. */
void gl_trace_push(lua_State *L, lua_State *co, const char *message, int level, int error);

/* A module is being loaded: what its functions are called is to be found out anew, when that is next asked for. */
void gl_trace_forget_names(lua_State *L);

#endif
