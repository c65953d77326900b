/* SPDX-License-Identifier: MIT */
#include "client/answer.h"

#include <stdio.h>
#include <string.h>

#include "client/spec.h"
#include "core/error.h"
#include "h1/fields.h"
#include "net/lookup_lua.h"

/* ---- field lines ---- */

/* Adds one field to the table at `headers`, or, when its name is there, to the list of that name in the table at `repeated`, which
 * takes the place of nil when it is needed first. */
static void add_field(lua_State *L, int headers, int repeated) { /* ... name value */
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
  lua_pop(L, 4);
}

/* Pushes the fields of a head by name, and the table of repeated ones, or nil. */
static void push_fields(lua_State *L, const gl_head *h, bool trailers) {
  luaL_checkstack(L, 10, "http headers");
  lua_createtable(L, 0, (int)h->nfields);
  lua_pushnil(L);
  int headers = lua_gettop(L) - 1;
  for (uint32_t i = 0; i < h->nfields; i++) {
    const gl_field *f = &h->fields[i];
    if (trailers && !gl_field_may_trail(h->text + f->name, f->name_len)) continue;
    gl_text value = gl_text_trim(gl_text_of(h->text + f->value, f->value_len));
    lua_pushlstring(L, h->text + f->name, f->name_len);
    lua_pushlstring(L, value.at, gl_text_len(value));
    add_field(L, headers, headers + 1);
  }
}

void gl_answer_push_trailers(lua_State *L, const gl_head *trailers) { push_fields(L, trailers, true); }

/* ---- the answer ---- */

static void set_seconds(lua_State *L, const char *name, uint64_t from, uint64_t to) {
  if (!from || to < from) return;
  lua_pushnumber(L, (double)(to - from) / 1e9);
  lua_setfield(L, -2, name);
}

/* Returns when the next phase began that took place, or when the head came. */
static uint64_t next_mark(const gl_roundtrip *rt, int phase) {
  while (++phase < GL_PHASES)
    if (rt->marks[phase]) return rt->marks[phase];
  return rt->headed_at;
}

static void push_timings(lua_State *L, const gl_roundtrip *rt) {
  static const char *const names[GL_PHASES] = {"queue", "resolve", "connect", "proxy", "tls"};
  lua_createtable(L, 0, 4);
  for (int i = 0; i < GL_PHASE_SEND; i++) set_seconds(L, names[i], rt->marks[i], next_mark(rt, i));
  set_seconds(L, "first_byte", rt->marks[GL_PHASE_SEND], rt->headed_at);
  set_seconds(L, "total", rt->started, rt->over ? rt->ended_at : rt->headed_at);
}

static void set_text(lua_State *L, const char *name, const char *text, size_t n) {
  lua_pushlstring(L, text, n);
  lua_setfield(L, -2, name);
}

static void set_trailers(lua_State *L, const gl_head *trailers) { /* answer */
  lua_createtable(L, 2, 0);
  gl_answer_push_trailers(L, trailers);
  lua_rawseti(L, -3, 2);
  lua_rawseti(L, -2, 1);
  lua_setfield(L, -2, "trailers");
}

void gl_answer_push(lua_State *L, const gl_roundtrip *rt) {
  const gl_head *h = rt->head;
  luaL_checkstack(L, 12, "http response");
  lua_createtable(L, 0, 8); /* the fields of a usual response of green.http */
  lua_pushinteger(L, h->status);
  lua_setfield(L, -2, "status");
  set_text(L, "version", h->minor ? "1.1" : "1.0", 3);
  set_text(L, "remote", rt->remote, strlen(rt->remote));
  lua_pushboolean(L, rt->reused);
  lua_setfield(L, -2, "reused");
  push_timings(L, rt);
  lua_setfield(L, -2, "timings");
  if (rt->trailers) set_trailers(L, rt->trailers);
  push_fields(L, rt->head, false); /* answer headers repeated */
  lua_insert(L, -2);
  lua_setfield(L, -3, "headers");
}

/* ---- errors ---- */

/* Did the handshake fail because we do not trust the certificate's authority, and not because of what the certificate says? */
static bool is_distrust(const char *why) {
  return strstr(why, "self-signed") || strstr(why, "self signed") || strstr(why, "issuer certificate") || strstr(why, "verify the first certificate");
}

/* Sets the field `response` of the error on top: what the proxy answered. A field `status` would make a server answer with it, if nobody
 * catches the error. */
static void set_refusal(lua_State *L, const gl_roundtrip *rt) {
  lua_createtable(L, 0, 3);
  lua_pushinteger(L, rt->head->status);
  lua_setfield(L, -2, "status");
  push_fields(L, rt->head, false);
  lua_pop(L, 1); /* the repeated ones */
  lua_setfield(L, -2, "headers");
  set_text(L, "body", rt->body.len ? gl_buf_at(&rt->body) : "", rt->body.len);
  lua_setfield(L, -2, "response");
}

int gl_answer_raise(lua_State *L, const gl_roundtrip *rt) {
  static const char *const phases[GL_PHASES] = {"queue", "resolve", "connect", "proxy", "tls", "send", "head", "body"};
  char op[GL_SPEC_OP];
  const char *code = rt->code ? rt->code : uv_err_name(rt->status), *why = rt->why, *hint = "";
  if (gl_resolve_failed(rt->status)) why = gl_resolve_reason(rt->status, &code);
  if (strcmp(code, "ETLS") == 0 && is_distrust(why)) hint = "; trust another authority with { ca = \"its.pem\" }";
  luaL_checkstack(L, 14, "http");
  gl_spec_op(rt->method, op);
  gl_error_push(L, op, code, "%s %s: %s%s", rt->method, rt->url, why, hint);
  lua_pushstring(L, phases[rt->failed_in]);
  lua_setfield(L, -2, "phase");
  lua_pushboolean(L, rt->exposed);
  lua_setfield(L, -2, "sent");
  if (rt->refused) set_refusal(L, rt);
  return lua_error(L);
}
