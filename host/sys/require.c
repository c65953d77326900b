/* SPDX-License-Identifier: MIT
 *
 *     package.loaded has it: that is the result
 *     the task that loads it joins this one: EDEADLK
 *     nobody loads it -- begin_load --> LOADING ---- the module has returned ----------------> all look into package.loaded again
 *                                        |  ^  '---- it has failed: end_load ------------------> all raise its error; a later require tries again
 *                          others wait --'  |
 *                          in `waiting`     '------- its task must end, or has no memory ------> the first that waits loads it
 *
 * What the script cannot tell from stock Lua stays so: in a finalizer and outside of tasks nobody waits; and a module that is required again
 * by the task that loads it, or by one that that task waits for here in turn, is loaded again within itself, which ends as it ends under lua.
 *
 * Invariants:
 *   1. A load is in `loading` from begin_load to end_load, and lies on the stack of its task meanwhile. No two have the same name.
 *   2. An op in `waiting` pins its load. No circle of tasks waits here, also by way of joins: whoever would close it raises EDEADLK.
 *   3. end_load allocates nothing, since memory that ran out is one of the reasons for it.
 */
#include "sys/require.h"

#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

#include "core/error.h"
#include "core/op.h"
#include "core/opqueue.h"
#include "core/scope.h"
#include "core/task.h"

#define ERROR 1 /* user value of a load: why it has failed */
#define NAME 2  /* and the module's name */

typedef struct load {
  const char *name;
  gl_task *loader;
  gl_opqueue waiting;
  bool over;
  bool failed; /* those who wait raise its error */
} load;

static const char loading_key = 'k'; /* registry: name -> load under way */

#define LOAD "green.require.load"

/* ---- waiting for another task's load ---- */

typedef struct require_op {
  gl_op op;
  load *of; /* pinned by the op */
} require_op;

static int push_require(lua_State *L, gl_op *op) {
  if (!((require_op *)op)->of->failed) return 0;
  lua_rawgeti(L, LUA_REGISTRYINDEX, op->pin);
  lua_getiuservalue(L, -1, ERROR);
  return lua_error(L);
}

static void cancel_require(gl_op *op) { gl_opqueue_cancel(&((require_op *)op)->of->waiting, op); }

static void object_require(const gl_op *op, char *out, size_t size) { snprintf(out, size, "%s", ((const require_op *)op)->of->name); }

static gl_task *awaits_require(const gl_op *op) { return ((const require_op *)op)->of->loader; }

static const gl_optype require_type = {"require", push_require, cancel_require, NULL, object_require, awaits_require};

/* Would the running task wait for itself, if it waited for a load? By other modules alone, or by a join, too? */
typedef enum circle { NO_CIRCLE, OF_MODULES, OF_TASKS } circle;

static circle look_for_circle(const gl_host *h, const load *of) {
  circle found = OF_MODULES;
  const gl_task *t = of->loader;
  for (int i = 0; t != h->task; i++) {
    const gl_task *next = gl_op_awaited(t);
    if (i == GL_LONGEST_CHAIN || !next) return NO_CIRCLE;
    if (t->op->type != &require_type) found = OF_TASKS;
    t = next;
  }
  return found;
}

static int raise_circle(lua_State *L, const char *name) {
  return gl_error_raise(L, "require", "EDEADLK", "module '%s' is being loaded by a task that waits for this one", name);
}

/* wait(load). Other tasks may have run since it was found: a hook comes where a call begins. So a circle is looked for once more; from here to
 * the wait nothing comes in between. */
static int wait(lua_State *L) {
  load *of = lua_touserdata(L, 1);
  circle round = of->over ? NO_CIRCLE : look_for_circle(gl_host_of(L), of);
  if (round == OF_TASKS) return raise_circle(L, of->name);
  if (round == OF_MODULES) return 0;
  require_op *r = gl_op_new(L, &require_type, sizeof *r, 1);
  r->of = of;
  if (of->over) gl_op_done(&r->op, 0);
  else gl_opqueue_push(&of->waiting, &r->op);
  return gl_await(L, &r->op, GL_FOREVER);
}

/* ---- loading ---- */

