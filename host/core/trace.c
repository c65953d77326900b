/* SPDX-License-Identifier: MIT */
#include "core/trace.h"

#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

#include "core/task.h"

#define LIMIT 16384 /* bytes remembered */
#define FIRST 10    /* frames shown of a deep stack at its top, */
#define LAST 11     /* and at its bottom, as luaL_traceback does */
#define HEADER "stack traceback:"
#define JOINED "\n\t(...joined by...)"

static const char error_key; /* registry: weak { the error } */

/* ---- which error is remembered ---- */

static void push_slot(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &error_key) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_createtable(L, 1, 0);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &error_key);
}

/* Makes the error on top, which is raised on L next, the remembered one. */
static void remember_error(lua_State *L) {
  gl_host_of(L)->traced = L;
  push_slot(L);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, 1);
  lua_pop(L, 1);
}

/* Does the string at idx end with the one at `end`? An error that is a string may have got a position in front. */
static bool ends_with(lua_State *L, int idx, int end) {
  size_t n, m;
  if (lua_type(L, idx) != LUA_TSTRING || lua_type(L, end) != LUA_TSTRING) return false;
  const char *text = lua_tolstring(L, idx, &n), *tail = lua_tolstring(L, end, &m);
  return n >= m && memcmp(text + n - m, tail, m) == 0;
}

/* Is the error at `idx`, with which `co` fails, the remembered one? An error with the same text on another coroutine is not. */
static bool is_remembered(lua_State *L, lua_State *co, int idx) {
  if (gl_host_of(L)->traced != co) return false;
  idx = lua_absindex(L, idx);
  push_slot(L);
  lua_rawgeti(L, -1, 1);
  bool same = !lua_isnil(L, -1) && (lua_rawequal(L, idx, -1) || ends_with(L, idx, -1));
  lua_pop(L, 2);
  return same;
}

/* Returns the text that grows with the error on top, with which `co` has failed and which is raised on L next. An error that is
 * not the remembered one starts a new text. */
static gl_buf *begin_trace(lua_State *L, lua_State *co) {
  gl_buf *trace = &gl_host_of(L)->trace;
  luaL_checkstack(L, 6, NULL);
  if (!is_remembered(L, co, -1)) gl_buf_eat(trace, trace->len);
  remember_error(L);
  return trace;
}

static void append_trace(gl_buf *trace, const char *text, size_t n) {
  if (trace->len + n <= LIMIT) gl_buf_add(trace, text, n); /* out of memory: nothing is appended */
}

/* ---- what functions are called ---- */

static const char names_key; /* registry: weak function -> key in package.loaded of the first module that has it */

static void add_functions(lua_State *L, int names, int module, int key) {
  for (lua_pushnil(L); lua_next(L, module); lua_pop(L, 1)) {
    if (lua_type(L, -1) != LUA_TFUNCTION || lua_type(L, -2) != LUA_TSTRING) continue;
    lua_pushvalue(L, -1);
    if (lua_rawget(L, names) == LUA_TNIL) {
      lua_pushvalue(L, -2);
      lua_pushvalue(L, key);
      lua_rawset(L, names);
    }
    lua_pop(L, 1);
  }
}

static void push_new_names(lua_State *L) {
  int names = lua_gettop(L) + 1, loaded = names + 1, key = names + 2, module = names + 3;
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, names);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  for (lua_pushnil(L); lua_type(L, loaded) == LUA_TTABLE && lua_next(L, loaded); lua_pop(L, 1)) {
    if (lua_type(L, key) == LUA_TSTRING && lua_type(L, module) == LUA_TTABLE) add_functions(L, names, module, key);
  }
  lua_settop(L, names);
}

static void push_names(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key) == LUA_TTABLE) return;
  lua_pop(L, 1);
  push_new_names(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &names_key);
}

void gl_trace_forget_names(lua_State *L) {
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &names_key);
}

/* Is the value on top in the table below it? Replaces both by its key, or pops both. */
static bool find_key(lua_State *L) {
  int value = lua_gettop(L), module = value - 1;
  if (lua_type(L, module) == LUA_TTABLE) {
    for (lua_pushnil(L); lua_next(L, module); lua_pop(L, 1)) {
      if (lua_type(L, -2) != LUA_TSTRING || !lua_rawequal(L, -1, value)) continue;
      lua_pop(L, 1);
      lua_replace(L, module);
      lua_settop(L, module);
      return true;
    }
  }
  lua_settop(L, module - 1);
  return false;
}

/* Writes the global name of the function on top (popped): "function 'string.rep'". luaL_traceback does the same, but goes through
 * all modules for each frame. */
static bool name_global(lua_State *L, char *out, size_t size) {
  int function = lua_gettop(L);
  bool found = false;
  push_names(L);
  lua_pushvalue(L, function);
  if (lua_rawget(L, -2) == LUA_TSTRING) {
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushvalue(L, -2);
    lua_rawget(L, -2); /* function names module-name loaded module */
    lua_pushvalue(L, function);
    found = find_key(L);
    if (found) {
      const char *module = lua_tostring(L, function + 2), *key = lua_tostring(L, -1);
      if (strcmp(module, LUA_GNAME) == 0) snprintf(out, size, "function '%.100s'", key);
      else snprintf(out, size, "function '%.60s.%.60s'", module, key);
    }
  }
  lua_settop(L, function - 1);
  return found;
}

/* ---- frames ---- */

/* Text of a few frames, in the order they are added; a frame that does not fit is left out. */
typedef struct frames {
  size_t len;
  char text[8192];
} frames;

