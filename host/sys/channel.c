/* SPDX-License-Identifier: MIT
 *
 * A channel carries values from tasks to tasks, first in, first out. Values lie in a Lua table under a running number (`key`); the
 * entries of a ring say in which order they come and which of them have a sender that waits.
 *
 *     (none) --- channel_send: a receiver waits; offer, gl_opqueue_take ---> handed over: r->key, taken by push_receive
 *     (none) --- channel_send: within the capacity; offer -----------------> SENT
 *     (none) --- channel_send: beyond the capacity; append ----------------> WAITS (entry.sender)
 *     WAITS ---- admit: an earlier value was received; sender done --------> SENT
 *     WAITS ---- cancel_send ----------------------------------------------> GONE (entry.gone)
 *     SENT, WAITS --- pop_entry: channel_receive; sender done -------------> received
 *     GONE ----- pop_entry, sweep: the value is forgotten
 *
 * Invariants:
 *   1. len counts the entries that are SENT or WAITS; ngone counts those that are GONE; together they are end - first.
 *   2. A receiver waits only while len is 0; a value WAITS only while `capacity` values are before it (0: until it was received).
 *   3. No entry before `settled` has a sender.
 *   4. The ring has room for one more from reserve to append: nothing between the two allocates memory of Lua's that would run a
 *      finalizer, which may send, too.
 */
#include "sys/channel.h"

#include "core/class.h"
#include "core/error.h"
#include "core/op.h"
#include "core/opqueue.h"

#define CHANNEL "green.channel"
#define FIRST_SIZE 4

enum { VALUES = 1, RING }; /* user values: number -> value; the memory of the ring */

typedef struct entry {
  gl_op *sender;   /* WAITS: its op; else NULL */
  lua_Integer key; /* of the value */
  bool gone;       /* GONE: the sender gave up, and the value is still to be forgotten */
} entry;

/* All memory is Lua's, and there is no finalizer: what one reaches, here the values, would outlive a collection. */
typedef struct channel {
  entry *ring;                       /* entry number n is at n modulo its size, a power of 2 */
  size_t size;
  size_t first, end;                 /* numbers of the entries there are */
  size_t settled;                    /* none before this one waits */
  size_t ngone;
  gl_opqueue receivers;              /* waiting */
  lua_Integer capacity, len;         /* len counts waiting senders' values, too */
  lua_Integer next_key;
  bool closed;
} channel;

typedef struct channel_op {
  gl_op op;
  channel *c;      /* on the stack of who waits */
  lua_Integer key; /* receiver: what it was handed; 0 = the channel was closed */
  size_t sent;     /* sender: number of its entry */
} channel_op;

static channel *check_channel(lua_State *L) { return gl_class_self(L, CHANNEL); }

/* Stands for nil in the table of values. */
static void *nil_mark(void) { return (void *)(uintptr_t)&nil_mark; }

/* ---- values ---- */

static void put_value(lua_State *L, int idx, lua_Integer key) {
  lua_getiuservalue(L, 1, VALUES);
  if (lua_isnil(L, idx)) lua_pushlightuserdata(L, nil_mark());
  else lua_pushvalue(L, idx);
  lua_rawseti(L, -2, key);
  lua_pop(L, 1);
}

/* Pushes the value and forgets it. */
static void take_value(lua_State *L, lua_Integer key) {
  lua_getiuservalue(L, 1, VALUES);
  lua_rawgeti(L, -1, key);
  lua_pushnil(L);
  lua_rawseti(L, -3, key);
  lua_remove(L, -2);
  if (lua_touserdata(L, -1) == nil_mark()) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
}

static void forget_value(lua_State *L, lua_Integer key) {
  lua_getiuservalue(L, 1, VALUES);
  lua_pushnil(L);
  lua_rawseti(L, -2, key);
  lua_pop(L, 1);
}

/* ---- entries ---- */

static entry *entry_at(const channel *c, size_t number) { return &c->ring[number & (c->size - 1)]; }

