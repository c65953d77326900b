/* SPDX-License-Identifier: MIT */
#include "core/resolver.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "core/check.h"
#include "core/fork.h"
#include "core/hosts.h"

#define STACK ((size_t)512 * 1024) /* bytes of a thread's stack: the system's resolver loads modules that want some */
#define NAME 256                   /* bytes of a name that are looked at, with the final 0 */

typedef struct gl_resolver {
  struct gl_fork_hook fork;
  pthread_mutex_t lock;  /* guards the next three */
  gl_question *answers;  /* by threads, newest first */
  unsigned refs;         /* the host's, and one of each thread */
  bool closed;           /* the host is gone: threads free their questions themselves */
  pthread_cond_t answer; /* something was answered, for gl_resolver_block, */
  uv_async_t async;      /* and for the loop */
  gl_lookup_queue queue;
  gl_hosts hosts;
  int wanted;            /* questions whose answer somebody waits for; while there are any, `async` keeps the loop alive */
} gl_resolver;

/* ---- in a thread ---- */

/* Gives one reference back, and the lock, which the caller has taken. */
static void unref_and_unlock(gl_resolver *r) {
  bool last = --r->refs == 0;
  pthread_mutex_unlock(&r->lock);
  if (!last) return;
  pthread_mutex_destroy(&r->lock);
  pthread_cond_destroy(&r->answer);
  free(r);
}

static void *thread_main(void *arg) {
  gl_question *q = arg;
  gl_resolver *r = q->resolver;
  q->type->ask(q);
  pthread_mutex_lock(&r->lock);
  if (r->closed) {
    q->type->free(q);
  } else {
    q->next = r->answers;
    r->answers = q;
    pthread_cond_signal(&r->answer);
    uv_async_send(&r->async);
  }
  unref_and_unlock(r);
  return NULL;
}

/* Starts the thread of a question, for which the queue has counted one. Returns 0 or UV_E*. */
static int start_thread(gl_question *q) {
  gl_resolver *r = q->resolver;
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
  q->running = true;
  int err = pthread_create(&thread, &attr, thread_main, q);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attr);
  if (!err) return 0;
  pthread_mutex_lock(&r->lock);
  unref_and_unlock(r);
  return -err;
}

/* ---- on the loop ---- */

static void want(gl_resolver *r, int more) {
  r->wanted += more;
  if (r->wanted) uv_ref((uv_handle_t *)&r->async);
  else uv_unref((uv_handle_t *)&r->async);
}

/* Ends a question whose thread was counted. `answered` may ask and drop others. */
static void finish(gl_question *q, int status) {
  gl_resolver *r = q->resolver;
  gl_lookup_domain *domain = q->entry.domain;
  if (q->dropped) {
    q->type->free(q);
  } else {
    want(r, -1);
    q->type->answered(q, status);
  }
  gl_lookup_queue_ended(&r->queue, domain);
}

static void start_waiting(gl_resolver *r, gl_lookup_pool_id pool) {
  for (gl_lookup_entry *e; (e = gl_lookup_queue_next(&r->queue, pool)) != NULL;) {
    gl_question *q = (gl_question *)e;
    int err = start_thread(q); /* once a thread has the question, that is the thread's */
    if (err) finish(q, err);
  }
}

static void on_answers(uv_async_t *async) {
  gl_resolver *r = async->data;
  pthread_mutex_lock(&r->lock);
  gl_question *q = r->answers;
  r->answers = NULL;
  pthread_mutex_unlock(&r->lock);
  for (gl_question *next; q; q = next) {
    next = q->next;
    finish(q, 0);
  }
  for (int pool = 0; pool < GL_LOOKUP_POOLS; pool++) start_waiting(r, (gl_lookup_pool_id)pool);
}

/* ---- asking ---- */

bool gl_resolver_is_number(const char *name) {
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
  return uv_ip4_addr(name, 0, &v4) == 0 || uv_ip6_addr(name, 0, &v6) == 0;
}

static bool is_localhost(const char *name, size_t len) {
  static const char local[] = "localhost";
  size_t n = sizeof local - 1;
  return len >= n && strncasecmp(name + len - n, local, n) == 0 && (len == n || name[len - n - 1] == '.');
}

/* The last two labels, in lower case: what names that the same servers answer have in common. */
static void domain_name(const char *name, char out[NAME]) {
  size_t len = strlen(name), from = len;
  for (int dots = 0; from > 0; from--)
    if (name[from - 1] == '.' && from < len && ++dots == 2) break;
  size_t n = 0;
  for (; from < len && n < NAME - 1; from++) out[n++] = (char)tolower((unsigned char)name[from]);
  out[n] = '\0';
}

