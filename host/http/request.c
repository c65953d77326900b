/* SPDX-License-Identifier: MIT */
#include "http/request.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base.h"
#include "core/class.h"
#include "core/error.h"
#include "core/task.h"
#include "http/response.h"
#include "http/server.h"

#define META "green.request"
static const char meta_key; /* registry key of the same: found without hashing a name, once a request */
enum { FIELDS = 1 }; /* user value: what the script set on it, and what was built once */

static const char *text_of(const gl_request *r) { return (const char *)&r->fields[r->nfields]; }

gl_request *gl_check_request(lua_State *L, int idx) { return idx == 1 ? gl_class_self(L, META) : luaL_checkudata(L, idx, META); }

const char *gl_request_method(const gl_request *r, size_t *len) {
  const char *known = r->method == GL_METHOD_OTHER ? NULL : llhttp_method_name((llhttp_method_t)r->method);
  *len = known ? strlen(known) : r->method_len;
  return known ? known : text_of(r) + r->text_len;
}

const char *gl_request_header(const gl_request *r, const char *name, size_t *len) {
  size_t want = strlen(name);
  for (uint32_t i = 0; i < r->nfields; i++) {
    const gl_field *f = &r->fields[i];
    if (f->name_len != want || memcmp(text_of(r) + f->name, name, want) != 0) continue;
    *len = f->value_len;
    return text_of(r) + f->value;
  }
  return NULL;
}

/* ---- its id ---- */

/* One of 2^64 for one of 2^64, and nothing to be read from it (splitmix64 by Sebastiano Vigna, public domain). */
static uint64_t mix(uint64_t z) {
  z *= 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/* It goes to logs and other services: nothing but visible ASCII, and not too much of it. */
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

/* Where the path ends, and what in it needs a second look. */
static void scan_path(gl_request *r, const char *target) {
  uint32_t i = 0;
  r->escaped = r->dotted = false;
  for (; i < r->target_len && target[i] != '?'; i++) {
    r->escaped |= target[i] == '%';
    r->dotted |= target[i] == '.' && i > 0 && target[i - 1] == '/';
  }
  r->path_len = i;
}

static gl_request *make(lua_State *L, gl_conn *c) {
  const gl_head *h = c->reader.head;
  uint8_t method_len = h->method == GL_METHOD_OTHER ? h->method_len : 0;
  gl_request *r = lua_newuserdatauv(L, sizeof *r + h->nfields * sizeof *r->fields + h->len + method_len, 1);
  r->conn = c;
  r->id = mix(c->server->id_seed + c->server->requests);
  r->trust_id = c->server->trust_request_id;
  r->nfields = h->nfields;
  r->target_len = h->target_len;
  r->text_len = h->len;
  r->method = h->method;
  r->method_len = method_len;
  r->minor = h->minor;
  r->keep_alive = h->keep_alive;
  r->upgrade = h->upgrade;
  r->has_body = h->has_body;
  if (h->nfields) memcpy(r->fields, h->fields, h->nfields * sizeof *r->fields);
  memcpy((char *)&r->fields[r->nfields], h->text, h->len);
  if (method_len) memcpy((char *)&r->fields[r->nfields] + h->len, h->method_name, method_len);
  scan_path(r, h->text);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &meta_key);
  lua_setmetatable(L, -2);
  c->req = r;
  gl_server_drop_head(c->server, c->reader.head);
  c->reader.head = NULL;
  return r;
}

static int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = (char)(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decodes the path into `out` (same size or smaller). -1: a bad escape or an escaped NUL. */
static long decode(const char *p, size_t n, char *out) {
  char *to = out;
  for (size_t i = 0; i < n; i++) {
    char c = p[i];
    if (c == '%') {
      if (n - i < 3) return -1;
      int hi = hex(p[i + 1]), lo = hex(p[i + 2]);
      if (hi < 0 || lo < 0 || (hi | lo) == 0) return -1;
      c = (char)(hi << 4 | lo);
      i += 2;
    }
    *to++ = c;
  }
  return to - out;
}

/* Do the dot segments of a path stay below its root? */
static bool stays_below(const char *p, size_t n) {
  long depth = 0;
  for (size_t i = 0; i < n;) {
    size_t from = ++i; /* past the slash */
    while (i < n && p[i] != '/') i++;
    size_t len = i - from;
    if (len == 2 && p[from] == '.' && p[from + 1] == '.') depth--;
    else if (len > 0 && !(len == 1 && p[from] == '.')) depth++;
    if (depth < 0) return false;
  }
  return true;
}

static void push_path(lua_State *L, const gl_request *r) {
  if (!r->escaped) {
    lua_pushlstring(L, text_of(r), r->path_len);
    return;
  }
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, r->path_len);
  long n = decode(text_of(r), r->path_len, out);
  luaL_pushresultsize(&b, n < 0 ? 0 : (size_t)n);
}

