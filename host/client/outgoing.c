/* SPDX-License-Identifier: MIT */
#include "client/outgoing.h"

#include <string.h>
#include <strings.h>

#include "client/destination.h"
#include "client/pool_lua.h"
#include "client/spec.h"
#include "h1/fields.h"

/* ---- fields ---- */

#define LIST ((size_t)16 * 1024) /* bytes of the scratch for the list of the fields; the others are for their text */
#define FIELDS (LIST / sizeof(gl_field))
#define TEXT (GL_SCRATCH - LIST)

/* Strings of a request in the host's scratch, which is theirs until the next call of Lua or the loop. */
typedef struct making {
  lua_State *L;
  gl_field *list;
  char *text;
  uint32_t n, len; /* fields; bytes of the text */
} making;

static making making_of(lua_State *L) {
  char *scratch = gl_host_of(L)->scratch;
  return (making){.L = L, .list = (gl_field *)(void *)scratch, .text = scratch + LIST};
}

static void too_large(lua_State *L) { gl_spec_raise(L, "EMSGSIZE", "%s", "the headers are larger than 48 KiB, or more than 1024"); }

static gl_text add_text(making *m, const char *text, size_t n) {
  if (n > TEXT - m->len) too_large(m->L);
  char *at = m->text + m->len;
  memcpy(at, text, n);
  m->len += (uint32_t)n;
  return gl_text_of(at, n);
}

static void add_field(making *m, const char *name, size_t name_len, const char *value, size_t len) {
  if (m->n == FIELDS) too_large(m->L);
  gl_field *f = &m->list[m->n++];
  *f = (gl_field){.name = m->len, .name_len = (uint32_t)name_len, .value = m->len + (uint32_t)name_len, .value_len = (uint32_t)len};
  add_text(m, name, name_len);
  add_text(m, value, len);
}

static gl_fields fields_of(const making *m) { return (gl_fields){m->text, m->list, m->n}; }

/* Does the field say where a message ends, or what becomes of its connection? The client writes such fields itself. */
static bool is_framing(const char *name, size_t n) {
  static const char *const ours[] = {"content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade", "expect", NULL};
  if (n > 6 && strncasecmp(name, "proxy-", 6) == 0) return true;
  for (const char *const *each = ours; *each; each++)
    if (strlen(*each) == n && strncasecmp(*each, name, n) == 0) return true;
  return false;
}

static void check_name(lua_State *L, const char *name, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (!gl_is_token_char(name[i])) n = 0;
  if (!n) gl_spec_refuse(L, "bad header name '%s'", name);
  if (is_framing(name, n)) gl_spec_refuse(L, "header '%s' is set by the client itself", name);
}

static const char *string_at(lua_State *L, int list, lua_Integer i, size_t *n) {
  if (lua_rawgeti(L, list, i) != LUA_TSTRING) luaL_error(L, "headers: a list of strings expected");
  const char *text = lua_tolstring(L, -1, n);
  lua_pop(L, 1); /* the list keeps it */
  return text;
}

/* Adds the fields of a list. The Host among them, if there is one, goes to *host instead. */
static bool add_fields(making *m, int list, gl_text *host) {
  lua_State *L = m->L;
  size_t name_len, len;
  bool user_agent = false;
  lua_Integer count = (lua_Integer)lua_rawlen(L, list);
  for (lua_Integer i = 1; i < count; i += 2) {
    const char *name = string_at(L, list, i, &name_len), *value = string_at(L, list, i + 1, &len);
    check_name(L, name, name_len);
    gl_spec_check_value(L, name, value, len);
    if (name_len == 4 && strncasecmp(name, "host", 4) == 0) {
      if (host->at) gl_spec_refuse(L, "header '%s' is given twice", name);
      *host = gl_text_of(value, len);
      continue;
    }
    user_agent |= name_len == 10 && strncasecmp(name, "user-agent", 10) == 0;
    add_field(m, name, name_len, value, len);
  }
  return user_agent;
}

