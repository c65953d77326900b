/* SPDX-License-Identifier: MIT */
#include "core/lookup_queue.h"

#include <string.h>

#include "core/block.h"
#include "core/check.h"

struct gl_lookup_domain {
  gl_mapnode node;
  gl_lookup_domain *next, *prev; /* in the ring */
  gl_lookup_entry *first, *last; /* that wait */
  unsigned threads;
  gl_lookup_pool_id pool;
  bool queued; /* in the ring */
  char name[];
};

static const unsigned most[GL_LOOKUP_POOLS] = {GL_LOOKUP_THREADS, GL_LOOKUP_THREADS / 8};

void gl_lookup_queue_init(gl_lookup_queue *q) {
  *q = (gl_lookup_queue){0};
  gl_hash_key(&q->key);
}

/* ---- domains ---- */

static size_t domain_size(const char *name) { return sizeof(gl_lookup_domain) + strlen(name) + 1; }

static void domain_free(gl_lookup_queue *q, gl_lookup_domain *d) {
  gl_map_remove(&q->domains, &d->node);
  gl_memory_resize(d, domain_size(d->name), 0);
}

static void drop_if_idle(gl_lookup_queue *q, gl_lookup_domain *d) {
  if (!d->threads && !d->first) domain_free(q, d);
}

void gl_lookup_queue_free(gl_lookup_queue *q) {
  for (gl_mapnode *node; (node = gl_map_any(&q->domains)) != NULL;) {
    gl_lookup_domain *d = GL_CONTAINER(node, gl_lookup_domain, node);
    GL_CHECK(!d->first);
    domain_free(q, d);
  }
}

gl_lookup_domain *gl_lookup_queue_domain(gl_lookup_queue *q, const char *name, gl_lookup_pool_id pool) {
  uint64_t hash = gl_hash_bytes(&q->key, name, strlen(name));
  for (gl_mapnode *node = gl_map_find(&q->domains, hash); node; node = gl_map_next(node)) {
    gl_lookup_domain *d = GL_CONTAINER(node, gl_lookup_domain, node);
    if (d->pool == pool && strcmp(d->name, name) == 0) return d;
  }
  gl_lookup_domain *d = gl_memory_resize(NULL, 0, domain_size(name));
  if (!d) return NULL;
  *d = (gl_lookup_domain){.node.hash = hash, .pool = pool};
  strcpy(d->name, name);
  if (gl_map_add(&q->domains, &d->node)) return d;
  gl_memory_resize(d, domain_size(name), 0);
  return NULL;
}

/* ---- the ring ---- */

static void join(gl_lookup_pool *p, gl_lookup_domain *d) {
  if (d->queued || !d->first || d->threads >= GL_LOOKUP_DOMAIN) return;
  d->queued = true;
  d->next = NULL;
  d->prev = p->last;
  if (p->last) p->last->next = d;
  else p->first = d;
  p->last = d;
}

static void leave(gl_lookup_pool *p, gl_lookup_domain *d) {
  if (!d->queued) return;
  d->queued = false;
  if (d->prev) d->prev->next = d->next;
  else p->first = d->next;
  if (d->next) d->next->prev = d->prev;
  else p->last = d->prev;
}

/* ---- entries ---- */

static void unlink_entry(gl_lookup_domain *d, gl_lookup_entry *e) {
  if (e->prev) e->prev->next = e->next;
  else d->first = e->next;
  if (e->next) e->next->prev = e->prev;
  else d->last = e->prev;
}

void gl_lookup_queue_push(gl_lookup_queue *q, gl_lookup_entry *e) {
  gl_lookup_domain *d = e->domain;
  e->next = NULL;
  e->prev = d->last;
  if (d->last) d->last->next = e;
  else d->first = e;
  d->last = e;
  join(&q->pools[d->pool], d);
}

void gl_lookup_queue_remove(gl_lookup_queue *q, gl_lookup_entry *e) {
  gl_lookup_domain *d = e->domain;
  unlink_entry(d, e);
  if (d->first) return;
  leave(&q->pools[d->pool], d);
  drop_if_idle(q, d);
}

/* ---- threads ---- */

static void count_thread(gl_lookup_pool *p, gl_lookup_domain *d) {
  p->threads++;
  d->threads++;
}

bool gl_lookup_queue_take(gl_lookup_queue *q, gl_lookup_domain *d) {
  gl_lookup_pool *p = &q->pools[d->pool];
  if (d->first || d->threads >= GL_LOOKUP_DOMAIN || p->threads >= most[d->pool]) return false;
  count_thread(p, d);
  return true;
}

gl_lookup_entry *gl_lookup_queue_next(gl_lookup_queue *q, gl_lookup_pool_id pool) {
  gl_lookup_pool *p = &q->pools[pool];
  gl_lookup_domain *d = p->first;
  if (!d || p->threads >= most[pool]) return NULL;
  gl_lookup_entry *e = d->first;
  leave(p, d);
  unlink_entry(d, e);
  count_thread(p, d);
  join(p, d);
  return e;
}

void gl_lookup_queue_ended(gl_lookup_queue *q, gl_lookup_domain *d) {
  gl_lookup_pool *p = &q->pools[d->pool];
  p->threads--;
  d->threads--;
  join(p, d);
  drop_if_idle(q, d);
}
