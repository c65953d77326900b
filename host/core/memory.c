/* SPDX-License-Identifier: MIT */
#include "core/memory.h"

#include <stdint.h>
#include <stdlib.h>

#include <lauxlib.h>

#include "core/check.h"
#include "core/fault.h"
#include "core/task.h"

#define MUCH(limit) ((limit) / 16)             /* a task that asked for more lately has a lower mark */
#define GREEDY(limit) ((limit) - (limit) / 8)  /* that mark */
#define TASKS(limit) ((limit) - (limit) / 16)  /* the mark of any other task */
#define FEW 4096 /* bytes of a buffer that has all of the limit: the head of a request, a 503 */

/* The mark that an allocation of `more` bytes must stay below. */
static size_t mark_of(const gl_host *h, size_t more, gl_purpose purpose) {
  size_t limit = h->memory.limit;
  const gl_task *t = h->task;
  if (purpose != GL_FOR_SCRIPT || !h->running || !t) return limit;
  size_t memory_asked = more < limit ? more : limit;
  if (h->memory.account == t) memory_asked += h->alloc.allocated - h->memory.step_began;
  return memory_asked + (size_t)t->memory_asked * GL_GRAIN > MUCH(limit) ? GREEDY(limit) : TASKS(limit);
}

static bool admits_block(gl_alloc *a, size_t more, gl_purpose purpose) {
  gl_host *h = GL_CONTAINER(a, gl_host, alloc);
  if (h->memory.refuses && purpose == GL_FOR_SCRIPT) return false;
  if (purpose != GL_FOR_LUA && gl_fault_refuses(h, more, purpose == GL_FOR_SCRIPT)) return false;
  return !h->memory.limit || gl_alloc_used(a) + more <= mark_of(h, more, purpose);
}

bool gl_memory_is_scarce(const gl_host *h) {
  size_t limit = h->memory.limit;
  return gl_alloc_used(&h->alloc) + MUCH(limit) / 2 > GREEDY(limit);
}

void gl_memory_set_edge(gl_host *h) {
  h->alloc.admits = admits_block;
  h->alloc.edge = h->memory.limit ? GREEDY(h->memory.limit) : SIZE_MAX;
  if (gl_fault_is_armed(h) || h->memory.refuses) h->alloc.edge = 0;
}

void gl_memory_limit(gl_host *h, size_t bytes) {
  h->memory = (gl_memory){.limit = bytes, .step_began = h->alloc.allocated, .published = gl_alloc_used(&h->alloc)};
  h->alloc.most = bytes ? bytes : SIZE_MAX;
  gl_memory_set_edge(h);
}

/* Halves what the task has asked for, once for each `limit` bytes that were allocated since its last step. */
static void fade_asked(gl_task *t, uint8_t now) {
  unsigned halves = (uint8_t)(now - t->memory_epoch);
  t->memory_asked = halves < 32 ? t->memory_asked >> halves : 0;
  t->memory_epoch = now;
}

/* Tells other threads how many bytes are in use. */
static void publish_used(gl_host *h) { __atomic_store_n(&h->memory.published, h->alloc.allocated - h->alloc.freed, __ATOMIC_RELAXED); }

void gl_memory_charge(gl_host *h, gl_task *t) {
  gl_memory *m = &h->memory;
  uint8_t now = (uint8_t)(h->alloc.allocated / m->limit);
  size_t grains = (h->alloc.allocated - m->step_began) / GL_GRAIN;
  if (m->account) {
    fade_asked(m->account, now);
    uint32_t room = UINT32_MAX - m->account->memory_asked;
    m->account->memory_asked += grains < room ? (uint32_t)grains : room;
  }
  m->account = t;
  m->step_began = h->alloc.allocated;
  publish_used(h);
  fade_asked(t, now);
}

void gl_memory_forget(gl_host *h, const gl_task *t) {
  if (h->memory.account == t) h->memory.account = NULL;
}

/* ---- bytes that C holds ---- */

static _Thread_local struct {
  gl_host *host;
  bool pooled;
} served; /* the host that this thread works for */

void gl_memory_serve(gl_host *h, bool pooled) {
  served.host = h;
  served.pooled = pooled;
}

/* An allocation that admits_block refuses while `refuses` is set. */
static int ask_in_vain(lua_State *L) {
  lua_newuserdatauv(L, GL_SMALL, 0);
  return 0;
}

/* Makes Lua collect all garbage, without finalizers, as it does before it gives up on an allocation. False: not enough was
 * allocated since the last time for much garbage to be there. */
