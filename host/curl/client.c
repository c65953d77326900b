/* SPDX-License-Identifier: MIT
 *
 * The HTTP client's binding: reads a spec (checked and completed by green.http), waits for the exchange, builds the
 * response. Two ops: a request, done with the whole answer or with the head of a streamed one; and a read, done
 * with the next piece of that stream.
 */
#include "curl/client.h"

#include <ctype.h>
#include <string.h>

#include "core/class.h"
#include "core/error.h"
#include "curl/curl_exchange.h"

#define STREAM "green.http.stream"
#define NAME_MAX_LEN 256 /* header names longer than this are left out */

typedef struct exchange_op {
  gl_op op;
  gl_curl_exchange *x; /* referenced; a request's goes over to the stream, if there is one */
  const char *method, *url; /* in the pinned spec, as is what the exchange sends */
} exchange_op;

/* The userdata of a streamed body. Its user value is the spec. */
typedef struct stream {
  gl_curl_exchange *x; /* NULL = closed */
  const char *method, *url;
} stream;

/* ---- errors ---- */

/* "GET http://host/path: connection refused", by http.get. */
static int raise_exchange(lua_State *L, const gl_curl_exchange *x, const char *method, const char *url) {
  const char *why, *code = gl_curl_exchange_error(x, &why);
  const char *hint = strcmp(code, "ETLS") == 0 ? "; trust another authority with { ca = \"its.pem\" }" : "";
  char op[32] = "http.";
  static const char *const named[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", NULL};
  const char *const *name = named;
  while (*name && strcmp(*name, method) != 0) name++;
  strcat(op, *name ? *name : "request");
  for (char *at = op; *at; at++) *at = (char)tolower((unsigned char)*at);
  return gl_error_raise(L, op, code, "%s %s: %s%s", method, url, why, hint);
}

/* ---- the response head as a table ---- */

/* Adds one field to headers (and to repeated, made when a name comes twice, at `repeated`: nil or a table). */
static void add_header(lua_State *L, int headers, int repeated) { /* ... name value */
  lua_pushvalue(L, -2);
  if (lua_rawget(L, headers) == LUA_TNIL) { /* name value nil */
    lua_pop(L, 1);
    lua_rawset(L, headers);
    return;
  }
  if (lua_isnil(L, repeated)) {
    lua_createtable(L, 0, 1);
    lua_replace(L, repeated);
  }
  lua_pushvalue(L, -3);
  if (lua_rawget(L, repeated) == LUA_TNIL) { /* name value before nil */
    lua_pop(L, 1);
    lua_createtable(L, 2, 0);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, 1);
    lua_pushvalue(L, -4);
    lua_pushvalue(L, -2);
    lua_rawset(L, repeated);
  } /* name value before list */
  lua_pushvalue(L, -3);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_pop(L, 3);
  lua_pop(L, 1);
}

static void push_lower(lua_State *L, const char *name, size_t n) {
  char lower[NAME_MAX_LEN];
  for (size_t i = 0; i < n; i++) lower[i] = (char)tolower((unsigned char)name[i]);
  lua_pushlstring(L, lower, n);
}

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r'; }

static void push_headers(lua_State *L, const gl_buf *head) { /* headers, repeated or nil */
  lua_createtable(L, 0, 8);
  lua_pushnil(L);
  int headers = lua_gettop(L) - 1;
  if (!head->len) return;
  const char *at = gl_buf_at(head), *stop = at + head->len;
  while (at < stop) {
    const char *eol = memchr(at, '\n', (size_t)(stop - at));
    if (!eol) eol = stop;
    const char *colon = memchr(at, ':', (size_t)(eol - at));
    if (colon && colon > at && colon - at < NAME_MAX_LEN && !is_space(*at)) {
      const char *from = colon + 1, *to = eol;
      while (from < to && is_space(*from)) from++;
      while (to > from && is_space(to[-1])) to--;
      push_lower(L, at, (size_t)(colon - at));
      lua_pushlstring(L, from, (size_t)(to - from));
      add_header(L, headers, headers + 1);
    }
    at = eol + 1;
  }
}

/* ---- request ---- */