/* Calls the searchers one after the other. Pushes the loader, and its extra value. Upvalue 1 of require is the package table, as in stock Lua. */
static void find_loader(lua_State *L, const char *name) {
  if (lua_getfield(L, lua_upvalueindex(1), "searchers") != LUA_TTABLE) luaL_error(L, "'package.searchers' must be a table");
  int searchers = lua_gettop(L);
  lua_pushliteral(L, "");
  for (lua_Integer i = 1; lua_rawgeti(L, searchers, i) != LUA_TNIL; i++) {
    lua_pushstring(L, name);
    lua_call(L, 1, 2); /* ... tried, result, extra value */
    if (lua_isfunction(L, -2)) return;
    lua_pop(L, 1);
    if (lua_isstring(L, -1)) {
      lua_pushliteral(L, "\n\t");
      lua_insert(L, -2);
      lua_concat(L, 3);
    } else {
      lua_pop(L, 1);
    }
  }
  luaL_error(L, "module '%s' not found:%s", name, lua_tostring(L, -2));
}

/* Loads the module, and returns require's two results. The name is at index 1, package.loaded at index 2. */
static int load_module(lua_State *L, const char *name) {
  find_loader(L, name);
  lua_insert(L, -2); /* extra value, loader */
  lua_pushvalue(L, 1);
  lua_pushvalue(L, -3);
  lua_call(L, 2, 1);
  if (lua_isnil(L, -1)) lua_pop(L, 1);
  else lua_setfield(L, 2, name);
  if (lua_getfield(L, 2, name) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_pushboolean(L, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, 2, name);
  }
  lua_insert(L, -2); /* module, extra value */
  return 2;
}

/* Is the error at index 2 about the task, rather than about the module? */
static bool is_of_task(lua_State *L, const gl_task *t) {
  if (gl_scope_must_end(t)) return true;
  return lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "not enough memory") == 0;
}

/* Pushes loading[name], and returns it; NULL: nobody loads it. */
static load *push_load(lua_State *L, const char *name) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &loading_key);
  lua_pushstring(L, name);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  load *l = lua_touserdata(L, -1);
  return l && !gl_task_is_foreign(l->loader) ? l : NULL; /* a fork leaves loads behind that nobody goes on with */
}

/* __close of a load: load, error or nil */
static int end_load(lua_State *L) {
  load *l = lua_touserdata(L, 1);
  lua_settop(L, 2);
  if (!lua_isnil(L, 2) && !is_of_task(L, l->loader)) {
    l->failed = true;
    lua_setiuservalue(L, 1, ERROR);
  }
  lua_settop(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &loading_key);
  lua_getiuservalue(L, 1, NAME); /* load loading name */
  lua_pushvalue(L, 3);
  if (lua_rawget(L, 2) == LUA_TUSERDATA && lua_touserdata(L, -1) == l) {
    lua_pushvalue(L, 3);
    lua_pushnil(L);
    lua_rawset(L, 2);
  }
  l->over = true;
  gl_opqueue_finish(&l->waiting, 0);
  return 0;
}

/* Notes that the running task loads the module, until the calling function returns or fails. */
static void begin_load(lua_State *L, const char *name) {
  load *l = lua_newuserdatauv(L, sizeof *l, 2); /* name loaded load */
  *l = (load){.name = name, .loader = gl_host_of(L)->task};
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, NAME);
  luaL_setmetatable(L, LOAD);
  lua_toclose(L, 3);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &loading_key);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* ---- require ---- */

static int obtain(lua_State *L, int status, lua_KContext ctx) {
  const char *name = lua_tostring(L, 1);
  const gl_host *h = gl_host_of(L);
  (void)status;
  (void)ctx;
  for (;;) {
    lua_settop(L, 2);
    lua_getfield(L, 2, name);
    if (lua_toboolean(L, -1)) return 1;
    lua_pop(L, 1);
    if (!h->task || gl_in_finalizer(L)) return load_module(L, name);
    load *l = push_load(L, name); /* name loaded load */
    circle round = l ? look_for_circle(h, l) : NO_CIRCLE;
    if (round == OF_TASKS) return raise_circle(L, name);
    if (l && round == NO_CIRCLE) {
      lua_pushcfunction(L, wait);
      lua_insert(L, 3);
      lua_callk(L, 1, 0, 0, obtain);
      continue;
    }
    lua_settop(L, 2);
    if (!l) begin_load(L, name);
    return load_module(L, name);
  }
}

static int require(lua_State *L) {
  luaL_checkstring(L, 1);
  lua_settop(L, 1);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  return obtain(L, LUA_OK, 0);
}

void gl_install_require(lua_State *L) {
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &loading_key);
  luaL_newmetatable(L, LOAD);
  lua_pushcfunction(L, end_load);
  lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
  lua_getglobal(L, "package");
  lua_pushcclosure(L, require, 1);
  lua_setglobal(L, "require");
}
