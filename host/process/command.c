/* SPDX-License-Identifier: MIT */
#include "process/command.h"

#include <unistd.h>

#include "core/args.h"
#include "core/error.h"

/* Returns the strings of the list in field `name` as a C array, which stays on the stack and keeps them: the list is the script's,
 * who may change it before the command starts. NULL = there is no such field. */
static char **strings(lua_State *L, int idx, const char *name) {
  if (lua_getfield(L, idx, name) == LUA_TNIL) return NULL; /* nil */
  luaL_checktype(L, -1, LUA_TTABLE);
  size_t n = lua_rawlen(L, -1);
  char **list = lua_newuserdatauv(L, (n + 1) * sizeof *list, 1); /* list array */
  lua_createtable(L, (int)n, 0);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, -3, 1); /* list array kept */
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, -3, (lua_Integer)i + 1);
    luaL_checktype(L, -1, LUA_TSTRING); /* a number would be converted, and its text collected */
    list[i] = (char *)(uintptr_t)lua_tostring(L, -1);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_pop(L, 1);
  list[n] = NULL;
  return list;
}

static gl_child_stdio stdio_of(lua_State *L, int idx, const char *name) {
  static const char *const words[] = {"null", "inherit", "pipe", "stdout", NULL};
  return (gl_child_stdio)gl_args_word(L, idx, name, words);
}

void gl_command_check(lua_State *L, int idx, gl_command *cmd) {
  luaL_checktype(L, idx, LUA_TTABLE);
  luaL_checkstack(L, 10, NULL);
  *cmd = (gl_command){0};
  cmd->argv = strings(L, idx, "argv");
  luaL_argcheck(L, cmd->argv && cmd->argv[0], idx, "no command");
  cmd->env = strings(L, idx, "env");
  cmd->cwd = gl_args_string(L, idx, "cwd");
  cmd->group = gl_args_bool(L, idx, "group", false);
  cmd->stdio[0] = stdio_of(L, idx, "stdin");
  cmd->stdio[1] = stdio_of(L, idx, "stdout");
  cmd->stdio[2] = stdio_of(L, idx, "stderr");
}

int gl_command_fail(lua_State *L, int idx, const char *op, int status) {
  idx = lua_absindex(L, idx);
  if (lua_getfield(L, idx, "argv") == LUA_TTABLE) lua_rawgeti(L, -1, 1);
  else lua_pushnil(L);
  lua_getfield(L, idx, "cwd");
  const char *cwd = lua_tostring(L, -1);
  return gl_error_status(L, op, status, cwd && access(cwd, X_OK) != 0 ? cwd : lua_tostring(L, -2));
}
