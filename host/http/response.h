/* SPDX-License-Identifier: MIT
 *
 * From what a handler returned to the bytes of an HTTP/1.1 response.
 */
#ifndef GL_HTTP_RESPONSE_H
#define GL_HTTP_RESPONSE_H

#include "http/conn.h"

/* What a handler returned is on the stack from `first` on: leaves the value that is the answer on top. Raises for a second value
 * that can only be a mistake: a status, or an error after nil. */
void gl_response_of_results(lua_State *L, int first);

/* What becomes of the error of a handler. */
typedef struct gl_failure {
  int status;       /* 500 is for us to hide and to log */
  bool cut;         /* it was cancelled, or could not send */
  char reason[256]; /* what the client is told */
} gl_failure;

/* Reads it from the error value at idx: an error object that carries an HTTP status is an answer. May raise (memory). */
void gl_response_failure(lua_State *L, int idx, gl_failure *f);

#define GL_OVERTIME "the request took too long"

/* Sends the value at the top of L as the answer. May call Lua and may wait (streams): returns what the calling
 * C function must return. */
int gl_response_send(lua_State *L, gl_conn *c);

/* Takes a streamed answer back of which nothing has left yet, so that another can be sent. False: some of it has. */
bool gl_response_take_back(gl_conn *c);

/* Forgets the head that waits for the first piece of a streamed answer. */
void gl_response_drop_head(gl_conn *c);

/* Sends a short error answer: a page to browsers, else JSON. Calls no Lua. */
void gl_response_send_error(gl_conn *c, int status, const char *reason);

/* The response metatable, created by the first call, on top of L. */
void gl_response_metatable(lua_State *L);

/* Registers the writer's metatable, and adds `settle`, `failure` and `refusal` to the table on top. */
void gl_response_class(lua_State *L);

#endif
