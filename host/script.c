/* SPDX-License-Identifier: MIT
 *
 * The steps load chunks, which run_steps calls one after the other. It is its own continuation (lua_pcallk): a chunk may wait
 * anywhere at its top level without leaving a C stack standing.
 *
 *     load_init --> load_option --> load_script --> load_serve --> load_repl --> done
 *     LUA_INIT      -e, -l (each    the script,     green.serve    green.repl
 *                   its own chunk)  or stdin
 */
#include "script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lualib.h>

#include "core/cancel.h"
#include "core/driver.h"
#include "core/interrupt.h"
#include "core/task.h"
#include "core/trace.h"
#include "io/module.h"

typedef struct script {
  const gl_cli *options;
  const char *library; /* argument of the -l whose module is being loaded */
  int step;            /* index of the next one of `steps` */
  int at;              /* index of the next option in argv */
  bool ran;            /* the script was run: the results on the stack are its own */
  bool served;         /* the result on the stack is an exit code, of green.serve, a prompt or a subcommand */
  int exit;            /* the exit code */
} script;

#define NOTHING (-1) /* status of a step that has no (more) chunks */

/* ---- messages ---- */

static bool is_green_error(lua_State *L, int idx) {
  if (!lua_getmetatable(L, idx)) return false;
  luaL_getmetatable(L, "green.error");
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}

/* As under lua, an error object that can describe itself is shown without a traceback; one of green.* is shown with a traceback. */
static int message_handler(lua_State *L) {
  const char *message = lua_tostring(L, 1);
  if (!message) {
    if (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING) {
      if (!is_green_error(L, 1)) return 1;
      message = lua_tostring(L, -1);
    } else {
      message = lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
    }
  }
  gl_trace_push(L, L, message, 1, 1);
  return 1;
}

static void report(lua_State *L, const gl_cli *o) {
  const char *message = lua_tostring(L, -1);
  gl_io_flush_sync(L);
  fflush(stdout);
  fprintf(stderr, "%s: %s\n", o->program, message ? message : "(error object is not a string)");
  fflush(stderr);
}

/* ---- the steps: each pushes one chunk and its arguments, and returns the status of the load, or NOTHING ---- */

static int load_init(lua_State *L, script *s) {
  s->step++;
  if (s->options->noenv) return NOTHING;
  const char *name = "=LUA_INIT_" LUA_VERSION_MAJOR "_" LUA_VERSION_MINOR;
  const char *init = getenv(name + 1);
  if (!init) init = getenv((name = "=LUA_INIT") + 1);
  if (!init) return NOTHING;
  if (*init == '@') return luaL_loadfile(L, init + 1);
  return luaL_loadbuffer(L, init, strlen(init), name);
}

static int load_option(lua_State *L, script *s) {
  const char *value = NULL;
  switch (gl_cli_next(s->options->argv, &s->at, &value)) {
    case 'e': return luaL_loadbuffer(L, value, strlen(value), "=(command line)");
    case 'l': {
      const char *equals = strchr(value, '=');
      s->library = value;
      lua_getglobal(L, "require");
      lua_pushstring(L, equals ? equals + 1 : value);
      return LUA_OK;
    }
    case 'W': lua_warning(L, "@on", 0); return NOTHING;
    case GL_OPT_END: s->step++; return NOTHING;
    default: return NOTHING;
  }
}

/* Pushes the arguments of the script from the global `arg`, which -e may have changed. */
static int push_args(lua_State *L) {
  if (lua_getglobal(L, "arg") != LUA_TTABLE) {
    lua_pushliteral(L, "'arg' is not a table");
    return LUA_ERRRUN;
  }
  int table = lua_gettop(L), n = (int)lua_rawlen(L, table);
  if (!lua_checkstack(L, n + 3)) {
    lua_pushliteral(L, "too many arguments to script");
    return LUA_ERRRUN;
  }
  for (int i = 1; i <= n; i++) lua_rawgeti(L, table, i);
  lua_remove(L, table);
  return LUA_OK;
}

static int load_embedded(lua_State *L, const char *chunk) { return luaL_loadbuffer(L, chunk, strlen(chunk), "=greenlua"); }

/* Pushes the chunk of --dev, which runs the script, and runs it again when it changes. */
static int load_dev(lua_State *L, const char *name) {
  int status = load_embedded(L, "return require 'green.dev'.load(...)");
  if (status != LUA_OK) return status;
  lua_pushstring(L, name);
  return push_args(L);
}

