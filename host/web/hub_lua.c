/* SPDX-License-Identifier: MIT */
#include "web/hub_lua.h"

#include "core/class.h"
#include "core/error.h"
#include "core/memory.h"
#include "json/json.h"
#include "web/outbox.h"
#include "web/subscription.h"
#include "web/websocket_lua.h"
#include "ws/frames.h"

#define META "green.hub"

typedef struct handle {
  gl_hub *hub; /* NULL: it was collected */
  gl_outbox outbox; /* with a broker */
} handle;

/* ---- arguments ---- */

static handle *check_handle(lua_State *L) {
  handle *self = lua_touserdata(L, lua_upvalueindex(1));
  if (!self->hub) luaL_error(L, "the hub was collected");
  return self;
}

static gl_hub *check_hub(lua_State *L) { return check_handle(L)->hub; }

static const char *type_at(lua_State *L, int idx) { return lua_isnoneornil(L, idx) ? "nil" : luaL_typename(L, idx); }

static const char *check_topic(lua_State *L, int idx, const char *what, size_t *n) {
  if (lua_type(L, idx) != LUA_TSTRING) luaL_error(L, "%s: a topic must be a string, not a %s", what, type_at(L, idx));
  return lua_tolstring(L, idx, n);
}

/* Returns the name of a user. A number becomes a string, in its place on the stack. */
static const char *check_user(lua_State *L, int idx, const char *what, size_t *n) {
  int type = lua_type(L, idx);
  if (type != LUA_TSTRING && type != LUA_TNUMBER) luaL_error(L, "%s: a user must be a string or a number, not a %s", what, type_at(L, idx));
  return lua_tolstring(L, idx, n);
}

/* Puts its JSON in the place of a table. May park. */
static void encode_table(lua_State *L, int idx) {
  gl_json_text text;
  lua_pushvalue(L, idx);
  gl_json_encode(L, &text, false);
  lua_pushlstring(L, text.start, (size_t)(text.at - text.start));
  gl_json_done(L, &text);
  lua_replace(L, idx);
}

/* Returns the text of a message; that of a table is its JSON, in its place on the stack. Refuses what a WebSocket's peer would refuse, before
 * any member gets it. May park. */
static const char *check_text(lua_State *L, int idx, const char *what, size_t *n) {
  if (lua_type(L, idx) == LUA_TTABLE) encode_table(L, idx);
  if (lua_type(L, idx) != LUA_TSTRING) luaL_error(L, "%s: a message must be a string or a table, not a %s", what, type_at(L, idx));
  const char *text = lua_tolstring(L, idx, n);
  if (!gl_is_utf8(text, *n)) gl_error_raise(L, what, "EILSEQ", "a message must be valid UTF-8");
  return text;
}

/* ---- sending ---- */

static int pushed(lua_State *L, int64_t sent) {
  if (sent < 0) return gl_memory_raise(L);
  lua_pushinteger(L, sent);
  return 1;
}

/* publish(topic, text) -> how many of those that listen to the topic took the text */
static int hub_publish(lua_State *L) {
  size_t n, len;
  const char *topic = check_topic(L, 1, "hub.publish", &n), *text = check_text(L, 2, "hub.publish", &len);
  return pushed(L, gl_hub_publish(check_hub(L), GL_HUB_TOPICS, topic, n, text, len));
}

/* send(user, text) -> how many of the user's sockets took the text */
static int hub_send(lua_State *L) {
  size_t n, len;
  const char *user = check_user(L, 1, "hub.send", &n), *text = check_text(L, 2, "hub.send", &len);
  return pushed(L, gl_hub_publish(check_hub(L), GL_HUB_USERS, user, n, text, len));
}

/* count(topic) -> how many listen to it */
static int hub_count(lua_State *L) {
  size_t n;
  const char *topic = check_topic(L, 1, "hub.count", &n);
  lua_pushinteger(L, (lua_Integer)gl_hub_count(check_hub(L), GL_HUB_TOPICS, topic, n));
  return 1;
}

/* present(user) -> how many sockets the user has */
static int hub_present(lua_State *L) {
  size_t n;
  const char *user = check_user(L, 1, "hub.present", &n);
  lua_pushinteger(L, (lua_Integer)gl_hub_count(check_hub(L), GL_HUB_USERS, user, n));
  return 1;
}

