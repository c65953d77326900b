/* SPDX-License-Identifier: MIT
 *
 * Who listens to what: topics and users, each a channel with its members in the order they came. No Lua and no waiting
 * here, so that a message reaches all members of a channel before anything else happens: one order for all of them.
 */
#ifndef GL_HTTP_HUB_H
#define GL_HTTP_HUB_H

#include "core/bytes.h"
#include "core/map.h"

typedef struct gl_hub gl_hub;
typedef struct gl_member gl_member;
typedef struct gl_subscriber gl_subscriber;

#define GL_HUB_HEAD ((size_t)10) /* bytes of a message before its text: where a frame's head goes (ws/frames.h) */

/* A message: the head of a text frame, right before GL_HUB_HEAD, and the text. */
typedef struct gl_hub_message {
  gl_bytes *bytes;
  size_t head; /* bytes of the head */
} gl_hub_message;

struct gl_subscriber {
  /* Takes the message. False: it does not; it may have left its channels, and may be gone. Calls no Lua. */
  bool (*take)(gl_subscriber *s, const gl_hub_message *m);
  gl_hub *hub;        /* NULL: it never joined anything */
  gl_member *members; /* what it listens to */
};

/* Two worlds, so that no topic a client may choose is somebody's address. */
typedef enum gl_hub_namespace { GL_HUB_TOPICS, GL_HUB_USERS } gl_hub_namespace;

/* Counted references: the module's, and each subscriber's. NULL: out of memory. */
gl_hub *gl_hub_new(gl_host *h);
void gl_hub_unref(gl_hub *hub);

/* The subscriber listens to the channel from now on; harmless when it does already. False: out of memory. */
bool gl_hub_subscribe(gl_hub *hub, gl_subscriber *s, gl_hub_namespace world, const char *name, size_t n);

/* It does not any more; harmless when it does not. */
void gl_hub_unsubscribe(gl_hub *hub, gl_subscriber *s, gl_hub_namespace world, const char *name, size_t n);

/* It listens to nothing any more. */
void gl_hub_unsubscribe_all(gl_subscriber *s);

/* The same, when it is about to be freed. */
void gl_hub_remove(gl_subscriber *s);

/* How many listen. */
size_t gl_hub_count(const gl_hub *hub, gl_hub_namespace world, const char *name, size_t n);

/* Text for everybody who listens. How many took it; -1: out of memory, nobody did. */
int64_t gl_hub_publish(gl_hub *hub, gl_hub_namespace world, const char *name, size_t n, const char *text, size_t len);

#endif
