/* SPDX-License-Identifier: MIT
 *
 * A hash table of nodes that lie in their owners' structs, by linear hashing: it grows and shrinks by one chain at a time, so that
 * no insertion takes long, however many nodes there are. Plain C: no Lua, no loop. Zeroed memory is an empty map.
 */
#ifndef GL_CORE_MAP_H
#define GL_CORE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct gl_mapnode {
  struct gl_mapnode *next; /* the next node of its chain */
  uint64_t hash;
} gl_mapnode;

typedef struct gl_map {
  gl_mapnode **chains;
  size_t base;  /* chains when the current doubling began: a power of 2 */
  size_t split; /* chains divided since: there are base + split chains, and the first `split` have given nodes to the last */
  size_t count; /* nodes */
} gl_map;

typedef struct gl_hashkey {
  uint64_t k0, k1;
} gl_hashkey;

/* Return the first node with this hash, and the next one with the same hash; the caller compares keys. NULL: none. */
gl_mapnode *gl_map_find(const gl_map *m, uint64_t hash);
gl_mapnode *gl_map_next(const gl_mapnode *node);

/* Some node of the map; NULL: it is empty. */
gl_mapnode *gl_map_any(const gl_map *m);

/* The node behind this one, in no order that means anything; of NULL the first one. NULL: no more. The map may not change in between. */
gl_mapnode *gl_map_after(const gl_map *m, const gl_mapnode *node);

/* Adds a node whose `hash` is set. False: out of memory, and the node was not added. */
bool gl_map_add(gl_map *m, gl_mapnode *node);

/* Removes a node, which is in the map. */
void gl_map_remove(gl_map *m, gl_mapnode *node);

/* SipHash-1-3, for bytes that strangers choose: without the key they cannot make many nodes meet in one chain. */
uint64_t gl_hash_bytes(const gl_hashkey *key, const void *bytes, size_t n);

/* A fast hash of two words that no stranger chooses. */
uint64_t gl_hash_pair(uint64_t a, uint64_t b);

/* Makes a random key. */
void gl_hash_key(gl_hashkey *key);

#endif