/* ---- listening ---- */

/* subscribe(topic [, options]) -> subscription, nil, nil, subscription: the values of a generic for, which closes the last */
static int hub_subscribe(lua_State *L) {
  size_t n;
  const char *topic = check_topic(L, 1, "hub.subscribe", &n);
  bool options = !lua_isnoneornil(L, 2);
  if (options) luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  gl_subscription_push(L, check_hub(L), topic, n, options ? 2 : 0);
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushvalue(L, 3);
  return 4;
}

/* Returns the socket as the hub knows it. NULL: the socket is closed, and listens to nothing any more. Raises for other values. */
static gl_subscriber *check_socket(lua_State *L, int idx) {
  luaL_checkudata(L, idx, GL_WS_META);
  return gl_ws_listener(L, idx);
}

/* join(ws, topic): the socket listens to the topic, unless it is closed */
static int hub_join(lua_State *L) {
  size_t n;
  const char *topic = check_topic(L, 2, "ws:subscribe", &n);
  gl_subscriber *s = check_socket(L, 1);
  if (s && !gl_hub_subscribe(check_hub(L), s, GL_HUB_TOPICS, topic, n)) return gl_memory_raise(L);
  return 0;
}

/* leave(ws, topic): the socket does not listen to the topic any more */
static int hub_leave(lua_State *L) {
  size_t n;
  const char *topic = check_topic(L, 2, "ws:unsubscribe", &n);
  gl_subscriber *s = check_socket(L, 1);
  if (s) gl_hub_unsubscribe(check_hub(L), s, GL_HUB_TOPICS, topic, n);
  return 0;
}

/* attach(user, ws): the socket gets what is sent to the user, unless it is closed */
static int hub_attach(lua_State *L) {
  size_t n;
  const char *user = check_user(L, 1, "hub.attach", &n);
  gl_subscriber *s = check_socket(L, 2);
  if (s && !gl_hub_subscribe(check_hub(L), s, GL_HUB_USERS, user, n)) return gl_memory_raise(L);
  return 0;
}

/* drop(ws or subscription): the socket or subscription listens to nothing any more */
static int hub_drop(lua_State *L) {
  gl_subscriber *s = gl_subscription_listener(L, 1);
  if (!s) s = gl_ws_listener(L, 1);
  if (s) gl_hub_unsubscribe_all(s);
  return 0;
}

/* ---- with a broker: what Lua's half (lualib/green/hub/shared.lua) is made of ---- */

static int post(lua_State *L, gl_hub_namespace namespace, const char *name, size_t n, const char *text, size_t len) {
  handle *self = check_handle(L);
  if (!gl_outbox_add(gl_host_of(L), &self->outbox, namespace, name, n, text, len)) return gl_memory_raise(L);
  lua_pushinteger(L, (lua_Integer)gl_hub_count(self->hub, namespace, name, n));
  return 1;
}

/* publish(topic, message) -> how many listen to the topic here; the message waits for the broker */
static int shared_publish(lua_State *L) {
  size_t n, len;
  const char *topic = check_topic(L, 1, "hub.publish", &n), *text = check_text(L, 2, "hub.publish", &len);
  return post(L, GL_HUB_TOPICS, topic, n, text, len);
}

/* send(user, message) -> how many sockets the user has here; the message waits for the broker */
static int shared_send(lua_State *L) {
  size_t n, len;
  const char *user = check_user(L, 1, "hub.send", &n), *text = check_text(L, 2, "hub.send", &len);
  return post(L, GL_HUB_USERS, user, n, text, len);
}

/* open(): from now on the broker is told of all changes of channels */
static int shared_open(lua_State *L) {
  handle *self = check_handle(L);
  gl_outbox_open(&self->outbox, self->hub);
  return 0;
}

/* forget(): the broker knows of no channel any more */
static int shared_forget(lua_State *L) {
  gl_hub_forget(check_hub(L));
  return 0;
}

