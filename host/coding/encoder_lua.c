/* SPDX-License-Identifier: MIT
 *
 * Lua pulls encoded bytes, a slice at a time: the task may be preempted, or end, between two calls. What it did not pull then comes with the
 * next pulls, so that nothing is lost.
 */
#include "coding/encoder_lua.h"

#include <lauxlib.h>

#include "coding/encoder.h"
#include "core/class.h"
#include "core/error.h"
#include "core/memory.h"

#define ENCODER "green.encoder"
#define SLICE 32768 /* bytes that one call reads, and bytes that it writes, at most: some 0.4 ms of work */

/* The userdata. Its user value is the string into which `in` points. */
typedef struct encoder {
  gl_encoder e;
  const unsigned char *in;
  size_t in_left;
  gl_encode_then then; /* what follows the input */
  bool due;            /* there is input, or what follows it is to be done */
  bool over;           /* the body has ended, memory was refused, or the encoder is closed */
} encoder;

/* encoder(name) -> an encoder; nil: there is none for the coding. Raises ENOLIBRARY. */
static int coding_encoder(lua_State *L) {
  size_t n;
  const char *name = luaL_checklstring(L, 1, &n);
  const gl_coding *coding = gl_coding_find(name, n);
  if (!coding) return 0;
  encoder *self = lua_newuserdatauv(L, sizeof *self, 1);
  *self = (encoder){.over = true};
  luaL_setmetatable(L, ENCODER);
  const char *lacks = gl_encoder_start(&self->e, coding);
  if (lacks && !*lacks) return gl_memory_raise(L);
  if (lacks) return gl_error_raise(L, "http", "ENOLIBRARY", "an answer in the coding %s needs %s: %s", coding->name, coding->library, lacks);
  self->over = false;
  return 1;
}

static encoder *check_open(lua_State *L) {
  encoder *self = luaL_checkudata(L, 1, ENCODER);
  if (self->over) luaL_error(L, "the encoder is closed");
  return self;
}

/* encoder:feed(bytes [, "go on" | "flush" | "end"]): gives the encoder input, and says what follows it. Call at first, and after a pull that
 * returned nil. */
static int encoder_feed(lua_State *L) {
  static const char *const words[] = {"go on", "flush", "end", NULL}; /* in the order of gl_encode_then */
  encoder *self = check_open(L);
  size_t n;
  const char *bytes = luaL_checklstring(L, 2, &n);
  int then = luaL_checkoption(L, 3, "go on", words);
  if (self->due) return luaL_error(L, "the encoder has input");
  lua_settop(L, 2);
  lua_setiuservalue(L, 1, 1);
  self->in = (const unsigned char *)bytes;
  self->in_left = n;
  self->then = (gl_encode_then)then;
  self->due = true;
  return 0;
}

/* encoder:pull() -> the next bytes, which may be none; nil: the encoder needs input. */
static int encoder_pull(lua_State *L) {
  encoder *self = check_open(L);
  unsigned char slice[SLICE];
  if (!self->due) return 0;
  size_t in = self->in_left < SLICE ? self->in_left : SLICE;
  bool last = in == self->in_left;
  gl_coding_io io = {self->in, in, slice, SLICE};
  gl_encoded news = gl_encoder_run(&self->e, &io, last ? self->then : GL_ENCODE_GO_ON);
  self->in = io.in;
  self->in_left -= in - io.in_left;
  self->due = !last || news == GL_ENCODED_FULL;
  self->over = news == GL_ENCODED_NO_MEMORY || (!self->due && self->then == GL_ENCODE_END);
  if (news == GL_ENCODED_NO_MEMORY) return gl_memory_raise(L);
  lua_pushlstring(L, (char *)slice, SLICE - io.out_left);
  return 1;
}

/* encoder:ended() -> whether the whole body was pulled */
static int encoder_ended(lua_State *L) {
  const encoder *self = luaL_checkudata(L, 1, ENCODER);
  lua_pushboolean(L, self->over);
  return 1;
}

/* encoder:close(): frees the library's encoder now, not when the userdata is collected. */
static int encoder_close(lua_State *L) {
  encoder *self = luaL_checkudata(L, 1, ENCODER);
  self->over = true;
  gl_encoder_stop(&self->e);
  return 0;
}

void gl_encoder_function(lua_State *L) {
  static const luaL_Reg methods[] = {{"feed", encoder_feed}, {"pull", encoder_pull}, {"ended", encoder_ended}, {"close", encoder_close}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", encoder_close}, {"__close", encoder_close}, {NULL, NULL}};
  gl_class_new(L, ENCODER, methods, meta);
  lua_pushcfunction(L, coding_encoder);
  lua_setfield(L, -2, "encoder");
}
