/* SPDX-License-Identifier: MIT
 *
 * Responses: the values that a handler returned become the message that is sent.
 */
#ifndef GL_WEB_RESPONSE_H
#define GL_WEB_RESPONSE_H

#include "web/call.h"

#define GL_RESPONSE_META "green.response" /* name of the metatable of responses */

/* Takes the values that a handler returned, on the stack from `first` on, and leaves the one that is the answer on top. Raises for a
 * second value that can only be a mistake: a status, or an error after nil. */
void gl_response_of_results(lua_State *L, int first);

/* Sends the value on top of L as the answer to the request at index 1. May raise, call Lua and wait (a stream): the calling C function
 * must return what this returns. */
int gl_response_send(lua_State *L, gl_exchange *x);

/* Pushes the metatable of responses; the first call creates it. */
void gl_response_metatable(lua_State *L);

/* Adds `settle` to the table on top (settle.c). */
void gl_response_functions(lua_State *L);

#endif
