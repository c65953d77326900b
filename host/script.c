/* SPDX-License-Identifier: MIT */
#include "script.h"

#include <lauxlib.h>
#include <lualib.h>

#include "core/task.h"

static int script_main(lua_State *L) {
  gl_script *s = lua_touserdata(L, 1);
  if (luaL_loadfile(L, s->argv[s->first]) != LUA_OK) return lua_error(L);
  lua_callk(L, 0, 0, 0, NULL);
  return 0;
}

static void on_end(gl_task *t, int status, int nresults) {
  (void)nresults;
  gl_script *s = t->owner;
  s->exit = status == LUA_OK ? 0 : 1;
  if (status != LUA_OK) gl_task_log_error(t, "script");
}

void gl_script_run(gl_host *h, gl_script *s) {
  gl_task_start(h, script_main, s, on_end, false);
  gl_host_run(h);
}
