/* SPDX-License-Identifier: MIT
 *
 * A subscription: messages of a topic, for loops. A subscription whose tasks do not keep up loses the oldest messages. Tasks wait in a
 * queue, and a message is handed to the one that waited longest.
 *
 *     gl_hub_publish --take_message--> a task waits: hand--> its receive op --push_receive--> the script
 *                            '---------> no task waits: append--> the ring --subscription:receive: take_first--> the script
 *                                            '--no room (max_messages, max_bytes), no memory--> lost
 *     receive op --free_receive: the task could not take the message: give_back--> another task, or the front of the ring
 *
 *  1. While a task waits, the ring is empty.
 *  2. A closed subscription has no message in its ring, and no task waits for it.
 */
#ifndef GL_WEB_SUBSCRIPTION_H
#define GL_WEB_SUBSCRIPTION_H

#include "http/hub.h"

/* Pushes a subscription that listens to the topic. `options`: stack index of a table (max_messages, max_bytes), or 0: none. Raises for
 * a wrong option, and without memory. */
void gl_subscription_push(lua_State *L, gl_hub *hub, const char *topic, size_t n, int options);

/* Returns the subscription at a stack index as the hub knows it; NULL: the subscription is closed, or the value is none. */
gl_subscriber *gl_subscription_listener(lua_State *L, int idx);

/* Creates the metatable; call before any subscription is pushed. */
void gl_subscription_metatable(lua_State *L);

#endif