/* Forgets the values that are GONE, which cancel_send cannot do: it runs on the loop and calls no Lua. The sweep looks at all
 * entries, so it waits until half of them are GONE. */
static void sweep(lua_State *L, channel *c) {
  if (c->ngone <= (size_t)c->len) return;
  size_t to = c->first;
  for (size_t from = c->first; from != c->end; from++) {
    entry *e = entry_at(c, from);
    if (e->gone) {
      forget_value(L, e->key);
      continue;
    }
    if (e->sender) ((channel_op *)e->sender)->sent = to;
    *entry_at(c, to++) = *e;
  }
  c->end = to;
  c->settled = c->first;
  c->ngone = 0;
}

/* Room for one more. May raise (memory): nothing has changed then. May run finalizers, which may send, too. */
static void reserve(lua_State *L, channel *c) {
  while (c->end - c->first >= c->size) {
    size_t size = c->size ? c->size * 2 : FIRST_SIZE;
    entry *ring = lua_newuserdatauv(L, size * sizeof *ring, 0);
    if (c->end - c->first >= size) {
      lua_pop(L, 1);
      continue;
    }
    for (size_t n = c->first; n != c->end; n++) ring[n & (size - 1)] = *entry_at(c, n);
    c->ring = ring;
    c->size = size;
    lua_setiuservalue(L, 1, RING);
  }
}

/* The value goes to the end of the queue, where there is room. `sender` waits; NULL = it need not. */
static void append(channel *c, lua_Integer key, gl_op *sender) {
  *entry_at(c, c->end++) = (entry){.sender = sender, .key = key};
  c->len++;
}

/* One place came free: the first sender that waits need not wait any longer. */
static void admit(channel *c) {
  if (c->settled < c->first) c->settled = c->first;
  while (c->settled != c->end) {
    entry *e = entry_at(c, c->settled++);
    if (!e->sender) continue;
    gl_op_done(e->sender, 0);
    e->sender = NULL;
    return;
  }
}

/* Takes the first entry out (len > 0), and returns the key of its value. */
static lua_Integer pop_entry(lua_State *L, channel *c) {
  entry *e = entry_at(c, c->first++);
  for (; e->gone; e = entry_at(c, c->first++)) {
    forget_value(L, e->key);
    c->ngone--;
  }
  c->len--;
  if (e->sender) gl_op_done(e->sender, 0);
  if (c->len >= c->capacity) admit(c);
  return e->key;
}

/* ---- send ---- */

static int push_send(lua_State *L, gl_op *op) {
  if (op->status < 0) return gl_error_status(L, op->type->name, op->status, NULL);
  return 0;
}

/* A value whose sender stopped waiting was not sent. */
static void cancel_send(gl_op *op) {
  channel_op *s = (channel_op *)op;
  channel *c = s->c;
  entry *e = entry_at(c, s->sent);
  e->gone = true;
  e->sender = NULL;
  c->ngone++;
  c->len--;
  gl_op_done(op, UV_ECANCELED);
}

static const gl_optype send_type = {"channel.send", push_send, cancel_send, NULL};

static void check_open(lua_State *L, const channel *c) {
  if (c->closed) gl_error_raise(L, "channel.send", "ECLOSED", "the channel is closed");
}

/* Hands the value at index 2 to a waiting receiver, or queues it: there is room, and memory. */
static void offer(lua_State *L, channel *c) {
  lua_Integer key = ++c->next_key;
  put_value(L, 2, key); /* may raise: nothing has changed then */
  channel_op *r = (channel_op *)gl_opqueue_take(&c->receivers);
  if (r) {
    r->key = key;
    gl_op_done(&r->op, 0);
  } else {
    append(c, key, NULL);
  }
}

