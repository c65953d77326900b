/* SPDX-License-Identifier: MIT */
#include "web/subscription.h"

#include <string.h>

#include "core/args.h"
#include "core/check.h"
#include "core/class.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/opqueue.h"
#include "core/task.h"

#define META "green.hub.subscription"
#define MAX_MESSAGES 1024
#define MAX_BYTES ((lua_Integer)1 << 20)
#define MOST ((lua_Integer)1 << 40) /* messages or bytes that an option may allow */
#define LEAST 8 /* places of the smallest ring */

typedef struct subscription {
  gl_subscriber listener;
  gl_host *host;
  gl_bytes **ring;    /* messages that wait for a task: number i is at i modulo `size` */
  size_t size;        /* places of the ring, a power of 2, or 0 */
  size_t first, end;  /* numbers of the first message in the ring, and behind the last */
  size_t bytes;       /* of text in the ring */
  size_t max_messages, max_bytes;
  lua_Integer lost;   /* messages so far that found no room or no memory */
  gl_opqueue waiters;
  uint32_t refs;      /* the userdata's, each op's */
  bool closed;
} subscription;

typedef struct receive_op {
  gl_op op;
  subscription *s;  /* referenced */
  gl_bytes *handed; /* the message; NULL: none yet, or the subscription was closed */
} receive_op;

static size_t text_len(const gl_bytes *b) { return b->n - GL_HUB_HEAD; }

/* ---- the queue ---- */

static gl_bytes *take_first(subscription *s) {
  gl_bytes *b = s->ring[s->first++ & (s->size - 1)];
  s->bytes -= text_len(b);
  if (s->first == s->end) {
    gl_memory_resize(s->ring, s->size * sizeof *s->ring, 0);
    s->ring = NULL;
    s->size = s->first = s->end = 0;
  }
  return b;
}

static void drop_all(subscription *s) {
  while (s->first != s->end) gl_bytes_unref(take_first(s));
}

static bool reserve(subscription *s) {
  if (s->end - s->first < s->size) return true;
  size_t size = s->size ? 2 * s->size : LEAST;
  gl_bytes **ring = gl_memory_resize(NULL, 0, size * sizeof *ring);
  if (!ring) return false;
  for (size_t i = s->first; i != s->end; i++) ring[i & (size - 1)] = s->ring[i & (s->size - 1)];
  if (s->ring) gl_memory_resize(s->ring, s->size * sizeof *ring, 0);
  s->ring = ring;
  s->size = size;
  return true;
}

/* Puts a message behind the others. Older ones make room for it, all of them if need be. */
static void append(subscription *s, gl_bytes *b) {
  while (s->first != s->end && (s->end - s->first >= s->max_messages || s->bytes + text_len(b) > s->max_bytes)) {
    gl_bytes_unref(take_first(s));
    s->lost++;
  }
  if (!reserve(s)) {
    s->lost++;
    return;
  }
  s->ring[s->end++ & (s->size - 1)] = gl_bytes_ref(b);
  s->bytes += text_len(b);
}

static bool hand(subscription *s, gl_bytes *b) {
  receive_op *r = (receive_op *)gl_opqueue_take(&s->waiters);
  if (!r) return false;
  r->handed = gl_bytes_ref(b);
  gl_op_done(&r->op, 0);
  return true;
}

static bool take_message(gl_subscriber *listener, gl_hub_message *m) {
  subscription *s = GL_CONTAINER(listener, subscription, listener);
  if (!hand(s, m->bytes)) append(s, m->bytes);
  return true;
}

/* Gives back a message that was handed to a task that could not take it: another task gets it, or it comes first in the ring. */
static void give_back(subscription *s, gl_bytes *b) {
  if (!s->closed && !hand(s, b)) {
    if (reserve(s)) {
      s->ring[--s->first & (s->size - 1)] = gl_bytes_ref(b);
      s->bytes += text_len(b);
    } else {
      s->lost++;
    }
  }
  gl_bytes_unref(b);
}

/* ---- life ---- */

static void unref(subscription *s) {
  if (--s->refs > 0) return;
  gl_hub_remove(&s->listener);
  drop_all(s);
  gl_memory_resize(s, sizeof *s, 0);
}

static void close_it(subscription *s) {
  if (s->closed) return;
  s->closed = true;
  gl_hub_unsubscribe_all(&s->listener);
  drop_all(s);
  gl_opqueue_finish(&s->waiters, 0);
}

static subscription *check_subscription(lua_State *L) {
  subscription *s = *(subscription **)gl_class_self(L, META);
  if (!s) luaL_argerror(L, 1, "the subscription was collected");
  return s;
}

