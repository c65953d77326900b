/* SPDX-License-Identifier: MIT */
#include "http/response.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/class.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/task.h"
#include "http/failure.h"
#include "h1/fields.h"
#include "h1/status.h"
#include "h1/writer.h"
#include "http/request.h"
#include "http/server.h"
#include "json/json.h"

#define RESPONSE "green.response"
#define WRITER "green.writer"
#define HEAD_MAX 512 /* bytes of a head without the headers of a response */

/* ---- the head ---- */

/* Status line and the headers that are ours to set; the blank line is still to come. 256 bytes are enough. */
static char *put_head(char *to, gl_conn *c, int status) {
  to = gl_h1_put_status_line(to, status);
  to = gl_h1_put_date(to, &c->server->date);
  if (c->wants_continue || c->reader.state == GL_H1_BAD) c->close_after = true; /* where the next request begins, nobody can tell */
  if (c->close_after) to = GL_PUT(to, "Connection: close\r\n");
  else if (c->minor == 0) to = GL_PUT(to, "Connection: keep-alive\r\n");
  return to;
}

static bool bodiless(int status) { return status < 200 || status == 204 || status == 304; }

/* A whole answer with one content type. False: there is no memory for it, and nothing was sent. */
static bool send_whole(gl_conn *c, int status, const char *type, const char *body, size_t n) {
  gl_stream *s = c->stream;
  if (!s) return c->responded = true;
  size_t type_len = strlen(type);
  char *start = gl_stream_room(s, 320 + type_len + (c->head_only ? 0 : n)), *to = start;
  if (!start) return false;
  c->responded = true;
  to = put_head(to, c, status);
  if (status == 426) to = GL_PUT(to, "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"); /* RFC 6455, 4.2.2 */
  if (!bodiless(status)) {
    to = GL_PUT(to, "Content-Type: ");
    to = gl_put(to, type, type_len);
    to = GL_PUT(to, "\r\n");
    to = gl_h1_put_length(to, n);
    to = GL_PUT(to, "\r\n");
    if (!c->head_only) to = gl_put(to, body, n);
  } else {
    to = GL_PUT(to, "\r\n");
  }
  gl_stream_wrote(s, (size_t)(to - start));
  return true;
}

void gl_response_send_error(gl_conn *c, int status, const char *reason) {
  gl_failure_body body;
  size_t n = 0;
  const char *accept = c->req ? gl_request_header(c->req, "accept", &n) : NULL;
  gl_failure_write(&body, gl_text_of(accept ? accept : "", n), status, reason);
  if (status == 413 || status == 417 || status == 408) c->close_after = true;
  if (send_whole(c, status, body.type, body.bytes, body.n)) return;
  c->responded = true;
  gl_stream_close(c->stream);
}

void gl_response_failure(lua_State *L, int idx, gl_failure *f) {
  *f = (gl_failure){.status = 500, .reason = "internal server error"};
  if (lua_type(L, idx) != LUA_TTABLE) return;
  idx = lua_absindex(L, idx);
  f->cut = gl_error_is(L, idx, "ECANCELED") || gl_error_is_departure(L, idx);
  lua_pushliteral(L, "status");
  lua_rawget(L, idx);
  lua_Integer status = lua_tointeger(L, -1);
  lua_pushliteral(L, "message");
  lua_rawget(L, idx);
  if (status >= 400 && status <= 599) {
    f->status = (int)status;
    snprintf(f->reason, sizeof f->reason, "%s", lua_isstring(L, -1) ? lua_tostring(L, -1) : gl_status_reason(f->status));
  } else if (status == 0 && (gl_error_is(L, idx, "ECPULIMIT") || gl_error_is(L, idx, "EDEADLINE"))) {
    f->status = 503;
    snprintf(f->reason, sizeof f->reason, "%s", GL_OVERTIME);
  }
  lua_pop(L, 2);
}

