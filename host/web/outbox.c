/* SPDX-License-Identifier: MIT */
#include "web/outbox.h"

#include <string.h>

#include "core/check.h"
#include "core/memory.h"
#include "core/opqueue.h"

struct gl_outgoing {
  gl_outgoing *next;
  gl_hub_namespace namespace;
  size_t n, len; /* bytes of the channel's name, and of the text behind it */
  char at[];
};

/* ---- the bell ---- */

typedef struct wait_op {
  gl_op op;
  gl_outbox *o; /* pinned by the op */
} wait_op;

static int push_wait(lua_State *L, gl_op *op) {
  (void)L;
  (void)op;
  return 0;
}

static void cancel_wait(gl_op *op) { gl_opqueue_cancel(&((wait_op *)op)->o->waiters, op); }

static const gl_optype wait_type = {"hub.wait", push_wait, cancel_wait, NULL};

void gl_outbox_ring(gl_outbox *o) {
  gl_op *op = gl_opqueue_take(&o->waiters);
  if (op) gl_op_done(op, 0);
  else o->rung = true;
}

int gl_outbox_wait(lua_State *L, gl_outbox *o, int idx) {
  gl_op_check(L, &wait_type);
  wait_op *w = gl_op_new(L, &wait_type, sizeof *w, idx);
  w->o = o;
  if (o->rung) gl_op_done(&w->op, 0);
  else gl_opqueue_push(&o->waiters, &w->op);
  o->rung = false;
  return gl_await(L, &w->op, GL_FOREVER);
}

static void on_change(gl_hub_broker *broker) { gl_outbox_ring(GL_CONTAINER(broker, gl_outbox, broker)); }

void gl_outbox_open(gl_outbox *o, gl_hub *hub) {
  o->broker.on_change = on_change;
  gl_hub_share(hub, &o->broker);
}

/* ---- messages ---- */

static size_t size_of(const gl_outgoing *m) { return sizeof *m + m->n + m->len; }

static gl_outgoing *take_first(gl_outbox *o) {
  gl_outgoing *m = o->first;
  o->first = m->next;
  o->count--;
  o->bytes -= m->len;
  return m;
}

static void free_message(gl_host *h, gl_outgoing *m) { gl_block_free(&h->alloc, m, size_of(m)); }

void gl_outbox_clear(gl_host *h, gl_outbox *o) {
  while (o->first) free_message(h, take_first(o));
  if (o->taken) free_message(h, o->taken);
  o->taken = NULL;
}

bool gl_outbox_add(gl_host *h, gl_outbox *o, gl_hub_namespace namespace, const char *name, size_t n, const char *text, size_t len) {
  gl_outgoing *m = gl_memory_admits(h, sizeof *m + n + len) ? gl_block_alloc(&h->alloc, sizeof *m + n + len) : NULL;
  if (!m) return false;
  *m = (gl_outgoing){.namespace = namespace, .n = n, .len = len};
  memcpy(m->at, name, n);
  memcpy(m->at + n, text, len);
  while (o->first && (o->count >= GL_OUTBOX_MESSAGES || o->bytes + len > GL_OUTBOX_BYTES)) {
    free_message(h, take_first(o));
    o->lost++;
  }
  if (o->first) o->last->next = m;
  else o->first = m;
  o->last = m;
  o->count++;
  o->bytes += len;
  gl_outbox_ring(o);
  return true;
}

/* ---- taking ---- */

static void push_channel(lua_State *L, gl_hub_namespace namespace, const char *name, size_t n) {
  lua_pushstring(L, namespace == GL_HUB_TOPICS ? "t:" : "u:");
  lua_pushlstring(L, name, n);
  lua_concat(L, 2);
}

/* Each string that is pushed may run finalizers, which publish and end subscriptions. A channel that is listed stays listed meanwhile, and
 * the message that was taken is in no list. */
int gl_outbox_push(lua_State *L, gl_outbox *o, gl_hub *hub) {
  gl_hub_namespace namespace;
  const char *name;
  size_t n;
  gl_hub_change change = gl_hub_changed(hub, &namespace, &name, &n);
  if (change != GL_HUB_SAME) {
    lua_pushstring(L, change == GL_HUB_LISTEN ? "listen" : "leave");
    push_channel(L, namespace, name, n);
    gl_hub_told(hub, change);
    return 2;
  }
  if (!o->taken && o->first) o->taken = take_first(o);
  const gl_outgoing *m = o->taken;
  if (!m) return 0;
  lua_pushliteral(L, "send");
  push_channel(L, m->namespace, m->at, m->n);
  lua_pushlstring(L, m->at + m->n, m->len);
  free_message(gl_host_of(L), o->taken);
  o->taken = NULL;
  return 3;
}
