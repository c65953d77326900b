/* SPDX-License-Identifier: MIT */
#include "http/hub.h"

#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "core/memory.h"
#include "ws/frames.h"

typedef struct channel channel;

struct channel {
  gl_mapnode node;
  gl_hub *hub;
  gl_hub_namespace namespace;
  gl_member *first, *last;
  channel *next_changed; /* in the hub's list, while `changed` */
  size_t count; /* of its members; 0 while it is made or dropped, and while a broker has to be told that the last one left */
  bool told;    /* the broker knows that there are members */
  bool changed; /* `told` may not be what it should be */
  size_t n;     /* bytes of its name */
  char name[];
};

struct gl_member {
  gl_mapnode node;
  channel *channel;
  gl_subscriber *subscriber;
  gl_member *next, *before;    /* in the channel's list */
  gl_member *next_own, **at_own; /* in the subscriber's list */
};

struct gl_hub {
  gl_host *host;
  gl_map channels[2]; /* by namespace */
  gl_map members;     /* of all channels, by channel and subscriber */
  gl_hashkey key;
  uint32_t refs;
  gl_hub_broker *broker; /* NULL: none */
  channel *first_changed, *last_changed;
};

gl_hub *gl_hub_new(gl_host *h) {
  gl_hub *hub = calloc(1, sizeof *hub);
  if (!hub) return NULL;
  hub->host = h;
  hub->refs = 1;
  gl_hash_key(&hub->key);
  return hub;
}

/* ---- channels and members ---- */

static channel *find_channel(const gl_hub *hub, gl_hub_namespace namespace, const char *name, size_t n) {
  if (hub->channels[namespace].count == 0) return NULL;
  gl_mapnode *node = gl_map_find(&hub->channels[namespace], gl_hash_bytes(&hub->key, name, n));
  for (; node; node = gl_map_next(node)) {
    channel *c = GL_CONTAINER(node, channel, node);
    if (c->n == n && memcmp(c->name, name, n) == 0) return c;
  }
  return NULL;
}

static channel *add_channel(gl_hub *hub, gl_hub_namespace namespace, const char *name, size_t n) {
  channel *c = gl_memory_admits(hub->host, sizeof *c + n) ? gl_block_calloc(&hub->host->alloc, sizeof *c + n) : NULL;
  if (!c) return NULL;
  c->hub = hub;
  c->namespace = namespace;
  c->n = n;
  memcpy(c->name, name, n);
  c->node.hash = gl_hash_bytes(&hub->key, name, n);
  if (gl_map_add(&hub->channels[namespace], &c->node)) return c;
  gl_block_free(&hub->host->alloc, c, sizeof *c + n);
  return NULL;
}

static void drop_channel(channel *c) {
  gl_hub *hub = c->hub;
  gl_map_remove(&hub->channels[c->namespace], &c->node);
  gl_block_free(&hub->host->alloc, c, sizeof *c + c->n);
}

/* Notes that the broker may have to be told of the channel. */
static void note_change(channel *c) {
  gl_hub *hub = c->hub;
  if (!c->changed) {
    c->changed = true;
    c->next_changed = NULL;
    if (hub->first_changed) hub->last_changed->next_changed = c;
    else hub->first_changed = c;
    hub->last_changed = c;
  }
  hub->broker->on_change(hub->broker);
}

/* What becomes of a channel that has no member any more. */
static void settle_channel(channel *c) {
  if (c->hub->broker) note_change(c);
  else drop_channel(c);
}

static uint64_t member_hash(const channel *c, const gl_subscriber *s) { return gl_hash_pair((uintptr_t)c, (uintptr_t)s); }

static gl_member *find_member(const channel *c, const gl_subscriber *s) {
  gl_mapnode *node = gl_map_find(&c->hub->members, member_hash(c, s));
  for (; node; node = gl_map_next(node)) {
    gl_member *m = GL_CONTAINER(node, gl_member, node);
    if (m->channel == c && m->subscriber == s) return m;
  }
  return NULL;
}

static bool add_member(channel *c, gl_subscriber *s) {
  gl_hub *hub = c->hub;
  gl_member *m = gl_memory_admits(hub->host, sizeof *m) ? gl_block_calloc(&hub->host->alloc, sizeof *m) : NULL;
  if (!m) return false;
  m->channel = c;
  m->subscriber = s;
  m->node.hash = member_hash(c, s);
  if (!gl_map_add(&hub->members, &m->node)) {
    gl_block_free(&hub->host->alloc, m, sizeof *m);
    return false;
  }
  m->before = c->last;
  if (c->last) c->last->next = m;
  else c->first = m;
  c->last = m;
  m->next_own = s->members;
  m->at_own = &s->members;
  if (m->next_own) m->next_own->at_own = &m->next_own;
  s->members = m;
  if (c->count++ == 0 && hub->broker) note_change(c);
  return true;
}

