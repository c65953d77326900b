/* SPDX-License-Identifier: MIT */
#include "core/owned.h"

void gl_own(gl_owned *b, gl_task *t, void (*end)(gl_owned *b, const gl_task *t)) {
  gl_host *h = t->host;
  b->task = t;
  b->end = end;
  b->next = h->owned;
  b->at = &h->owned;
  if (b->next) b->next->at = &b->next;
  h->owned = b;
}

void gl_disown(gl_owned *b) {
  if (!b->task) return;
  *b->at = b->next;
  if (b->next) b->next->at = b->at;
  b->task = NULL;
}

/* They are few, in all of the host. */
void gl_owned_end_all(gl_task *t) {
  for (gl_owned *b = t->host->owned, *next; b; b = next) {
    next = b->next;
    if (b->task != t) continue;
    gl_disown(b);
    b->end(b, t);
  }
}
