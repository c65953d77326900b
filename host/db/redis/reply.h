/* SPDX-License-Identifier: MIT
 *
 * Replies as Lua values, and commands as RESP.
 */
#ifndef GL_DB_REDIS_REPLY_H
#define GL_DB_REDIS_REPLY_H

#include <stddef.h>

#include <lua.h>

/* Pushes the value at `*at` of `n` bytes of whole replies, and moves `*at` behind it: strings, integers, numbers, booleans; a list for
 * an array, a set and a push, a table by key for a map. Null is nil; within a list, which must not end there, it is false, as in Redis's
 * own scripts. An error is an error object, of the operation `op`. Attributes are left out. May raise (memory). */
void gl_redis_push_reply(lua_State *L, const char *op, const char *bytes, size_t n, size_t *at);

/* The same for an item of a list: null is false. */
void gl_redis_push_item(lua_State *L, const char *op, const char *bytes, size_t n, size_t *at);

/* Is the value at `at` an error? */
int gl_redis_is_error(const char *bytes, size_t at);

/* Makes strings of the numbers among the values of L from `first` to `last`, a command, and returns how many bytes it has as RESP. Raises on
 * a value that is neither a string nor a number: the name is argument 0. */
size_t gl_redis_measure(lua_State *L, int first, int last);

/* Writes the command that was measured to `at`, which has room for it. Raises nothing. */
void gl_redis_write(lua_State *L, int first, int last, char *at);

#endif
