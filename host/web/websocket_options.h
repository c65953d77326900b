/* SPDX-License-Identifier: MIT
 *
 * The options that sockets of both sides have, and the pool that lends them what compressed messages need.
 */
#ifndef GL_WEB_WEBSOCKET_OPTIONS_H
#define GL_WEB_WEBSOCKET_OPTIONS_H

#include <lua.h>

#include "http/websocket.h"

/* Reads max_message, max_pending (bytes), ping_interval and idle_timeout (seconds) of the table at a stack index. Raises misuse. */
void gl_ws_read_limits(lua_State *L, int options, gl_ws_limits *limits);

/* Reads the option `compression`. Returns false if messages are not to be compressed. Raises misuse. */
bool gl_ws_read_wish(lua_State *L, int options, gl_permessage_wish *wish);

/* Loads zlib. Raises ENOLIBRARY by `op`. */
void gl_ws_need_zlib(lua_State *L, const char *op);

/* Pushes the userdata of the pool, for gl_ws_pool: it is the first upvalue of each function that makes sockets. Raises without memory. */
void gl_ws_push_pool(lua_State *L);

/* Returns the pool of the running function. */
gl_deflate_pool *gl_ws_pool(lua_State *L);

#endif
