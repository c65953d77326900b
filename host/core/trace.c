/* SPDX-License-Identifier: MIT */
#include "core/trace.h"

#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

#include "core/task.h"

#define LIMIT 16384 /* bytes remembered */
#define FIRST 10    /* frames shown at the top of a deep stack, and at its bottom, as luaL_traceback does */
#define LAST 11
#define HEADER "stack traceback:"

static const char error_key; /* registry: weak { the error } */

/* ---- which error ---- */

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

/* The error on top is the remembered one from now on. */
static void remember(lua_State *L) {
  push_slot(L);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, 1);
  lua_pop(L, 1);
}

/* A string may have got a position in front of it. */
static bool ends_with(lua_State *L, int idx, int end) {
  size_t n, m;
  if (lua_type(L, idx) != LUA_TSTRING || lua_type(L, end) != LUA_TSTRING) return false;
  const char *text = lua_tolstring(L, idx, &n), *tail = lua_tolstring(L, end, &m);
  return n >= m && memcmp(text + n - m, tail, m) == 0;
}

static bool is_remembered(lua_State *L, int idx) {
  idx = lua_absindex(L, idx);
  push_slot(L);
  lua_rawgeti(L, -1, 1);
  bool same = !lua_isnil(L, -1) && (lua_rawequal(L, idx, -1) || ends_with(L, idx, -1));
  lua_pop(L, 2);
  return same;
}

/* The error on top has come this far: a new one starts a new text. */
static gl_buf *begin(lua_State *L) {
  gl_buf *trace = &gl_host_of(L)->trace;
  luaL_checkstack(L, 6, NULL);
  if (!is_remembered(L, -1)) gl_buf_eat(trace, trace->len);
  remember(L);
  return trace;
}

/* ---- frames ---- */

static void add(gl_buf *trace, const char *text) {
  size_t n = strlen(text);
  if (trace->len + n <= LIMIT) gl_buf_add(trace, text, n); /* out of memory: one line less */
}

static void add_frame(gl_buf *trace, lua_State *co, lua_Debug *ar) {
  char line[LUA_IDSIZE * 2 + 128], *at = line, *end = line + sizeof line;
  lua_getinfo(co, "Slnt", ar);
  at += snprintf(at, (size_t)(end - at), "\n\t%s:", ar->short_src);
  if (ar->currentline > 0) at += snprintf(at, (size_t)(end - at), "%d:", ar->currentline);
  if (*ar->namewhat) snprintf(at, (size_t)(end - at), " in %s '%.100s'", *ar->namewhat == 'g' ? "function" : ar->namewhat, ar->name);
  else if (*ar->what == 'm') snprintf(at, (size_t)(end - at), " in main chunk");
  else if (*ar->what != 'C') snprintf(at, (size_t)(end - at), " in function <%s:%d>", ar->short_src, ar->linedefined);
  else snprintf(at, (size_t)(end - at), " in ?");
  add(trace, line);
  if (ar->istailcall) add(trace, "\n\t(...tail calls...)");
}

int gl_trace_depth(lua_State *co) {
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

static void add_frames(gl_buf *trace, lua_State *co) {
  lua_Debug ar;
  int n = gl_trace_depth(co);
  for (int level = 0; level < n && lua_getstack(co, level, &ar); level++) {
    if (n > FIRST + LAST && level == FIRST) {
      char skipped[64];
      snprintf(skipped, sizeof skipped, "\n\t...\t(skipping %d levels)", n - FIRST - LAST);
      add(trace, skipped);
      level = n - LAST - 1;
    } else {
      add_frame(trace, co, &ar);
    }
  }
}

/* ---- who wants to look at them ---- */

/* registry["green.failure"](co, error, note): with --dev, while the variables of the frames can still be seen. */
static void show(lua_State *L, lua_State *co, const char *note) { /* error -> error */
  luaL_checkstack(L, 6, NULL);
  if (lua_getfield(L, LUA_REGISTRYINDEX, "green.failure") != LUA_TFUNCTION || !lua_checkstack(co, 1)) {
    lua_pop(L, 1);
    return;
  }
  lua_pushthread(co);
  lua_xmove(co, L, 1);
  lua_pushvalue(L, -3);
  lua_pushstring(L, note);
  if (lua_pcall(L, 3, 0, 0) != LUA_OK) lua_pop(L, 1); /* less is shown */
}

/* ---- what is remembered ---- */

void gl_trace_coroutine(lua_State *L, lua_State *co) {
  luaL_checkstack(L, 6, NULL);
  if (!lua_checkstack(co, 1)) return;
  lua_pushvalue(co, -1);
  lua_xmove(co, L, 1);
  show(L, co, "coroutine resumed by");
  gl_buf *trace = begin(L);
  add_frames(trace, co);
  add(trace, "\n\t(...coroutine resumed by...)");
  lua_pop(L, 1);
}

void gl_trace_failed(lua_State *L, const gl_task *t) {
  char note[LUA_IDSIZE + 64];
  if (t->site) snprintf(note, sizeof note, "task %d spawned at %s, joined by", (int)t->id, t->site);
  else snprintf(note, sizeof note, "task %d", (int)t->id);
  show(L, t->co, note);
}

void gl_trace_task(lua_State *L, const char *text) {
  size_t header = strlen(HEADER);
  if (!text || strncmp(text, HEADER, header) != 0) return;
  gl_buf *trace = &gl_host_of(L)->trace;
  gl_buf_eat(trace, trace->len); /* the task's own text has it all */
  remember(L);
  add(trace, text + header);
  add(trace, "\n\t(...joined by...)");
}

void gl_trace_renamed(lua_State *L) {
  if (is_remembered(L, -1)) remember(L);
}

void gl_trace_push(lua_State *L, lua_State *co, const char *message, int level, int error) {
  error = lua_absindex(L, error);
  luaL_checkstack(L, 8, NULL);
  luaL_traceback(L, co, NULL, level); /* traceback */
  if (message) lua_pushfstring(L, "%s\n" HEADER, message);
  else lua_pushliteral(L, HEADER);
  const gl_buf *trace = &gl_host_of(L)->trace;
  if (trace->len && is_remembered(L, error)) lua_pushlstring(L, gl_buf_at(trace), trace->len);
  else lua_pushliteral(L, "");
  lua_pushstring(L, lua_tostring(L, -3) + strlen(HEADER));
  lua_concat(L, 3);
  lua_remove(L, -2);
}