/* Finds the domain of a question and its pool. False: out of memory. */
static bool find_domain(gl_question *q, const char *name) {
  gl_resolver *r = q->resolver;
  char plain[NAME], domain[NAME] = "";
  size_t len = strlen(name);
  if (len && name[len - 1] == '.') len--;
  snprintf(plain, sizeof plain, "%.*s", (int)(len < NAME ? len : NAME - 1), name);
  bool listed = gl_resolver_is_number(plain) || gl_hosts_has(&r->hosts, name);
  q->loopback = !listed && is_localhost(plain, strlen(plain));
  bool local = listed || q->loopback;
  if (!local) domain_name(plain, domain);
  q->entry.domain = gl_lookup_queue_domain(&r->queue, domain, local ? GL_LOOKUP_LOCAL : GL_LOOKUP_NETWORK);
  return q->entry.domain != NULL;
}

static int start(gl_question *q, const char *name) {
  gl_lookup_queue *queue = &q->resolver->queue;
  if (!find_domain(q, name)) return UV_ENOMEM;
  if (!gl_lookup_queue_take(queue, q->entry.domain)) {
    gl_lookup_queue_push(queue, &q->entry);
    return 0;
  }
  int err = start_thread(q);
  if (err) gl_lookup_queue_ended(queue, q->entry.domain);
  return err;
}

static gl_resolver *resolver_new(gl_host *h);

int gl_resolver_ask(gl_host *h, gl_question *q, const char *name) {
  if (!h->resolver) h->resolver = resolver_new(h);
  if (!h->resolver) return UV_ENOMEM;
  q->resolver = h->resolver;
  q->running = q->dropped = false;
  int err = start(q, name);
  if (!err) want(q->resolver, 1);
  return err;
}

void gl_resolver_drop(gl_question *q) {
  want(q->resolver, -1);
  q->dropped = true;
  if (q->running) return;
  gl_lookup_queue_remove(&q->resolver->queue, &q->entry);
  q->type->free(q);
}

/* Takes an answered question off the list. The caller has the lock. */
static bool take_answer(gl_resolver *r, const gl_question *q) {
  gl_question **at = &r->answers;
  while (*at && *at != q) at = &(*at)->next;
  if (!*at) return false;
  *at = q->next;
  return true;
}

bool gl_resolver_block(gl_question *q, int ms) {
  gl_resolver *r = q->resolver;
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += ms % 1000 * 1000000L;
  until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
  until.tv_nsec %= 1000000000;
  pthread_mutex_lock(&r->lock);
  bool there;
  do there = take_answer(r, q);
  while (!there && pthread_cond_timedwait(&r->answer, &r->lock, &until) != ETIMEDOUT);
  there = there || take_answer(r, q);
  pthread_mutex_unlock(&r->lock);
  if (there) finish(q, 0);
  else gl_resolver_drop(q);
  uv_async_send(&r->async); /* the thread is free for another */
  return there;
}

/* ---- the resolver opens and closes ---- */

static void make_locks(gl_resolver *r) {
  pthread_condattr_t attr;
  pthread_mutex_init(&r->lock, NULL);
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&r->answer, &attr);
  pthread_condattr_destroy(&attr);
}

/* In a forked child the threads, and what they ask, are the parent's. */
static void on_forked(struct gl_fork_hook *hook) {
  gl_resolver *r = GL_CONTAINER(hook, gl_resolver, fork);
  make_locks(r); /* a thread may have held the lock */
  r->answers = NULL;
  r->refs = 1;
  gl_lookup_queue_init(&r->queue);
  r->wanted = 0;
  uv_unref((uv_handle_t *)&r->async);
}

static gl_resolver *resolver_new(gl_host *h) {
  gl_resolver *r = calloc(1, sizeof *r);
  if (!r || uv_async_init(&h->loop, &r->async, on_answers) != 0) {
    free(r);
    return NULL;
  }
  make_locks(r);
  uv_unref((uv_handle_t *)&r->async);
  r->async.data = r;
  r->refs = 1;
  gl_lookup_queue_init(&r->queue);
  r->fork = (struct gl_fork_hook){.forked = on_forked};
  gl_fork_add(h, &r->fork);
  return r;
}

static void on_closed(uv_handle_t *handle) {
  gl_resolver *r = handle->data;
  pthread_mutex_lock(&r->lock);
  unref_and_unlock(r);
}

void gl_resolver_close(gl_host *h) {
  gl_resolver *r = h->resolver;
  if (!r) return;
  h->resolver = NULL;
  pthread_mutex_lock(&r->lock);
  r->closed = true;
  gl_question *q = r->answers;
  pthread_mutex_unlock(&r->lock);
  gl_fork_remove(h, &r->fork);
  for (gl_question *next; q; q = next) {
    next = q->next;
    q->type->free(q);
  }
  gl_lookup_queue_free(&r->queue);
  gl_hosts_free(&r->hosts);
  uv_close((uv_handle_t *)&r->async, on_closed);
}
