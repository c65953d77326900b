/* SPDX-License-Identifier: MIT */
#include "core/owned.h"

void gl_belong(gl_belonging *b, gl_task *t, void (*end)(gl_belonging *b, const gl_task *t)) {
  gl_host *h = t->host;
  b->task = t;
  b->end = end;
  b->next = h->belongings;
  b->at = &h->belongings;
  if (b->next) b->next->at = &b->next;
  h->belongings = b;
}

void gl_belong_to_nobody(gl_belonging *b) {
  if (!b->task) return;
  *b->at = b->next;
  if (b->next) b->next->at = b->at;
  b->task = NULL;
}

/* They are few, in all of the host. */
void gl_belongings_end(gl_task *t) {
  for (gl_belonging *b = t->host->belongings, *next; b; b = next) {
    next = b->next;
    if (b->task != t) continue;
    gl_belong_to_nobody(b);
    b->end(b, t);
  }
}
