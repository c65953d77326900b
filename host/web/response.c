/* SPDX-License-Identifier: MIT */
#include "web/response.h"

#include "core/memory.h"
#include "h1/status.h"
#include "web/plan.h"
#include "web/writer.h"

void gl_response_metatable(lua_State *L) { luaL_newmetatable(L, GL_RESPONSE_META); }

void gl_response_of_results(lua_State *L, int first) {
  int second = first + 1;
  if (lua_gettop(L) == first) return;
  bool more = !lua_isnoneornil(L, second), nothing = lua_isnoneornil(L, first);
  if (more && nothing) gl_handler_error(L, "a handler returned nil and a %s: raise an error, or return a response", luaL_typename(L, second));
  if (more && lua_type(L, second) == LUA_TNUMBER && (lua_isstring(L, first) || lua_istable(L, first)))
    gl_handler_error(L, "a handler returned a second value, %d: for a status, return response.%s(value, status)", (int)lua_tointeger(L, second),
               lua_istable(L, first) ? "json" : "text");
  lua_settop(L, first);
}

/* ---- sending ---- */

/* Is an answer still to be sent? Ask when all of Lua that an answer needs has run: another protocol may have taken the connection
 * over meanwhile, or the request may have been answered. */
static bool is_wanted(const gl_exchange *x) { return x->out == GL_OUT_HEAD; }

/* Sends a whole answer, or raises without memory, while another answer can still be sent. */
static int send_whole(lua_State *L, gl_exchange *x, const gl_message_head *head, const char *bytes, size_t n) {
  return x->carrier->send(x, head, bytes, n) == 0 ? 0 : gl_memory_raise(L);
}

static int send_value(lua_State *L, gl_exchange *x, int status, const char *type, const char *bytes, size_t n) {
  gl_message_head head = {.status = (uint16_t)status, .type = type, .length = bytes ? (int64_t)n : GL_LENGTH_UNKNOWN};
  return send_whole(L, x, &head, bytes, n);
}

/* Returns the length to announce: that of the body that is sent, or the response's own Content-Length if no body is sent (HEAD, 304). */
static int64_t length_of(const gl_exchange *x, const gl_plan *p, const gl_plan_body *b) {
  bool silent = gl_status_is_bodiless(p->status);
  if (!b->at && p->has_length && (p->status == 304 || (x->head_only && !silent))) return p->length;
  return silent ? GL_LENGTH_UNKNOWN : (int64_t)b->n;
}

static void fill_head(gl_message_head *head, const gl_plan *p) {
  head->status = (uint16_t)p->status;
  head->close = p->close;
  head->fields = (gl_fields){p->text, p->fields - p->nfields, p->nfields};
}

static int send_body(lua_State *L, gl_exchange *x, const gl_plan *p, gl_plan_body *b) {
  gl_message_head head = {.length = length_of(x, p, b), .type = p->has_type || gl_status_is_bodiless(p->status) ? NULL : b->type};
  fill_head(&head, p);
  send_whole(L, x, &head, b->at, b->n);
  if (b->encoded) gl_json_done(L, &b->json);
  return 0;
}

/* ---- a stream ---- */

static int stream_done(lua_State *L, int status, lua_KContext ctx) {
  gl_exchange *x = (gl_exchange *)ctx;
  (void)status;
  uint64_t missing = x->out == GL_OUT_BODY ? x->carrier->finish(x, &gl_call_of(x)->trailers) : 0;
  if (missing) return gl_handler_error(L, "the stream of a response ended %I bytes short of its Content-Length", (LUAI_UACINT)missing);
  return 0;
}

/* Sends a stream: calls the function that is below its writer, the top of L. The head is held until the first piece, so that a function
 * that fails before can still be answered with its error. */
static int send_stream(lua_State *L, gl_exchange *x, const gl_plan *p) {
  gl_message_head head = {.length = p->has_length ? (int64_t)p->length : GL_LENGTH_UNKNOWN, .hold = !p->live};
  fill_head(&head, p);
  if (x->carrier->send_head(x, &head) != 0) return gl_memory_raise(L);
  if (x->out != GL_OUT_BODY) return 0;
  gl_fields_free(&gl_call_of(x)->trailers); /* those of a stream that was taken back */
  gl_call_streams(x, p->live);
  lua_callk(L, 1, 0, (lua_KContext)x, stream_done);
  return stream_done(L, LUA_OK, (lua_KContext)x);
}

/* ---- any answer ---- */

/* Sends a response in this order: all that may run Lua, during which other tasks may run and the client may leave; then a look at the
 * exchange; then the headers, checked and copied in one go; then the first byte. */
static int send_response(lua_State *L, gl_exchange *x) {
  char *scratch = gl_host_of(L)->scratch;
  gl_plan p = {.what = "response header", .text = scratch, .fields = (gl_field *)(void *)(scratch + GL_SCRATCH)};
  int idx = lua_gettop(L);
  gl_plan_body b;
  bool stream = gl_plan_read(L, idx, &p);
  if (stream) gl_writer_push(L, x);
  else gl_plan_find_body(L, idx, &b);
  if (!is_wanted(x)) return 0;
  if (!x->carrier->is_open(x)) { /* the client is gone, so that faults of the headers do no harm */
    x->out = GL_OUT_DONE;
    return 0;
  }
  gl_plan_read_headers(L, idx + 1, &p);
  return stream ? send_stream(L, x, &p) : send_body(L, x, &p, &b);
}

static int send_json(lua_State *L, gl_exchange *x) {
  gl_plan_body b;
  gl_plan_write_json(L, &b);
  if (!is_wanted(x)) return 0;
  send_value(L, x, 200, b.type, b.at, b.n);
  gl_json_done(L, &b.json);
  return 0;
}

static int settled(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  return gl_response_send(L, (gl_exchange *)ctx);
}

static int settle(lua_State *L, gl_exchange *x) { /* value settle -> */
  lua_insert(L, -2);
  lua_pushvalue(L, 1);
  lua_callk(L, 2, 1, (lua_KContext)x, settled);
  return settled(L, LUA_OK, (lua_KContext)x);
}

static int send_table(lua_State *L, gl_exchange *x) {
  switch (gl_plan_kind(L)) {
    case GL_TABLE_SETTLES: return settle(L, x);
    case GL_TABLE_RESPONSE: return send_response(L, x);
    default: return send_json(L, x);
  }
}

int gl_response_send(lua_State *L, gl_exchange *x) {
  size_t n;
  const char *text;
  if (!is_wanted(x)) return 0;
  switch (lua_type(L, -1)) {
    case LUA_TSTRING:
      text = lua_tolstring(L, -1, &n);
      return send_value(L, x, 200, GL_TEXT_PLAIN, text, n);
    case LUA_TNIL: return send_value(L, x, 204, NULL, NULL, 0);
    case LUA_TTABLE: return send_table(L, x);
    default: return gl_plan_refuse(L);
  }
}