static void drop_member(gl_member *m) {
  channel *c = m->channel;
  gl_hub *hub = c->hub;
  gl_map_remove(&hub->members, &m->node);
  *m->at_own = m->next_own;
  if (m->next_own) m->next_own->at_own = m->at_own;
  if (m->before) m->before->next = m->next;
  else c->first = m->next;
  if (m->next) m->next->before = m->before;
  else c->last = m->before;
  gl_block_free(&hub->host->alloc, m, sizeof *m);
  if (--c->count == 0) settle_channel(c);
}

void gl_hub_unref(gl_hub *hub) {
  if (--hub->refs > 0) return;
  GL_CHECK(hub->members.count == 0 && hub->channels[GL_HUB_TOPICS].count == 0 && hub->channels[GL_HUB_USERS].count == 0);
  free(hub);
}

/* ---- coming and going ---- */

bool gl_hub_subscribe(gl_hub *hub, gl_subscriber *s, gl_hub_namespace namespace, const char *name, size_t n) {
  channel *c = find_channel(hub, namespace, name, n);
  if (c && find_member(c, s)) return true;
  if (!c && !(c = add_channel(hub, namespace, name, n))) return false;
  if (!add_member(c, s)) {
    if (c->count == 0 && !c->changed) drop_channel(c);
    return false;
  }
  if (!s->hub) hub->refs++;
  s->hub = hub;
  return true;
}

void gl_hub_unsubscribe(gl_hub *hub, gl_subscriber *s, gl_hub_namespace namespace, const char *name, size_t n) {
  channel *c = find_channel(hub, namespace, name, n);
  gl_member *m = c ? find_member(c, s) : NULL;
  if (m) drop_member(m);
}

void gl_hub_unsubscribe_all(gl_subscriber *s) {
  while (s->members) drop_member(s->members);
}

void gl_hub_remove(gl_subscriber *s) {
  gl_hub_unsubscribe_all(s);
  if (s->hub) gl_hub_unref(s->hub);
  s->hub = NULL;
}

size_t gl_hub_count(const gl_hub *hub, gl_hub_namespace namespace, const char *name, size_t n) {
  const channel *c = find_channel(hub, namespace, name, n);
  return c ? c->count : 0;
}

/* ---- sending ---- */

int64_t gl_hub_publish(gl_hub *hub, gl_hub_namespace namespace, const char *name, size_t n, const char *text, size_t len) {
  channel *c = find_channel(hub, namespace, name, n);
  if (!c || c->count == 0) return 0;
  uint8_t head[GL_FRAME_HEAD];
  gl_hub_message m = {.bytes = gl_bytes_new(hub->host, GL_HUB_HEAD + len), .head = gl_frames_head(head, GL_TEXT, len, NULL)};
  if (!m.bytes) return -1;
  memcpy(m.bytes->at + GL_HUB_HEAD - m.head, head, m.head);
  if (len) memcpy(m.bytes->at + GL_HUB_HEAD, text, len);
  int64_t sent = 0;
  for (gl_member *at = c->first, *next; at; at = next) {
    next = at->next; /* the subscriber that is asked may leave, and no other does */
    if (at->subscriber->take(at->subscriber, &m)) sent++;
  }
  gl_bytes_unref(m.bytes);
  if (m.deflated) gl_bytes_unref(m.deflated);
  return sent;
}

/* ---- a broker ---- */

/* Takes the first of the changed channels off the list. */
static void unlist_change(gl_hub *hub) {
  channel *c = hub->first_changed;
  hub->first_changed = c->next_changed;
  c->changed = false;
  if (c->count == 0) drop_channel(c);
}

void gl_hub_share(gl_hub *hub, gl_hub_broker *broker) {
  hub->broker = broker;
  if (broker) gl_hub_forget(hub);
  else
    while (hub->first_changed) unlist_change(hub);
}

gl_hub_change gl_hub_changed(gl_hub *hub, gl_hub_namespace *namespace, const char **name, size_t *n) {
  while (hub->first_changed && hub->first_changed->told == (hub->first_changed->count > 0)) unlist_change(hub);
  const channel *c = hub->first_changed;
  if (!c) return GL_HUB_SAME;
  *namespace = c->namespace;
  *name = c->name;
  *n = c->n;
  return c->count > 0 ? GL_HUB_LISTEN : GL_HUB_LEAVE;
}

void gl_hub_told(gl_hub *hub, gl_hub_change change) {
  channel *c = hub->first_changed;
  c->told = change == GL_HUB_LISTEN;
  if (c->told == (c->count > 0)) unlist_change(hub);
}

void gl_hub_forget(gl_hub *hub) {
  for (int i = 0; i < 2; i++) {
    gl_mapnode *node = NULL;
    while ((node = gl_map_after(&hub->channels[i], node)) != NULL) {
      channel *c = GL_CONTAINER(node, channel, node);
      c->told = false;
      note_change(c);
    }
  }
}
