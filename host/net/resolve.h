/* SPDX-License-Identifier: MIT
 *
 * Names to addresses, by the system's resolver (hosts file, search domains and all) on the thread pool.
 */
#ifndef GL_NET_RESOLVE_H
#define GL_NET_RESOLVE_H

#include <lua.h>
#include <uv.h>

/* Look up a host's addresses of a family (AF_UNSPEC: all), with this port in them. `done` is called once, also after
 * uv_cancel, which stops what has not begun. 0 or UV_E*. */
int gl_resolve_start(uv_loop_t *loop, uv_getaddrinfo_t *req, const char *host, int port, int family, uv_getaddrinfo_cb done);

/* Is it a status of the resolver? */
int gl_resolve_failed(int status);

/* Raise for such a status: "net.connect: nowhere.test: no such host", ENOTFOUND. */
int gl_resolve_raise(lua_State *L, const char *op, int status, const char *host);

/* resolve(host [, { family = 4 | 6, timeout = 30 }]) -> list of addresses */
int gl_net_resolve(lua_State *L);

#endif