/* Refuses paths that could mean something else to a file system. Leaves nothing on the stack. */
static const char *wrong_path(lua_State *L, const char *p, size_t n) {
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, n);
  long len = decode(p, n, out);
  luaL_pushresultsize(&b, len < 0 ? 0 : (size_t)len);
  bool below = len >= 0 && stays_below(lua_tostring(L, -1), (size_t)len);
  lua_pop(L, 1);
  if (len < 0) return "the path has an invalid escape";
  return below ? NULL : "the path leaves its root";
}

/* wrong_path(raw path) -> what the server finds wrong with it, or nil */
static int request_wrong_path(lua_State *L) {
  size_t n;
  const char *p = luaL_checklstring(L, 1, &n), *wrong = NULL;
  for (size_t i = 0; i < n && !wrong; i++) {
    if (p[i] <= ' ' || p[i] >= 0x7f) wrong = "malformed request target";
    else if (p[i] == '\\') wrong = "the request target has a backslash";
    else if (p[i] == '#') wrong = "the request target has a fragment";
  }
  if (!wrong) wrong = wrong_path(L, p, n);
  lua_pushstring(L, wrong); /* or nil */
  return 1;
}

/* ---- its task ---- */

/* The handler: by exact path where that is enough, else the general one. HEAD is answered by GET. */
static void push_handler(lua_State *L, const gl_server *s, const gl_request *r) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->dispatch); /* this and other tables below the handler do no harm */
  for (int method = r->method; method < GL_METHODS; method = HTTP_GET) {
    if (lua_rawgeti(L, -1, GL_EXACT + method) == LUA_TTABLE) {
      lua_pushlstring(L, text_of(r), r->path_len);
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
  gl_conn *c = (gl_conn *)ctx;
  gl_response_of_results(L, c->req->results);
  return gl_response_send(L, c);
}

int gl_request_main(lua_State *L) {
  gl_conn *c = lua_touserdata(L, 1);
  lua_settop(L, 0);
  gl_request *r = make(L, c); /* request */
  lua_pushvalue(L, 1);
  gl_task_keep(L, c->task); /* it is looked at when the task has ended, in whatever way */
  const char *wrong = r->escaped || r->dotted ? wrong_path(L, text_of(r), r->path_len) : NULL; /* may run finalizers, and one of them the server's */
  if (c->task->cancelled) { /* before it began: the server is gone, and its handlers may be */
    c->responded = true;
    return 0;
  }
  if (wrong) {
    c->close_after = true;
    gl_response_send_error(c, 400, wrong);
    return 0;
  }
  push_handler(L, c->server, r);
  r->results = (uint8_t)lua_gettop(L);
  lua_pushvalue(L, 1);
  lua_callk(L, 1, LUA_MULTRET, (lua_KContext)c, after_handler);
  return after_handler(L, LUA_OK, (lua_KContext)c);
}

static int after_failure(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  return gl_response_send(L, (gl_conn *)ctx);
}

int gl_request_failed_main(lua_State *L) {
  gl_conn *c = lua_touserdata(L, 1);
  lua_settop(L, 0);
  lua_rawgeti(L, LUA_REGISTRYINDEX, c->error_ref);
  luaL_unref(L, LUA_REGISTRYINDEX, c->error_ref);
  c->error_ref = 0;
  lua_rawgeti(L, 1, 2);
  lua_insert(L, 1); /* request kept */
  lua_pushvalue(L, 1);
  gl_task_keep(L, c->task);
  if (c->task->cancelled) {
    c->responded = true;
    return 0;
  }
  lua_rawgeti(L, 2, 1);
  lua_pushvalue(L, 1);
  for (int i = 3; i <= 5; i++) lua_rawgeti(L, 2, i);
  lua_callk(L, 4, 1, (lua_KContext)c, after_failure);
  return after_failure(L, LUA_OK, (lua_KContext)c);
}

/* ---- reading it from Lua ---- */

enum { METHOD = 1, TARGET, PATH, RAW_PATH, QUERY_STRING, HEADERS, REMOTE, SCHEME, ID, VERSION, KEEP_ALIVE };

static const struct { const char *name; int id; } field_ids[] = {
  {"method", METHOD}, {"target", TARGET}, {"path", PATH}, {"raw_path", RAW_PATH}, {"query_string", QUERY_STRING}, {"headers", HEADERS},
  {"remote", REMOTE}, {"scheme", SCHEME}, {"id", ID}, {"version", VERSION}, {"keep_alive", KEEP_ALIVE},
};

/* What joins the lines of one header (RFC 9110, 5.3; cookies by RFC 6265, 5.4). */
static const char *separator(const gl_request *r, uint32_t i) {
  return r->fields[i].name_len == 6 && memcmp(text_of(r) + r->fields[i].name, "cookie", 6) == 0 ? "; " : ", ";
}

/* The value of field `first` and those of the lines of the same name behind it, joined. `next` says which
 * field that is, 0 at the end. */
static void push_joined(lua_State *L, const gl_request *r, const uint32_t *next, uint32_t first) {
  const char *text = text_of(r);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (uint32_t i = first;;) {
    luaL_addlstring(&b, text + r->fields[i].value, r->fields[i].value_len);
    if (!(i = next[i])) break;
    luaL_addlstring(&b, separator(r, first), 2);
  }
  luaL_pushresult(&b);
}

/* The same table where names come again, in a time that grows as the lines do. */
static void push_repeated_headers(lua_State *L, const gl_request *r) {
  const char *text = text_of(r);
  int top = lua_gettop(L);
  lua_createtable(L, 0, (int)r->nfields); /* headers */
  lua_createtable(L, 0, (int)r->nfields); /* headers places: name -> its last field so far */
  uint32_t *next = lua_newuserdatauv(L, 2 * r->nfields * sizeof *next, 0), *again = next + r->nfields;
  memset(next, 0, 2 * r->nfields * sizeof *next);
  for (uint32_t i = 0; i < r->nfields; i++) {
    lua_pushlstring(L, text + r->fields[i].name, r->fields[i].name_len);
    lua_pushvalue(L, -1);
    again[i] = lua_rawget(L, top + 2) == LUA_TNUMBER;
    if (again[i]) next[lua_tointeger(L, -1)] = i;
    lua_pop(L, 1);
    lua_pushinteger(L, i);
    lua_rawset(L, top + 2);
  }
  for (uint32_t i = 0; i < r->nfields; i++) {
    if (again[i]) continue;
    lua_pushlstring(L, text + r->fields[i].name, r->fields[i].name_len);
    push_joined(L, r, next, i);
    lua_rawset(L, top + 1);
  }
  lua_settop(L, top + 1);
}

static void push_headers(lua_State *L, const gl_request *r) {
  const char *text = text_of(r);
  lua_createtable(L, 0, (int)r->nfields);
  for (uint32_t i = 0; i < r->nfields; i++) {
    const gl_field *f = &r->fields[i];
    lua_pushlstring(L, text + f->name, f->name_len);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) != LUA_TNIL) {
      lua_pop(L, 3);
      push_repeated_headers(L, r);
      return;
    }
    lua_pop(L, 1);
    lua_pushlstring(L, text + f->value, f->value_len);
    lua_rawset(L, -3);
  }
}

