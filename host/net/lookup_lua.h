/* SPDX-License-Identifier: MIT
 *
 * Names to addresses, for scripts; and what is said of those that have none.
 */
#ifndef GL_NET_LOOKUP_LUA_H
#define GL_NET_LOOKUP_LUA_H

#include <lua.h>
#include <uv.h>

/* Is it a status of the resolver? */
int gl_resolve_failed(int status);

/* What people and programs are told of it. */
const char *gl_resolve_reason(int status, const char **code);

/* Raise for such a status: "net.connect: nowhere.test: no such host", ENOTFOUND. */
int gl_resolve_raise(lua_State *L, const char *op, int status, const char *host);

/* resolve(host [, { family = 4 | 6, timeout = 30 }]) -> list of addresses */
int gl_net_resolve(lua_State *L);

#endif
