/* SPDX-License-Identifier: MIT
 *
 * WebSockets as scripts see them, over http/websocket.h, and the module green.ws.native.
 */
#ifndef GL_WEB_WEBSOCKET_LUA_H
#define GL_WEB_WEBSOCKET_LUA_H

#include "http/websocket.h"

#define GL_WS_META "green.ws" /* name of the metatable of sockets */

/* Returns the socket at a stack index as the hub knows it; NULL: the socket is closed, or the value is none. */
gl_subscriber *gl_ws_listener(lua_State *L, int idx);

/* Pushes an empty handle, which the caller points at a socket. Raises without memory. */
gl_ws **gl_ws_handle(lua_State *L);

/* Pushes green.ws.native: accept(req [, options]) -> ws (upgrade.c), and methods and metatable of sockets. */
int luaopen_green_ws(lua_State *L);

/* Pushes the metatable of sockets, with its `methods`. */
void gl_ws_metatable(lua_State *L);

#endif
