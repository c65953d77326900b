/* SPDX-License-Identifier: MIT
 *
 * The one table: Lua module name -> luaopen function; and the searcher that finds the Lua modules
 * embedded in the binary. GREENLUA_LUALIB=dir takes these modules from a directory instead, while developing.
 */
#include "modules.h"

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua-cjson.h>
#include <lualib.h>

#include "client/module.h"
#include "coding/decoder_lua.h"
#include "core/coro.h"
#include "core/error.h"
#include "core/hook.h"
#include "core/inspect.h"
#include "core/pcall.h"
#include "core/trace.h"
#include "db/blob.h"
#include "db/postgres/module.h"
#include "db/redis/module.h"
#include "db/sqlite/module.h"
#include "embedded.h"
#include "fs/module.h"
#include "io/chunk.h"
#include "io/module.h"
#include "io/osfile.h"
#include "json/json.h"
#include "net/domain.h"
#include "net/module.h"
#include "process/execute.h"
#include "process/exit.h"
#include "process/module.h"
#include "reference.h"
#include "stdlib/module.h"
#include "sys/alarm.h"
#include "sys/channel.h"
#include "sys/collect.h"
#include "sys/require.h"
#include "sys/scope_lua.h"
#include "sys/semaphore.h"
#include "sys/signal.h"
#include "sys/task_lua.h"
#include "sys/terminal.h"
#include "sys/timer.h"
#include "sys/warn.h"
#include "web/fields_lua.h"
#include "web/hub_lua.h"
#include "web/server_lua.h"
#include "web/websocket_lua.h"

/* A module in C whose name ends in .native is the C half of Lua modules, which scripts require instead; the others are for
 * scripts as they are. */
static const luaL_Reg c_modules[] = {
  {"green.alarm.native", luaopen_green_alarm},
  {"green.channel.native", luaopen_green_channel},
  {"green.coding.native", luaopen_green_coding},
  {"green.db.native", luaopen_green_db},
  {"green.db.postgres.native", luaopen_green_db_postgres},
  {"green.db.sqlite", luaopen_green_db_sqlite},
  {"green.debug", luaopen_green_debug},
  {"green.domain.native", luaopen_green_domain},
  {"green.fs.native", luaopen_green_fs},
  {"green.http.fields.native", luaopen_green_http_fields},
  {"green.http.native", luaopen_green_http},
  {"green.http.transport.native", luaopen_green_http_transport},
  {"green.hub.native", luaopen_green_hub},
  {"green.json", luaopen_green_json},
  {"green.net", luaopen_green_net},
  {"green.process.native", luaopen_green_process},
  {"green.redis.native", luaopen_green_redis},
  {"green.reference.native", luaopen_green_reference},
  {"green.repl.native", luaopen_green_repl},
  {"green.signal", luaopen_green_signal},
  {"green.scope.native", luaopen_green_scope},
  {"green.semaphore", luaopen_green_semaphore},
  {"green.task.native", luaopen_green_task},
  {"green.timer.native", luaopen_green_timer},
  {"green.ws.native", luaopen_green_ws},
  {NULL, NULL},
};

static int search_embedded(lua_State *L) {
  gl_trace_forget_names(L);
  const char *name = luaL_checkstring(L, 1);
  for (const gl_lualib *lib = gl_lualibs; lib->name; lib++) {
    if (strcmp(lib->name, name) != 0) continue;
    if (luaL_loadbufferx(L, lib->start, (size_t)(lib->end - lib->start), lib->chunk, "b") != LUA_OK) return lua_error(L);
    lua_pushstring(L, lib->chunk + 1);
    return 2;
  }
  if (strncmp(name, "green.", 6) != 0) return 0; /* another name fails as it does under lua */
  lua_pushfstring(L, "no module '%s' in greenlua", name);
  return 1;
}

/* Finds the lua-cjson inside the binary, for scripts on machines without one: it comes after all that package.path and package.cpath
 * find. */
static int search_cjson(lua_State *L) {
  if (strcmp(luaL_checkstring(L, 1), "cjson") != 0) return 0;
  lua_pushcfunction(L, luaopen_cjson);
  lua_pushliteral(L, "greenlua:cjson");
  return 2;
}

static void add_cjson(lua_State *L) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "searchers");
  lua_pushcfunction(L, search_cjson);
  lua_rawseti(L, -2, luaL_len(L, -2) + 1);
  lua_pop(L, 2);
}

/* Puts the searcher after package.preload and before the file system, so that no file shadows green.* by accident. */
static void add_searcher(lua_State *L) {
  lua_getglobal(L, "package");
  const char *dir = getenv("GREENLUA_LUALIB");
  if (dir) {
    lua_getfield(L, -1, "path");
    lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", dir, dir, lua_tostring(L, -1));
    lua_setfield(L, -3, "path");
    lua_pop(L, 2);
    return;
  }
  lua_getfield(L, -1, "searchers");
  for (lua_Integer i = luaL_len(L, -1); i >= 2; i--) {
    lua_rawgeti(L, -1, i);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushcfunction(L, search_embedded);
  lua_rawseti(L, -2, 2);
  lua_pop(L, 2);
}

void gl_modules_init(lua_State *L, bool noenv) {
  if (noenv) { /* package looks here when it makes its paths */
    lua_pushboolean(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
  }
  luaL_openlibs(L);
  gl_error_init(L);
  gl_install_coroutine(L);
  gl_install_collectgarbage(L);
  gl_hook_init(L);
  gl_install_pcall(L);
  gl_install_execute(L);
  gl_install_exit(L);
  gl_install_io(L);
  gl_install_popen(L);
  gl_install_chunk(L);
  gl_install_require(L);
  gl_install_osfile(L);
  gl_install_stdlib(L);
  gl_install_warn(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  luaL_setfuncs(L, c_modules, 0);
  lua_pop(L, 1);
  add_searcher(L);
  add_cjson(L);
}
