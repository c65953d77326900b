/* SPDX-License-Identifier: MIT */
#include "core/owned.h"

void gl_own(gl_owned *b, gl_task *t, void (*end)(gl_owned *b, const gl_task *t)) {
  b->task = t;
  b->end = end;
  b->next = t->owned;
  b->at = &t->owned;
  if (b->next) b->next->at = &b->next;
  t->owned = b;
}

void gl_disown(gl_owned *b) {
  if (!b->task) return;
  *b->at = b->next;
  if (b->next) b->next->at = b->at;
  b->task = NULL;
}

void gl_owned_end_all(gl_task *t) {
  for (gl_owned *b; (b = t->owned) != NULL;) {
    gl_disown(b);
    b->end(b, t);
  }
}

void gl_owned_release_all(gl_task *t) {
  while (t->owned) gl_disown(t->owned);
}