/* native.failure(err) -> status, reason: what the server answers to it */
static int answer_failure(lua_State *L) {
  gl_failure f;
  lua_settop(L, 1);
  gl_response_failure(L, 1, &f);
  lua_pushinteger(L, f.status);
  lua_pushstring(L, f.reason);
  return 2;
}

/* native.refusal(accept or nil, status, reason) -> content type, body */
static int answer_refusal(lua_State *L) {
  size_t n;
  gl_failure_body body;
  const char *accept = luaL_optlstring(L, 1, "", &n);
  gl_failure_write(&body, gl_text_of(accept, n), (int)luaL_checkinteger(L, 2), luaL_checkstring(L, 3));
  lua_pushstring(L, body.type);
  lua_pushlstring(L, body.bytes, body.n);
  return 2;
}

/* ---- a response object ---- */

/* An error of the handler's, wherever it is found. */
static int wrong(lua_State *L, const char *format, ...) {
  va_list args;
  va_start(args, format);
  lua_pushvfstring(L, format, args);
  va_end(args);
  return lua_error(L);
}

typedef struct plan {
  int status;
  bool has_type, has_length, close; /* headers the response brings itself */
  bool live;    /* a stream that is about its client: of events */
  lua_Integer length;
  char *fields; /* its other headers as they go out, in the host's scratch buffer */
  size_t fields_len;
  int table;    /* or 0: stack index of a table they go into instead, by lower-case name */
} plan;

static bool is(const char *name, size_t n, const char *lower) {
  for (size_t i = 0; i < n; i++) {
    char ch = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] | 0x20) : name[i];
    if (ch != lower[i]) return false; /* `lower` ends first at its 0 */
  }
  return lower[n] == 0;
}

static void check_name(lua_State *L, const char *name, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (!gl_is_token_char(name[i])) wrong(L, "invalid character in the name of response header '%s'", name);
  if (!n) wrong(L, "a response header has an empty name");
}

static char *room(lua_State *L, plan *p, size_t n) {
  if (n > GL_SCRATCH - p->fields_len) wrong(L, "the headers of a response are larger than %d bytes", GL_SCRATCH);
  char *to = p->fields + p->fields_len;
  p->fields_len += n;
  return to;
}

/* A name that came before, be it in another case, has a list. */
static void add_to_table(lua_State *L, int table, const char *name, size_t n, const char *value, size_t len) {
  luaL_Buffer b;
  char *lower = luaL_buffinitsize(L, &b, n);
  for (size_t i = 0; i < n; i++) lower[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] | 0x20) : name[i];
  luaL_pushresultsize(&b, n); /* name */
  lua_pushvalue(L, -1);
  int type = lua_rawget(L, table); /* name before */
  if (type == LUA_TSTRING) {
    lua_createtable(L, 2, 0);
    lua_insert(L, -2);
    lua_rawseti(L, -2, 1); /* name list */
  }
  lua_pushlstring(L, value, len);
  if (type != LUA_TNIL) lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  else lua_replace(L, -2);
  lua_rawset(L, table);
}

static void add_field(lua_State *L, plan *p, const char *name, size_t n, const char *value, size_t len) {
  if (p->table) {
    add_to_table(L, p->table, name, n, value, len);
    return;
  }
  char *to = room(L, p, n + len + 4);
  gl_h1_put_field(to, name, n, value, len);
}

/* What no field value may contain (RFC 9110, 5.5). */
static bool is_control(char c) { return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f; }

/* Checks one value and, unless the header is `ours` to write, adds its line. */
static void read_value(lua_State *L, plan *p, const char *name, size_t n, bool ours) {
  char number[32];
  size_t len;
  const char *value = number;
  int type = lua_type(L, -1);
  if (type == LUA_TSTRING) {
    value = lua_tolstring(L, -1, &len);
    for (size_t i = 0; i < len; i++)
      if (is_control(value[i])) wrong(L, "response header '%s' contains a line break or another control character", name);
  } else if (type == LUA_TNUMBER) {
    len = (size_t)(lua_isinteger(L, -1) ? snprintf(number, sizeof number, LUA_INTEGER_FMT, lua_tointeger(L, -1))
                                        : snprintf(number, sizeof number, "%.14g", lua_tonumber(L, -1)));
  } else {
    wrong(L, "response header '%s' must be a string, not a %s", name, luaL_typename(L, -1));
    return;
  }
  if (!ours) add_field(L, p, name, n, value, len);
}