static void push_stream(lua_State *L, exchange_op *e) {
  stream *s = lua_newuserdatauv(L, sizeof *s, 1);
  *s = (stream){NULL, e->method, e->url};
  luaL_setmetatable(L, STREAM);
  lua_rawgeti(L, LUA_REGISTRYINDEX, e->op.pin);
  lua_setiuservalue(L, -2, 1);
  s->x = e->x;
  e->x = NULL;
  e->op.host->census.handles++;
}

static int push_request(lua_State *L, gl_op *op) { /* response, repeated headers or nil, stream or nil */
  exchange_op *e = (exchange_op *)op;
  gl_curl_exchange *x = e->x;
  if (!x) return gl_error_raise(L, op->type->name, "ENOMEM", "not enough memory");
  if (x->code != CURLE_OK && !(x->streams && x->headed)) return raise_exchange(L, x, e->method, e->url);
  luaL_checkstack(L, 12, "http response");
  lua_createtable(L, 0, 4);
  lua_pushinteger(L, x->status);
  lua_setfield(L, -2, "status");
  push_headers(L, &x->head);
  lua_pushvalue(L, -2);
  lua_setfield(L, -4, "headers");
  lua_remove(L, -2); /* response repeated */
  if (x->streams) {
    push_stream(L, e);
    return 3;
  }
  lua_pushlstring(L, x->body.len ? gl_buf_at(&x->body) : "", x->body.len);
  lua_setfield(L, -3, "body");
  return 2;
}

static void cancel_request(gl_op *op) {
  gl_curl_exchange *x = ((exchange_op *)op)->x;
  gl_curl_exchange_leave(x);
  gl_curl_stop(&x->transfer);
  gl_op_done(op, UV_ECANCELED);
}

static void free_exchange(gl_op *op) {
  exchange_op *e = (exchange_op *)op;
  if (e->x) gl_curl_exchange_unref(e->x);
}

/* "POST api.example:443" */
static void object_exchange(const gl_op *op, char *out, size_t size) {
  const exchange_op *e = (const exchange_op *)op;
  bool tls = strncmp(e->url, "https:", 6) == 0;
  const char *host = strstr(e->url, "://");
  host = host ? host + 3 : e->url;
  size_t n = strcspn(host, "/?#");
  const char *port = memchr(host, ']', n) ? memchr(host, ']', n) : host;
  const char *suffix = memchr(port, ':', n - (size_t)(port - host)) ? "" : tls ? ":443" : ":80";
  snprintf(out, size, "%s %.*s%s", e->method, (int)n, host, suffix);
}

static const gl_optype request_type = {"http.request", push_request, cancel_request, free_exchange, object_exchange};

static const char *text_field(lua_State *L, const char *name, size_t *len) {
  int type = lua_getfield(L, 1, name);
  if (type != LUA_TNIL && type != LUA_TSTRING) luaL_error(L, "%s: a string expected", name);
  const char *text = lua_tolstring(L, -1, len); /* the spec keeps it alive */
  lua_pop(L, 1);
  return text;
}

static double number_field(lua_State *L, const char *name) {
  int ok;
  lua_getfield(L, 1, name);
  double value = lua_tonumberx(L, -1, &ok);
  if (!ok || !(value >= 0)) luaL_error(L, "%s: a number >= 0 expected", name);
  lua_pop(L, 1);
  return value < GL_FOREVER ? value : GL_FOREVER;
}

static bool flag_field(lua_State *L, const char *name) {
  lua_getfield(L, 1, name);
  bool flag = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return flag;
}

static gl_curl_spec check_request(lua_State *L) {
  gl_curl_spec rq = {0};
  luaL_checktype(L, 1, LUA_TTABLE);
  rq.method = text_field(L, "method", NULL);
  rq.url = text_field(L, "url", NULL);
  rq.address = text_field(L, "address", NULL);
  rq.body = text_field(L, "body", &rq.body_len);
  rq.ca = text_field(L, "ca", NULL);
  rq.proxy = text_field(L, "proxy", NULL);
  rq.proxy_authorization = text_field(L, "proxy_authorization", NULL);
  rq.timeout = number_field(L, "timeout");
  rq.connect_timeout = number_field(L, "connect_timeout");
  rq.verify = flag_field(L, "verify");
  rq.stream = flag_field(L, "stream");
  lua_getfield(L, 1, "max_body");
  lua_Integer max = luaL_checkinteger(L, -1);
  rq.max_body = max < 0 ? 0 : (size_t)max;
  lua_pop(L, 1);
  if (!rq.method || !rq.url || !rq.address) luaL_error(L, "method, url and address expected");
  return rq;
}