gl_fields gl_outgoing_trailers(lua_State *L, int idx) {
  making m = making_of(L);
  gl_text host = {0};
  luaL_checktype(L, idx, LUA_TTABLE);
  add_fields(&m, lua_absindex(L, idx), &host);
  if (host.at) gl_spec_refuse(L, "trailer '%s' belongs into the head", "Host");
  return fields_of(&m);
}

/* ---- the head ---- */

static bool is_forwarded(const gl_destination *t) { return t->proxy_host && !t->https; }

static void check_target(lua_State *L, const char *target, bool star) {
  for (const char *p = target; *p; p++)
    if (*p <= ' ' || *p >= 0x7f || *p == '#') gl_spec_refuse(L, "the request target '%s' is not encoded", target);
  if (*target != '/' && !star) gl_spec_refuse(L, "the request target '%s' is not a path", target);
}

/* Makes the target of the request line, in absolute form for a proxy that forwards the request (RFC 9112, 3.2). */
static gl_text make_target(making *m, const gl_destination *t, const char *target, gl_text authority, gl_text method) {
  bool star = strcmp(target, "*") == 0 && gl_text_is(method, "OPTIONS");
  check_target(m->L, target, star);
  if (!is_forwarded(t)) return gl_text_of(target, strlen(target));
  gl_text made = add_text(m, "http://", 7);
  add_text(m, authority.at, gl_text_len(authority));
  if (!star) add_text(m, target, strlen(target));
  return gl_text_of(made.at, (size_t)(m->text + m->len - made.at));
}

/* Makes the strings of the head. Fields come first: gl_roundtrip_new copies a list whose text is in one piece. */
static void make_head(making *m, const gl_destination *t, const char *target, const char *trailer, int list, gl_message_head *head) {
  static const char agent[] = "greenlua/" GREENLUA_VERSION;
  char authority[GL_AUTHORITY_MAX];
  gl_text host = {0}, own = {authority, authority + gl_destination_authority(t, authority)};
  if (!add_fields(m, list, &host)) add_field(m, "User-Agent", 10, agent, sizeof agent - 1);
  if (is_forwarded(t) && t->proxy_auth) add_field(m, "Proxy-Authorization", 19, t->proxy_auth, strlen(t->proxy_auth));
  if (trailer) add_field(m, "Trailer", 7, trailer, strlen(trailer));
  head->fields = fields_of(m);
  head->target = make_target(m, t, target, own, head->method);
  head->authority = host.at ? host : add_text(m, own.at, gl_text_len(own));
}

/* ---- the body ---- */

/* May a request of this method have a body, so that its lack is to be announced (RFC 9110, 8.6)? */
static bool expects_body(gl_text method) { return gl_text_is(method, "POST") || gl_text_is(method, "PUT") || gl_text_is(method, "PATCH"); }

static void read_body(lua_State *L, gl_roundtrip_spec *s) {
  gl_message_head *head = &s->request;
  size_t n = 0;
  head->length = GL_LENGTH_UNKNOWN;
  switch (lua_type(L, 2)) {
    case LUA_TNIL: head->length = expects_body(head->method) ? 0 : GL_LENGTH_UNKNOWN; break;
    case LUA_TSTRING:
      s->upload = GL_UPLOAD_BYTES;
      s->body = lua_tolstring(L, 2, &n);
      head->length = (int64_t)n;
      break;
    default: s->upload = GL_UPLOAD_PIECES; break;
  }
  if (s->upload == GL_UPLOAD_PIECES && lua_getfield(L, 1, "length") != LUA_TNIL) {
    head->length = luaL_checkinteger(L, -1);
    if (head->length < 0) gl_spec_refuse(L, "length: an integer >= 0 expected, not %s", "less");
    lua_pop(L, 1);
  }
  head->expect = s->upload != GL_UPLOAD_NONE && head->length != 0 && gl_spec_flag(L, 1, "expect", false);
}

/* ---- limits ---- */