/* Checks the headers in the table at idx and copies them in the same go, so that what is sent is what was checked. Allocates
 * nothing in Lua and so runs nothing either: the scratch buffer stays as it is until the next call into Lua. */
static void read_headers(lua_State *L, int idx, plan *p) {
  lua_pushnil(L);
  while (lua_next(L, idx)) {
    size_t n;
    if (lua_type(L, -2) != LUA_TSTRING) wrong(L, "the name of a response header must be a string, not a %s", luaL_typename(L, -2));
    const char *name = lua_tolstring(L, -2, &n);
    check_name(L, name, n);
    bool length = is(name, n, "content-length"), connection = is(name, n, "connection");
    bool ours = length || connection || is(name, n, "date");
    if (lua_istable(L, -1)) {
      for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++, lua_pop(L, 1)) read_value(L, p, name, n, ours);
      lua_pop(L, 1);
    } else {
      read_value(L, p, name, n, ours);
    }
    if (is(name, n, "content-type")) p->has_type = true;
    if (connection) p->close = lua_type(L, -1) == LUA_TSTRING && strcasecmp(lua_tostring(L, -1), "close") == 0;
    if (is(name, n, "transfer-encoding")) wrong(L, "Transfer-Encoding is not a handler's to set");
    if (length) {
      int ok;
      p->length = lua_tointegerx(L, -1, &ok);
      p->has_length = true;
      if (!ok || p->length < 0) wrong(L, "Content-Length must be an integer >= 0");
    }
    lua_pop(L, 1);
  }
}

static int stream_done(lua_State *L, int status, lua_KContext ctx);

/* Is there still somebody to answer? To be asked when all of Lua that an answer needs has run: the client may be gone,
 * or another protocol may have taken the connection over meanwhile. */
static bool is_wanted(gl_conn *c) {
  if (c->responded) return false;
  c->responded = !c->stream;
  return c->stream != NULL;
}

/* Who answers more than there is memory for is told so while it can still answer something else. */
static void need_room(lua_State *L, gl_conn *c, size_t n) {
  if (!gl_stream_room(c->stream, n)) gl_memory_raise(L);
}

static void start_response(gl_conn *c, const plan *p) {
  char head[320];
  if (p->close) c->close_after = true;
  c->responded = true;
  c->response_at = c->stream->written;
  gl_stream_write(c->stream, head, (size_t)(put_head(head, c, p->status) - head));
  gl_stream_write(c->stream, p->fields, p->fields_len);
}

/* ---- a stream ---- */

/* Its head waits for the first piece: what fails before that can still be answered with the error. */
static void hold_head(gl_conn *c) {
  size_t n = (size_t)(c->stream->written - c->response_at);
  char *held = malloc(n);
  if (!held || !gl_stream_retract(c->stream, c->response_at, held)) {
    free(held);
    return;
  }
  c->held = held;
  c->held_len = (uint32_t)n;
}

void gl_response_drop_head(gl_conn *c) {
  free(c->held);
  c->held = NULL;
}

static void release_head(gl_conn *c) {
  if (!c->held) return;
  c->response_at = c->stream->written;
  gl_stream_write(c->stream, c->held, c->held_len);
  gl_response_drop_head(c);
}

bool gl_response_take_back(gl_conn *c) {
  if (!c->held && !gl_stream_retract(c->stream, c->response_at, NULL)) return false;
  gl_response_drop_head(c);
  c->responded = c->streaming = false;
  return true;
}

