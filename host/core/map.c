/* SPDX-License-Identifier: MIT */
#include "core/map.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define LEAST 8 /* chains of the smallest map */

/* ---- linear hashing: chain number `split` is the next to be divided ---- */

static size_t chain_of(const gl_map *m, uint64_t hash) {
  size_t i = hash & (2 * m->base - 1);
  return i < m->base + m->split ? i : hash & (m->base - 1);
}

/* Room for twice as many chains. False: out of memory. */
static bool double_room(gl_map *m) {
  size_t n = m->base ? 2 * m->base : LEAST;
  gl_mapnode **chains = realloc(m->chains, 2 * n * sizeof *chains);
  if (!chains) return false;
  memset(chains + (m->base ? n : 0), 0, (m->base ? n : 2 * n) * sizeof *chains);
  m->chains = chains;
  m->base = n;
  m->split = 0;
  return true;
}

/* Divides the next chain: half of its nodes go to a new one. */
static void divide_chain(gl_map *m) {
  if (m->split == m->base && !double_room(m)) return; /* out of memory: the chains grow longer instead */
  size_t from = m->split++;
  gl_mapnode *node = m->chains[from], *next;
  m->chains[from] = NULL;
  for (; node; node = next) {
    next = node->next;
    gl_mapnode **chain = &m->chains[chain_of(m, node->hash)];
    node->next = *chain;
    *chain = node;
  }
}

/* Unites the last chain with the one it was divided from. */
static void unite_chain(gl_map *m) {
  if (m->split == 0) {
    if (m->base <= LEAST) return;
    m->base /= 2;
    m->split = m->base;
    gl_mapnode **chains = realloc(m->chains, 2 * m->base * sizeof *chains);
    if (chains) m->chains = chains;
  }
  size_t to = --m->split;
  gl_mapnode **end = &m->chains[to];
  while (*end) end = &(*end)->next;
  *end = m->chains[m->base + to];
  m->chains[m->base + to] = NULL;
}

/* ---- nodes ---- */

gl_mapnode *gl_map_find(const gl_map *m, uint64_t hash) {
  if (!m->count) return NULL;
  gl_mapnode *node = m->chains[chain_of(m, hash)];
  while (node && node->hash != hash) node = node->next;
  return node;
}

gl_mapnode *gl_map_next(const gl_mapnode *node) {
  uint64_t hash = node->hash;
  gl_mapnode *next = node->next;
  while (next && next->hash != hash) next = next->next;
  return next;
}

gl_mapnode *gl_map_after(const gl_map *m, const gl_mapnode *node) {
  if (node && node->next) return node->next;
  for (size_t i = node ? chain_of(m, node->hash) + 1 : 0; m->count && i < m->base + m->split; i++)
    if (m->chains[i]) return m->chains[i];
  return NULL;
}

gl_mapnode *gl_map_any(const gl_map *m) { return gl_map_after(m, NULL); }

bool gl_map_add(gl_map *m, gl_mapnode *node) {
  if (!m->chains && !double_room(m)) return false;
  if (m->count >= m->base + m->split) divide_chain(m);
  gl_mapnode **chain = &m->chains[chain_of(m, node->hash)];
  node->next = *chain;
  *chain = node;
  m->count++;
  return true;
}

void gl_map_remove(gl_map *m, gl_mapnode *node) {
  gl_mapnode **at = &m->chains[chain_of(m, node->hash)];
  while (*at != node) at = &(*at)->next;
  *at = node->next;
  if (--m->count == 0) {
    free(m->chains);
    *m = (gl_map){0};
  } else if (m->count < (m->base + m->split) / 4) {
    unite_chain(m);
    unite_chain(m);
  }
}

/* ---- hashes ---- */

static uint64_t rotate(uint64_t x, int n) { return x << n | x >> (64 - n); }

static void sip_round(uint64_t v[4]) {
  v[0] += v[1];
  v[2] += v[3];
  v[1] = rotate(v[1], 13) ^ v[0];
  v[3] = rotate(v[3], 16) ^ v[2];
  v[0] = rotate(v[0], 32);
  v[2] += v[1];
  v[0] += v[3];
  v[1] = rotate(v[1], 17) ^ v[2];
  v[3] = rotate(v[3], 21) ^ v[0];
  v[2] = rotate(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word) {
  v[3] ^= word;
  sip_round(v);
  v[0] ^= word;
}

uint64_t gl_hash_bytes(const gl_hashkey *key, const void *bytes, size_t n) {
  const unsigned char *p = bytes;
  uint64_t word, v[4] = {
    key->k0 ^ 0x736f6d6570736575u, key->k1 ^ 0x646f72616e646f6du, key->k0 ^ 0x6c7967656e657261u, key->k1 ^ 0x7465646279746573u,
  };
  for (size_t left = n; left >= 8; left -= 8, p += 8) {
    memcpy(&word, p, 8);
    sip_word(v, word);
  }
  word = 0;
  if (n % 8) memcpy(&word, p, n % 8);
  sip_word(v, word | (uint64_t)n << 56);
  v[2] ^= 0xff;
  for (int i = 0; i < 3; i++) sip_round(v);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t gl_hash_pair(uint64_t a, uint64_t b) {
  uint64_t x = a * 0x9e3779b97f4a7c15u ^ rotate(b, 32) * 0xc2b2ae3d27d4eb4fu;
  x = (x ^ x >> 31) * 0xbf58476d1ce4e5b9u;
  return x ^ x >> 29;
}

void gl_hash_key(gl_hashkey *key) {
  if (uv_random(NULL, NULL, key, sizeof *key, 0, NULL) == 0) return;
  key->k0 = uv_hrtime();
  key->k1 = (uint64_t)(uintptr_t)key;
}
