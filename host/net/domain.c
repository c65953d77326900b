/* SPDX-License-Identifier: MIT */
#include "net/domain.h"

#include <string.h>

#include <idn2.h>
#include <lauxlib.h>

#include "core/error.h"
#include "core/library.h"

#define NAME_MAX_LEN 1024 /* bytes of a name that is mapped: in ASCII it has 253 at most */

static int push_refusal(lua_State *L, const char *why) {
  lua_pushnil(L);
  lua_pushstring(L, why);
  return 2;
}

/* to_ascii(name) -> the name in ASCII (xn--...), as browsers map it (UTS 46, not transitional); nil, why: there is none. */
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
  idn2_free(mapped); /* now, since pushing may raise */
  if (length >= sizeof ascii) return push_refusal(L, "domain name is too long");
  lua_pushlstring(L, ascii, length);
  return 1;
}

int luaopen_green_domain(lua_State *L) {
  static const luaL_Reg functions[] = {{"to_ascii", domain_to_ascii}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
