/* SPDX-License-Identifier: MIT */
#include "net/lookup.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "core/error.h"

#define STACK ((size_t)512 * 1024) /* bytes: the system's resolver loads modules that want some */

/* The lookups of a host. It lives until the host and the last thread have let go. */
typedef struct office {
  pthread_mutex_t lock;
  gl_lookup *answered; /* by threads, newest first; guarded, like the next two */
  unsigned refs;
  bool closed;         /* the host is gone: what comes now is nobody's */
  uv_async_t async;
  gl_lookup *first, *last; /* those that wait for a thread */
  unsigned threads;
  unsigned wanted;     /* lookups somebody waits for: these keep the loop alive */
} office;

struct gl_lookup {
  office *office;
  gl_lookup *next;
  gl_lookup_done done; /* NULL: cancelled */
  void *owner;
  struct addrinfo *list;
  int status;
  int family;
  bool begun;
  char service[8];
  char host[];
};

/* ---- in a thread ---- */

/* libuv's, without a callback, is the system's in this thread, with names in UTF-8 and its own error numbers. */
static int look_up(gl_lookup *l) {
  uv_loop_t loop;
  uv_getaddrinfo_t req;
  struct addrinfo hints = {.ai_family = l->family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
  int status = uv_loop_init(&loop);
  if (status) return status;
  status = uv_getaddrinfo(&loop, &req, NULL, l->host, l->service, &hints);
  l->list = status ? NULL : req.addrinfo;
  uv_loop_close(&loop);
  return status;
}

static void lookup_free(gl_lookup *l) {
  uv_freeaddrinfo(l->list);
  free(l);
}

/* With the lock, which it gives back. */
static void let_go(office *o) {
  bool last = --o->refs == 0;
  pthread_mutex_unlock(&o->lock);
  if (!last) return;
  pthread_mutex_destroy(&o->lock);
  free(o);
}

static void *thread_main(void *arg) {
  gl_lookup *l = arg;
  office *o = l->office;
  l->status = look_up(l);
  pthread_mutex_lock(&o->lock);
  if (o->closed) {
    lookup_free(l);
  } else {
    l->next = o->answered;
    o->answered = l;
    uv_async_send(&o->async);
  }
  let_go(o);
  return NULL;
}

static int start_thread(gl_lookup *l) {
  office *o = l->office;
  pthread_t thread;
  pthread_attr_t attr;
  sigset_t all, before;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, STACK);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  pthread_mutex_lock(&o->lock);
  o->refs++;
  pthread_mutex_unlock(&o->lock);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
  int err = pthread_create(&thread, &attr, thread_main, l);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attr);
  if (err) {
    pthread_mutex_lock(&o->lock);
    let_go(o);
    return -err;
  }
  o->threads++;
  l->begun = true;
  return 0;
}

/* ---- on the loop ---- */

static void want(office *o, int more) {
  o->wanted += (unsigned)more;
  if (o->wanted) uv_ref((uv_handle_t *)&o->async);
  else uv_unref((uv_handle_t *)&o->async);
}

static void tell(gl_lookup *l) {
  struct addrinfo *list = l->list;
  l->list = NULL;
  want(l->office, -1);
  l->done(l->owner, l->status, list);
}

static void start_waiting(office *o) {
  while (o->first && o->threads < GL_LOOKUP_THREADS) {
    gl_lookup *l = o->first;
    if (!(o->first = l->next)) o->last = NULL;
    l->status = start_thread(l);
    if (l->status == 0) continue;
    tell(l);
    lookup_free(l);
  }
}

static void on_answered(uv_async_t *async) {
  office *o = async->data;
  pthread_mutex_lock(&o->lock);
  gl_lookup *l = o->answered;
  o->answered = NULL;
  pthread_mutex_unlock(&o->lock);
  while (l) {
    gl_lookup *next = l->next;
    o->threads--;
    if (l->done) tell(l);
    lookup_free(l);
    l = next;
  }
  start_waiting(o);
}

static office *office_of(gl_host *h);

int gl_lookup_start(gl_host *h, const char *host, int port, int family, gl_lookup_done done, void *owner, gl_lookup **out) {
  office *o = office_of(h);
  size_t len = strlen(host) + 1;
  gl_lookup *l = calloc(1, sizeof *l + len);
  if (!l) return UV_ENOMEM;
  *l = (gl_lookup){.office = o, .done = done, .owner = owner, .family = family};
  snprintf(l->service, sizeof l->service, "%d", port);
  memcpy(l->host, host, len);
  if (o->threads < GL_LOOKUP_THREADS) {
    int err = start_thread(l);
    if (err) {
      free(l);
      return err;
    }
  } else {
    if (o->last) o->last->next = l;
    else o->first = l;
    o->last = l;
  }
  want(o, 1);
  *out = l;
  return 0;
}

static void unqueue(gl_lookup *l) {
  office *o = l->office;
  gl_lookup *before = NULL;
  for (gl_lookup *at = o->first; at != l; at = at->next) before = at;
  if (before) before->next = l->next;
  else o->first = l->next;
  if (o->last == l) o->last = before;
}

void gl_lookup_cancel(gl_lookup *l) {
  want(l->office, -1);
  l->done = NULL;
  if (l->begun) return; /* its thread has it */
  unqueue(l);
  lookup_free(l);
}

/* ---- the office opens and closes ---- */

static const char key; /* registry[&key]: userdata with a pointer to the office */

static office *office_of(gl_host *h) {
  lua_rawgetp(h->L, LUA_REGISTRYINDEX, &key);
  office **at = lua_touserdata(h->L, -1);
  lua_pop(h->L, 1);
  GL_CHECK(at && *at);
  return *at;
}

static void on_closed(uv_handle_t *handle) {
  office *o = handle->data;
  pthread_mutex_lock(&o->lock);
  let_go(o);
}

static int close_office(lua_State *L) {
  office *o = *(office **)lua_touserdata(L, 1);
  if (!o) return 0;
  pthread_mutex_lock(&o->lock);
  o->closed = true;
  gl_lookup *l = o->answered;
  pthread_mutex_unlock(&o->lock);
  for (gl_lookup *next; l; l = next) {
    next = l->next;
    lookup_free(l);
  }
  GL_CHECK(!o->first); /* all tasks have ended */
  uv_close((uv_handle_t *)&o->async, on_closed);
  return 0;
}

void gl_lookup_open(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) == LUA_TNIL) {
    office **at = lua_newuserdatauv(L, sizeof *at, 0), *o;
    *at = NULL;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, close_office);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
    o = calloc(1, sizeof *o);
    int err = o ? uv_async_init(gl_loop(L), &o->async, on_answered) : UV_ENOMEM;
    if (err) {
      free(o);
      lua_pushnil(L);
      lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
      gl_error_status(L, "net", err, NULL);
    }
    pthread_mutex_init(&o->lock, NULL);
    uv_unref((uv_handle_t *)&o->async);
    o->async.data = o;
    o->refs = 1;
    *at = o;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}
