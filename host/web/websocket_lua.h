/* SPDX-License-Identifier: MIT
 *
 * WebSockets as scripts see them (http/websocket.h does the rest), and the module green.ws.native.
 */
#ifndef GL_WEB_WEBSOCKET_LUA_H
#define GL_WEB_WEBSOCKET_LUA_H

#include "http/websocket.h"

#define GL_WS_META "green.ws" /* name of the metatable of sockets */

/* The socket at a stack index as the hub knows it; NULL: it is closed, or no socket. */
gl_subscriber *gl_ws_listener(lua_State *L, int idx);

/* Pushes an empty handle, to be pointed at a socket. Raises. */
gl_ws **gl_ws_handle(lua_State *L);

/* green.ws.native: accept(req [, options]) -> ws (upgrade.c). */
int luaopen_green_ws(lua_State *L);

/* Creates the metatable. */
void gl_ws_metatable(lua_State *L);

#endif
