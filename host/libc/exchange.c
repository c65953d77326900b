/* SPDX-License-Identifier: MIT */
#include "libc/exchange.h"

#include <stdlib.h>

#include "core/check.h"
#include "core/owned.h"
#include "libc/abandon.h"
#include "libc/frames.h"
#include "libc/hold.h"

#define UNREAD_US 100000          /* CPU time that the task may use before it reads its answer, */
#define READ_US 50000             /* and before it reads on */
#define MESSAGE_NS 1000000000ull  /* what comes so late is no part of an answer that has begun */

struct gl_exchange {
  gl_owned owned;     /* it ends with the task */
  gl_hold hold;       /* while the task makes way; owner NULL: it is in no table */
  const void *object; /* NULL: none was reached */
  int fd;
  uint64_t socket;    /* behind the descriptor, when others could first have closed that; 0 = they could not */
  bool open, unread;
  struct gl_exchange *next_owed, **at_owed; /* in the layer's `owed`; at_owed NULL: the answer is not owed */
  uint32_t used;       /* CPU time since the last call, us */
  uint64_t since;      /* when it began to wait for more of the answer, ns; 0 = it does not */
};

/* ---- the end ---- */

static gl_layer *layer_of(const gl_host *h) { return gl_layer_here && gl_layer_here->host == h ? gl_layer_here : NULL; }

static void forget_owed(struct gl_exchange *x) {
  if (!x->at_owed) return;
  *x->at_owed = x->next_owed;
  if (x->next_owed) x->next_owed->at_owed = x->at_owed;
  x->at_owed = NULL;
}

/* Others may have the object. */
static void end_exchange(gl_layer *l, struct gl_exchange *x) {
  if (!x->open) return;
  x->open = x->unread = false;
  if (l) gl_hold_release(l->holds, &x->hold, x->object);
}

/* The same; the answer, if it is unread, is still to come. */
static void leave_exchange(gl_layer *l, struct gl_exchange *x) {
  if (x->unread) {
    struct gl_exchange **at = gl_layer_owed(l, x->fd);
    if (!x->socket) x->socket = gl_abandon_socket(x->fd);
    x->next_owed = *at;
    x->at_owed = at;
    if (*at) (*at)->at_owed = &x->next_owed;
    *at = x;
  }
  end_exchange(l, x);
}

static void on_task_end(gl_owned *b, const gl_task *t) {
  struct gl_exchange *x = GL_CONTAINER(b, struct gl_exchange, owned);
  forget_owed(x);
  end_exchange(layer_of(t->host), x);
  free(x);
}

/* ---- calls ---- */

/* The exchange of the running task, begun or not; NULL: out of memory. */
static struct gl_exchange *record_of(gl_task *t) {
  if (t->exchange) return t->exchange;
  struct gl_exchange *x = calloc(1, sizeof *x);
  if (!x) return NULL;
  gl_own(&x->owned, t, on_task_end);
  return t->exchange = x;
}

/* The C function that runs has begun with sending. It matters only to those who wait. */
static void learn_sender(gl_layer *l) {
  if (!l->reaches_first || !gl_hold_has_queue(l->holds)) return;
  lua_CFunction f = gl_frames_function(l->host->running, 0);
  if (f) l->senders[gl_layer_sender_slot(f)] = f;
}

static bool is_sender(const gl_layer *l, lua_CFunction f) { return f && l->senders[gl_layer_sender_slot(f)] == f; }

void gl_exchange_send(gl_layer *l, int fd) {
  gl_task *t = l->host->task;
  struct gl_exchange *x = record_of(t);
  if (!x) return;
  learn_sender(l);
  l->reaches_first = false;
  forget_owed(x);
  if (x->open && x->fd != fd) end_exchange(l, x);
  if (!x->open) x->object = l->reacher == t ? l->reached : NULL;
  x->open = x->unread = true;
  x->fd = fd;
  x->socket = x->since = x->used = 0;
}

void gl_exchange_listen(gl_layer *l, int fd) {
  struct gl_exchange *own = l->host->task->exchange;
  if (own && own->fd == fd && (own->open || own->at_owed)) return;
  for (struct gl_exchange *x = *gl_layer_owed(l, fd), *next; x; x = next) {
    next = x->next_owed;
    if (x->fd == fd) forget_owed(x);
  }
}

void gl_exchange_receive(gl_layer *l, int fd) {
  struct gl_exchange *x = l->host->task->exchange;
  l->reaches_first = false;
  if (x && x->fd == fd) forget_owed(x);
  if (!x || !x->open || x->fd != fd) return;
  if (x->since && uv_hrtime() - x->since > MESSAGE_NS) {
    end_exchange(l, x);
    return;
  }
  x->unread = false;
  x->socket = x->since = x->used = 0;
}

void gl_exchange_close(gl_layer *l, unsigned int first, unsigned int last) {
  const gl_task *t = l->host->task;
  struct gl_exchange *x = t ? t->exchange : NULL;
  if (!x || (unsigned int)x->fd < first || (unsigned int)x->fd > last) return;
  forget_owed(x);
  end_exchange(l, x);
}

bool gl_exchange_goes_on(const gl_layer *l, lua_State *L, const void *object) {
  const struct gl_exchange *x = l->host->task->exchange;
  if (!x || !x->open || x->object != object) return false;
  return x->unread || !L || !is_sender(l, gl_frames_function(L, 0));
}

/* ---- what the host calls ---- */

/* The running task makes way in the middle of Lua code: nobody gets its object, unless it computes for too long. */
static void on_make_way(gl_host *h, gl_task *t, uint32_t us) {
  gl_layer *l = layer_of(h);
  struct gl_exchange *x = t->exchange;
  if (!l || !x->open) return;
  x->used += us;
  if (x->used > (x->unread ? UNREAD_US : READ_US)) {
    leave_exchange(l, x);
    return;
  }
  if (x->object && !x->hold.owner) gl_hold_keep(l->holds, &x->hold, x->object, t);
  if (!x->socket) x->socket = gl_abandon_socket(x->fd);
}

/* The running task is about to wait. */
static void on_wait(gl_host *h, gl_task *t) {
  gl_layer *l = layer_of(h);
  struct gl_exchange *x = t->exchange;
  if (!l || !x->open) return;
  if (l->fd != x->fd) leave_exchange(l, x);
  else if (!x->unread) x->since = uv_hrtime();
}

/* An error that tells the running task to end, or interrupts it, is about to be raised. */
static void on_torn(gl_host *h, gl_task *t) {
  gl_layer *l = layer_of(h);
  struct gl_exchange *x = t->exchange;
  if (!l) return;
  if ((x->unread || x->at_owed) && (!x->socket || x->socket == gl_abandon_socket(x->fd))) gl_abandon_note(l, x->fd, false);
  forget_owed(x);
  end_exchange(l, x);
}

void gl_exchange_start(gl_host *h) {
  h->on_make_way = on_make_way;
  h->on_wait = on_wait;
  h->on_torn = on_torn;
}

void gl_exchange_stop(gl_layer *l) {
  gl_host *h = l->host;
  for (size_t i = 0; i < GL_OWED; i++)
    while (l->owed[i]) forget_owed(l->owed[i]);
  h->on_make_way = NULL;
  h->on_wait = NULL;
  h->on_torn = NULL;
}
