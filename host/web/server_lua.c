/* SPDX-License-Identifier: MIT */
#include "web/server_lua.h"

#include <stdlib.h>

#include "core/args.h"
#include "core/class.h"
#include "core/error.h"
#include "core/op.h"
#include "net/tls_lua.h"
#include "web/failure_lua.h"
#include "web/request.h"
#include "web/response.h"
#include "web/writer.h"

#define HANDLE "green.server"

/* ---- the dispatch ---- */

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

/* ---- listening ---- */

/* Returns the server of a handle. A handle that was collected, and so has none, can still be found: by a finalizer, and as the key of
 * a weak table. */
static gl_web_server *check_server(lua_State *L) {
  gl_web_server *s = *(gl_web_server **)gl_class_self(L, HANDLE);
  if (!s) luaL_argerror(L, 1, "the server was collected");
  return s;
}

/* native.check_options(options): raises the error that native.listen would raise for the options */
static int http_check_options(lua_State *L) {
  gl_web_server nobody = {0};
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  gl_server_read_options(L, 1, &nobody, false);
  free(nobody.trusted_proxies);
  return 0;
}

/* Pushes the handle of a configuration of the TLS options at idx; `h2`: as gl_server_speaks_h2. Reads files, raises, may run Lua. */
static void push_tls(lua_State *L, int idx, const char *op, bool h2) {
  if (!lua_istable(L, idx)) gl_args_refuse(L, idx, lua_pushfstring(L, "a table with a cert expected, got %s", luaL_typename(L, idx)));
  gl_tls_check_http(L, idx, op, h2);
}

static void on_idle(gl_server *server) {
  gl_web_server *s = (gl_web_server *)server;
  gl_op *op = s->closing_op;
  s->closing_op = NULL;
  if (op) gl_op_done(op, 0);
}

static void on_free(gl_server *server) {
  free(((gl_web_server *)server)->trusted_proxies);
  free(server);
}

/* Pushes the handle of a server that does not listen yet. */
static gl_web_server *new_server(lua_State *L) {
  gl_web_server **handle = lua_newuserdatauv(L, sizeof *handle, 0);
  *handle = NULL;
  luaL_setmetatable(L, HANDLE);
  gl_web_server *s = calloc(1, sizeof *s);
  if (!s) {
    luaL_error(L, "not enough memory");
    return NULL;
  }
  *handle = s;
  s->server = (gl_server){.host = gl_host_of(L), .user = &gl_call_user, .idle = on_idle, .free = on_free, .refs = 1};
  s->self = s->dispatch = LUA_NOREF;
  uv_random(NULL, NULL, &s->id_seed, sizeof s->id_seed, 0, NULL);
  return s;
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
  gl_web_server *s = new_server(L); /* at 4 */
  gl_server_read_options(L, 3, s, true);
  if (lua_getfield(L, 3, "tls") != LUA_TNIL) {
    push_tls(L, 5, "http.listen", gl_server_speaks_h2(&s->server));
    s->server.tls = gl_tls_take(L, -1);
  }
  lua_settop(L, 4);
  gl_inspect_requests(gl_host_of(L), gl_call_about);
  push_dispatch(L, 2);
  s->dispatch = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushvalue(L, -1);
  s->self = luaL_ref(L, LUA_REGISTRYINDEX); /* a listening server is not garbage */
  int err = gl_server_listen(&s->server, &address);
  if (!err) return 1;
  luaL_unref(L, LUA_REGISTRYINDEX, s->self);
  s->self = LUA_NOREF;
  return gl_address_raise(L, "http.listen", err, text);
}

static int server_address(lua_State *L) {
  lua_pushstring(L, check_server(L)->server.address);
  return 1;
}

