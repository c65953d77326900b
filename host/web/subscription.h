/* SPDX-License-Identifier: MIT
 *
 * A subscription: messages of a topic, for loops. One that does not keep up loses the oldest. Its tasks wait in a queue, and
 * a message is handed to the one that waited longest.
 */
#ifndef GL_WEB_SUBSCRIPTION_H
#define GL_WEB_SUBSCRIPTION_H

#include "http/hub.h"

/* Pushes a subscription that listens to the topic. `options`: stack index of a table, or 0. Raises. */
void gl_subscription_push(lua_State *L, gl_hub *hub, const char *topic, size_t n, int options);

/* The subscription at a stack index as the hub knows it; NULL: it is closed, or none. */
gl_subscriber *gl_subscription_listener(lua_State *L, int idx);

/* Creates the metatable. */
void gl_subscription_metatable(lua_State *L);

#endif