/* The function to call and the writer it gets are on top of L. */
static int send_stream(lua_State *L, gl_conn *c, const plan *p) {
  bool silent = bodiless(p->status);
  char tail[64], *to = tail;
  c->counted = p->has_length && !silent;
  c->owed = (uint64_t)p->length;
  c->chunked = !c->counted && !silent && c->minor >= 1;
  if (!c->counted && !c->chunked && !silent) c->close_after = true;
  start_response(c, p);
  if (c->counted) to = gl_h1_put_length(to, c->owed);
  if (c->chunked) to = GL_PUT(to, "Transfer-Encoding: chunked\r\n");
  to = GL_PUT(to, "\r\n");
  gl_stream_write(c->stream, tail, (size_t)(to - tail));
  if (c->head_only || silent) return 0;
  c->streaming = true;
  if (!p->live) hold_head(c);
  gl_conn_streams(c, p->live);
  lua_callk(L, 1, 0, (lua_KContext)c, stream_done);
  return stream_done(L, LUA_OK, (lua_KContext)c);
}

static int stream_done(lua_State *L, int status, lua_KContext ctx) {
  gl_conn *c = (gl_conn *)ctx;
  (void)status;
  if (c->counted && c->owed) return wrong(L, "the stream of a response ended %d bytes short of its Content-Length", (int)c->owed);
  if (c->stream) release_head(c);
  if (c->stream && c->chunked) gl_stream_write(c->stream, GL_H1_LAST_CHUNK, sizeof GL_H1_LAST_CHUNK - 1);
  c->streaming = false;
  return 0;
}

static int settled(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  return gl_response_send(L, (gl_conn *)ctx);
}

static int settle(lua_State *L, gl_conn *c) { /* value settle -> */
  lua_insert(L, -2);
  lua_pushvalue(L, 1);
  lua_callk(L, 2, 1, (lua_KContext)c, settled);
  return settled(L, LUA_OK, (lua_KContext)c);
}

static void push_writer(lua_State *L, gl_conn *c) {
  gl_request **writer = lua_newuserdatauv(L, sizeof *writer, 1);
  *writer = c->req;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  luaL_setmetatable(L, WRITER);
}

/* What follows the head, and the content type it has by itself. */
typedef struct body {
  const char *type, *at; /* at: NULL = there is none */
  size_t n;
  bool encoded; /* into `json` */
  gl_json_text json;
} body;

static void write_json(lua_State *L, body *b) { /* value -> value text */
  gl_json_encode(L, &b->json, false);
  b->encoded = true;
  b->type = "application/json";
  b->at = b->json.start;
  b->n = (size_t)(b->json.at - b->json.start);
}

/* The body of the response at idx; one value more is on the stack then, which keeps it alive. */
static void find_body(lua_State *L, int idx, body *b) {
  b->type = b->at = NULL;
  b->n = 0;
  b->encoded = false;
  if (lua_getfield(L, idx, "json") != LUA_TNIL) return write_json(L, b);
  if (lua_getfield(L, idx, "body") == LUA_TNIL) return;
  if (lua_type(L, -1) != LUA_TSTRING) wrong(L, "the body of a response must be a string, not a %s", luaL_typename(L, -1));
  b->type = "text/plain; charset=utf-8";
  b->at = lua_tolstring(L, -1, &b->n);
}

static void send_body(gl_conn *c, const plan *p, const body *b) {
  bool told = !b->at && p->has_length && (p->status == 304 || (c->head_only && !bodiless(p->status))); /* the length of what is not sent */
  char tail[160], *to = tail;
  start_response(c, p);
  if (!bodiless(p->status) && b->type && !p->has_type) {
    to = GL_PUT(to, "Content-Type: ");
    to = gl_put(to, b->type, strlen(b->type));
    to = GL_PUT(to, "\r\n");
  }
  if (told) to = gl_h1_put_length(to, (uint64_t)p->length);
  else if (!bodiless(p->status)) to = gl_h1_put_length(to, b->n);
  to = GL_PUT(to, "\r\n");
  gl_stream_write(c->stream, tail, (size_t)(to - tail));
  if (b->at && !c->head_only && !bodiless(p->status)) gl_stream_write(c->stream, b->at, b->n);
}