static int load_script(lua_State *L, script *s) {
  const gl_cli *o = s->options;
  s->step++;
  if (o->command) {
    s->served = true; /* its result is the exit code */
    int status = load_embedded(L, o->command->chunk);
    return status == LUA_OK ? push_args(L) : status;
  }
  bool given = o->script < o->argc;
  if (!given && (o->interactive || o->chunks || o->version || isatty(STDIN_FILENO))) return NOTHING;
  const char *name = given ? o->argv[o->script] : NULL;
  if (given && strcmp(name, "-") == 0 && strcmp(o->argv[o->script - 1], "--") != 0) name = NULL;
  s->ran = true;
  if (o->dev && name) return load_dev(L, name);
  int status = luaL_loadfile(L, name);
  return status == LUA_OK && given ? push_args(L) : status;
}

/* Is the value at idx an app, or a function to be served? With -e, where the interpreter is used as lua is, a function may as well
 * be what a library's file returns: it is served only when an option asks for that. */
static bool can_serve(lua_State *L, const gl_cli *o, int idx) {
  if (o->run) return false;
  if (lua_isfunction(L, idx)) return !o->chunks || o->listens || o->dev || o->console;
  if (!lua_istable(L, idx) || luaL_getmetafield(L, idx, "__name") == LUA_TNIL) return false;
  bool app = lua_isstring(L, -1) && strcmp(lua_tostring(L, -1), "green.app") == 0;
  lua_pop(L, 1);
  return app;
}

/* { listen = {...}, cert = path or nil, key = path or nil, grace = seconds, name = "app.lua", dev = true or false, console = path or nil, handler = of messages } */
static void push_serve_options(lua_State *L, const gl_cli *o) {
  const char *value = NULL;
  int code, at = 1, n = 0;
  lua_createtable(L, 0, 4);
  lua_createtable(L, o->listens, 0);
  while ((code = gl_cli_next(o->argv, &at, &value)) != GL_OPT_END) {
    if (code != GL_OPT_LISTEN) continue;
    lua_pushstring(L, value);
    lua_rawseti(L, -2, ++n);
  }
  lua_setfield(L, -2, "listen");
  lua_pushstring(L, o->cert);
  lua_setfield(L, -2, "cert");
  lua_pushstring(L, o->key);
  lua_setfield(L, -2, "key");
  lua_pushnumber(L, o->grace);
  lua_setfield(L, -2, "grace");
  lua_pushstring(L, o->script < o->argc ? o->argv[o->script] : "-");
  lua_setfield(L, -2, "name");
  lua_pushboolean(L, o->dev && o->script < o->argc);
  lua_setfield(L, -2, "dev");
  lua_pushstring(L, o->console);
  lua_setfield(L, -2, "console");
  lua_pushcfunction(L, message_handler);
  lua_setfield(L, -2, "handler");
}

/* Warns when a script has defined routes and does not return its app. */
static void warn_unserved(lua_State *L, const gl_cli *o) {
  if (o->interactive || o->run || o->chunks || o->script >= o->argc) return;
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "green.unserved") == LUA_TTABLE && lua_getfield(L, -1, "apps") == LUA_TNUMBER && lua_tointeger(L, -1) > 0)
    fprintf(stderr, "%s: %s has defined routes, and nothing serves them: a script that is an app ends in 'return app'\n", o->program,
            o->argv[o->script]);
}

static int load_serve(lua_State *L, script *s) {
  const gl_cli *o = s->options;
  s->step++;
  if (s->ran && lua_gettop(L) >= 2 && can_serve(L, o, 2) && !o->interactive) {
    lua_settop(L, 2);
    load_embedded(L, "return require 'green.serve'.run(...)");
    lua_insert(L, 2);
    push_serve_options(L, o);
    s->served = true;
    return LUA_OK;
  }
  if ((o->listens == 0 && !o->dev && !o->console) || o->interactive) {
    if (s->ran) warn_unserved(L, o);
    return NOTHING;
  }
  const char *asked = o->dev ? "--dev" : o->listens ? "--listen" : "--console";
  lua_pushfstring(L, "%s: nothing to serve: the script must return an app (green.app) or a function", asked);
  return LUA_ERRRUN;
}