/* channel:send(value [, timeout]) */
static int channel_send(lua_State *L) {
  channel *c = check_channel(L);
  double timeout = gl_check_timeout(L, 3, GL_FOREVER);
  lua_settop(L, 2);
  sweep(L, c);
  reserve(L, c); /* first: the finalizers it may run receive and close, too */
  check_open(L, c);
  if (c->receivers.head || c->len < c->capacity) {
    offer(L, c);
    return 0;
  }
  gl_op_check(L, &send_type); /* before the value is in the table, from where only we can take it */
  lua_Integer key = ++c->next_key;
  put_value(L, 2, key);
  channel_op *op = gl_op_new(L, &send_type, sizeof *op, 0);
  op->c = c;
  op->sent = c->end;
  append(c, key, &op->op);
  return gl_await(L, &op->op, timeout);
}

static int channel_try_send(lua_State *L) {
  channel *c = check_channel(L);
  lua_settop(L, 2);
  sweep(L, c);
  reserve(L, c);
  bool room = !c->closed && (c->receivers.head || c->len < c->capacity);
  if (room) offer(L, c);
  lua_pushboolean(L, room);
  return 1;
}

/* ---- receive ---- */

static int push_receive(lua_State *L, gl_op *op) {
  channel_op *r = (channel_op *)op;
  if (!r->key) {
    lua_pushnil(L);
    return 1;
  }
  take_value(L, r->key);
  return 1;
}

static void cancel_receive(gl_op *op) { gl_opqueue_cancel(&((channel_op *)op)->c->receivers, op); }

static const gl_optype receive_type = {"channel.receive", push_receive, cancel_receive, NULL};

/* channel:receive([timeout]) -> value; nil once the channel is closed and empty */
static int channel_receive(lua_State *L) {
  channel *c = check_channel(L);
  double timeout = gl_check_timeout(L, 2, GL_FOREVER);
  lua_settop(L, 1);
  if (c->len) {
    take_value(L, pop_entry(L, c));
    return 1;
  }
  if (c->closed) {
    lua_pushnil(L);
    return 1;
  }
  channel_op *op = gl_op_new(L, &receive_type, sizeof *op, 0);
  op->c = c;
  gl_opqueue_push(&c->receivers, &op->op);
  return gl_await(L, &op->op, timeout);
}

/* channel:try_receive() -> true, value; or false */
static int channel_try_receive(lua_State *L) {
  channel *c = check_channel(L);
  lua_settop(L, 1);
  lua_pushboolean(L, c->len > 0);
  if (!c->len) return 1;
  take_value(L, pop_entry(L, c));
  return 2;
}

/* ---- the rest ---- */

/* Nothing more can be sent; what was sent can still be received, also what a sender still waits with. */
static int channel_close(lua_State *L) {
  channel *c = check_channel(L);
  c->closed = true;
  gl_opqueue_finish(&c->receivers, 0);
  return 0;
}

static int channel_len(lua_State *L) {
  lua_pushinteger(L, check_channel(L)->len);
  return 1;
}

static int channel_new(lua_State *L) {
  lua_Integer capacity = luaL_optinteger(L, 1, 0);
  luaL_argcheck(L, capacity >= 0, 1, "a number of values >= 0 expected");
  channel *c = lua_newuserdatauv(L, sizeof *c, 2);
  *c = (channel){.capacity = capacity};
  lua_newtable(L);
  lua_setiuservalue(L, -2, VALUES);
  luaL_setmetatable(L, CHANNEL);
  return 1;
}

int luaopen_green_channel(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"send", channel_send},       {"try_send", channel_try_send}, {"receive", channel_receive}, {"try_receive", channel_try_receive},
    {"close", channel_close},     {NULL, NULL},
  };
  static const luaL_Reg meta[] = {{"__len", channel_len}, {"__close", channel_close}, {"__call", channel_receive}, {NULL, NULL}}; /* for value in channel do */
  static const luaL_Reg functions[] = {{"new", channel_new}, {NULL, NULL}};
  gl_class_new(L, CHANNEL, methods, meta);
  luaL_newlib(L, functions);
  return 1;
}