static int read_status(lua_State *L) {
  int ok;
  lua_Integer status = lua_tointegerx(L, -1, &ok);
  if (!ok) wrong(L, "a response status must be an integer, not a %s", lua_isnumber(L, -1) ? "fraction" : luaL_typename(L, -1));
  if (status < 200 || status > 599) wrong(L, "a response status must be from 200 to 599, not %I", (LUAI_UACINT)status);
  return (int)status;
}

/* Status, headers (at idx + 1) and kind of the response at idx. */
static bool read_response(lua_State *L, int idx, plan *p) {
  if (lua_getfield(L, idx, "headers") != LUA_TNIL && !lua_istable(L, -1))
    wrong(L, "the headers of a response must be a table, not a %s", luaL_typename(L, -1));
  p->status = lua_getfield(L, idx, "status") == LUA_TNIL ? 200 : read_status(L);
  bool stream = lua_getfield(L, idx, "stream") != LUA_TNIL;
  p->live = stream && lua_getfield(L, idx, "live") != LUA_TNIL;
  lua_settop(L, idx + 3); /* response headers status stream */
  return stream;
}

/* First whatever may run Lua, which another task, and so the client's departure, may come between; then a look at the
 * connection; then the headers, checked and copied at once; then the first byte. */
static int send_response(lua_State *L, gl_conn *c) {
  plan p = {.fields = c->server->host->scratch};
  int idx = lua_gettop(L);
  body b;
  bool stream = read_response(L, idx, &p);
  if (stream) push_writer(L, c);
  else find_body(L, idx, &b);
  if (!is_wanted(c)) return 0;
  if (lua_istable(L, idx + 1)) read_headers(L, idx + 1, &p);
  if (stream) return send_stream(L, c, &p);
  need_room(L, c, HEAD_MAX + p.fields_len + (c->head_only ? 0 : b.n));
  send_body(c, &p, &b);
  if (b.encoded) gl_json_done(L, &b.json);
  return 0;
}

/* ---- any answer ---- */

typedef enum table_kind { PLAIN, RESPONSE_OBJECT, TO_SETTLE } table_kind;

/* What the table on top is. TO_SETTLE: it is made an answer by the function that is pushed, settle(value, request): that of a
 * response whose answer depends on its request (a file: conditions, ranges), when all middleware has run; or __answer in the
 * metatable of what is the answer of something else (green.http, app:inject). It may wait. */
static table_kind kind_of(lua_State *L) {
  if (!lua_getmetatable(L, -1)) return PLAIN;
  luaL_getmetatable(L, RESPONSE);
  bool response = lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  if (response) {
    lua_pop(L, 1);
    lua_getfield(L, -1, "settle");
  } else {
    lua_pushliteral(L, "__answer");
    lua_rawget(L, -2);
    lua_remove(L, -2);
  }
  if (lua_isfunction(L, -1)) return TO_SETTLE;
  lua_pop(L, 1);
  return response ? RESPONSE_OBJECT : PLAIN;
}

static int refuse_value(lua_State *L) {
  bool null = lua_islightuserdata(L, -1) && !lua_touserdata(L, -1);
  return wrong(L, "a handler must return a string, a table, a response or nothing, not %s%s", null ? "" : "a ", null ? "JSON null" : luaL_typename(L, -1));
}

void gl_response_of_results(lua_State *L, int first) {
  int second = first + 1;
  if (lua_gettop(L) == first) return;
  bool more = !lua_isnoneornil(L, second), nothing = lua_isnoneornil(L, first);
  if (more && nothing) wrong(L, "a handler returned nil and a %s: raise an error, or return a response", luaL_typename(L, second));
  if (more && lua_type(L, second) == LUA_TNUMBER && (lua_isstring(L, first) || lua_istable(L, first)))
    wrong(L, "a handler returned a second value, %d: for a status, return response.%s(value, status)", (int)lua_tointeger(L, second),
               lua_istable(L, first) ? "json" : "text");
  lua_settop(L, first);
}