static bool is_named(const gl_request *r, const gl_field *f, const char *name, size_t n) {
  return f->name_len == n && strncasecmp(text_of(r) + f->name, name, n) == 0;
}

/* As in the table, without making it. */
static void push_header(lua_State *L, const gl_request *r, const char *name, size_t n) {
  uint32_t i = 0, from = 0;
  luaL_Buffer b;
  while (i < r->nfields && !is_named(r, &r->fields[i], name, n)) i++;
  if ((from = i) == r->nfields) {
    lua_pushnil(L);
    return;
  }
  do i++;
  while (i < r->nfields && !is_named(r, &r->fields[i], name, n));
  if (i == r->nfields) {
    lua_pushlstring(L, text_of(r) + r->fields[from].value, r->fields[from].value_len);
    return;
  }
  luaL_buffinit(L, &b);
  luaL_addlstring(&b, text_of(r) + r->fields[from].value, r->fields[from].value_len);
  for (; i < r->nfields; i++) {
    if (!is_named(r, &r->fields[i], name, n)) continue;
    luaL_addlstring(&b, separator(r, i), 2);
    luaL_addlstring(&b, text_of(r) + r->fields[i].value, r->fields[i].value_len);
  }
  luaL_pushresult(&b);
}

static void push_remote(lua_State *L, const gl_request *r) {
  char text[GL_ADDRESS_MAX] = "unix";
  struct sockaddr_storage sa;
  int len = sizeof sa;
  gl_stream *s = r->conn ? r->conn->stream : NULL;
  if (!s) {
    lua_pushnil(L);
    return;
  }
  if (s->uv.handle.type == UV_TCP && uv_tcp_getpeername(&s->uv.tcp, (struct sockaddr *)&sa, &len) == 0)
    gl_address_text((struct sockaddr *)&sa, text);
  lua_pushstring(L, text);
}

