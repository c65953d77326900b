/* SPDX-License-Identifier: MIT
 *
 * A channel carries values from tasks to tasks, first in, first out. Values lie in a Lua table under a running
 * number; the entries here say whose they are. A sender beyond the capacity waits until its value has moved up
 * within it (capacity 0: until it was received), a receiver waits for a value.
 */
#include "sys/channel.h"

#include "core/error.h"
#include "core/op.h"

#define CHANNEL "green.channel"
#define VALUES 1 /* user value: number -> value */

typedef struct entry {
  struct entry *next;
  lua_Integer key; /* of the value */
  gl_op *sender;   /* waits for room; NULL = within the capacity */
} entry;

typedef struct channel {
  gl_host *host;
  entry *first, **last;
  entry *dead; /* of senders that gave up: their values are still to be forgotten */
  gl_op *receivers, **last_receiver; /* waiting, by gl_op.next */
  lua_Integer capacity, len;         /* len counts waiting senders' values, too */
  lua_Integer next_key;
  bool closed;
} channel;

typedef struct channel_op {
  gl_op op;
  channel *c;      /* kept alive by the pin */
  lua_Integer key; /* receiver: what it was handed; 0 = the channel was closed */
  entry *sent;     /* sender: its entry */
} channel_op;

static channel *check_channel(lua_State *L) { return luaL_checkudata(L, 1, CHANNEL); }

/* nil travels as this. */
static void *nil_mark(void) { return (void *)(uintptr_t)&nil_mark; }

/* ---- values ---- */

static void put_value(lua_State *L, int idx, lua_Integer key) {
  lua_getiuservalue(L, 1, VALUES);
  if (lua_isnil(L, idx)) lua_pushlightuserdata(L, nil_mark());
  else lua_pushvalue(L, idx);
  lua_rawseti(L, -2, key);
  lua_pop(L, 1);
}

/* Pushes the value and forgets it. `at`: where the channel is. */
static void take_value(lua_State *L, int at, lua_Integer key) {
  lua_getiuservalue(L, at, VALUES);
  lua_rawgeti(L, -1, key);
  lua_pushnil(L);
  lua_rawseti(L, -3, key);
  lua_remove(L, -2);
  if (lua_touserdata(L, -1) == nil_mark()) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
}

/* What loop callbacks could not do: they call no Lua. */
static void sweep(lua_State *L, channel *c) {
  while (c->dead) {
    entry *e = c->dead;
    c->dead = e->next;
    lua_getiuservalue(L, 1, VALUES);
    lua_pushnil(L);
    lua_rawseti(L, -2, e->key);
    lua_pop(L, 1);
    gl_give(&c->host->alloc, e, sizeof *e);
  }
}

/* ---- entries ---- */

/* Whoever's value is within the capacity now need not wait. */
static void admit(channel *c) {
  lua_Integer i = 0;
  for (entry *e = c->first; e && i < c->capacity; e = e->next, i++) {
    if (!e->sender) continue;
    gl_op *op = e->sender;
    e->sender = NULL;
    gl_op_done(op, 0);
    return; /* one place came free */
  }
}

/* The number of the first value. */
static lua_Integer pop_entry(channel *c) {
  entry *e = c->first;
  lua_Integer key = e->key;
  if (!(c->first = e->next)) c->last = &c->first;
  c->len--;
  if (e->sender) gl_op_done(e->sender, 0);
  gl_give(&c->host->alloc, e, sizeof *e);
  if (c->len >= c->capacity) admit(c);
  return key;
}

static void drop_entry(channel *c, entry *gone) {
  entry **at = &c->first;
  while (*at != gone) at = &(*at)->next;
  if (!(*at = gone->next)) c->last = at;
  c->len--;
  gone->next = c->dead;
  c->dead = gone;
}

/* The value numbered last goes to the end of the queue. NULL: out of memory. */
static entry *append(channel *c, gl_op *sender) {
  entry *e = gl_take(&c->host->alloc, sizeof *e);
  if (!e) return NULL;
  *e = (entry){.key = c->next_key, .sender = sender};
  *c->last = e;
  c->last = &e->next;
  c->len++;
  return e;
}

static channel_op *take_receiver(channel *c) {
  gl_op *op = c->receivers;
  if (!op) return NULL;
  if (!(c->receivers = op->next)) c->last_receiver = &c->receivers;
  return (channel_op *)op;
}

/* ---- send ---- */

static int push_send(lua_State *L, gl_op *op) {
  if (op->status < 0) return gl_error_status(L, op->type->name, op->status, NULL);
  return 0;
}

/* A value whose sender stopped waiting was not sent. */
static void cancel_send(gl_op *op) {
  channel_op *s = (channel_op *)op;
  drop_entry(s->c, s->sent);
  gl_op_done(op, UV_ECANCELED);
}

static const gl_optype send_type = {"channel.send", push_send, cancel_send, NULL};

static void check_open(lua_State *L, const channel *c) {
  if (c->closed) gl_error_raise(L, "channel.send", "ECLOSED", "the channel is closed");
}

