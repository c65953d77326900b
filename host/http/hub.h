/* SPDX-License-Identifier: MIT
 *
 * Which subscribers listen to which topics and users. A topic or a user is a channel; its members are the subscribers that
 * listen to it, in the order in which they came. No function here calls Lua or waits, so a message reaches all members of a
 * channel before anything else happens, and all members see the messages of all tasks in one order.
 *
 *     gl_hub --channels[namespace], by name--> channel --first, next: in order--> gl_member --subscriber--> gl_subscriber
 *        '-----members, by channel and subscriber-------------------------------^ ^----members, next_own-----'
 *
 *     gl_hub_subscribe --add_channel, unless it is there--> add_member
 *     gl_hub_unsubscribe, _unsubscribe_all, _remove ------> drop_member --it was the last one--> drop_channel
 *     gl_hub_publish --one gl_bytes for all--> take of each member: a WebSocket writes it, a subscription hands it to a task or keeps it
 *
 * With a broker (web/hub_lua.h) a channel whose first member has come, or whose last one has left, is in the list of changes until the
 * broker was told:
 *
 *     listed --gl_hub_changed: GL_HUB_LISTEN or _LEAVE--> the broker is told --gl_hub_told--> not listed; dropped without a member
 *        '-----gl_hub_changed: it is again as the broker was told----------------------------> the same
 *     gl_hub_forget: the connection to the broker was lost, and a new one knows of no channel --> all are listed
 *
 *  1. A channel exists exactly while it has a member, or is in the list of changes.
 *  2. A subscriber is a member of a channel at most once.
 *  3. A subscriber refers to the hub from its first gl_hub_subscribe until gl_hub_remove, also while it has no channel.
 *  4. While a message is published nobody joins, and no subscriber leaves but the one that is asked to take the message.
 */
#ifndef GL_HTTP_HUB_H
#define GL_HTTP_HUB_H

#include "core/bytes.h"
#include "core/map.h"

typedef struct gl_hub gl_hub;
typedef struct gl_member gl_member;
typedef struct gl_subscriber gl_subscriber;

#define GL_HUB_HEAD ((size_t)10) /* bytes of a message before its text: room for the head of a server's frame (ws/frames.h) */

/* A message: the head of a WebSocket's text frame, which ends at GL_HUB_HEAD, and the text from there on. */
typedef struct gl_hub_message {
  gl_bytes *bytes;
  size_t head; /* bytes of the head */
  gl_bytes *deflated; /* the same, compressed by the first subscriber that takes it so (http/websocket_out.c); NULL: not yet, or not smaller */
  size_t deflated_head;
  bool tried;  /* it was tried to compress the message */
} gl_hub_message;

struct gl_subscriber {
  /* Takes the message, and a reference to its bytes if they are needed for longer. Returns whether the subscriber took the message;
   * after false it may have left its channels, and may be freed. Calls no Lua. */
  bool (*take)(gl_subscriber *s, gl_hub_message *m);
  gl_hub *hub;        /* referenced; NULL: this subscriber never joined a channel */
  gl_member *members; /* one for each channel that it listens to */
};

/* The namespaces of channels. They are apart, so that no topic that a client may choose is the name of a user. */
typedef enum gl_hub_namespace { GL_HUB_TOPICS, GL_HUB_USERS } gl_hub_namespace;

/* Makes a hub with one reference, the caller's; each subscriber has one more. NULL: out of memory. */
gl_hub *gl_hub_new(gl_host *h);
void gl_hub_unref(gl_hub *hub);

/* Makes the subscriber a member of the channel, if it is none yet. `name` is copied. False: out of memory. */
bool gl_hub_subscribe(gl_hub *hub, gl_subscriber *s, gl_hub_namespace namespace, const char *name, size_t n);

/* Ends the membership of the subscriber in the channel, if there is one. */
void gl_hub_unsubscribe(gl_hub *hub, gl_subscriber *s, gl_hub_namespace namespace, const char *name, size_t n);

/* Ends all memberships of the subscriber. */
void gl_hub_unsubscribe_all(gl_subscriber *s);

/* Ends all memberships, and drops the subscriber's reference to the hub. Call before the subscriber is freed. */
void gl_hub_remove(gl_subscriber *s);

/* Returns how many members the channel has. */
size_t gl_hub_count(const gl_hub *hub, gl_hub_namespace namespace, const char *name, size_t n);

/* Sends a text to all members of the channel. Returns how many took it; -1: out of memory, and no member got it. The text is UTF-8,
 * which the caller has checked. */
int64_t gl_hub_publish(gl_hub *hub, gl_hub_namespace namespace, const char *name, size_t n, const char *text, size_t len);

/* ---- a broker ---- */

/* Who wants to know which channels have members. */
typedef struct gl_hub_broker gl_hub_broker;
struct gl_hub_broker {
  void (*on_change)(gl_hub_broker *broker); /* there may be something to tell; calls neither Lua nor the hub */
};

typedef enum gl_hub_change { GL_HUB_SAME, GL_HUB_LISTEN, GL_HUB_LEAVE } gl_hub_change;

/* Gives the hub a broker, which knows of no channel yet; NULL takes it away. The broker is the caller's, until then. */
void gl_hub_share(gl_hub *hub, gl_hub_broker *broker);

/* Returns what the broker is to be told next, with the channel's name, which is the hub's until gl_hub_told. */
gl_hub_change gl_hub_changed(gl_hub *hub, gl_hub_namespace *namespace, const char **name, size_t *n);

/* The broker was told what gl_hub_changed has returned last. */
void gl_hub_told(gl_hub *hub, gl_hub_change change);

/* The broker has forgotten what it was told. */
void gl_hub_forget(gl_hub *hub);

#endif