/* Reads the table of time-outs entry by entry, since few of the names are ever there. */
static void read_timeouts(lua_State *L, int timeouts, gl_roundtrip_limits *l) {
  static const char *const names[GL_PHASES] = {"queue", "resolve", "connect", "proxy", "tls", "idle", "first_byte", "idle"};
  for (lua_pushnil(L); lua_next(L, timeouts); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    if (strcmp(name, "total") == 0) l->total = gl_spec_number_at(L, -1, name);
    else if (strcmp(name, "connecting") == 0) l->connecting = gl_spec_number_at(L, -1, name);
    else
      for (int i = 0; i < GL_PHASES; i++)
        if (strcmp(name, names[i]) == 0) l->phase[i] = gl_spec_number_at(L, -1, name);
  }
}

static void read_limits(lua_State *L, gl_roundtrip_limits *l) {
  double head = 65536, fields = 128;
  for (int i = 0; i < GL_PHASES; i++) l->phase[i] = GL_FOREVER;
  l->connecting = l->total = GL_FOREVER;
  if (lua_getfield(L, 1, "timeouts") == LUA_TTABLE) read_timeouts(L, lua_gettop(L), l);
  if (lua_getfield(L, 1, "limits") == LUA_TTABLE) {
    int t = lua_gettop(L);
    head = gl_spec_number(L, t, "max_head", head);
    fields = gl_spec_number(L, t, "max_fields", fields);
  }
  l->head.bytes = head < 1 << 24 ? (uint32_t)head : 1 << 24;
  l->head.fields = fields < 1 << 16 ? (uint32_t)fields : 1 << 16;
  lua_pop(L, 2);
}

/* ---- the request ---- */

static void read_method(lua_State *L, gl_roundtrip_spec *s) {
  size_t n;
  const char *method = gl_spec_text(L, 1, "method", &n);
  if (!method || strlen(method) != n) luaL_error(L, "method: a string expected");
  for (const char *p = method; *p; p++)
    if (!gl_is_token_char(*p)) gl_spec_refuse(L, "'%s' is no method", method);
  if (!*method || strcmp(method, "CONNECT") == 0) gl_spec_refuse(L, "'%s' is no method for a request", method);
  s->request.method = gl_text_of(method, n);
}

static void read_collect(lua_State *L, gl_roundtrip_spec *s) {
  bool collects = gl_spec_flag(L, 1, "collect", false);
  double most = collects ? gl_spec_number(L, 1, "collect", 0) : 0;
  s->streams = !collects;
  s->limits.max_body = collects && most < 9e15 ? (size_t)most : SIZE_MAX;
  s->unencoded_only = gl_spec_flag(L, 1, "decode", false);
}

/* Makes the round trip, with copies of all strings: nothing may call Lua between the first use of the scratch and the copy. */
static gl_roundtrip *make(lua_State *L, gl_pool *p, const gl_destination *t, gl_roundtrip_spec *s) {
  const char *target = gl_spec_need(L, 1, "target"), *trailer = gl_spec_text(L, 1, "trailer", NULL);
  if (lua_getfield(L, 1, "headers") == LUA_TNIL) lua_newtable(L), lua_replace(L, -2);
  luaL_checktype(L, -1, LUA_TTABLE);
  making m = making_of(L);
  make_head(&m, t, target, trailer, lua_gettop(L), &s->request);
  gl_roundtrip *rt = gl_roundtrip_new(p, s);
  if (!rt) gl_spec_raise(L, "ENOMEM", "%s", "not enough memory");
  return rt;
}

gl_pool *gl_outgoing_read(lua_State *L) {
  gl_destination t = {0};
  gl_roundtrip_spec s = {0};
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checkstack(L, 30, "http request");
  lua_settop(L, 1);
  lua_getfield(L, 1, "body");
  read_method(L, &s);
  gl_destination_read(L, &t);
  s.url = gl_spec_text(L, 1, "url", NULL);
  if (!s.url) s.url = t.host;
  read_body(L, &s);
  read_limits(L, &s.limits);
  read_collect(L, &s);
  s.request.close = gl_spec_flag(L, 1, "close", false);
  s.request.takes_trailers = gl_spec_flag(L, 1, "accept_trailers", false);
  gl_pool *p = gl_pool_of(L);
  gl_roundtrip *rt = make(L, p, &t, &s);
  gl_pool_claim(p, rt);
  rt->origin = gl_destination_origin(L, p, &t);
  return p;
}
