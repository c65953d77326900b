/* SPDX-License-Identifier: MIT
 *
 * Error objects, which green.* raises: a table { code = "ECONNREFUSED", message = "...", op = "http.post" } whose
 * tostring is the message. `code` is for programs, `message` for people: the message names the operation, the
 * object and the reason.
 */
#ifndef GL_CORE_ERROR_H
#define GL_CORE_ERROR_H

#include <lua.h>

#include "core/misuse.h"

/* Pushes an error object. `op` and `code` are copied; the message is `op: formatted` (formats of lua_pushfstring). */
void gl_error_push(lua_State *L, const char *op, const char *code, const char *fmt, ...);

/* Raises an error object. Never returns. */
int gl_error_raise(lua_State *L, const char *op, const char *code, const char *fmt, ...);

/* Raises the error object of a libuv or negative errno status: "fs.stat: notes.txt: no such file or directory".
 * `subject` (may be NULL) is the path, the address, the URL. Never returns. */
int gl_error_status(lua_State *L, const char *op, int status, const char *subject);

/* The same for a peer that has left. That is nobody's fault: where no script catches the error, it is not logged. */
int gl_error_departure(lua_State *L, const char *op, int status, const char *subject);

/* Did gl_error_departure make the value at idx? */
int gl_error_is_departure(lua_State *L, int idx);

/* Is the value at idx an error object with this code? */
int gl_error_is(lua_State *L, int idx, const char *code);

/* Pushes what a log says of the error at idx: its message; of a table that cannot describe itself, some of its fields. May call
 * Lua (__tostring) and may raise. */
void gl_error_describe(lua_State *L, int idx);

/* Makes the class of error objects. Once per host. */
void gl_error_init(lua_State *L);

#endif
