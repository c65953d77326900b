/* SPDX-License-Identifier: MIT
 *
 * The client's side of the opening handshake (RFC 6455, 4.1), as far as it is C: lualib/green/ws/connect.lua sends the request and reads the
 * answer on a socket of net/socket.h, whose stream then becomes the WebSocket's.
 */
#ifndef GL_WEB_WEBSOCKET_CLIENT_H
#define GL_WEB_WEBSOCKET_CLIENT_H

#include <lua.h>

/* opening(options) -> a key for Sec-WebSocket-Key, the Sec-WebSocket-Accept that answers it, and the extensions to offer or nil.
 * Raises misuse; ENOLIBRARY. */
int gl_ws_opening(lua_State *L);

/* take(socket, rest, extensions or nil, options) -> a WebSocket that has taken the stream of the socket over; `rest` came behind the handshake.
 * Returns nothing when more has come meanwhile: read it, and call again. Raises EPROTO for extensions that were not offered; ECONNRESET. */
int gl_ws_take(lua_State *L);

#endif
