/* SPDX-License-Identifier: MIT */
#include "net/lookup.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "core/class.h"
#include "core/error.h"

#define STACK ((size_t)512 * 1024) /* bytes: the system's resolver loads modules that want some */

/* The lookups of a host. It lives until the host and the last thread have let go. */
typedef struct pool {
  pthread_mutex_t lock;
  gl_lookup *answered; /* by threads, newest first; guarded, like the next two */
  unsigned refs;
  bool closed;         /* the host is gone: what comes now is nobody's */
  uv_async_t async;
  gl_lookup *first, *last; /* those that wait for a thread */
  unsigned threads;
  int wanted;          /* lookups somebody waits for: these keep the loop alive */
} pool;

struct gl_lookup {
  pool *pool;
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
static void let_go(pool *p) {
  bool last = --p->refs == 0;
  pthread_mutex_unlock(&p->lock);
  if (!last) return;
  pthread_mutex_destroy(&p->lock);
  free(p);
}

static void *thread_main(void *arg) {
  gl_lookup *l = arg;
  pool *p = l->pool;
  l->status = look_up(l);
  pthread_mutex_lock(&p->lock);
  if (p->closed) {
    lookup_free(l);
  } else {
    l->next = p->answered;
    p->answered = l;
    uv_async_send(&p->async);
  }
  let_go(p);
  return NULL;
}

static int start_thread(gl_lookup *l) {
  pool *p = l->pool;
  pthread_t thread;
  pthread_attr_t attr;
  sigset_t all, before;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, STACK);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  pthread_mutex_lock(&p->lock);
  p->refs++;
  pthread_mutex_unlock(&p->lock);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
  int err = pthread_create(&thread, &attr, thread_main, l);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attr);
  if (err) {
    pthread_mutex_lock(&p->lock);
    let_go(p);
    return -err;
  }
  p->threads++;
  l->begun = true;
  return 0;
}

/* ---- on the loop ---- */

static const char key; /* registry[&key]: userdata with a pointer to the pool */

static pool *pool_of(gl_host *h) {
  lua_rawgetp(h->L, LUA_REGISTRYINDEX, &key);
  pool **at = lua_touserdata(h->L, -1);
  lua_pop(h->L, 1);
  GL_CHECK(at && *at);
  return *at;
}

static void want(pool *p, int more) {
  p->wanted += more;
  if (p->wanted) uv_ref((uv_handle_t *)&p->async);
  else uv_unref((uv_handle_t *)&p->async);
}

static void tell(gl_lookup *l) {
  struct addrinfo *list = l->list;
  l->list = NULL;
  want(l->pool, -1);
  l->done(l->owner, l->status, list);
}

static void start_waiting(pool *p) {
  while (p->first && p->threads < GL_LOOKUP_THREADS) {
    gl_lookup *l = p->first;
    if (!(p->first = l->next)) p->last = NULL;
    l->status = start_thread(l);
    if (l->status == 0) continue;
    tell(l);
    lookup_free(l);
  }
}

static void on_answered(uv_async_t *async) {
  pool *p = async->data;
  pthread_mutex_lock(&p->lock);
  gl_lookup *l = p->answered;
  p->answered = NULL;
  pthread_mutex_unlock(&p->lock);
  while (l) {
    gl_lookup *next = l->next;
    p->threads--;
    if (l->done) tell(l);
    lookup_free(l);
    l = next;
  }
  start_waiting(p);
}

int gl_lookup_start(gl_host *h, const char *host, int port, int family, gl_lookup_done done, void *owner, gl_lookup **out) {
  pool *p = pool_of(h);
  size_t len = strlen(host) + 1;
  gl_lookup *l = calloc(1, sizeof *l + len);
  if (!l) return UV_ENOMEM;
  *l = (gl_lookup){.pool = p, .done = done, .owner = owner, .family = family};
  snprintf(l->service, sizeof l->service, "%d", port);
  memcpy(l->host, host, len);
  if (p->threads < GL_LOOKUP_THREADS) {
    int err = start_thread(l);
    if (err) {
      free(l);
      return err;
    }
  } else {
    if (p->last) p->last->next = l;
    else p->first = l;
    p->last = l;
  }
  want(p, 1);
  *out = l;
  return 0;
}

static void unqueue(gl_lookup *l) {
  pool *p = l->pool;
  gl_lookup *before = NULL;
  for (gl_lookup *at = p->first; at != l; at = at->next) before = at;
  if (before) before->next = l->next;
  else p->first = l->next;
  if (p->last == l) p->last = before;
}

void gl_lookup_cancel(gl_lookup *l) {
  want(l->pool, -1);
  l->done = NULL;
  if (l->begun) return; /* its thread has it */
  unqueue(l);
  lookup_free(l);
}

/* ---- the pool opens and closes ---- */

static void on_closed(uv_handle_t *handle) {
  pool *p = handle->data;
  pthread_mutex_lock(&p->lock);
  let_go(p);
}

static int close_pool(lua_State *L) {
  pool *p = *(pool **)lua_touserdata(L, 1);
  if (!p) return 0;
  pthread_mutex_lock(&p->lock);
  p->closed = true;
  gl_lookup *l = p->answered;
  pthread_mutex_unlock(&p->lock);
  for (gl_lookup *next; l; l = next) {
    next = l->next;
    lookup_free(l);
  }
  GL_CHECK(!p->first); /* all tasks have ended */
  uv_close((uv_handle_t *)&p->async, on_closed);
  return 0;
}

void gl_lookup_open(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) == LUA_TNIL) {
    pool **at = lua_newuserdatauv(L, sizeof *at, 0), *p;
    *at = NULL;
    gl_class_finalizer(L, close_pool);
    p = calloc(1, sizeof *p);
    int err = p ? uv_async_init(gl_loop(L), &p->async, on_answered) : UV_ENOMEM;
    if (err) {
      free(p);
      gl_error_status(L, "net", err, NULL);
    }
    pthread_mutex_init(&p->lock, NULL);
    uv_unref((uv_handle_t *)&p->async);
    p->async.data = p;
    p->refs = 1;
    *at = p;
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
  }
  lua_pop(L, 1);
}
