/* SPDX-License-Identifier: MIT
 *
 * green.fs.native, put together. Each call is one job on the pool, however many system calls it takes; the parts
 * are told apart by what they are about.
 */
#include "fs/module.h"

#include "fs/file.h"

int luaopen_green_fs(lua_State *L) {
  gl_fs_open_handles(L);
  lua_newtable(L);
  gl_fs_add_content(L);
  gl_fs_add_names(L);
  gl_fs_add_open(L);
  gl_fs_add_tree(L);
  gl_fs_add_watch(L);
  return 1;
}