/* take() -> "listen" or "leave", channel; "send", channel, text; nothing: what the broker is to be told next */
static int shared_take(lua_State *L) {
  handle *self = check_handle(L);
  lua_settop(L, 0);
  return gl_outbox_push(L, &self->outbox, self->hub);
}

/* wait(): until there may be something to take, or the bell was rung */
static int shared_wait(lua_State *L) { return gl_outbox_wait(L, &check_handle(L)->outbox, lua_upvalueindex(1)); }

static int shared_ring(lua_State *L) {
  gl_outbox_ring(&check_handle(L)->outbox);
  return 0;
}

/* waiting() -> messages that wait, messages that found no room */
static int shared_waiting(lua_State *L) {
  const gl_outbox *o = &check_handle(L)->outbox;
  lua_pushinteger(L, (lua_Integer)o->count + (o->taken != NULL));
  lua_pushinteger(L, o->lost);
  return 2;
}

/* Reads "t:TOPIC" or "u:USER". NULL: it is neither. */
static const char *read_channel(lua_State *L, gl_hub_namespace *namespace, size_t *n) {
  const char *channel = luaL_checklstring(L, 1, n);
  if (*n < 2 || (*channel != 't' && *channel != 'u')) return NULL;
  *namespace = *channel == 't' ? GL_HUB_TOPICS : GL_HUB_USERS;
  *n -= 2;
  return channel + 2;
}

/* count(channel) -> how many listen to it here */
static int shared_count(lua_State *L) {
  gl_hub_namespace namespace;
  size_t n;
  const char *name = read_channel(L, &namespace, &n);
  lua_pushinteger(L, name ? (lua_Integer)gl_hub_count(check_hub(L), namespace, name, n) : 0);
  return 1;
}

/* deliver(channel, text) -> how many here took what came from the broker; nil: it is no text */
static int shared_deliver(lua_State *L) {
  gl_hub_namespace namespace;
  size_t n, len;
  const char *name = read_channel(L, &namespace, &n), *text = luaL_checklstring(L, 2, &len);
  if (!name || !gl_is_utf8(text, len)) return 0;
  return pushed(L, gl_hub_publish(check_hub(L), namespace, name, n, text, len));
}

/* ---- the module ---- */

static int hub_gc(lua_State *L) {
  handle *self = luaL_checkudata(L, 1, META);
  if (!self->hub) return 0;
  gl_hub_share(self->hub, NULL);
  gl_outbox_clear(gl_host_of(L), &self->outbox);
  gl_hub_unref(self->hub);
  self->hub = NULL;
  return 0;
}

/* { alone = the module without a broker, shared = what the one with a broker is made of } */
int luaopen_green_hub(lua_State *L) {
  static const luaL_Reg alone[] = {
    {"attach", hub_attach}, {"count", hub_count},     {"drop", hub_drop},       {"join", hub_join}, {"leave", hub_leave},
    {"present", hub_present}, {"publish", hub_publish}, {"send", hub_send}, {"subscribe", hub_subscribe}, {NULL, NULL},
  };
  static const luaL_Reg shared[] = {
    {"count", shared_count}, {"deliver", shared_deliver}, {"forget", shared_forget}, {"open", shared_open}, {"publish", shared_publish},
    {"ring", shared_ring},   {"send", shared_send},       {"take", shared_take},     {"wait", shared_wait}, {"waiting", shared_waiting},
    {NULL, NULL},
  };
  static const luaL_Reg meta[] = {{"__gc", hub_gc}, {NULL, NULL}};
  gl_class_new(L, META, NULL, meta);
  gl_subscription_metatable(L);
  lua_createtable(L, 0, 2);
  handle *self = lua_newuserdatauv(L, sizeof *self, 0);
  *self = (handle){0};
  luaL_setmetatable(L, META);
  if (!(self->hub = gl_hub_new(gl_host_of(L)))) return luaL_error(L, "not enough memory");
  luaL_newlibtable(L, alone);
  lua_pushvalue(L, -2);
  luaL_setfuncs(L, alone, 1);
  lua_setfield(L, -3, "alone");
  luaL_newlibtable(L, shared);
  lua_pushvalue(L, -2);
  luaL_setfuncs(L, shared, 1);
  lua_setfield(L, -3, "shared");
  lua_pop(L, 1);
  return 1;
}