/* server:replace(dispatch): gives the requests that begin from now on to another dispatch */
static int server_replace(lua_State *L) {
  check_server(L);
  lua_settop(L, 2);
  push_dispatch(L, 2);
  lua_rawseti(L, LUA_REGISTRYINDEX, check_server(L)->dispatch); /* look again: to read the table may have run Lua */
  return 0;
}

static int server_scheme(lua_State *L) {
  lua_pushstring(L, check_server(L)->server.tls ? "https" : "http");
  return 1;
}

/* server:set_tls(options): other certificates, for the connections that are accepted from now on */
static int server_set_tls(lua_State *L) {
  push_tls(L, 2, "http.set_tls", gl_server_speaks_h2(&check_server(L)->server));
  gl_server *s = &check_server(L)->server; /* looked at after the table was read, which may run Lua */
  if (!s->tls) return gl_error_raise(L, "http.set_tls", "EINVAL", "%s: the server was made without TLS", s->address);
  gl_server_set_tls(s, gl_tls_take(L, -1));
  return 0;
}

static int server_connections(lua_State *L) {
  lua_pushinteger(L, check_server(L)->server.nconns);
  return 1;
}

typedef struct close_op {
  gl_op op;
  gl_web_server *server; /* referenced */
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

static void free_close(gl_op *op) { gl_server_unref(&((close_op *)op)->server->server); }

static const gl_optype close_type = {"http.close", push_close, cancel_close, free_close};

static void begin_close(lua_State *L, gl_web_server *s, bool fresh) {
  gl_server_stop(&s->server, fresh);
  luaL_unref(L, LUA_REGISTRYINDEX, s->self);
  s->self = LUA_NOREF;
}

/* server:finish([timeout [, fresh]]): stops, and waits until the last connection is gone. Raises ETIMEDOUT. */
static int server_finish(lua_State *L) {
  gl_web_server *s = check_server(L);
  double timeout = gl_check_timeout(L, 2, GL_FOREVER);
  begin_close(L, s, lua_isnoneornil(L, 3) || lua_toboolean(L, 3));
  if (s->server.nconns == 0) return 0;
  if (s->closing_op) return gl_error_raise(L, "http.close", "EBUSY", "another task is closing this server");
  close_op *op = gl_op_new(L, &close_type, sizeof *op, 0);
  op->server = s;
  s->server.refs++;
  s->closing_op = &op->op;
  return gl_await(L, &op->op, timeout);
}

/* server:abort(): stops, cancels the requests in progress and closes all connections. */
static int server_abort(lua_State *L) {
  gl_web_server *s = check_server(L);
  begin_close(L, s, false);
  gl_server_abort(&s->server);
  return 0;
}

static int server_gc(lua_State *L) {
  gl_web_server **handle = gl_class_self(L, HANDLE);
  gl_web_server *s = *handle;
  if (!s) return 0;
  *handle = NULL;
  gl_server_abort(&s->server);
  luaL_unref(L, LUA_REGISTRYINDEX, s->dispatch); /* tasks of requests that have not begun were cancelled, and ask for no handler */
  gl_server_unref(&s->server);
  return 0;
}

static int server_tostring(lua_State *L) {
  lua_pushfstring(L, "server: %s", check_server(L)->server.address);
  return 1;
}

int luaopen_green_http(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"address", server_address}, {"replace", server_replace}, {"connections", server_connections},
    {"scheme", server_scheme}, {"set_tls", server_set_tls},
    {"finish", server_finish}, {"abort", server_abort}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", server_gc}, {"__tostring", server_tostring}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"check_options", http_check_options}, {"listen", http_listen}, {"write_file", gl_writer_write_file}, {NULL, NULL}};
  gl_class_new(L, HANDLE, methods, meta);
  luaL_newlib(L, functions);
  gl_response_functions(L);
  gl_failure_functions(L);
  gl_writer_class(L);
  gl_request_class(L);
  lua_setfield(L, -2, "request");
  gl_response_metatable(L);
  lua_setfield(L, -2, "response");
  return 1;
}
