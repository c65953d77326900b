/* SPDX-License-Identifier: MIT */
#include "net/domain.h"

#include <string.h>

#include <idn2.h>
#include <lauxlib.h>
#include <libpsl.h>

#include "core/error.h"
#include "core/library.h"

#define NAME_MAX_LEN 1024 /* bytes of a name before its mapping, at most; an ASCII name has 253 at most */

static int push_refusal(lua_State *L, const char *why) {
  lua_pushnil(L);
  lua_pushstring(L, why);
  return 2;
}

/* to_ascii(name) -> the name in ASCII (xn--...), as browsers map it (UTS 46, not transitional); nil, reason: the name has no such form. */
static int domain_to_ascii(lua_State *L) {
  size_t n;
  const char *name = luaL_checklstring(L, 1, &n);
  if (n > NAME_MAX_LEN) return push_refusal(L, "domain name is too long");
  if (memchr(name, 0, n)) return push_refusal(L, "domain name contains a NUL");
  const char *lacks = gl_library_need("libidn2.so.0");
  if (lacks) return gl_error_raise(L, "url", "ENOLIBRARY", "names in other letters than those of ASCII need libidn2: %s", lacks);
  char ascii[NAME_MAX_LEN], *mapped = NULL;
  int status = idn2_to_ascii_8z(name, &mapped, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  if (status != IDN2_OK) return push_refusal(L, idn2_strerror(status));
  size_t length = strlen(mapped);
  if (length < sizeof ascii) memcpy(ascii, mapped, length);
  idn2_free(mapped); /* freed before anything is pushed, which may raise */
  if (length >= sizeof ascii) return push_refusal(L, "domain name is too long");
  lua_pushlstring(L, ascii, length);
  return 1;
}

/* Returns the list of public suffixes, which is a file, and is read once per process. NULL: the system has none. */
static const psl_ctx_t *suffixes(void) {
  static psl_ctx_t *list;
  if (!list) list = psl_latest(NULL);
  return list;
}

/* is_public_suffix(name) -> boolean: is it a name below which unrelated people register names? The name is ASCII in lower case. */
static int domain_is_public_suffix(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  const char *lacks = gl_library_need("libpsl.so.5");
  if (lacks) return gl_error_raise(L, "http.cookies", "ENOLIBRARY", "a cookie jar needs libpsl: %s", lacks);
  const psl_ctx_t *list = suffixes();
  if (!list) return gl_error_raise(L, "http.cookies", "ENOLIBRARY", "libpsl has no list of public suffixes");
  lua_pushboolean(L, psl_is_public_suffix(list, name));
  return 1;
}

int luaopen_green_domain(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"to_ascii", domain_to_ascii}, {"is_public_suffix", domain_is_public_suffix}, {NULL, NULL},
  };
  luaL_newlib(L, functions);
  return 1;
}
