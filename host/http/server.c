/* SPDX-License-Identifier: MIT */
#include "http/server.h"

#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "core/class.h"
#include "core/error.h"
#include "core/near.h"
#include "core/task.h"
#include "http/request.h"
#include "http/response.h"

#define HANDLE "green.server"
#define MAX_SPARE_HEADS 64
#define SWEEP_NS 1000000 /* of looking at connections, until others have their turn */
#define LOOKS 256        /* connections looked at between two looks at the clock */

/* ---- memory ---- */

gl_head *gl_server_head(gl_server *s) {
  gl_head *h = s->spare_heads;
  if (!h) return calloc(1, sizeof *h);
  s->spare_heads = h->next;
  s->spares--;
  gl_head_clear(h);
  return h;
}

void gl_server_drop_head(gl_server *s, gl_head *h) {
  if (s->spares >= MAX_SPARE_HEADS) {
    gl_head_free(h);
    return;
  }
  s->spares++;
  h->next = s->spare_heads;
  s->spare_heads = h;
}

void gl_server_unref(gl_server *s) {
  if (--s->refs > 0) return;
  gl_timer_drop(&s->host->clock, &s->sweep);
  while (s->spare_heads) {
    gl_head *h = s->spare_heads;
    s->spare_heads = h->next;
    gl_head_free(h);
  }
  free(s);
}

/* ---- the loop side ---- */

static double sweep_interval(const gl_server_limits *l) {
  double least = 4.0;
  const double all[] = {l->header_timeout, l->keepalive_timeout, l->body_timeout, l->write_timeout, l->request_timeout};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (all[i] < least) least = all[i];
  return least / 4;
}

/* Looks at connections until it has taken long enough: when thousands have to be closed in the same moment, others have
 * their turn in between. */
static void sweep_slice(gl_server *s) {
  uint64_t now = uv_now(&s->host->loop), end = uv_hrtime() + SWEEP_NS;
  for (int i = 1; s->swept; i++) {
    gl_conn *c = s->swept;
    s->swept = c->next;
    if (gl_conn_sweep(c, now) || i % LOOKS == 0)
      if (uv_hrtime() > end) return;
  }
}

static void on_sweep(gl_timer *timer) {
  gl_server *s = GL_CONTAINER(timer, gl_server, sweep);
  if (!s->listener && !s->conns) return;
  gl_timer_arm(&s->host->clock, timer, sweep_interval(&s->limits)); /* first: its place is still free */
  if (!s->swept) {
    s->swept = s->conns;
    s->crowded = s->listener && gl_listener_keeps_waiting(s->listener);
  }
  sweep_slice(s);
  if (s->swept) gl_timer_arm(&s->host->clock, timer, 0);
}

static void on_accepted(gl_listener *l, gl_stream *stream) {
  gl_server *s = l->owner;
  if (!gl_conn_new(s, stream)) {
    gl_stream_close(stream);
    gl_listener_complain(l, "not enough memory for a connection: it was closed");
    return;
  }
  if (s->nconns < s->limits.max_connections) return;
  gl_listener_hold(l);
  gl_listener_complain(l, "as many connections as max_connections allows: further clients wait");
}

void gl_server_conn_closed(gl_server *s) {
  if (s->listener && s->nconns < s->limits.max_connections) gl_listener_resume(s->listener);
}

static void on_listener_closed(gl_listener *l) { gl_server_unref(l->owner); }

static const gl_listener_user listener_user = {&gl_conn_user, on_accepted, on_listener_closed};

static void stop_listening(gl_server *s, bool drain) {
  if (!s->listener) return;
  gl_listener_close(s->listener, drain);
  s->listener = NULL;
  s->host->holds--;
}

static void abort_all(gl_server *s) {
  for (gl_conn *c = s->conns, *next; c; c = next) {
    next = c->next;
    gl_conn_abort(c);
  }
}

/* ---- options ---- */

static double time_option(lua_State *L, int idx, const char *name, double def) {
  lua_getfield(L, idx, name);
  int ok;
  double value = lua_isnil(L, -1) ? def : lua_tonumberx(L, -1, &ok);
  if (!lua_isnil(L, -1) && (!ok || !(value > 0) || value > 1e6)) gl_error_misuse(L, "option '%s' must be a number of seconds > 0", name);
  lua_pop(L, 1);
  return value;
}

static lua_Integer size_option(lua_State *L, int idx, const char *name, lua_Integer def, lua_Integer max) {
  lua_getfield(L, idx, name);
  int ok = 1;
  lua_Integer value = lua_isnil(L, -1) ? def : lua_tointegerx(L, -1, &ok);
  if (!ok || value < 1 || value > max) gl_error_misuse(L, "option '%s' must be an integer from 1 to %d", name, (int)max);
  lua_pop(L, 1);
  return value;
}