static int send_json(lua_State *L, gl_conn *c) {
  body b;
  write_json(L, &b);
  if (!is_wanted(c)) return 0;
  if (!send_whole(c, 200, b.type, b.at, b.n)) return gl_memory_raise(L);
  gl_json_done(L, &b.json);
  return 0;
}

static int send_table(lua_State *L, gl_conn *c) {
  switch (kind_of(L)) {
    case TO_SETTLE: return settle(L, c);
    case RESPONSE_OBJECT: return send_response(L, c);
    default: return send_json(L, c);
  }
}

int gl_response_send(lua_State *L, gl_conn *c) {
  size_t n;
  const char *text;
  if (!is_wanted(c)) return 0;
  switch (lua_type(L, -1)) {
    case LUA_TSTRING:
      text = lua_tolstring(L, -1, &n);
      return send_whole(c, 200, "text/plain; charset=utf-8", text, n) ? 0 : gl_memory_raise(L);
    case LUA_TNIL: return send_whole(c, 204, "", "", 0) ? 0 : gl_memory_raise(L);
    case LUA_TTABLE: return send_table(L, c);
    default: return refuse_value(L);
  }
}

/* ---- the same for whoever is no server: native.settle(request, ...) -> status, headers, body or nil, stream or nil, live ---- */

static void set_header(lua_State *L, int table, const char *name, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, table, name);
}

/* The value is at 2, the headers go into 3. */
static int push_whole(lua_State *L, int status, const body *b) {
  lua_pushinteger(L, status);
  lua_pushvalue(L, 3);
  if (b->at && !bodiless(status)) lua_pushlstring(L, b->at, b->n);
  else lua_pushnil(L);
  return 3;
}

/* Is the length of what is not sent told in an answer to the request? */
static bool tells_length(lua_State *L, int status) {
  if (status == 304 || bodiless(status) || lua_isnil(L, 1)) return status == 304;
  lua_getfield(L, 1, "method");
  bool head = lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), "HEAD") == 0;
  lua_pop(L, 1);
  return head;
}

static int push_response(lua_State *L) {
  plan p = {.table = 3};
  body b = {0};
  int idx = 4;
  lua_pushvalue(L, 2);
  bool stream = read_response(L, idx, &p);
  if (!stream) find_body(L, idx, &b);
  if (lua_istable(L, idx + 1)) read_headers(L, idx + 1, &p);
  if (p.close) set_header(L, 3, "connection", "close");
  if (p.has_length && (((stream || b.at) && !bodiless(p.status)) || tells_length(L, p.status))) {
    lua_pushfstring(L, "%I", b.at ? (LUAI_UACINT)b.n : (LUAI_UACINT)p.length);
    lua_setfield(L, 3, "content-length");
  }
  if (b.type && !p.has_type && !bodiless(p.status)) set_header(L, 3, "content-type", b.type);
  int results = push_whole(L, p.status, &b);
  if (b.encoded) gl_json_done(L, &b.json);
  if (!stream || bodiless(p.status)) return results;
  lua_pushvalue(L, idx + 3);
  lua_pushboolean(L, p.live);
  return results + 2;
}

static int push_plain(lua_State *L) {
  body b = {0};
  if (lua_type(L, 2) == LUA_TSTRING) {
    b.type = "text/plain; charset=utf-8";
    b.at = lua_tolstring(L, 2, &b.n);
  } else {
    lua_pushvalue(L, 2);
    write_json(L, &b);
  }
  set_header(L, 3, "content-type", b.type);
  int results = push_whole(L, 200, &b);
  if (b.encoded) gl_json_done(L, &b.json);
  return results;
}