/* Hands the value at index 2 to a waiting receiver, or queues it: there is room. */
static void offer(lua_State *L, channel *c) {
  put_value(L, 2, ++c->next_key); /* may raise: nothing has changed then */
  channel_op *r = take_receiver(c);
  if (r) {
    r->key = c->next_key;
    gl_op_done(&r->op, 0);
  } else if (!append(c, NULL)) {
    luaL_error(L, "not enough memory");
  }
}

/* channel:send(value [, timeout]) */
static int channel_send(lua_State *L) {
  channel *c = check_channel(L);
  double timeout = gl_check_timeout(L, 3, GL_FOREVER);
  check_open(L, c);
  lua_settop(L, 2);
  sweep(L, c);
  if (c->receivers || c->len < c->capacity) {
    offer(L, c);
    return 0;
  }
  gl_op_check(L, &send_type); /* before the value is in the table, from where only we can take it */
  put_value(L, 2, ++c->next_key);
  channel_op *op = gl_op_new(L, &send_type, sizeof *op, 1);
  op->c = c;
  if (!(op->sent = append(c, &op->op))) gl_op_done(&op->op, UV_ENOMEM);
  return gl_await(L, &op->op, timeout);
}

static int channel_try_send(lua_State *L) {
  channel *c = check_channel(L);
  lua_settop(L, 2);
  sweep(L, c);
  bool room = !c->closed && (c->receivers || c->len < c->capacity);
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
  lua_rawgeti(L, LUA_REGISTRYINDEX, op->pin);
  take_value(L, lua_gettop(L), r->key);
  return 1;
}

static void cancel_receive(gl_op *op) {
  channel *c = ((channel_op *)op)->c;
  gl_op **at = &c->receivers;
  while (*at != op) at = &(*at)->next;
  if (!(*at = op->next)) c->last_receiver = at;
  gl_op_done(op, UV_ECANCELED);
}

static const gl_optype receive_type = {"channel.receive", push_receive, cancel_receive, NULL};

/* channel:receive([timeout]) -> value; nil once the channel is closed and empty */
static int channel_receive(lua_State *L) {
  channel *c = check_channel(L);
  double timeout = gl_check_timeout(L, 2, GL_FOREVER);
  lua_settop(L, 1);
  if (c->first) {
    take_value(L, 1, pop_entry(c));
    return 1;
  }
  if (c->closed) {
    lua_pushnil(L);
    return 1;
  }
  channel_op *op = gl_op_new(L, &receive_type, sizeof *op, 1);
  op->c = c;
  op->op.next = NULL;
  *c->last_receiver = &op->op;
  c->last_receiver = &op->op.next;
  return gl_await(L, &op->op, timeout);
}

/* channel:try_receive() -> true, value; or false */
static int channel_try_receive(lua_State *L) {
  channel *c = check_channel(L);
  lua_settop(L, 1);
  lua_pushboolean(L, c->first != NULL);
  if (!c->first) return 1;
  take_value(L, 1, pop_entry(c));
  return 2;
}

/* ---- the rest ---- */

/* Nothing more can be sent; what was sent can still be received, also what a sender still waits with. */
static int channel_close(lua_State *L) {
  channel *c = check_channel(L);
  c->closed = true;
  for (channel_op *r; (r = take_receiver(c)) != NULL;) gl_op_done(&r->op, 0);
  return 0;
}

static int channel_len(lua_State *L) {
  lua_pushinteger(L, check_channel(L)->len);
  return 1;
}

/* The handle goes last: each waiting op pins it. */
static int channel_gc(lua_State *L) {
  channel *c = check_channel(L);
  *c->last = c->dead; /* one list of all that is left */
  for (entry *e = c->first, *next; e; e = next) {
    next = e->next;
    gl_give(&c->host->alloc, e, sizeof *e);
  }
  c->first = c->dead = NULL;
  c->last = &c->first;
  return 0;
}

static int channel_new(lua_State *L) {
  lua_Integer capacity = luaL_optinteger(L, 1, 0);
  luaL_argcheck(L, capacity >= 0, 1, "a number of values >= 0 expected");
  channel *c = lua_newuserdatauv(L, sizeof *c, 1);
  *c = (channel){.host = gl_host_of(L), .capacity = capacity};
  c->last = &c->first;
  c->last_receiver = &c->receivers;
  lua_newtable(L);
  lua_setiuservalue(L, -2, VALUES);
  luaL_setmetatable(L, CHANNEL);
  return 1;
}

int gl_open_channel(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"send", channel_send},       {"try_send", channel_try_send}, {"receive", channel_receive}, {"try_receive", channel_try_receive},
    {"close", channel_close},     {NULL, NULL},
  };
  static const luaL_Reg meta[] = {{"__len", channel_len}, {"__gc", channel_gc}, {"__close", channel_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"new", channel_new}, {NULL, NULL}};
  luaL_newmetatable(L, CHANNEL);
  luaL_setfuncs(L, meta, 0);
  lua_pushcfunction(L, channel_receive); /* for value in channel do */
  lua_setfield(L, -2, "__call");
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  luaL_newlib(L, functions);
  return 1;
}