/* The strings of the array at `list`. Raises nothing: the slots were checked, the stack has room. */
static bool add_headers(lua_State *L, int list, gl_curl_exchange *x) {
  bool ok = true;
  for (lua_Integer i = 1; ok && lua_rawgeti(L, list, i) == LUA_TSTRING; i++) {
    struct curl_slist *longer = curl_slist_append(x->headers, lua_tostring(L, -1));
    ok = longer != NULL;
    if (ok) x->headers = longer;
    lua_pop(L, 1);
  }
  if (ok) lua_pop(L, 1);
  return ok;
}

static int http_request(lua_State *L) {
  gl_curl_spec rq = check_request(L);
  lua_settop(L, 1);
  if (lua_getfield(L, 1, "headers") != LUA_TTABLE) return luaL_error(L, "headers: a table expected");
  luaL_checkstack(L, 8, NULL);
  gl_curl *c = gl_curl_of(L);
  exchange_op *e = gl_op_new(L, &request_type, sizeof *e, 1);
  e->method = rq.method;
  e->url = rq.url;
  e->x = gl_curl_exchange_new(c);
  if (!e->x || !add_headers(L, 2, e->x)) {
    free_exchange(&e->op);
    e->x = NULL;
    gl_op_done(&e->op, UV_ENOMEM);
  } else {
    e->x->waiter = &e->op;
    gl_curl_exchange_start(e->x, &rq);
  }
  return gl_await(L, &e->op, GL_FOREVER);
}

/* ---- the stream of a body ---- */

static int push_piece(lua_State *L, gl_curl_exchange *x, const char *method, const char *url) {
  if (x->body.len) {
    lua_pushlstring(L, gl_buf_at(&x->body), x->body.len);
    gl_curl_exchange_eat(x);
    return 1;
  }
  if (x->code != CURLE_OK) return raise_exchange(L, x, method, url);
  lua_pushnil(L);
  return 1;
}

static int push_read(lua_State *L, gl_op *op) {
  exchange_op *e = (exchange_op *)op;
  return push_piece(L, e->x, e->method, e->url);
}

static void cancel_read(gl_op *op) {
  gl_curl_exchange_leave(((exchange_op *)op)->x);
  gl_op_done(op, UV_ECANCELED);
}

static const gl_optype read_type = {"http.read", push_read, cancel_read, free_exchange, object_exchange};

/* stream:read() -> the next bytes, nil at the end. Waits. */
static int stream_read(lua_State *L) {
  stream *s = luaL_checkudata(L, 1, STREAM);
  gl_curl_exchange *x = s->x;
  if (!x) return gl_error_raise(L, "http.read", "ECONNABORTED", "the response was closed");
  if (x->waiter) return gl_error_raise(L, "http.read", "EBUSY", "another task reads this response");
  exchange_op *e = gl_op_new(L, &read_type, sizeof *e, 1);
  e->x = x;
  x->refs++;
  e->method = s->method;
  e->url = s->url;
  gl_curl_exchange_next(x, &e->op);
  return gl_await(L, &e->op, GL_FOREVER);
}

/* Stops the transfer: its connection is closed unless the body was complete. A task that reads is told. */
static int stream_close(lua_State *L) {
  stream *s = luaL_checkudata(L, 1, STREAM);
  gl_curl_exchange *x = s->x;
  if (!x) return 0;
  s->x = NULL;
  gl_curl_exchange_close(x);
  gl_curl_exchange_unref(x);
  gl_host_of(L)->census.handles--;
  return 0;
}

int luaopen_green_http_client(lua_State *L) {
  static const luaL_Reg methods[] = {{"read", stream_read}, {"close", stream_close}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", stream_close}, {"__close", stream_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"request", http_request}, {NULL, NULL}};
  gl_class_new(L, STREAM, methods, meta);
  luaL_newlib(L, functions);
  return 1;
}