static int settle_on(lua_State *L, int status, lua_KContext ctx) { /* request value */
  (void)status;
  while (lua_istable(L, 2)) {
    table_kind kind = kind_of(L);
    if (kind != TO_SETTLE) {
      lua_newtable(L);
      return kind == PLAIN ? push_plain(L) : push_response(L);
    }
    lua_insert(L, 2);
    lua_pushvalue(L, 1);
    lua_callk(L, 2, 1, ctx, settle_on);
  }
  lua_newtable(L);
  if (lua_type(L, 2) == LUA_TSTRING) return push_plain(L);
  if (lua_isnil(L, 2)) return push_whole(L, 204, &(body){0});
  lua_settop(L, 2);
  return refuse_value(L);
}

static int answer_settle(lua_State *L) {
  luaL_checkany(L, 1);
  if (lua_gettop(L) == 1) lua_pushnil(L);
  gl_response_of_results(L, 2);
  return settle_on(L, LUA_OK, 0);
}

/* ---- the writer of a stream ---- */

typedef struct write_op {
  gl_op op;
  gl_conn *conn;
} write_op;

static int finished(lua_State *L) { return gl_error_raise(L, "http.write", "ECLOSED", "the response was finished already"); }

static int push_write(lua_State *L, gl_op *op) {
  if (op->status == UV_ECANCELED) return finished(L);
  if (op->status < 0) return gl_error_departure(L, op->type->name, op->status, "the client is gone");
  return 0;
}

static void cancel_write(gl_op *op) {
  ((write_op *)op)->conn->writer = NULL;
  gl_op_done(op, UV_ECANCELED);
}

static const gl_optype write_type = {"http.write", push_write, cancel_write, NULL};

static void write_piece(lua_State *L, gl_conn *c, const char *bytes, size_t n) {
  char size[GL_H1_CHUNK];
  if (c->counted) {
    if (n > c->owed) luaL_error(L, "the stream of a response is longer than its Content-Length");
    c->owed -= n;
  }
  release_head(c);
  if (!n) return; /* else it would look like the last one */
  if (c->chunked) gl_stream_write(c->stream, size, (size_t)(gl_h1_put_chunk_size(size, n) - size));
  gl_stream_write(c->stream, bytes, n);
  if (c->chunked) gl_stream_write(c->stream, "\r\n", 2);
}

/* out:write(bytes): returns when the client keeps up; raises when it is gone. The first one, be it empty, sends the head. */
static int writer_write(lua_State *L) {
  gl_request **writer = gl_class_self(L, WRITER);
  size_t n;
  const char *bytes = luaL_checklstring(L, 2, &n);
  gl_conn *c = (*writer)->conn;
  if (!c || !c->streaming) return finished(L);
  if (c->writer) return gl_error_raise(L, "http.write", "EBUSY", "another task is writing this response");
  if (!c->stream || c->stream->broken || c->stream->closing) return gl_error_departure(L, "http.write", UV_EPIPE, "the client is gone");
  need_room(L, c, c->held_len + n + 32);
  write_piece(L, c, bytes, n);
  if (!gl_stream_full(c->stream)) return 0;
  write_op *w = gl_op_new(L, &write_type, sizeof *w, 0);
  w->conn = c;
  c->writer = &w->op;
  return gl_await(L, &w->op, GL_FOREVER);
}

void gl_response_metatable(lua_State *L) { luaL_newmetatable(L, RESPONSE); }

void gl_response_class(lua_State *L) {
  static const luaL_Reg methods[] = {{"write", writer_write}, {NULL, NULL}};
  gl_class_new(L, WRITER, methods, NULL);
  lua_pushcfunction(L, answer_settle);
  lua_setfield(L, -2, "settle");
  lua_pushcfunction(L, answer_failure);
  lua_setfield(L, -2, "failure");
  lua_pushcfunction(L, answer_refusal);
  lua_setfield(L, -2, "refusal");
}
