/* SPDX-License-Identifier: MIT
 *
 * The header fields of a request as Lua values. Lines of the same name are one value, joined.
 */
#include <string.h>
#include <strings.h>

#include "web/request.h"

/* Returns the text that joins the lines of a header (RFC 9110, 5.3; cookies: RFC 6265, 5.4). */
static const char *separator(const gl_request *r, uint32_t i) {
  return r->fields[i].name_len == 6 && memcmp(gl_request_text(r) + r->fields[i].name, "cookie", 6) == 0 ? "; " : ", ";
}

/* Pushes the values of field `first` and of the lines of the same name behind it, joined. next[i] is the next field of the name of
 * field i, 0 at the end. */
static void push_joined(lua_State *L, const gl_request *r, const uint32_t *next, uint32_t first) {
  const char *text = gl_request_text(r);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (uint32_t i = first;;) {
    luaL_addlstring(&b, text + r->fields[i].value, r->fields[i].value_len);
    if (!(i = next[i])) break;
    luaL_addlstring(&b, separator(r, first), 2);
  }
  luaL_pushresult(&b);
}

/* Pushes the table of headers when a name comes twice, in a time that grows only as the number of lines does. */
static void push_repeated_headers(lua_State *L, const gl_request *r) {
  const char *text = gl_request_text(r);
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

void gl_request_push_headers(lua_State *L, const gl_request *r) {
  const char *text = gl_request_text(r);
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
  return f->name_len == n && strncasecmp(gl_request_text(r) + f->name, name, n) == 0;
}

void gl_request_push_header(lua_State *L, const gl_request *r, const char *name, size_t n) {
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
    lua_pushlstring(L, gl_request_text(r) + r->fields[from].value, r->fields[from].value_len);
    return;
  }
  luaL_buffinit(L, &b);
  luaL_addlstring(&b, gl_request_text(r) + r->fields[from].value, r->fields[from].value_len);
  for (; i < r->nfields; i++) {
    if (!is_named(r, &r->fields[i], name, n)) continue;
    luaL_addlstring(&b, separator(r, i), 2);
    luaL_addlstring(&b, gl_request_text(r) + r->fields[i].value, r->fields[i].value_len);
  }
  luaL_pushresult(&b);
}