static void push_id(lua_State *L, const gl_request *r) {
  char id[GL_REQ_ID_MAX];
  gl_request_name(r, id);
  lua_pushstring(L, id);
}

static void push_method(lua_State *L, const gl_request *r) {
  size_t n;
  const char *name = gl_request_method(r, &n);
  lua_pushlstring(L, name, n);
}

static void push_field(lua_State *L, const gl_request *r, int id) {
  uint32_t query = r->path_len < r->target_len ? r->path_len + 1 : r->target_len;
  switch (id) {
    case METHOD: push_method(L, r); break;
    case TARGET: lua_pushlstring(L, text_of(r), r->target_len); break;
    case PATH: push_path(L, r); break;
    case RAW_PATH: lua_pushlstring(L, text_of(r), r->path_len); break;
    case QUERY_STRING: lua_pushlstring(L, text_of(r) + query, r->target_len - query); break;
    case HEADERS: push_headers(L, r); break;
    case REMOTE: push_remote(L, r); break;
    case SCHEME: lua_pushliteral(L, "http"); break;
    case ID: push_id(L, r); break;
    case VERSION: lua_pushstring(L, r->minor ? "1.1" : "1.0"); break;
    default: lua_pushboolean(L, r->keep_alive);
  }
}

void gl_request_fields(lua_State *L, int idx) {
  if (lua_getiuservalue(L, idx, FIELDS) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_createtable(L, 0, 4);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, idx, FIELDS);
}

/* Keep what is on top under the key at index 2, so that it is built once; leaves it on top. */
static void remember(lua_State *L) {
  gl_request_fields(L, 1);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

static int got(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  if (!lua_isnil(L, -1)) remember(L);
  return 1;
}

/* upvalues: names (field ids and methods), getters */
static int req_index(lua_State *L) {
  gl_request *r = gl_check_request(L, 1);
  if (lua_getiuservalue(L, 1, FIELDS) == LUA_TTABLE) {
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL) return 1;
  }
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  int type = lua_rawget(L, lua_upvalueindex(1));
  if (type == LUA_TNUMBER) {
    int id = (int)lua_tointeger(L, -1);
    push_field(L, r, id);
    if (id == HEADERS || id == PATH || id == REMOTE) return got(L, LUA_OK, 0);
    return 1;
  }
  if (type != LUA_TNIL) return 1;
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(2)) == LUA_TNIL) return 1;
  lua_pushvalue(L, 1);
  lua_callk(L, 1, 1, 0, got);
  return got(L, LUA_OK, 0);
}

static int req_newindex(lua_State *L) {
  gl_request *r = gl_check_request(L, 1);
  lua_settop(L, 3);
  if (r->conn && lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "cancel_on_disconnect") == 0)
    gl_conn_set_cancel_on_disconnect(r->conn, lua_toboolean(L, 3));
  remember(L);
  return 0;
}

static int req_tostring(lua_State *L) {
  const gl_request *r = gl_check_request(L, 1);
  push_method(L, r);
  lua_pushliteral(L, " ");
  lua_pushlstring(L, text_of(r), r->target_len);
  lua_concat(L, 3);
  return 1;
}

static int req_header(lua_State *L) {
  const gl_request *r = gl_check_request(L, 1);
  size_t n;
  const char *name = luaL_checklstring(L, 2, &n);
  push_header(L, r, name, n);
  return 1;
}

void gl_request_class(lua_State *L) {
  lua_createtable(L, 0, 3); /* request */
  lua_pushcfunction(L, request_wrong_path);
  lua_setfield(L, -2, "wrong_path");
  lua_newtable(L);          /* request names */
  for (size_t i = 0; i < sizeof field_ids / sizeof *field_ids; i++) {
    lua_pushinteger(L, field_ids[i].id);
    lua_setfield(L, -2, field_ids[i].name);
  }
  lua_pushcfunction(L, req_header);
  lua_setfield(L, -2, "header");
  gl_request_body_methods(L);
  lua_newtable(L); /* request names getters */
  luaL_newmetatable(L, META);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &meta_key);
  lua_pushvalue(L, -3);
  lua_pushvalue(L, -3);
  lua_pushcclosure(L, req_index, 2);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, req_newindex);
  lua_setfield(L, -2, "__newindex");
  lua_pushcfunction(L, req_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
  lua_setfield(L, -3, "getters");
  lua_setfield(L, -2, "methods");
}
