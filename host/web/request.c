/* SPDX-License-Identifier: MIT */
#include "web/request.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base.h"
#include "core/task.h"
#include "http/failure.h"
#include "web/forwarded.h"
#include "web/response.h"
#include "web/server_lua.h"

const char *gl_request_method(const gl_request *r, size_t *len) {
  const char *known = r->method == GL_METHOD_OTHER ? NULL : llhttp_method_name((llhttp_method_t)r->method);
  *len = known ? strlen(known) : r->method_len;
  return known ? known : gl_request_text(r) + r->text_len;
}

bool gl_request_next_line(const gl_request *r, const char *name, uint32_t *i, gl_text *value) {
  size_t want = strlen(name);
  while (*i < r->nfields) {
    const gl_field *f = &r->fields[(*i)++];
    if (f->name_len != want || memcmp(gl_request_text(r) + f->name, name, want) != 0) continue;
    *value = gl_text_of(gl_request_text(r) + f->value, f->value_len);
    return true;
  }
  return false;
}

const char *gl_request_header(const gl_request *r, const char *name, size_t *len) {
  gl_text value;
  uint32_t i = 0;
  if (!gl_request_next_line(r, name, &i, &value)) return NULL;
  *len = gl_text_len(value);
  return value.at;
}

const char *gl_request_host(const gl_request *r, size_t *len) {
  if (!r->host.len) return gl_request_header(r, "host", len);
  *len = r->host.len;
  return gl_request_text(r) + r->host.at;
}

/* ---- its id ---- */

/* Maps each of the 2^64 numbers to another, from which nobody can tell the first (splitmix64 by Sebastiano Vigna, public domain). */
static uint64_t mix(uint64_t z) {
  z *= 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/* May the text be an id? Ids go to logs and other services: only visible ASCII, and not too long, will do. */
static bool is_id(const char *id, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (id[i] <= ' ' || id[i] >= 0x7f) return false;
  return n > 0 && n < GL_REQ_ID_MAX;
}

void gl_request_name(const gl_request *r, char out[GL_REQ_ID_MAX]) {
  size_t n;
  const char *given = r->trust_id ? gl_request_header(r, "x-request-id", &n) : NULL;
  if (given && is_id(given, n)) snprintf(out, GL_REQ_ID_MAX, "%.*s", (int)n, given);
  else snprintf(out, GL_REQ_ID_MAX, "%016" PRIx64, r->id);
}

/* ---- making one ---- */

/* Takes over what trusted proxies say of the client, if one of them is the peer. */
static void read_proxies(gl_request *r, const gl_web_server *s) {
  struct sockaddr_storage address;
  int family = r->x->carrier->peer(r->x, &address, &r->secure);
  if (family >= 0 && gl_networks_have(s->trusted_proxies, family, &address)) gl_forwarded_read(r, s->trusted_proxies, s->proxy_headers);
}

static gl_request *make(lua_State *L, gl_exchange *x) {
  const gl_web_server *s = x->context;
  gl_head *h = x->head;

  uint8_t method_len = h->method == GL_METHOD_OTHER ? h->method_len : 0;
  gl_request *r = lua_newuserdatauv(L, sizeof *r + h->nfields * sizeof *r->fields + h->len + method_len, 1);
  r->x = x;
  r->id = mix(s->id_seed + s->requests);
  r->trust_id = s->trust_request_id;
  r->nfields = h->nfields;
  r->target_len = h->target_len;
  r->text_len = h->len;
  r->method = h->method;
  r->method_len = method_len;
  r->minor = h->minor;
  r->keep_alive = h->keep_alive;
  r->upgrade = h->upgrade;
  r->has_body = h->has_body;
  r->tunnel = h->tunnel;
  r->secure = s->server.tls != NULL;
  if (h->nfields) memcpy(r->fields, h->fields, h->nfields * sizeof *r->fields);
  memcpy((char *)&r->fields[r->nfields], h->text, h->len);
  if (method_len) memcpy((char *)&r->fields[r->nfields] + h->len, h->method_name, method_len);
  r->path_len = h->path_len;
  r->escaped = (h->target_has & GL_TARGET_ESCAPE) != 0;
  r->dotted = (h->target_has & GL_TARGET_DOT) && memmem(h->text, h->path_len, "/.", 2);
  r->client = r->host = (gl_place){0, 0};
  if (s->trusted_proxies) read_proxies(r, s);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &gl_request_meta);
  lua_setmetatable(L, -2);
  gl_call_of(x)->req = r;
  x->head = NULL;
  gl_heads_give(x->heads, h);
  return r;
}