static bool collect_garbage(gl_host *h) {
  gl_memory *m = &h->memory;
  if (!h->L || h->alloc.allocated - m->collected < MUCH(m->limit)) return false;
  m->refuses = true;
  gl_memory_set_edge(h);
  lua_pushcfunction(h->L, ask_in_vain);
  if (lua_pcall(h->L, 0, 0, 0) != LUA_OK) lua_pop(h->L, 1);
  m->refuses = false;
  gl_memory_set_edge(h);
  m->collected = h->alloc.allocated;
  return true;
}

bool gl_memory_admits(gl_host *h, size_t more) {
  size_t limit = h->memory.limit;
  if (!limit || gl_alloc_used(&h->alloc) + more <= GREEDY(limit)) return true;
  size_t mark = GREEDY(limit);
  if (more <= FEW) mark = limit;
  else if (h->running && h->task) mark = mark_of(h, more, GL_FOR_SCRIPT);
  if (gl_alloc_used(&h->alloc) + more <= mark) return true;
  return more < mark && collect_garbage(h) && gl_alloc_used(&h->alloc) + more <= mark;
}

void gl_memory_relieve(gl_host *h) {
  size_t limit = h->memory.limit;
  if (!limit || gl_alloc_used(&h->alloc) <= GREEDY(limit) - 2 * MUCH(limit)) return;
  collect_garbage(h);
  publish_used(h);
}

int gl_memory_raise(lua_State *L) {
  lua_pushliteral(L, "not enough memory");
  return lua_error(L);
}

static void count_here(gl_host *h, size_t old, size_t want) {
  gl_alloc_count(&h->alloc, old, want);
  if (!h->running || !h->task) h->memory.step_began += want; /* in the name of the host: not on the account of the task that ran last */
}

static bool admits_elsewhere(gl_host *h, size_t more) {
  size_t limit = h->memory.limit; /* does not change while jobs run */
  if (!limit) return true;
  size_t used = __atomic_load_n(&h->memory.published, __ATOMIC_RELAXED) + __atomic_load_n(&h->alloc.pooled, __ATOMIC_RELAXED);
  return used + more <= GREEDY(limit);
}

/* realloc, but that `want` 0 frees the block. */
static void *realloc_or_free(void *block, size_t want) {
  if (want == 0) free(block);
  else return block ? realloc(block, want) : malloc(want);
  return NULL;
}

static void *resize_elsewhere(gl_host *h, void *block, size_t old, size_t want) {
  if (want > old && h && !admits_elsewhere(h, want - old)) return NULL;
  void *moved = realloc_or_free(block, want);
  if (h && (moved || !want)) gl_alloc_count_elsewhere(&h->alloc, old, want);
  return moved;
}

void *gl_memory_resize(void *block, size_t old, size_t want) {
  gl_host *h = served.host;
  if (!h || served.pooled) return resize_elsewhere(h, block, old, want);
  if (want > old && !gl_memory_admits(h, want - old)) return NULL;
  void *moved = realloc_or_free(block, want);
  if (moved || !want) count_here(h, old, want);
  return moved;
}

/* ---- blocks of libraries ---- */

/* In front of each block. */
typedef struct prefix {
  _Alignas(GL_GRAIN) gl_host *host; /* that counts the block; NULL: none does */
  size_t size;                      /* of both */
} prefix;

size_t gl_memory_size_for_library(const void *block) { return ((const prefix *)block - 1)->size - sizeof(prefix); }

static void *resize_uncounted(void *block, size_t want, gl_host *h) {
  prefix *moved = realloc_or_free(block, want);
  if (moved) *moved = (prefix){h, want};
  return moved ? moved + 1 : NULL;
}

/* The same as gl_memory_resize, but that nobody is asked. */
static void *resize_anyway(prefix *block, size_t old, size_t want) {
  gl_host *h = served.host;
  void *moved = resize_uncounted(block, want, h);
  if (!moved && want) return NULL;
  if (served.pooled) gl_alloc_count_elsewhere(&h->alloc, old, want);
  else count_here(h, old, want);
  return moved;
}

void *gl_memory_resize_for_library(void *block, size_t want, bool refusable) {
  prefix *before = block ? (prefix *)block - 1 : NULL;
  gl_host *h = served.host;
  size_t old = before ? before->size : 0;
  if (want > SIZE_MAX - sizeof(prefix)) return NULL;
  if (want) want += sizeof(prefix);
  if (!h || (before && before->host != h)) return resize_uncounted(before, want, NULL);
  if (!refusable) return resize_anyway(before, old, want);
  prefix *moved = gl_memory_resize(before, old, want);
  if (moved) *moved = (prefix){h, want};
  return moved ? moved + 1 : NULL;
}
