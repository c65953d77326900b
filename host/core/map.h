/* SPDX-License-Identifier: MIT
 *
 * A hash table of nodes that lie in their owners' structs. It grows and shrinks by one chain at a time, so that no insertion
 * is a long one, however many nodes there are. Plain C: no Lua, no loop. Zeroed memory is an empty map.
 */
#ifndef GL_CORE_MAP_H
#define GL_CORE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct gl_mapnode {
  struct gl_mapnode *next; /* in its chain */
  uint64_t hash;
} gl_mapnode;

typedef struct gl_map {
  gl_mapnode **chains;
  size_t base;  /* a power of 2: so many chains, and `split` more, */
  size_t split; /* which took over their part of the first `split` ones */
  size_t count; /* nodes */
} gl_map;

typedef struct gl_hashkey {
  uint64_t k0, k1;
} gl_hashkey;

/* The first node with this hash, and the next one after it; the caller looks which of them he means. NULL: none. */
gl_mapnode *gl_map_find(const gl_map *m, uint64_t hash);
gl_mapnode *gl_map_next(const gl_mapnode *node);

/* Some node of the map; NULL: it is empty. */
gl_mapnode *gl_map_any(const gl_map *m);

/* Adds a node whose `hash` is set. False: out of memory, it was not added. */
bool gl_map_add(gl_map *m, gl_mapnode *node);

/* Takes a node out, which is in it. */
void gl_map_remove(gl_map *m, gl_mapnode *node);

/* SipHash-1-3 of bytes that others choose: who does not know the key cannot make them meet in one chain. */
uint64_t gl_hash_bytes(const gl_hashkey *key, const void *bytes, size_t n);

/* A hash of two words that nobody outside chooses. */
uint64_t gl_hash_pair(uint64_t a, uint64_t b);

/* A random key. */
void gl_hash_key(gl_hashkey *key);

#endif
