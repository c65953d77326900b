/* SPDX-License-Identifier: MIT */
#include "db/postgres/canceller.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#define MOST 16           /* threads at the same time, in the process */
#define STACK (256 << 10) /* bytes */

struct gl_pg_canceller {
  PGcancel *request; /* the thread's */
  atomic_int refs;   /* of the loop and of the thread */
  atomic_bool done;
};

static atomic_int running; /* threads, of all hosts */

static void unref(gl_pg_canceller *c) {
  if (atomic_fetch_sub(&c->refs, 1) == 1) free(c);
}

static void *thread_main(void *arg) {
  gl_pg_canceller *c = arg;
  char reason[256]; /* which nobody reads: that the statement goes on is noticed */
  PQcancel(c->request, reason, sizeof reason);
  PQfreeCancel(c->request);
  atomic_fetch_sub(&running, 1);
  atomic_store(&c->done, true);
  unref(c);
  return NULL;
}

static bool start_thread(gl_pg_canceller *c) {
  pthread_t thread;
  pthread_attr_t attr;
  sigset_t all, before;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, STACK);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
  int err = pthread_create(&thread, &attr, thread_main, c);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attr);
  return err == 0;
}

gl_pg_canceller *gl_pg_canceller_new(PGconn *pg) {
  gl_pg_canceller *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  c->request = PQgetCancel(pg);
  atomic_init(&c->refs, 2);
  bool room = atomic_fetch_add(&running, 1) < MOST;
  if (room && c->request && start_thread(c)) return c;
  atomic_fetch_sub(&running, 1);
  PQfreeCancel(c->request);
  free(c);
  return NULL;
}

bool gl_pg_canceller_is_done(const gl_pg_canceller *c) { return atomic_load(&c->done); }

void gl_pg_canceller_drop(gl_pg_canceller *c) { unref(c); }
