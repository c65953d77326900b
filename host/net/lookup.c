/* SPDX-License-Identifier: MIT */
#include "net/lookup.h"

#include <ctype.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/check.h"
#include "core/class.h"
#include "core/error.h"
#include "core/fork.h"
#include "core/memory.h"
#include "net/address.h"
#include "net/hosts.h"
#include "net/lookup_queue.h"
#include "net/query.h"

#define STACK ((size_t)512 * 1024) /* bytes of a thread's stack: the system's resolver loads modules that want some */

/* The lookups of a host. */
typedef struct resolver {
  struct gl_fork_hook fork;
  pthread_mutex_t lock; /* guards the next three */
  gl_lookup *answered;  /* by threads, newest first */
  unsigned refs;        /* the host's, and one of each thread */
  bool closed;          /* the host is gone: threads free their lookups themselves */
  uv_async_t async;     /* something was answered */
  gl_lookup_queue queue;
  gl_hosts hosts;
  int wanted;           /* lookups that somebody waits for; while there are any, `async` keeps the loop alive */
} resolver;

struct gl_lookup {
  gl_lookup_entry entry;
  resolver *resolver;
  gl_lookup *next;     /* in `answered` */
  gl_lookup_done done; /* NULL: cancelled */
  void *owner;
  gl_query query;
  bool running;        /* a thread has it */
  char host[];
};

static size_t size_of(const char *host) { return sizeof(gl_lookup) + strlen(host) + 1; }

static void lookup_free(gl_lookup *l) {
  uv_freeaddrinfo(l->query.list);
  gl_memory_resize(l, size_of(l->host), 0);
}

/* ---- in a thread ---- */

/* Gives one reference back, and the lock, which the caller has taken. */
static void unref_and_unlock(resolver *r) {
  bool last = --r->refs == 0;
  pthread_mutex_unlock(&r->lock);
  if (!last) return;
  pthread_mutex_destroy(&r->lock);
  free(r);
}

static void *thread_main(void *arg) {
  gl_lookup *l = arg;
  resolver *r = l->resolver;
  gl_query_run(&l->query);
  pthread_mutex_lock(&r->lock);
  if (r->closed) {
    lookup_free(l);
  } else {
    l->next = r->answered;
    r->answered = l;
    uv_async_send(&r->async);
  }
  unref_and_unlock(r);
  return NULL;
}

/* Starts the thread of a lookup, for which the queue has counted one. Returns 0 or UV_E*. */
static int start_thread(gl_lookup *l) {
  resolver *r = l->resolver;
  pthread_t thread;
  pthread_attr_t attr;
  sigset_t all, before;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, STACK);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  pthread_mutex_lock(&r->lock);
  r->refs++;
  pthread_mutex_unlock(&r->lock);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
  l->running = true;
  int err = pthread_create(&thread, &attr, thread_main, l);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attr);
  if (!err) return 0;
  pthread_mutex_lock(&r->lock);
  unref_and_unlock(r);
  return -err;
}

/* ---- on the loop ---- */

static const char key; /* registry[&key]: userdata with a pointer to the resolver */

static resolver *resolver_of(gl_host *h) {
  lua_rawgetp(h->L, LUA_REGISTRYINDEX, &key);
  resolver **at = lua_touserdata(h->L, -1);
  lua_pop(h->L, 1);
  GL_CHECK(at && *at);
  return *at;
}

static void want(resolver *r, int more) {
  r->wanted += more;
  if (r->wanted) uv_ref((uv_handle_t *)&r->async);
  else uv_unref((uv_handle_t *)&r->async);
}

/* Ends a lookup whose thread was counted. `done` may start and cancel others. */
static void finish(gl_lookup *l, int status) {
  resolver *r = l->resolver;
  gl_lookup_domain *domain = l->entry.domain;
  if (l->done) {
    struct addrinfo *list = l->query.list;
    l->query.list = NULL;
    want(r, -1);
    l->done(l->owner, status, list);
  }
  lookup_free(l);
  gl_lookup_queue_ended(&r->queue, domain);
}

static void start_waiting(resolver *r, gl_lookup_pool_id pool) {
  for (gl_lookup_entry *e; (e = gl_lookup_queue_next(&r->queue, pool)) != NULL;) {
    gl_lookup *l = (gl_lookup *)e;
    int err = start_thread(l); /* once a thread has the lookup, its query is the thread's */
    if (err) finish(l, err);
  }
}

static void on_answered(uv_async_t *async) {
  resolver *r = async->data;
  pthread_mutex_lock(&r->lock);
  gl_lookup *l = r->answered;
  r->answered = NULL;
  pthread_mutex_unlock(&r->lock);
  for (gl_lookup *next; l; l = next) {
    next = l->next;
    finish(l, l->query.status);
  }
  for (int pool = 0; pool < GL_LOOKUP_POOLS; pool++) start_waiting(r, (gl_lookup_pool_id)pool);
}

/* ---- starting a lookup ---- */

/* localhost and all below it are this machine (RFC 6761), unless its own file says otherwise. */
static bool is_localhost(const char *host, size_t len) {
  static const char name[] = "localhost";
  size_t n = sizeof name - 1;
  return len >= n && strncasecmp(host + len - n, name, n) == 0 && (len == n || host[len - n - 1] == '.');
}

