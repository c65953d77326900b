/* SPDX-License-Identifier: MIT
 *
 * What a hub has for its broker: the changes of channels (http/hub.h), and messages, which wait here until they are taken. Whoever sends
 * never waits: beyond GL_OUTBOX_MESSAGES messages, or GL_OUTBOX_BYTES bytes of them, the oldest are dropped, and counted.
 *
 *     gl_outbox_add, a change of the hub, gl_outbox_ring --> the bell --gl_outbox_wait--> the task that tells the broker
 *
 *  1. A change is taken before every message that waits: who has begun to listen gets what the same process publishes from then on.
 *  2. A bell that nobody waits for stays rung, until the next gl_outbox_wait.
 */
#ifndef GL_WEB_OUTBOX_H
#define GL_WEB_OUTBOX_H

#include <lua.h>

#include "core/op.h"
#include "http/hub.h"

#define GL_OUTBOX_MESSAGES ((size_t)10000)
#define GL_OUTBOX_BYTES ((size_t)16 << 20)

typedef struct gl_outgoing gl_outgoing;

/* Zeroed memory is an empty one. */
typedef struct gl_outbox {
  gl_hub_broker broker; /* of the hub */
  gl_outgoing *first, *last;
  gl_outgoing *taken;   /* the message that is being pushed; without memory for that it is the next one again */
  size_t count, bytes;  /* of the messages that wait */
  lua_Integer lost;     /* messages that found no room so far */
  gl_opqueue waiters;
  bool rung;
} gl_outbox;

/* Makes the outbox the hub's broker. */
void gl_outbox_open(gl_outbox *o, gl_hub *hub);

/* Drops all messages. */
void gl_outbox_clear(gl_host *h, gl_outbox *o);

/* Adds a message for a channel. False: out of memory. */
bool gl_outbox_add(gl_host *h, gl_outbox *o, gl_hub_namespace namespace, const char *name, size_t n, const char *text, size_t len);

/* Pushes what is next, and takes it: "listen" or "leave" and the channel; "send", the channel and the text; nothing. Returns the number of
 * values. A channel's name is "t:TOPIC" or "u:USER". May raise (memory), and has taken nothing then. */
int gl_outbox_push(lua_State *L, gl_outbox *o, gl_hub *hub);

/* Wakes who waits. */
void gl_outbox_ring(gl_outbox *o);

/* Waits until the bell is rung. The value at `idx` holds the outbox. */
int gl_outbox_wait(lua_State *L, gl_outbox *o, int idx);

#endif
