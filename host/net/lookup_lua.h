/* SPDX-License-Identifier: MIT
 *
 * net.resolve for scripts, and the errors of lookups that failed.
 */
#ifndef GL_NET_LOOKUP_LUA_H
#define GL_NET_LOOKUP_LUA_H

#include <lua.h>
#include <uv.h>

/* Is `status` an error of the resolver (UV_EAI_*)? */
int gl_resolve_failed(int status);

/* Returns such a status in words, a static text, and sets *code to the code of its error object. */
const char *gl_resolve_reason(int status, const char **code);

/* Raises such a status: "net.connect: nowhere.test: no such host", ENOTFOUND. Never returns. */
int gl_resolve_raise(lua_State *L, const char *op, int status, const char *host);

/* net.resolve(host [, { family = 4 | 6, timeout = 30 }]) -> a list of addresses. Waits for the lookup; raises why it failed. */
int gl_net_resolve(lua_State *L);

#endif
