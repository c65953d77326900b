/* SPDX-License-Identifier: MIT */
#include "core/fault.h"

#include "core/op.h"
#include "core/task.h"

#define LONG_PAST 1 /* ns: a deadline that has passed */

uint32_t gl_fault_wait(gl_host *h, uint32_t n, int outcome) {
  gl_fault *f = &h->fault;
  uint32_t left = f->waiter == h->task ? f->waits : 0;
  f->waiter = n ? h->task : NULL;
  f->waits = n;
  f->hit = NULL;
  f->outcome = outcome;
  return left;
}

bool gl_fault_in_wait(gl_task *t) {
  gl_fault *f = &t->host->fault;
  if (f->waiter != t || !f->waits || --f->waits > 0) return false;
  f->hit = t->op->type->name;
  if (f->outcome == GL_CANCELLED) t->cancelled = true;
  else t->deadline = LONG_PAST;
  return true;
}

uint32_t gl_fault_alloc(gl_host *h, uint32_t n) {
  gl_fault *f = &h->fault;
  uint32_t left = f->taker == h->task ? f->takes : 0;
  f->taker = n ? h->task : NULL;
  f->takes = n;
  f->refused = 0;
  return left;
}

bool gl_fault_is_armed(const gl_host *h) { return h->fault.taker != NULL; }

bool gl_fault_refuses(gl_host *h, size_t bytes, bool again) {
  gl_fault *f = &h->fault;
  if (!f->taker || h->task != f->taker || !h->running) return false;
  size_t before = f->refused;
  f->refused = 0;
  if (again && before == bytes) return true;
  if (!f->takes || --f->takes > 0) return false;
  f->refused = again ? bytes : 0;
  return true;
}

bool gl_fault_forget(gl_host *h, const gl_task *t) {
  if (h->fault.waiter == t) h->fault.waiter = NULL;
  if (h->fault.ender == t) h->fault.ender = NULL;
  if (h->fault.taker != t) return false;
  h->fault.taker = NULL;
  return true;
}