gl_subscriber *gl_subscription_listener(lua_State *L, int idx) {
  subscription **handle = luaL_testudata(L, idx, META);
  return handle && *handle && !(*handle)->closed ? &(*handle)->listener : NULL;
}

/* ---- receiving ---- */

static void push_text(lua_State *L, const gl_bytes *b) { lua_pushlstring(L, b->at + GL_HUB_HEAD, text_len(b)); }

static int push_receive(lua_State *L, gl_op *op) {
  receive_op *r = (receive_op *)op;
  if (r->handed) push_text(L, r->handed); /* may raise: free_receive gives the message back then */
  else lua_pushnil(L);
  if (r->handed) {
    gl_bytes_unref(r->handed);
    gl_budget_renew(op->host->task);
  }
  r->handed = NULL;
  return 1;
}

static void cancel_receive(gl_op *op) { gl_opqueue_cancel(&((receive_op *)op)->s->waiters, op); }

static void free_receive(gl_op *op) {
  receive_op *r = (receive_op *)op;
  if (r->handed) give_back(r->s, r->handed);
  unref(r->s);
}

static const gl_optype receive_type = {"hub.receive", push_receive, cancel_receive, free_receive};

/* subscription:receive([timeout]) -> text; nil once the subscription is closed */
static int subscription_receive(lua_State *L) {
  subscription *s = check_subscription(L);
  double timeout = gl_check_timeout(L, 2, GL_FOREVER);
  gl_op_check(L, &receive_type);
  receive_op *r = gl_op_new(L, &receive_type, sizeof *r, 0);
  r->s = s;
  s->refs++;
  if (s->first != s->end) r->handed = take_first(s);
  if (r->handed || s->closed) gl_op_done(&r->op, 0);
  else gl_opqueue_push(&s->waiters, &r->op);
  return gl_await(L, &r->op, timeout);
}

/* __call: for message in subscription do */
static int subscription_call(lua_State *L) {
  lua_settop(L, 1);
  return subscription_receive(L);
}

/* ---- the handle ---- */

static int subscription_close(lua_State *L) {
  close_it(check_subscription(L));
  return 0;
}

static int subscription_gc(lua_State *L) {
  subscription **handle = gl_class_self(L, META);
  subscription *s = *handle;
  if (!s) return 0;
  *handle = NULL;
  close_it(s);
  unref(s);
  return 0;
}

/* __index: lost, waiting, and the methods, which are the upvalue. */
static int subscription_index(lua_State *L) {
  subscription *s = check_subscription(L);
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(key, "lost") == 0) lua_pushinteger(L, s->lost);
  else if (strcmp(key, "waiting") == 0) lua_pushinteger(L, (lua_Integer)(s->end - s->first));
  else {
    lua_settop(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
  }
  return 1;
}

/* ---- making one ---- */

void gl_subscription_push(lua_State *L, gl_hub *hub, const char *topic, size_t n, int options) {
  static const char *const names[] = {"max_bytes", "max_messages", NULL};
  size_t max_messages = MAX_MESSAGES, max_bytes = MAX_BYTES;
  if (options) {
    gl_args_check_names(L, options, names);
    max_messages = (size_t)gl_args_integer(L, options, "max_messages", MAX_MESSAGES, 1, MOST);
    max_bytes = (size_t)gl_args_integer(L, options, "max_bytes", MAX_BYTES, 1, MOST);
  }
  subscription **handle = lua_newuserdatauv(L, sizeof *handle, 0);
  *handle = NULL;
  luaL_setmetatable(L, META);
  subscription *s = gl_memory_resize(NULL, 0, sizeof *s);
  if (s) {
    memset(s, 0, sizeof *s);
    s->listener.take = take_message;
    s->host = gl_host_of(L);
    s->max_messages = max_messages;
    s->max_bytes = max_bytes;
    s->refs = 1;
    *handle = s;
  }
  if (!s || !gl_hub_subscribe(hub, &s->listener, GL_HUB_TOPICS, topic, n))
    gl_memory_raise(L);
}

void gl_subscription_metatable(lua_State *L) {
  static const luaL_Reg methods[] = {{"receive", subscription_receive}, {"close", subscription_close}, {NULL, NULL}};
  static const luaL_Reg meta[] = {
    {"__gc", subscription_gc}, {"__close", subscription_close}, {"__call", subscription_call}, {"__index", subscription_index}, {NULL, NULL}};
  gl_class_new(L, META, methods, meta);
}
