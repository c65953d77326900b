/* SPDX-License-Identifier: MIT */
#include "core/memory.h"

#include "core/check.h"
#include "core/fault.h"
#include "core/task.h"

#define MUCH(limit) ((limit) / 16)
#define GREEDY(limit) ((limit) - (limit) / 8)
#define TASKS(limit) ((limit) - (limit) / 16)

/* The mark for whoever asks for `more` bytes now. */
static size_t mark_of(const gl_host *h, size_t more, gl_purpose purpose) {
  size_t limit = h->memory.limit;
  const gl_task *t = h->task;
  if (purpose != GL_FOR_SCRIPT || !h->running || !t) return limit;
  size_t asked = more < limit ? more : limit;
  if (h->memory.charged == t) asked += h->alloc.taken - h->memory.mark;
  return asked + (size_t)t->asked * GL_GRAIN > MUCH(limit) ? GREEDY(limit) : TASKS(limit);
}

static bool admits(gl_alloc *a, size_t more, gl_purpose purpose) {
  gl_host *h = GL_CONTAINER(a, gl_host, alloc);
  if (purpose != GL_FOR_LUA && gl_fault_refuses(h, more, purpose == GL_FOR_SCRIPT)) return false;
  return !h->memory.limit || gl_alloc_used(a) + more <= mark_of(h, more, purpose);
}

bool gl_memory_is_scarce(const gl_host *h) {
  size_t limit = h->memory.limit;
  return gl_alloc_used(&h->alloc) + MUCH(limit) / 2 > GREEDY(limit);
}

void gl_memory_watch(gl_host *h) {
  h->alloc.admits = admits;
  h->alloc.edge = h->memory.limit ? GREEDY(h->memory.limit) : SIZE_MAX;
  if (gl_fault_watches(h)) h->alloc.edge = 0;
}

void gl_memory_limit(gl_host *h, size_t bytes) {
  h->memory = (gl_memory){.limit = bytes, .mark = h->alloc.taken};
  h->alloc.most = bytes ? bytes : SIZE_MAX;
  gl_memory_watch(h);
}

/* What was asked for some while ago counts half, and half again with each `limit` bytes that were asked for since. */
static void fade(gl_task *t, uint8_t now) {
  unsigned halves = (uint8_t)(now - t->asked_when);
  t->asked = halves < 32 ? t->asked >> halves : 0;
  t->asked_when = now;
}

void gl_memory_charge(gl_host *h, gl_task *t) {
  gl_memory *m = &h->memory;
  uint8_t now = (uint8_t)(h->alloc.taken / m->limit);
  size_t grains = (h->alloc.taken - m->mark) / GL_GRAIN;
  if (m->charged) {
    fade(m->charged, now);
    uint32_t room = UINT32_MAX - m->charged->asked;
    m->charged->asked += grains < room ? (uint32_t)grains : room;
  }
  m->charged = t;
  m->mark = h->alloc.taken;
  fade(t, now);
}

void gl_memory_forget(gl_host *h, const gl_task *t) {
  if (h->memory.charged == t) h->memory.charged = NULL;
}
