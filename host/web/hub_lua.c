/* SPDX-License-Identifier: MIT */
#include "web/hub_lua.h"

#include "core/class.h"
#include "core/error.h"
#include "core/memory.h"
#include "ws/frames.h"
#include "web/subscription.h"
#include "web/websocket_lua.h"

#define META "green.hub"

/* ---- arguments ---- */

static gl_hub *check_hub(lua_State *L) {
  gl_hub **hub = lua_touserdata(L, lua_upvalueindex(1));
  if (!*hub) luaL_error(L, "the hub was collected");
  return *hub;
}

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

/* Refuses a text that a WebSocket's peer would refuse, before any member gets it. */
static const char *check_text(lua_State *L, int idx, const char *what, size_t *n) {
  if (lua_type(L, idx) != LUA_TSTRING) luaL_error(L, "%s: a message must be a string, not a %s", what, type_at(L, idx));
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

static int hub_count(lua_State *L) {
  size_t n;
  const char *topic = check_topic(L, 1, "hub.count", &n);
  lua_pushinteger(L, (lua_Integer)gl_hub_count(check_hub(L), GL_HUB_TOPICS, topic, n));
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

static int hub_gc(lua_State *L) {
  gl_hub **hub = luaL_checkudata(L, 1, META);
  if (*hub) gl_hub_unref(*hub);
  *hub = NULL;
  return 0;
}

int luaopen_green_hub(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"attach", hub_attach}, {"count", hub_count},     {"drop", hub_drop}, {"join", hub_join},
    {"leave", hub_leave},   {"publish", hub_publish}, {"send", hub_send}, {"subscribe", hub_subscribe},
    {NULL, NULL},
  };
  static const luaL_Reg meta[] = {{"__gc", hub_gc}, {NULL, NULL}};
  gl_class_new(L, META, NULL, meta);
  gl_subscription_metatable(L);
  luaL_newlibtable(L, functions);
  gl_hub **hub = lua_newuserdatauv(L, sizeof *hub, 0);
  *hub = NULL;
  luaL_setmetatable(L, META);
  if (!(*hub = gl_hub_new(gl_host_of(L)))) return luaL_error(L, "not enough memory");
  luaL_setfuncs(L, functions, 1);
  return 1;
}