static bool flag_option(lua_State *L, int idx, const char *name, bool def) {
  lua_getfield(L, idx, name);
  if (!lua_isnil(L, -1) && !lua_isboolean(L, -1)) gl_error_misuse(L, "option '%s' must be true or false", name);
  bool value = lua_isnil(L, -1) ? def : lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

/* A misspelt option would be a limit nobody set. */
static void check_names(lua_State *L, int idx) {
  static const char *const names[] = {"max_target", "max_head", "max_headers", "max_body", "max_connections", "header_timeout",
    "keepalive_timeout", "body_timeout", "write_timeout", "request_timeout", "cpu_limit", "cancel_on_disconnect",
    "body_min_rate", "underscore_headers", "trust_request_id", NULL};
  lua_pushnil(L);
  while (lua_next(L, idx)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : luaL_typename(L, -2);
    int i = 0;
    while (names[i] && strcmp(names[i], name) != 0) i++;
    if (!names[i]) gl_error_misuse(L, "unknown server option '%s'%s", name, gl_near_push_hint(L, name, names));
    lua_pop(L, 1);
  }
}

static void read_options(lua_State *L, int idx, gl_server *s) {
  check_names(L, idx);
  gl_server_limits *l = &s->limits;
  l->head.target = (uint32_t)size_option(L, idx, "max_target", 8192, 1 << 20);
  l->head.bytes = (uint32_t)size_option(L, idx, "max_head", 16384, 1 << 20);
  l->head.fields = (uint32_t)size_option(L, idx, "max_headers", 100, 10000);
  l->max_body = (size_t)size_option(L, idx, "max_body", 1 << 20, 1 << 30);
  l->max_connections = (uint32_t)size_option(L, idx, "max_connections", 100000, 10000000);
  l->header_timeout = time_option(L, idx, "header_timeout", 10);
  l->keepalive_timeout = time_option(L, idx, "keepalive_timeout", 65);
  l->body_timeout = time_option(L, idx, "body_timeout", 30);
  l->body_min_rate = (double)size_option(L, idx, "body_min_rate", 240, 1 << 30);
  l->write_timeout = time_option(L, idx, "write_timeout", 30);
  l->request_timeout = time_option(L, idx, "request_timeout", 60);
  l->cpu_limit = time_option(L, idx, "cpu_limit", 10);
  l->head.drop_underscores = !flag_option(L, idx, "underscore_headers", true);
  s->trust_request_id = flag_option(L, idx, "trust_request_id", false);
  s->cancel_on_disconnect = flag_option(L, idx, "cancel_on_disconnect", false);
  s->cancel_chosen = lua_getfield(L, idx, "cancel_on_disconnect") != LUA_TNIL;
  lua_pop(L, 1);
}

/* Pushes the table of a dispatch: function(req), or { exact = { GET = { ["/path"] = handler } }, fallback = function(req),
 * on_error = function(req, status, reason, err) or nil }. */
static void push_dispatch(lua_State *L, int idx) {
  lua_createtable(L, GL_EXACT + HTTP_PUT, 0); /* dispatch */
  if (lua_isfunction(L, idx)) {
    lua_pushvalue(L, idx);
    lua_rawseti(L, -2, GL_FALLBACK);
    return;
  }
  luaL_checktype(L, idx, LUA_TTABLE);
  lua_getfield(L, idx, "fallback");
  luaL_argcheck(L, lua_isfunction(L, -1), idx, "dispatch.fallback must be a function");
  lua_rawseti(L, -2, GL_FALLBACK);
  lua_getfield(L, idx, "on_error");
  luaL_argcheck(L, lua_isnoneornil(L, -1) || lua_isfunction(L, -1), idx, "dispatch.on_error must be a function");
  lua_rawseti(L, -2, GL_ON_ERROR);
  lua_getfield(L, idx, "exact"); /* dispatch exact */
  for (int m = 0; lua_istable(L, -1) && m < GL_METHODS; m++) {
    const char *name = m <= HTTP_SOURCE ? llhttp_method_name((llhttp_method_t)m) : NULL;
    if (!name) break;
    if (lua_getfield(L, -1, name) == LUA_TTABLE) lua_rawseti(L, -3, GL_EXACT + m);
    else lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* ---- Lua ---- */

/* A handle that was collected can still be found: by a finalizer, and as the key of a weak table. */
static gl_server *check_server(lua_State *L) {
  gl_server *s = *(gl_server **)gl_class_self(L, HANDLE);
  if (!s) luaL_argerror(L, 1, "the server was collected");
  return s;
}

/* native.check_options(options): raises what listen would say of them */
static int http_check_options(lua_State *L) {
  gl_server nobody = {0};
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  read_options(L, 1, &nobody);
  return 0;
}

/* native.listen(address, dispatch [, options]) -> server */
static int http_listen(lua_State *L) {
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  gl_address address;
  const char *wrong = gl_address_parse(text, len, &address);
  if (wrong) return gl_error_raise(L, "http.listen", "EINVAL", "%s: %s", text, wrong);
  lua_settop(L, 3);
  if (lua_isnil(L, 3)) {
    lua_newtable(L);
    lua_replace(L, 3);
  }
  luaL_checktype(L, 3, LUA_TTABLE);
  gl_server **handle = lua_newuserdatauv(L, sizeof *handle, 0);
  *handle = NULL;
  luaL_setmetatable(L, HANDLE);
  gl_server *s = calloc(1, sizeof *s);
  if (!s) return luaL_error(L, "not enough memory");
  *handle = s;
  s->host = gl_host_of(L);
  s->refs = 1;
  s->sweep.fire = on_sweep;
  s->self = s->dispatch = LUA_NOREF;
  uv_random(NULL, NULL, &s->id_seed, sizeof s->id_seed, 0, NULL);
  read_options(L, 3, s);
  push_dispatch(L, 2);
  s->dispatch = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushvalue(L, -1);
  s->self = luaL_ref(L, LUA_REGISTRYINDEX); /* a listening server is not garbage */
  int err = gl_listener_open(s->host, &address, &listener_user, s, &s->listener);
  if (!err && !gl_timer_arm(&s->host->clock, &s->sweep, sweep_interval(&s->limits))) err = UV_ENOMEM;
  if (s->listener) s->refs++; /* its own, which it gives back when it is closed */
  if (err) {
    if (s->listener) gl_listener_close(s->listener, false);
    s->listener = NULL;
    luaL_unref(L, LUA_REGISTRYINDEX, s->self);
    s->self = LUA_NOREF;
    return gl_address_raise(L, "http.listen", err, text);
  }
  s->host->holds++;
  memcpy(s->address, s->listener->text, sizeof s->address);
  return 1;
}

static int server_address(lua_State *L) {
  lua_pushstring(L, check_server(L)->address);
  return 1;
}

/* server:replace(dispatch): requests that begin from now on go there */
static int server_replace(lua_State *L) {
  check_server(L);
  lua_settop(L, 2);
  push_dispatch(L, 2);
  lua_rawseti(L, LUA_REGISTRYINDEX, check_server(L)->dispatch); /* again: reading the table may have run Lua */
  return 0;
}

static int server_connections(lua_State *L) {
  lua_pushinteger(L, check_server(L)->nconns);
  return 1;
}

typedef struct close_op {
  gl_op op;
  gl_server *server; /* referenced */
} close_op;

static int push_close(lua_State *L, gl_op *op) {
  (void)L;
  (void)op;
  return 0;
}

static void cancel_close(gl_op *op) {
  ((close_op *)op)->server->closing_op = NULL;
  gl_op_done(op, UV_ECANCELED);
}

static void free_close(gl_op *op) { gl_server_unref(((close_op *)op)->server); }

static const gl_optype close_type = {"http.close", push_close, cancel_close, free_close};

/* Stop accepting and let what runs come to its end. `fresh`: who has just connected, or waits in the backlog, still gets his
 * first request answered. */
static void begin_close(lua_State *L, gl_server *s, bool fresh) {
  stop_listening(s, fresh);
  s->closing = true;
  luaL_unref(L, LUA_REGISTRYINDEX, s->self);
  s->self = LUA_NOREF;
  for (gl_conn *c = s->conns, *next; c; c = next) {
    next = c->next;
    gl_conn_shutdown(c, fresh);
  }
}

/* server:finish([timeout [, fresh]]) waits until the last connection is gone; raises ETIMEDOUT. */
static int server_finish(lua_State *L) {
  gl_server *s = check_server(L);
  double timeout = gl_check_timeout(L, 2, GL_FOREVER);
  begin_close(L, s, lua_isnoneornil(L, 3) || lua_toboolean(L, 3));
  if (s->nconns == 0) return 0;
  if (s->closing_op) return gl_error_raise(L, "http.close", "EBUSY", "another task is closing this server");
  close_op *op = gl_op_new(L, &close_type, sizeof *op, 0);
  op->server = s;
  s->refs++;
  s->closing_op = &op->op;
  return gl_await(L, &op->op, timeout);
}

/* server:abort() cancels what still runs and closes all connections. */
static int server_abort(lua_State *L) {
  gl_server *s = check_server(L);
  begin_close(L, s, false);
  abort_all(s);
  return 0;
}

static int server_gc(lua_State *L) {
  gl_server **handle = gl_class_self(L, HANDLE);
  gl_server *s = *handle;
  if (!s) return 0;
  *handle = NULL;
  s->closing = true;
  stop_listening(s, false);
  abort_all(s);
  luaL_unref(L, LUA_REGISTRYINDEX, s->dispatch); /* requests that have not begun yet were cancelled: none will ask for it */
  gl_server_unref(s);
  return 0;
}

static int server_tostring(lua_State *L) {
  lua_pushfstring(L, "server: %s", check_server(L)->address);
  return 1;
}

int luaopen_green_http(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"address", server_address}, {"replace", server_replace}, {"connections", server_connections},
    {"finish", server_finish}, {"abort", server_abort}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", server_gc}, {"__tostring", server_tostring}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"check_options", http_check_options}, {"listen", http_listen}, {NULL, NULL}};
  gl_class_new(L, HANDLE, methods, meta);
  luaL_newlib(L, functions);
  gl_response_class(L);
  gl_request_class(L);
  lua_setfield(L, -2, "request");
  gl_response_metatable(L);
  lua_setfield(L, -2, "response");
  return 1;
}
