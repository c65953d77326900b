/* SPDX-License-Identifier: MIT
 *
 * Watching a folder, or one name in it. Events wait in a buffer until a task asks for them; one that repeats the last event is
 * dropped. When the buffer is full, later events are lost, and the task is told that some were.
 */
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/class.h"
#include "core/error.h"
#include "fs/job.h"

#define WATCH "green.watch"
#define NEXT "fs.watch"
#define MAX_EVENTS 1024

typedef struct fs_watch {
  uv_fs_event_t uv;
  gl_host *host;
  gl_op *waiter;  /* the op of the task that waits for the next event */
  bool promised;  /* a task was woken and has not run yet: the next event is for that one */
  gl_buf events;  /* each is a letter for its kind, the name, NUL */
  int count;      /* of events in the buffer */
  size_t last;    /* bytes of the newest event */
  bool lost;      /* there were more events than the buffer holds */
  int error;      /* why the watch has ended: UV_E*; else 0 */
  char *only;     /* the one name to look at; NULL = all */
} fs_watch;

typedef struct next_op {
  gl_op op; /* pins the handle, which is NULL once the watch is closed */
  fs_watch *watch;
} next_op;

/* ---- events, on the loop ---- */

static void wake(fs_watch *w) {
  gl_op *op = w->waiter;
  w->waiter = NULL;
  w->promised = w->promised || op;
  if (op) gl_op_done(op, 0);
}

static bool repeats(const fs_watch *w, char kind, const char *name) {
  const char *last = gl_buf_at(&w->events) + w->events.len - w->last;
  return w->count > 0 && *last == kind && strcmp(last + 1, name) == 0;
}

static void keep(fs_watch *w, char kind, const char *name) {
  size_t n = strlen(name) + 1;
  if (w->lost || repeats(w, kind, name)) return;
  char *to = w->count < MAX_EVENTS ? gl_buf_room(&w->events, n + 1) : NULL;
  w->lost = !to;
  if (!to) return;
  *to = kind;
  memcpy(to + 1, name, n);
  gl_buf_grew(&w->events, n + 1);
  w->last = n + 1;
  w->count++;
}

static void on_event(uv_fs_event_t *uv, const char *name, int events, int status) {
  fs_watch *w = uv->data;
  if (status < 0) w->error = status;
  else if (!name || (w->only && strcmp(name, w->only) != 0)) return;
  else keep(w, events & UV_RENAME ? 'r' : 'c', name);
  wake(w);
}

static void on_closed(uv_handle_t *handle) {
  fs_watch *w = handle->data;
  w->host->census.handles--;
  gl_buf_free(&w->events);
  free(w->only);
  free(w);
}

/* ---- next ---- */

static int push_event(lua_State *L, fs_watch *w) {
  if (w->count == 0) {
    if (!w->lost) return gl_error_status(L, NEXT, w->error, NULL);
    w->lost = false;
    lua_pushliteral(L, "");
    lua_pushliteral(L, "lost");
    return 2;
  }
  const char *event = gl_buf_at(&w->events); /* stays there: nobody else takes from the buffer, and a finalizer that closes the watch frees nothing yet */
  size_t n = strlen(event + 1);
  lua_pushlstring(L, event + 1, n);
  lua_pushstring(L, *event == 'r' ? "rename" : "change");
  gl_buf_eat(&w->events, n + 2);
  w->count--;
  return 2;
}

static bool has_news(const fs_watch *w) { return w->count > 0 || w->lost || w->error; }

static int push_next(lua_State *L, gl_op *op) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, op->pin);
  fs_watch *w = *(fs_watch **)lua_touserdata(L, -1);
  if (!w) return 0;
  w->promised = false;
  return push_event(L, w);
}

static void cancel_next(gl_op *op) {
  ((next_op *)op)->watch->waiter = NULL;
  gl_op_done(op, UV_ECANCELED);
}

static const gl_optype next_type = {NEXT, push_next, cancel_next, NULL};

static int watch_next(lua_State *L) {
  fs_watch *w = *(fs_watch **)gl_class_self(L, WATCH);
  double timeout = gl_check_timeout(L, 2, GL_FOREVER);
  if (!w) return 0;
  gl_op_refuse_finalizer(L, &next_type);
  if (w->waiter || w->promised) return gl_error_raise(L, NEXT, "EBUSY", "another task waits for the next event");
  if (has_news(w)) return push_event(L, w);
  next_op *n = gl_op_new(L, &next_type, sizeof *n, 1);
  n->watch = w;
  w->waiter = &n->op;
  return gl_await(L, &n->op, timeout);
}

/* ---- the handle ---- */

static void close_watch(fs_watch **handle) {
  fs_watch *w = *handle;
  *handle = NULL;
  if (!w) return;
  wake(w);
  uv_close((uv_handle_t *)&w->uv, on_closed);
}

static int watch_close(lua_State *L) {
  close_watch(gl_class_self(L, WATCH));
  return 0;
}

static fs_watch *new_watch(gl_host *h, const char *only) {
  fs_watch *w = calloc(1, sizeof *w);
  if (!w) return NULL;
  if (only && !(w->only = strdup(only))) {
    free(w);
    return NULL;
  }
  w->host = h;
  uv_fs_event_init(&h->loop, &w->uv); /* never fails */
  w->uv.data = w;
  h->census.handles++;
  return w;
}

static int fs_watch_open(lua_State *L) {
  const char *path = gl_fs_check_path(L, 1), *only = luaL_optstring(L, 2, NULL);
  fs_watch **handle = lua_newuserdatauv(L, sizeof *handle, 0);
  *handle = NULL;
  luaL_setmetatable(L, WATCH);
  *handle = new_watch(gl_host_of(L), only);
  if (!*handle) return luaL_error(L, "not enough memory for a watch");
  int err = uv_fs_event_start(&(*handle)->uv, on_event, path, 0);
  if (!err) return 1;
  close_watch(handle);
  return gl_error_status(L, NEXT, err, path);
}

void gl_fs_add_watch(lua_State *L) {
  static const luaL_Reg methods[] = {{"next", watch_next}, {"close", watch_close}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", watch_close}, {"__close", watch_close}, {NULL, NULL}};
  gl_class_new(L, WATCH, methods, meta);
  lua_pushcfunction(L, fs_watch_open);
  lua_setfield(L, -2, "watch");
}
