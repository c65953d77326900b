/* SPDX-License-Identifier: MIT
 *
 * Lua pulls decoded bytes, a slice at a time: the task may be preempted between two calls, and may stop when it has enough bytes.
 */
#include "coding/decoder_lua.h"

#include <lauxlib.h>

#include "coding/decoder.h"
#include "coding/encoder_lua.h"
#include "core/class.h"
#include "core/error.h"
#include "core/memory.h"

#define DECODER "green.decoder"
#define SLICE 32768 /* bytes that one call reads, and bytes that it writes, at most: some 0.1 ms of work */

/* The userdata. Its user value is the string into which `in` points. */
typedef struct decoder {
  gl_decoder d;
  const unsigned char *in;
  size_t in_left;
  bool full; /* there may be output without further input */
  bool over; /* the input was broken, or the decoder is closed */
} decoder;

/* decoder(name) -> a decoder; nil: the coding is unknown. Raises ENOLIBRARY. */
static int coding_decoder(lua_State *L) {
  size_t n;
  const char *name = luaL_checklstring(L, 1, &n);
  const gl_codec *codec = gl_codec_find(name, n);
  if (!codec) return 0;
  decoder *self = lua_newuserdatauv(L, sizeof *self, 1);
  *self = (decoder){.over = true};
  luaL_setmetatable(L, DECODER);
  const char *lacks = gl_decoder_start(&self->d, codec);
  if (lacks && !*lacks) return gl_memory_raise(L);
  if (lacks) return gl_error_raise(L, "http", "ENOLIBRARY", "a body in the coding %s needs %s: %s", codec->name, codec->library, lacks);
  self->over = false;
  return 1;
}

static decoder *check_open(lua_State *L) {
  decoder *self = luaL_checkudata(L, 1, DECODER);
  if (self->over) luaL_error(L, "the decoder is closed");
  return self;
}

/* decoder:feed(bytes): gives the decoder input, which the next pulls read. Call at first, and after a pull that returned nil. */
static int decoder_feed(lua_State *L) {
  decoder *self = check_open(L);
  size_t n;
  const char *bytes = luaL_checklstring(L, 2, &n);
  if (self->in_left) return luaL_error(L, "the decoder has input");
  lua_settop(L, 2);
  lua_setiuservalue(L, 1, 1);
  self->in = (const unsigned char *)bytes;
  self->in_left = n;
  return 0;
}

static int push_news(lua_State *L, decoder *self, gl_decoded news, const char *bytes, size_t n) {
  if (news == GL_DECODED_NO_MEMORY) return gl_memory_raise(L);
  if (news == GL_DECODED_BROKEN) {
    self->over = true;
    lua_pushboolean(L, 0);
    lua_pushstring(L, self->d.why);
    return 2;
  }
  lua_pushlstring(L, bytes, n);
  return 1;
}

/* decoder:pull() -> the next bytes, which may be none; nil: the decoder needs input; false, reason: the input is not of the coding. */
static int decoder_pull(lua_State *L) {
  decoder *self = check_open(L);
  unsigned char slice[SLICE];
  if (!self->in_left && !self->full) return 0;
  size_t in = self->in_left < SLICE ? self->in_left : SLICE;
  gl_coding_io io = {self->in, in, slice, SLICE};
  gl_decoded news = gl_decoder_run(&self->d, &io);
  self->in = io.in;
  self->in_left -= in - io.in_left;
  self->full = news == GL_DECODED_FULL;
  return push_news(L, self, news, (char *)slice, SLICE - io.out_left);
}

/* decoder:ended() -> whether the input may end behind the bytes that were fed */
static int decoder_ended(lua_State *L) {
  decoder *self = check_open(L);
  lua_pushboolean(L, gl_decoder_ended(&self->d) && !self->in_left && !self->full);
  return 1;
}

/* decoder:close(): frees the library's decoder now, not when the userdata is collected. */
static int decoder_close(lua_State *L) {
  decoder *self = luaL_checkudata(L, 1, DECODER);
  self->over = true;
  gl_decoder_stop(&self->d);
  return 0;
}

int luaopen_green_coding(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"feed", decoder_feed}, {"pull", decoder_pull}, {"ended", decoder_ended}, {"close", decoder_close}, {NULL, NULL},
  };
  static const luaL_Reg meta[] = {{"__gc", decoder_close}, {"__close", decoder_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"decoder", coding_decoder}, {NULL, NULL}};
  gl_class_new(L, DECODER, methods, meta);
  luaL_newlib(L, functions);
  gl_encoder_function(L);
  return 1;
}
