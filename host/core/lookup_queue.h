/* SPDX-License-Identifier: MIT
 *
 * Fair queueing of lookups: which of those that wait gets the next thread. Two pools of threads, since names that this machine
 * knows by itself must not wait for name servers. In each pool the domains take turns (round robin), and a domain has at most
 * GL_LOOKUP_DOMAIN threads, since the lookups of a domain hang all at once when its name servers do. No Lua, no loop; the queue
 * starts no thread itself, and is used by the loop's thread only.
 *
 *                 push                     next (the first that waits, or one more)
 *     idle ---------------> in the ring ------------------------------------------> running
 *       ^                    |  ^   |                                                |  |
 *       |  remove: the last  |  |   '-- next: threads == GL_LOOKUP_DOMAIN --> full   |  |
 *       '--------------------'  '------------- ended ------------------------'       |  |
 *       ^                                                                            |  |
 *       '--- ended: no thread is left, nothing waits --------------------------------'  '-- push: in the ring again
 *
 *  1. A domain is in its pool's ring if and only if something of it waits and it has fewer than GL_LOOKUP_DOMAIN threads.
 *  2. A domain that is idle (nothing waits, no threads) is freed by the call that made it idle; only the caller of
 *     gl_lookup_queue_domain holds an idle one, and takes a thread of it or pushes before anything else happens.
 *  3. The threads of a pool are those of its domains.
 */
#ifndef GL_CORE_LOOKUP_QUEUE_H
#define GL_CORE_LOOKUP_QUEUE_H

#include "core/map.h"

#define GL_LOOKUP_THREADS 64 /* of the pool that asks the network; others wait for one of these to end */
#define GL_LOOKUP_DOMAIN 16  /* ... of which one domain has so many */

typedef enum gl_lookup_pool_id { GL_LOOKUP_NETWORK, GL_LOOKUP_LOCAL, GL_LOOKUP_POOLS } gl_lookup_pool_id;

/* Names that the same servers answer, as far as the last two labels tell. */
typedef struct gl_lookup_domain gl_lookup_domain;

/* First member of a lookup. */
typedef struct gl_lookup_entry {
  struct gl_lookup_entry *next, *prev; /* those of the domain that wait */
  gl_lookup_domain *domain;
} gl_lookup_entry;

typedef struct gl_lookup_pool {
  gl_lookup_domain *first, *last; /* the ring: each in turn */
  unsigned threads;
} gl_lookup_pool;

typedef struct gl_lookup_queue {
  gl_lookup_pool pools[GL_LOOKUP_POOLS];
  gl_map domains; /* by name and pool */
  gl_hashkey key;
} gl_lookup_queue;

void gl_lookup_queue_init(gl_lookup_queue *q);

/* Frees all domains; nothing may wait any more. */
void gl_lookup_queue_free(gl_lookup_queue *q);

/* The domain of that name, which is made if need be. NULL: out of memory. */
gl_lookup_domain *gl_lookup_queue_domain(gl_lookup_queue *q, const char *name, gl_lookup_pool_id pool);

/* May a lookup of this domain start at once? Then the thread is counted, and gl_lookup_queue_ended gives it back. */
bool gl_lookup_queue_take(gl_lookup_queue *q, gl_lookup_domain *d);

/* The entry, whose domain is set, waits for a thread. */
void gl_lookup_queue_push(gl_lookup_queue *q, gl_lookup_entry *e);

/* The entry does not wait any more. Costs the same however many wait. */
void gl_lookup_queue_remove(gl_lookup_queue *q, gl_lookup_entry *e);

/* The entry whose turn it is, out of the queue and its thread counted; NULL: nothing of this pool may start now. */
gl_lookup_entry *gl_lookup_queue_next(gl_lookup_queue *q, gl_lookup_pool_id pool);

/* A thread of this domain has ended. */
void gl_lookup_queue_ended(gl_lookup_queue *q, gl_lookup_domain *d);

#endif
