/* SPDX-License-Identifier: MIT
 *
 * The server side of a WebSocket (RFC 6455): wslay does the frames, this does the waiting. Any number of
 * tasks may send, one may receive at the same time.
 *
 *     OPEN --close frame sent or received--> CLOSING --both--> stream finished --> gone
 */
#ifndef GL_HTTP_WEBSOCKET_H
#define GL_HTTP_WEBSOCKET_H

#include "http/conn.h"

typedef struct gl_ws gl_ws;

typedef struct gl_ws_limits {
  size_t max_message;   /* bytes of one message received: close 1009 beyond */
  size_t max_pending;   /* bytes try_send may leave waiting */
  double ping_interval; /* seconds between pings */
  double idle_timeout;  /* seconds without a byte from the peer: the connection is dropped */
} gl_ws_limits;

/* A WebSocket that takes over the stream of a connection, as a userdata on top of L. Raises when out of
 * memory, before anything was taken. */
gl_ws *gl_ws_new(lua_State *L, gl_conn *c, const gl_ws_limits *limits);

/* The handshake was written: begin to read. */
void gl_ws_start(gl_ws *ws);

/* green.ws.native: accept(req [, options]) -> ws. */
int gl_open_ws(lua_State *L);

/* Creates the metatable (http/websocket.c). */
void gl_ws_metatable(lua_State *L);

#endif
