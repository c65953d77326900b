/* SPDX-License-Identifier: MIT
 *
 * The members of a request, which scripts read, and the values that scripts keep with a request.
 */
#include <string.h>

#include "core/class.h"
#include "net/address.h"
#include "net/tls.h"
#include "web/call.h"
#include "web/forwarded.h"
#include "web/plan.h"

#define META "green.request"
enum { FIELDS = 1 }; /* user value: a table of the values that the script set, and of those that were built once */

const char gl_request_meta;

gl_request *gl_check_request(lua_State *L, int idx) { return idx == 1 ? gl_class_self(L, META) : luaL_checkudata(L, idx, META); }

enum { METHOD = 1, TARGET, PATH, RAW_PATH, QUERY_STRING, HEADERS, REMOTE, SCHEME, HOST, TLS, ID, VERSION, HAS_BODY, KEEP_ALIVE };

static const struct { const char *name; int id; } field_ids[] = {
  {"method", METHOD}, {"target", TARGET}, {"path", PATH}, {"raw_path", RAW_PATH}, {"query_string", QUERY_STRING}, {"headers", HEADERS},
  {"remote", REMOTE}, {"scheme", SCHEME}, {"host", HOST}, {"tls", TLS}, {"id", ID}, {"version", VERSION}, {"has_body", HAS_BODY},
  {"keep_alive", KEEP_ALIVE},
};

bool gl_request_peer(const gl_request *r, char out[GL_ADDRESS_MAX]) {
  struct sockaddr_storage address;
  bool secure;
  int family = r->x ? r->x->carrier->peer(r->x, &address, &secure) : -1;
  if (family < 0) return false;
  if (r->client.len) gl_forwarded_client(r, out);
  else if (family != AF_UNIX) gl_address_text((struct sockaddr *)&address, out);
  else snprintf(out, GL_ADDRESS_MAX, "unix");
  return true;
}

static void push_remote(lua_State *L, const gl_request *r) {
  char text[GL_ADDRESS_MAX];
  lua_pushstring(L, gl_request_peer(r, text) ? text : NULL);
}

static void push_host(lua_State *L, const gl_request *r) {
  size_t n = 0;
  const char *host = gl_request_host(r, &n);
  if (host) lua_pushlstring(L, host, n);
  else lua_pushnil(L);
}

static void set_text(lua_State *L, const char *name, const char *text, size_t n) {
  if (!n) return;
  lua_pushlstring(L, text, n);
  lua_setfield(L, -2, name);
}

/* Pushes what the connection's TLS has agreed on; nil: there is no TLS, or the client is gone. */
static void push_tls(lua_State *L, const gl_request *r) {
  gl_tls_info info;
  const gl_stream *s = r->x ? r->x->carrier->secured(r->x) : NULL;
  if (!s) {
    lua_pushnil(L);
    return;
  }
  gl_tls_describe(s, &info);
  lua_createtable(L, 0, 6);
  lua_pushboolean(L, info.resumed);
  lua_setfield(L, -2, "resumed");
  set_text(L, "version", info.protocol, strlen(info.protocol));
  set_text(L, "cipher", info.cipher, strlen(info.cipher));
  set_text(L, "alpn", info.alpn, info.alpn_len);
  set_text(L, "sni", info.server_name, info.server_name ? strlen(info.server_name) : 0);
  set_text(L, "client_subject", info.subject, info.verified ? strlen(info.subject) : 0);
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
    case TARGET: lua_pushlstring(L, gl_request_text(r), r->target_len); break;
    case PATH: gl_request_push_path(L, r); break;
    case RAW_PATH: lua_pushlstring(L, gl_request_text(r), r->path_len); break;
    case QUERY_STRING: lua_pushlstring(L, gl_request_text(r) + query, r->target_len - query); break;
    case HEADERS: gl_request_push_headers(L, r); break;
    case REMOTE: push_remote(L, r); break;
    case SCHEME: lua_pushstring(L, r->secure ? "https" : "http"); break;
    case HOST: push_host(L, r); break;
    case TLS: push_tls(L, r); break;
    case ID: push_id(L, r); break;
    case VERSION: lua_pushstring(L, r->minor == GL_MINOR_HTTP2 ? "2" : r->minor ? "1.1" : "1.0"); break;
    case HAS_BODY: lua_pushboolean(L, r->has_body); break;
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

/* Keeps the value on top under the key at index 2, so that the value is built once; leaves the value on top. */
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

/* __index. The upvalues are two tables: names -> field ids and methods, and names -> getters. */
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
    if (id == HEADERS || id == PATH || id == REMOTE || id == TLS) return got(L, LUA_OK, 0);
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
  if (r->x && lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "cancel_on_disconnect") == 0)
    gl_call_set_cancel_on_disconnect(r->x, lua_toboolean(L, 3));
  remember(L);
  return 0;
}

static int req_tostring(lua_State *L) {
  const gl_request *r = gl_check_request(L, 1);
  push_method(L, r);
  lua_pushliteral(L, " ");
  lua_pushlstring(L, gl_request_text(r), r->target_len);
  lua_concat(L, 3);
  return 1;
}

static int req_header(lua_State *L) {
  const gl_request *r = gl_check_request(L, 1);
  size_t n;
  const char *name = luaL_checklstring(L, 2, &n);
  gl_request_push_header(L, r, name, n);
  return 1;
}

#define HINTS_MOST 8 /* of a request: they wait for no client to read them */

/* req:early_hints(headers) -> were they sent? */
static int req_early_hints(lua_State *L) {
  const gl_request *r = gl_check_request(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  char *scratch = gl_host_of(L)->scratch;
  gl_plan p = {.what = "early hint", .text = scratch, .fields = (gl_field *)(void *)(scratch + GL_SCRATCH)};
  gl_plan_read_headers(L, 2, &p); /* runs no Lua: the exchange stays as it is */
  gl_exchange *x = r->x;
  bool fits = x && x->out == GL_OUT_HEAD && r->minor >= 1 && x->carrier->is_open(x) && gl_call_of(x)->hints < HINTS_MOST;
  if (fits) {
    gl_fields fields = {p.text, p.fields - p.nfields, p.nfields};
    if (x->carrier->send_interim(x, 103, &fields) != 0) return gl_memory_raise(L);
    gl_call_of(x)->hints++;
  }
  lua_pushboolean(L, fits);
  return 1;
}

void gl_request_class(lua_State *L) {
  lua_createtable(L, 0, 3); /* request */
  lua_pushcfunction(L, gl_request_check_path);
  lua_setfield(L, -2, "wrong_path");
  lua_newtable(L);          /* request names */
  for (size_t i = 0; i < sizeof field_ids / sizeof *field_ids; i++) {
    lua_pushinteger(L, field_ids[i].id);
    lua_setfield(L, -2, field_ids[i].name);
  }
  lua_pushcfunction(L, req_header);
  lua_setfield(L, -2, "header");
  lua_pushcfunction(L, req_early_hints);
  lua_setfield(L, -2, "early_hints");
  gl_request_body_methods(L);
  lua_newtable(L); /* request names getters */
  luaL_newmetatable(L, META);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &gl_request_meta);
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
