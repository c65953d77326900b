/* SPDX-License-Identifier: MIT */
#include "core/host.h"

#define HOOKS 64            /* turn hooks between two looks at the clock, */
#define HOOKS_NS 2000000    /* and how long all of a turn may take together */
#define CHORES_NS 2000000   /* the same for those that take long, of which each turn runs one at least */

void gl_at_turn_end(gl_host *h, gl_turn_hook *hook) {
  if (gl_turn_is_queued(h, hook)) return;
  hook->queued = h->process;
  hook->next = h->turn_hooks;
  h->turn_hooks = hook;
}

void gl_at_turn_end_long(gl_host *h, gl_turn_hook *hook) {
  if (gl_turn_is_queued(h, hook)) return;
  hook->queued = h->process;
  hook->next = NULL;
  *h->chores_end = hook;
  h->chores_end = &hook->next;
}

static void run_hook(gl_turn_hook **list) {
  gl_turn_hook *hook = *list;
  *list = hook->next;
  hook->queued = 0;
  hook->run(hook);
}

static void run_late_hook(gl_host *h) {
  run_hook(&h->late);
  if (!h->late) h->late_end = &h->late;
}

/* Leaves the hooks for which there is no time to later turns, where they run after a look at the loop and after the hooks of
 * those turns: a message that goes to ten thousand peers is ten thousand writes, and holds nobody up. */
static void put_off_hooks(gl_host *h) {
  *h->late_end = h->turn_hooks;
  while (*h->late_end) h->late_end = &(*h->late_end)->next;
  h->turn_hooks = NULL;
  for (int n = 0; n < HOOKS && h->late; n++) run_late_hook(h);
}

static void run_hooks(gl_host *h, bool all) {
  uint64_t until = 0;
  for (int n = 1; h->turn_hooks || h->late; n++) {
    if (h->turn_hooks) run_hook(&h->turn_hooks);
    else run_late_hook(h);
    if (all || n % HOOKS != 0) continue;
    uint64_t now = uv_hrtime();
    if (until && now >= until) {
      put_off_hooks(h);
      return;
    }
    if (!until) until = now + HOOKS_NS;
  }
}

static void run_chores(gl_host *h, bool all) {
  uint64_t until = uv_hrtime() + CHORES_NS;
  do {
    gl_turn_hook *hook = h->chores;
    h->chores = hook->next;
    if (!h->chores) h->chores_end = &h->chores;
    hook->queued = 0;
    hook->run(hook);
  } while (h->chores && (all || uv_hrtime() < until));
}

void gl_host_end_turn(gl_host *h, bool all) {
  run_hooks(h, all);
  while (h->chores) {
    run_chores(h, all);
    run_hooks(h, all); /* what those have written leaves now */
    if (!all) return;
  }
}
