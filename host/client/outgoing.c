/* SPDX-License-Identifier: MIT */
#include "client/outgoing.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "client/destination.h"
#include "client/pool_lua.h"
#include "client/spec.h"
#include "h1/fields.h"


/* ---- field lines ---- */

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

/* The fields of the caller's that the client would write otherwise. */
typedef struct spoken {
  bool host, user_agent;
} spoken;

static spoken add_fields(lua_State *L, luaL_Buffer *b, int list) {
  size_t name_len, len;
  spoken s = {0};
  lua_Integer count = (lua_Integer)lua_rawlen(L, list);
  for (lua_Integer i = 1; i < count; i += 2) {
    const char *name = string_at(L, list, i, &name_len), *value = string_at(L, list, i + 1, &len);
    check_name(L, name, name_len);
    gl_spec_check_value(L, name, value, len);
    if (name_len == 4 && strncasecmp(name, "host", 4) == 0) {
      if (s.host) gl_spec_refuse(L, "header '%s' is given twice", name);
      s.host = true;
    }
    s.user_agent |= name_len == 10 && strncasecmp(name, "user-agent", 10) == 0;
    luaL_addlstring(b, name, name_len);
    luaL_addlstring(b, ": ", 2);
    luaL_addlstring(b, value, len);
    luaL_addlstring(b, "\r\n", 2);
  }
  return s;
}

const char *gl_outgoing_fields(lua_State *L, int idx, size_t *len) {
  luaL_Buffer b;
  luaL_checktype(L, idx, LUA_TTABLE);
  luaL_buffinit(L, &b);
  add_fields(L, &b, lua_absindex(L, idx));
  luaL_pushresult(&b);
  return lua_tolstring(L, -1, len);
}

/* ---- the head ---- */

static void add_text(luaL_Buffer *b, const char *text) { luaL_addstring(b, text); }

static bool is_forwarded(const gl_destination *t) { return t->proxy_host && !t->https; }

static void add_line(lua_State *L, luaL_Buffer *b, const gl_destination *t, const char *target, const char *method) {
  const char *p = target;
  bool star = strcmp(p, "*") == 0 && strcmp(method, "OPTIONS") == 0;
  for (; *p; p++)
    if (*p <= ' ' || *p >= 0x7f || *p == '#') gl_spec_refuse(L, "the request target '%s' is not encoded", target);
  if (*target != '/' && !star) gl_spec_refuse(L, "the request target '%s' is not a path", target);
  add_text(b, method);
  luaL_addchar(b, ' ');
  if (is_forwarded(t)) {
    add_text(b, "http://");
    gl_destination_add_authority(b, t, false);
  }
  if (!(star && is_forwarded(t))) add_text(b, target);
  add_text(b, " HTTP/1.1\r\n");
}

/* Adds the field that frames the body, if there is a body or the method expects one (RFC 9110, 8.6). */
static void add_framing(luaL_Buffer *b, const gl_roundtrip_spec *s) {
  char line[64];
  int64_t length = s->upload == GL_UPLOAD_BYTES ? (int64_t)s->body_len : s->upload == GL_UPLOAD_PIECES ? s->length : 0;
  bool none = s->upload == GL_UPLOAD_NONE;
  if (none && strcmp(s->method, "POST") != 0 && strcmp(s->method, "PUT") != 0 && strcmp(s->method, "PATCH") != 0) return;
  if (length < 0) {
    add_text(b, "Transfer-Encoding: chunked\r\n");
    return;
  }
  snprintf(line, sizeof line, "Content-Length: %lld\r\n", (long long)length);
  add_text(b, line);
}

/* Pushes the head of the request; `s` points to it. */
static void build_head(lua_State *L, const gl_destination *t, const char *target, gl_roundtrip_spec *s) {
  luaL_Buffer b;
  if (lua_getfield(L, 1, "headers") == LUA_TNIL) lua_newtable(L), lua_replace(L, -2);
  luaL_checktype(L, -1, LUA_TTABLE);
  int list = lua_gettop(L);
  luaL_buffinit(L, &b);
  add_line(L, &b, t, target, s->method);
  spoken by_caller = add_fields(L, &b, list);
  if (!by_caller.user_agent) add_text(&b, "User-Agent: greenlua/" GREENLUA_VERSION "\r\n");
  if (!by_caller.host) {
    add_text(&b, "Host: ");
    gl_destination_add_authority(&b, t, false);
    add_text(&b, "\r\n");
  }
  if (is_forwarded(t)) gl_destination_add_proxy_auth(L, &b, t);
  add_framing(&b, s);
  if (s->expect) add_text(&b, "Expect: 100-continue\r\n");
  if (gl_spec_flag(L, 1, "close", false)) add_text(&b, "Connection: close\r\n");
  add_text(&b, "\r\n");
  luaL_pushresult(&b);
  s->head = lua_tolstring(L, -1, &s->head_len);
}

