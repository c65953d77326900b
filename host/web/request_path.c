/* SPDX-License-Identifier: MIT
 *
 * The path of a request: its escapes, and whether it stays below its root.
 */
#include "web/request.h"

#include "core/hex.h"

/* Percent-decodes the path into `out`, which has n bytes, and returns how many were written. -1: a bad escape or an escaped NUL. */
static long decode(const char *p, size_t n, char *out) {
  char *to = out;
  for (size_t i = 0; i < n; i++) {
    char c = p[i];
    if (c == '%') {
      if (n - i < 3) return -1;
      int hi = gl_hex(p[i + 1]), lo = gl_hex(p[i + 2]);
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
    size_t from = ++i; /* behind the slash */
    while (i < n && p[i] != '/') i++;
    size_t len = i - from;
    if (len == 2 && p[from] == '.' && p[from + 1] == '.') depth--;
    else if (len > 0 && !(len == 1 && p[from] == '.')) depth++;
    if (depth < 0) return false;
  }
  return true;
}

void gl_request_push_path(lua_State *L, const gl_request *r) {
  if (!r->escaped) {
    lua_pushlstring(L, gl_request_text(r), r->path_len);
    return;
  }
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, r->path_len);
  long n = decode(gl_request_text(r), r->path_len, out);
  luaL_pushresultsize(&b, n < 0 ? 0 : (size_t)n);
}

/* Returns what is wrong with a path that could mean something else to a file system; NULL: nothing. Leaves the stack as it was. */
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

int gl_request_check_path(lua_State *L) {
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

const char *gl_request_wrong_path(lua_State *L, const gl_request *r) {
  return r->escaped || r->dotted ? wrong_path(L, gl_request_text(r), r->path_len) : NULL;
}
