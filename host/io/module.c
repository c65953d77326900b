/* SPDX-License-Identifier: MIT
 *
 * Puts our functions where the stock library has its own, in the same tables, so that whoever holds those finds them.
 */
#include "io/module.h"

#include <unistd.h>

#include "core/class.h"
#include "io/stdio.h"

static const char files_key; /* registry: the host's gl_files */

static int files_gc(lua_State *L) {
  gl_files **at = lua_touserdata(L, 1);
  if (*at) gl_files_free(*at);
  *at = NULL;
  return 0;
}

/* Made before all files, and so collected after them. */
static gl_files *new_files(lua_State *L) {
  gl_files **at = lua_newuserdatauv(L, sizeof *at, 0);
  *at = NULL;
  gl_class_finalizer(L, files_gc);
  *at = gl_files_new(gl_host_of(L));
  if (!*at) luaL_error(L, "not enough memory");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &files_key);
  return *at;
}

gl_files *gl_io_files(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &files_key);
  gl_files **at = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return at ? *at : NULL;
}

void gl_io_flush_sync(lua_State *L) {
  gl_files *fs = gl_io_files(L);
  if (fs) gl_files_flush_sync(fs);
}

void gl_io_before_start(lua_State *L, bool all, bool reads) {
  gl_files *fs = gl_io_files(L);
  if (!fs) return;
  gl_files_flush(fs, all);
  if (reads) gl_files_give_back(fs);
}

void gl_io_push_read_all(lua_State *L) {
  lua_pushlightuserdata(L, gl_io_files(L));
  lua_pushcclosure(L, gl_io_read_all, 1);
}

/* Puts each of `functions` in the place of the one with its name in the table at idx. */
static void replace(lua_State *L, int idx, const luaL_Reg *functions) {
  for (; functions->name; functions++) {
    lua_pushlightuserdata(L, gl_io_files(L));
    lua_getfield(L, idx, functions->name);
    lua_pushcclosure(L, functions->func, 2);
    lua_setfield(L, idx, functions->name);
  }
}

void gl_io_replace(lua_State *L, const luaL_Reg *functions, const luaL_Reg *methods, const luaL_Reg *meta) {
  int top = lua_gettop(L); /* ... metatable methods io */
  replace(L, top, functions);
  if (methods) replace(L, top - 1, methods);
  if (meta) replace(L, top - 2, meta);
}

static int keep_open(lua_State *L) {
  gl_stdio *s = lua_touserdata(L, 1);
  s->s.closef = keep_open;
  luaL_pushfail(L);
  lua_pushliteral(L, "cannot close standard file");
  return 2;
}

/* In the library's table on top, and as a default in the registry. */
static void add_standard(lua_State *L, gl_file *f, const char *name, const char *where) {
  gl_stdio_open(gl_stdio_new(L), f, keep_open);
  if (where) {
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, where);
  }
  lua_setfield(L, -2, name);
}

void gl_install_io(lua_State *L) {
  gl_files *fs = new_files(L);
  luaL_getmetatable(L, LUA_FILEHANDLE);
  lua_getfield(L, -1, "__index");
  lua_getglobal(L, "io"); /* metatable methods io */
  gl_stdio_install_close(L);
  gl_stdio_install_open(L);
  gl_stdio_install_read(L);
  gl_stdio_install_write(L);
  add_standard(L, fs->standard[STDIN_FILENO], "stdin", GL_INPUT);
  add_standard(L, fs->standard[STDOUT_FILENO], "stdout", GL_OUTPUT);
  add_standard(L, fs->standard[STDERR_FILENO], "stderr", NULL);
  lua_pop(L, 3);
}
