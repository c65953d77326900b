/* SPDX-License-Identifier: MIT
 *
 * What green.* raises: a table { code = "ECONNREFUSED", message = "...", op = "http.post" } whose
 * tostring is the message. `code` is for programs, `message` for people: it names the operation, the
 * object and the reason.
 */
#ifndef GL_CORE_ERROR_H
#define GL_CORE_ERROR_H

#include <lua.h>

#include "core/misuse.h"

/* Push an error object. `op` and `code` are copied; the message is `op: formatted` (formats of lua_pushfstring). */
void gl_error_push(lua_State *L, const char *op, const char *code, const char *fmt, ...);

/* Raise one. Never returns. */
int gl_error_raise(lua_State *L, const char *op, const char *code, const char *fmt, ...);

/* Raise one for a libuv or negative errno status: "fs.stat: notes.txt: no such file or directory".
 * `subject` (may be NULL) is the path, the address, the URL. Never returns. */
int gl_error_status(lua_State *L, const char *op, int status, const char *subject);

/* The same for a peer that has left, which is nobody's fault: where nobody catches it, it is not logged. */
int gl_error_departure(lua_State *L, const char *op, int status, const char *subject);

/* Is the value at idx such an error? */
int gl_error_is_departure(lua_State *L, int idx);

/* Is the value at idx an error object with this code? */
int gl_error_is(lua_State *L, int idx, const char *code);

/* Push what a log says of the error at idx: its message; of a table that has none for people, what is in it. May call Lua
 * (__tostring), may raise. */
void gl_error_describe(lua_State *L, int idx);

/* Creates the metatable. Once per host. */
void gl_error_init(lua_State *L);

#endif