/* The last two labels, in lower case: what names that the same servers answer have in common. */
static void domain_name(const char *host, char out[GL_HOST_MAX]) {
  size_t len = strlen(host), from = len;
  for (int dots = 0; from > 0; from--)
    if (host[from - 1] == '.' && from < len && ++dots == 2) break;
  size_t n = 0;
  for (; from < len && n < GL_HOST_MAX - 1; from++) out[n++] = (char)tolower((unsigned char)host[from]);
  out[n] = '\0';
}

/* Finds the domain of a lookup and its pool. False: out of memory. */
static bool find_domain(gl_lookup *l) {
  resolver *r = l->resolver;
  char plain[GL_HOST_MAX], name[GL_HOST_MAX] = "";
  size_t len = strlen(l->host);
  if (len && l->host[len - 1] == '.') len--;
  snprintf(plain, sizeof plain, "%.*s", (int)len, l->host);
  gl_address number;
  bool listed = gl_address_number(plain, 0, &number) || gl_hosts_has(&r->hosts, l->host);
  l->query.loopback = !listed && is_localhost(plain, strlen(plain));
  bool local = listed || l->query.loopback;
  if (!local) domain_name(plain, name);
  l->entry.domain = gl_lookup_queue_domain(&r->queue, name, local ? GL_LOOKUP_LOCAL : GL_LOOKUP_NETWORK);
  return l->entry.domain != NULL;
}

static int start(gl_lookup *l) {
  gl_lookup_queue *queue = &l->resolver->queue;
  if (!find_domain(l)) return UV_ENOMEM;
  if (!gl_lookup_queue_take(queue, l->entry.domain)) {
    gl_lookup_queue_push(queue, &l->entry);
    return 0;
  }
  int err = start_thread(l);
  if (err) gl_lookup_queue_ended(queue, l->entry.domain);
  return err;
}

int gl_lookup_start(gl_host *h, const char *host, int port, int family, gl_lookup_done done, void *owner, gl_lookup **out) {
  resolver *r = resolver_of(h);
  gl_lookup *l = gl_memory_resize(NULL, 0, size_of(host));
  if (!l) return UV_ENOMEM;
  *l = (gl_lookup){.resolver = r, .done = done, .owner = owner, .query = {.host = l->host, .family = family}};
  snprintf(l->query.service, sizeof l->query.service, "%d", port);
  strcpy(l->host, host);
  int err = start(l);
  if (err) {
    lookup_free(l);
    return err;
  }
  want(r, 1);
  *out = l;
  return 0;
}

void gl_lookup_cancel(gl_lookup *l) {
  want(l->resolver, -1);
  l->done = NULL;
  if (l->running) return;
  gl_lookup_queue_remove(&l->resolver->queue, &l->entry);
  lookup_free(l);
}

/* ---- the resolver opens and closes ---- */

static void on_closed(uv_handle_t *handle) {
  resolver *r = handle->data;
  pthread_mutex_lock(&r->lock);
  unref_and_unlock(r);
}

/* In a forked child the threads, and what they look up, are the parent's. */
static void on_forked(struct gl_fork_hook *hook) {
  resolver *r = GL_CONTAINER(hook, resolver, fork);
  pthread_mutex_init(&r->lock, NULL); /* a thread may have held it */
  r->answered = NULL;
  r->refs = 1;
  gl_lookup_queue_init(&r->queue);
  r->wanted = 0;
  uv_unref((uv_handle_t *)&r->async);
}

static int close_resolver(lua_State *L) {
  resolver *r = *(resolver **)lua_touserdata(L, 1);
  if (!r) return 0;
  pthread_mutex_lock(&r->lock);
  r->closed = true;
  gl_fork_remove(gl_host_of(L), &r->fork);
  gl_lookup *l = r->answered;
  pthread_mutex_unlock(&r->lock);
  for (gl_lookup *next; l; l = next) {
    next = l->next;
    lookup_free(l);
  }
  gl_lookup_queue_free(&r->queue); /* all tasks have ended: nothing waits */
  gl_hosts_free(&r->hosts);
  uv_close((uv_handle_t *)&r->async, on_closed);
  return 0;
}

void gl_lookup_init(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) == LUA_TNIL) {
    resolver **at = lua_newuserdatauv(L, sizeof *at, 0), *r;
    *at = NULL;
    gl_class_finalizer(L, close_resolver);
    r = calloc(1, sizeof *r);
    int err = r ? uv_async_init(gl_loop(L), &r->async, on_answered) : UV_ENOMEM;
    if (err) {
      free(r);
      gl_error_status(L, "net", err, NULL);
      return; /* it raised */
    }
    pthread_mutex_init(&r->lock, NULL);
    uv_unref((uv_handle_t *)&r->async);
    r->async.data = r;
    r->refs = 1;
    gl_lookup_queue_init(&r->queue);
    r->fork = (struct gl_fork_hook){.forked = on_forked};
    gl_fork_add(gl_host_of(L), &r->fork);
    *at = r;
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
  }
  lua_pop(L, 1);
}