static void add_text(frames *f, const char *text) {
  size_t n = strlen(text);
  if (f->len + n > sizeof f->text) return;
  memcpy(f->text + f->len, text, n);
  f->len += n;
}

static void name_function(lua_State *L, lua_Debug *ar, char *out, size_t size) {
  lua_getinfo(L, "f", ar); /* pushes on L, whichever coroutine the frame is of */
  if (name_global(L, out, size)) return;
  if (*ar->namewhat) snprintf(out, size, "%s '%.100s'", *ar->namewhat == 'g' ? "function" : ar->namewhat, ar->name);
  else if (*ar->what == 'm') snprintf(out, size, "main chunk");
  else if (*ar->what != 'C') snprintf(out, size, "function <%s:%d>", ar->short_src, ar->linedefined);
  else snprintf(out, size, "?");
}

static void add_frame(frames *f, lua_State *L, lua_State *co, lua_Debug *ar) {
  char line[LUA_IDSIZE * 2 + 256], name[LUA_IDSIZE + 160];
  lua_getinfo(co, "Slnt", ar);
  name_function(L, ar, name, sizeof name);
  if (ar->currentline > 0) snprintf(line, sizeof line, "\n\t%s:%d: in %s", ar->short_src, ar->currentline, name);
  else snprintf(line, sizeof line, "\n\t%s: in %s", ar->short_src, name);
  add_text(f, line);
  if (ar->istailcall) add_text(f, "\n\t(...tail calls...)");
}

/* How many frames stand on `co`, by doubling and halving: lua_getstack walks all of them. Allocates nothing. */
static int trace_depth(lua_State *co) {
  lua_Debug ar;
  int low = 0, high = 1;
  while (lua_getstack(co, high, &ar)) {
    low = high;
    high *= 2;
  }
  while (low < high) {
    int middle = (low + high) / 2;
    if (lua_getstack(co, middle, &ar)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/* Adds the frames of `co` from `level` on; of many, the first and the last. L may be `co`. May raise (memory). */
static void add_frames(frames *f, lua_State *L, lua_State *co, int level) {
  lua_Debug ar;
  luaL_checkstack(L, 12, NULL);
  int n = trace_depth(co), skipped = n - level - FIRST - LAST - 1; /* luaL_traceback counts one less, too */
  for (int i = level; i < n && lua_getstack(co, i, &ar); i++) {
    if (skipped > 0 && i == level + FIRST) {
      char text[64];
      snprintf(text, sizeof text, "\n\t...\t(skipping %d levels)", skipped);
      add_text(f, text);
      i += skipped;
    } else {
      add_frame(f, L, co, &ar);
    }
  }
}

/* ---- the page of --dev ---- */

/* Calls registry["green.failure"](co, error, note), which --dev sets, while the variables of the frames can still be read. */
static void show_failure(lua_State *L, lua_State *co, const char *note) { /* error -> error */
  luaL_checkstack(L, 6, NULL);
  if (lua_getfield(L, LUA_REGISTRYINDEX, "green.failure") != LUA_TFUNCTION || !lua_checkstack(co, 1)) {
    lua_pop(L, 1);
    return;
  }
  lua_pushthread(co);
  lua_xmove(co, L, 1);
  lua_pushvalue(L, -3);
  lua_pushstring(L, note);
  if (lua_pcall(L, 3, 0, 0) != LUA_OK) lua_pop(L, 1); /* the page shows less then */
}

/* ---- remembering, and the traceback ---- */

void gl_trace_coroutine(lua_State *L, lua_State *co) {
  luaL_checkstack(L, 6, NULL);
  if (!lua_checkstack(co, 1)) return;
  lua_pushvalue(co, -1);
  lua_xmove(co, L, 1);
  show_failure(L, co, "coroutine resumed by");
  frames f;
  f.len = 0;
  add_frames(&f, L, co, 0);
  add_text(&f, "\n\t(...coroutine resumed by...)");
  append_trace(begin_trace(L, co), f.text, f.len);
  lua_pop(L, 1);
}

void gl_trace_failed(lua_State *L, const gl_task *t) {
  char note[LUA_IDSIZE + 64];
  if (t->spawn_site) snprintf(note, sizeof note, "task %d %s%s, joined by", (int)t->id, gl_task_spawn_words(t), t->spawn_site);
  else snprintf(note, sizeof note, "task %d", (int)t->id);
  show_failure(L, t->co, note);
}

void gl_trace_task(lua_State *L, const char *text) {
  size_t header = strlen(HEADER);
  if (!text || strncmp(text, HEADER, header) != 0) return;
  gl_buf *trace = &gl_host_of(L)->trace;
  gl_buf_eat(trace, trace->len); /* the traceback of the task begins with it */
  remember_error(L);
  append_trace(trace, text + header, strlen(text + header));
  append_trace(trace, JOINED, strlen(JOINED));
}

void gl_trace_renamed(lua_State *L) {
  if (is_remembered(L, L, -1)) remember_error(L);
}

void gl_trace_push(lua_State *L, lua_State *co, const char *message, int level, int error) {
  error = lua_absindex(L, error);
  luaL_checkstack(L, 8, NULL);
  frames f;
  f.len = 0;
  add_frames(&f, L, co, level);
  if (message) lua_pushfstring(L, "%s\n" HEADER, message);
  else lua_pushliteral(L, HEADER);
  const gl_buf *trace = &gl_host_of(L)->trace;
  if (trace->len && is_remembered(L, co, error)) lua_pushlstring(L, gl_buf_at(trace), trace->len);
  else lua_pushliteral(L, "");
  lua_pushlstring(L, f.text, f.len);
  lua_concat(L, 3);
}