/* interruptible(yes): makes Ctrl-C an error in the typed line that runs; at the prompt it ends the process. */
static int interruptible(lua_State *L) {
  gl_host *h = gl_host_of(L);
  if (lua_toboolean(L, 1)) gl_interrupt_arm(h, h->task);
  else gl_interrupt_disarm(h);
  return 0;
}

static int load_repl(lua_State *L, script *s) {
  const gl_cli *o = s->options;
  s->step++;
  bool given = o->script < o->argc;
  if (s->exit != EXIT_SUCCESS) return NOTHING; /* a command before its prompt */
  if (!o->interactive && (given || s->ran || o->chunks || o->version)) return NOTHING;
  if (!o->version) gl_cli_version();
  bool piped = !isatty(STDIN_FILENO), serves = s->ran && lua_gettop(L) >= 2 && can_serve(L, o, 2);
  lua_settop(L, serves ? 2 : 1);
  push_serve_options(L, o); /* handler [app] options */
  if (serves) {
    lua_insert(L, 2);
    lua_setfield(L, 2, "app");
  }
  lua_pushcfunction(L, interruptible);
  lua_setfield(L, 2, "interruptible");
  lua_pushboolean(L, piped);
  lua_setfield(L, 2, "piped");
  lua_pushboolean(L, o->noenv);
  lua_setfield(L, 2, "noenv");
  s->served = serves || !piped; /* the end of a prompt cancels the tasks that it has started */
  int status = load_embedded(L, "return require 'green.repl'(...)");
  lua_insert(L, 2);
  return status;
}

static int (*const steps[])(lua_State *L, script *s) = {load_init, load_option, load_script, load_serve, load_repl, NULL};

/* ---- the task ---- */

/* Uses the results of the chunk that has just ended. */
static void settle_results(lua_State *L, script *s) {
  if (s->library) {
    size_t len = strcspn(s->library, "=");
    lua_settop(L, 2);
    lua_pushglobaltable(L);
    lua_pushlstring(L, s->library, len);
    lua_rotate(L, 2, -1); /* handler, globals, name, module */
    lua_settable(L, 2);
    s->library = NULL;
  }
  if (s->served) s->exit = (int)lua_tointeger(L, 2);
  if (steps[s->step] != load_serve) lua_settop(L, 1);
}

static int fail_script(lua_State *L, script *s) {
  report(L, s->options);
  s->exit = EXIT_FAILURE;
  return 0;
}

static int run_steps(lua_State *L, int status, lua_KContext ctx) {
  script *s = (script *)ctx;
  for (;;) {
    if (status != LUA_OK && status != LUA_YIELD) return fail_script(L, s);
    settle_results(L, s);
    do {
      if (!steps[s->step]) return 0;
      status = steps[s->step](L, s);
    } while (status == NOTHING);
    if (status != LUA_OK) return fail_script(L, s);
    gl_interrupt_arm(gl_host_of(L), gl_host_of(L)->task);
    status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, ctx, run_steps);
  }
}

static void create_arg(lua_State *L, const gl_cli *o) {
  int zero = o->script < o->argc ? o->script : 0;
  lua_createtable(L, o->argc, zero + 1);
  for (int i = 0; i < o->argc; i++) {
    lua_pushstring(L, o->argv[i]);
    lua_rawseti(L, -2, i - zero);
  }
  lua_setglobal(L, "arg");
}

static int script_main(lua_State *L) {
  script *s = lua_touserdata(L, 1);
  lua_settop(L, 0);
  create_arg(L, s->options);
  lua_pushcfunction(L, message_handler);
  return run_steps(L, LUA_OK, (lua_KContext)s);
}

static void on_end(gl_task *t, int status, int nresults) {
  (void)nresults;
  script *s = t->owner;
  gl_interrupt_disarm(t->host);
  if (status != LUA_OK) {
    gl_task_log_error(t, "script");
    s->exit = EXIT_FAILURE;
  }
  t->host->exit = s->exit;
  if (s->exit == EXIT_SUCCESS && !s->served) return;
  t->host->ending = true; /* servers that the script has opened do not keep the host running */
  gl_task_cancel_all(t->host);
}

int gl_script_run(gl_host *h, const gl_cli *options) {
  script s = {.options = options, .at = 1};
  if (!gl_task_start(h, script_main, &s, on_end, false)) {
    fprintf(stderr, "%s: not enough memory\n", options->program);
    return EXIT_FAILURE;
  }
  gl_host_run(h);
  return h->deadlocks ? EXIT_FAILURE : s.exit;
}