/* ---- its task ---- */

/* Pushes the handler: that of the exact path if there is one, else the general one. HEAD finds the handlers of GET. */
static void push_handler(lua_State *L, const gl_web_server *s, const gl_request *r) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->dispatch); /* tables that stay below the handler do no harm */
  for (int method = r->method; method < GL_METHODS; method = HTTP_GET) {
    if (lua_rawgeti(L, -1, GL_EXACT + method) == LUA_TTABLE) {
      lua_pushlstring(L, gl_request_text(r), r->path_len);
      if (lua_rawget(L, -2) != LUA_TNIL) return;
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
    if (method != HTTP_HEAD) break;
  }
  lua_rawgeti(L, -1, GL_FALLBACK);
}

static int after_handler(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  gl_exchange *x = (gl_exchange *)ctx;
  gl_response_of_results(L, gl_call_of(x)->req->results);
  return gl_response_send(L, x);
}

/* Was the task cancelled before it began? Then its server may have been collected, and there is nothing to do. */
static bool is_cancelled(gl_exchange *x) {
  if (!gl_call_of(x)->task->cancelled) return false;
  x->out = GL_OUT_DONE;
  return true;
}

static void send_wrong_path(gl_exchange *x, const gl_request *r, const char *wrong) {
  size_t n = 0;
  const char *accept = gl_request_header(r, "accept", &n);
  gl_failure_send(x, gl_text_of(accept ? accept : "", n), 400, wrong, true);
}

int gl_request_main(lua_State *L) {
  gl_exchange *x = lua_touserdata(L, 1);
  lua_settop(L, 0);
  gl_request *r = make(L, x); /* request */
  lua_pushvalue(L, 1);
  gl_task_keep(L, gl_call_of(x)->task); /* on_end needs the request after the task has ended */
  const char *wrong = gl_request_wrong_path(L, r); /* may run finalizers, the server's among them */
  if (is_cancelled(x)) return 0;
  if (wrong) {
    send_wrong_path(x, r, wrong);
    return 0;
  }
  push_handler(L, x->context, r);
  r->results = (uint8_t)lua_gettop(L);
  lua_pushvalue(L, 1);
  lua_callk(L, 1, LUA_MULTRET, (lua_KContext)x, after_handler);
  return after_handler(L, LUA_OK, (lua_KContext)x);
}

static int after_failure(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  return gl_response_send(L, (gl_exchange *)ctx);
}

int gl_request_failed_main(lua_State *L) {
  gl_exchange *x = lua_touserdata(L, 1);
  gl_call *call = gl_call_of(x);
  lua_settop(L, 0);
  lua_rawgeti(L, LUA_REGISTRYINDEX, call->error_ref);
  luaL_unref(L, LUA_REGISTRYINDEX, call->error_ref);
  call->error_ref = 0;
  lua_rawgeti(L, 1, 2);
  lua_insert(L, 1); /* request kept */
  lua_pushvalue(L, 1);
  gl_task_keep(L, call->task);
  if (is_cancelled(x)) return 0;
  lua_rawgeti(L, 2, 1);
  lua_pushvalue(L, 1);
  for (int i = 3; i <= 5; i++) lua_rawgeti(L, 2, i);
  lua_callk(L, 4, 1, (lua_KContext)x, after_failure);
  return after_failure(L, LUA_OK, (lua_KContext)x);
}