/* ---- the body ---- */

static void read_body(lua_State *L, gl_roundtrip_spec *s) {
  s->length = -1;
  switch (lua_type(L, 2)) {
    case LUA_TNIL: break;
    case LUA_TSTRING:
      s->upload = GL_UPLOAD_BYTES;
      s->body = lua_tolstring(L, 2, &s->body_len);
      break;
    default: s->upload = GL_UPLOAD_PIECES; break;
  }
  if (s->upload == GL_UPLOAD_PIECES && lua_getfield(L, 1, "length") != LUA_TNIL) {
    s->length = luaL_checkinteger(L, -1);
    if (s->length < 0) gl_spec_refuse(L, "length: an integer >= 0 expected, not %s", "less");
    lua_pop(L, 1);
  }
  s->expect = (s->body_len || (s->upload == GL_UPLOAD_PIECES && s->length)) && gl_spec_flag(L, 1, "expect", false);
}

/* ---- limits ---- */

static void read_limits(lua_State *L, gl_roundtrip_limits *l) {
  static const char *const names[GL_PHASES] = {"queue", "resolve", "connect", "proxy", "tls", "idle", "first_byte", "idle"};
  bool given = lua_getfield(L, 1, "timeouts") == LUA_TTABLE;
  int t = lua_gettop(L);
  for (int i = 0; i < GL_PHASES; i++) l->phase[i] = given ? gl_spec_number(L, t, names[i], GL_FOREVER) : GL_FOREVER;
  l->connecting = given ? gl_spec_number(L, t, "connecting", GL_FOREVER) : GL_FOREVER;
  l->total = given ? gl_spec_number(L, t, "total", GL_FOREVER) : GL_FOREVER;
  given = lua_getfield(L, 1, "limits") == LUA_TTABLE;
  double head = given ? gl_spec_number(L, t + 1, "max_head", 65536) : 65536, fields = given ? gl_spec_number(L, t + 1, "max_fields", 128) : 128;
  l->head.bytes = head < 1 << 24 ? (uint32_t)head : 1 << 24;
  l->head.fields = fields < 1 << 16 ? (uint32_t)fields : 1 << 16;
  lua_pop(L, 2);
}

/* ---- the request ---- */

gl_pool *gl_outgoing_read(lua_State *L, gl_roundtrip_spec *s) {
  gl_destination t = {0};
  size_t method_len;
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checkstack(L, 30, "http request");
  lua_settop(L, 1);
  lua_getfield(L, 1, "body");
  *s = (gl_roundtrip_spec){0};
  s->method = gl_spec_text(L, 1, "method", &method_len);
  if (!s->method || strlen(s->method) != method_len) luaL_error(L, "method: a string expected");
  for (const char *p = s->method; *p; p++)
    if (!gl_is_token_char(*p)) gl_spec_refuse(L, "'%s' is no method", s->method);
  if (!*s->method || strcmp(s->method, "CONNECT") == 0) gl_spec_refuse(L, "'%s' is no method for a request", s->method);
  gl_destination_read(L, &t);
  const char *target = gl_spec_need(L, 1, "target");
  s->url = gl_spec_text(L, 1, "url", NULL);
  if (!s->url) s->url = t.host;
  read_body(L, s);
  read_limits(L, &s->limits);
  bool collects = gl_spec_flag(L, 1, "collect", false);
  double most = collects ? gl_spec_number(L, 1, "collect", 0) : 0;
  s->streams = !collects;
  s->limits.max_body = collects && most < 9e15 ? (size_t)most : SIZE_MAX;
  s->unencoded_only = gl_spec_flag(L, 1, "decode", false);
  build_head(L, &t, target, s);
  gl_pool *p = gl_pool_of(L);
  gl_pool_claim(p, gl_destination_origin(L, p, &t));
  return p;
}
