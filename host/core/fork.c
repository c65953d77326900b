/* SPDX-License-Identifier: MIT */
#include "core/fork.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/interrupt.h"
#include "core/owned.h"
#include "core/task.h"

static _Thread_local gl_host *watched; /* the host of this thread */
static _Thread_local sigset_t mask;    /* the signal mask of this thread, while it forks */
static bool is_child;                  /* a host was forked into this process */

/* ---- the loop ---- */

static void unqueue(void *queue[2]) {
  void **next = queue[0], **before = queue[1];
  before[0] = next;
  next[1] = before;
  queue[0] = queue[1] = queue;
}

/* Removes all watchers from the loop but the loop's own. libuv can stop only some watchers (no write, no server), and uv_loop_fork
 * would watch all of them anew. Reads members of libuv that are private; checked with libuv 1.44.2. */
static void drop_watchers(uv_loop_t *loop) {
  for (unsigned int i = 0; i < loop->nwatchers; i++) {
    uv__io_t *w = loop->watchers[i];
    if (!w || w == &loop->signal_io_watcher || w == &loop->async_io_watcher || w == &loop->inotify_read_watcher) continue;
    unqueue(w->pending_queue);
    unqueue(w->watcher_queue);
    w->pevents = w->events = 0;
    loop->watchers[i] = NULL;
    loop->nfds--;
  }
}

/* Stops a handle in the eyes of libuv, too, so that it may be started again. */
static void stop_handle(uv_handle_t *handle, void *arg) {
  gl_host *h = arg;
  if (uv_is_closing(handle)) return;
  switch (handle->type) {
    case UV_TIMER:
      if (handle != (uv_handle_t *)&h->alarm) uv_timer_stop((uv_timer_t *)handle);
      break;
    case UV_TCP: case UV_NAMED_PIPE: case UV_TTY:
      uv_read_stop((uv_stream_t *)handle);
      if (uv_is_active(handle)) uv_unref(handle); /* the handle listens, connects or writes */
      break;
    case UV_UDP: uv_udp_recv_stop((uv_udp_t *)handle); break;
    case UV_POLL: uv_poll_stop((uv_poll_t *)handle); break;
    case UV_SIGNAL: uv_signal_stop((uv_signal_t *)handle); break;
    case UV_FS_EVENT: uv_fs_event_stop((uv_fs_event_t *)handle); break;
    case UV_FS_POLL: uv_fs_poll_stop((uv_fs_poll_t *)handle); break;
    case UV_IDLE: uv_idle_stop((uv_idle_t *)handle); break;
    case UV_PREPARE: uv_prepare_stop((uv_prepare_t *)handle); break;
    case UV_CHECK: uv_check_stop((uv_check_t *)handle); break;
    case UV_ASYNC: ((uv_async_t *)handle)->pending = 0; break; /* the thread that was about to send is not in the child */
    default: break;
  }
}

/* Forgets the jobs on the thread pool, which are the parent's. Makes the lock anew, which one of the pool's threads may have held. */
static void drop_jobs(gl_host *h) {
  uv_loop_t *loop = &h->loop;
  loop->wq[0] = loop->wq[1] = &loop->wq;
  uv_mutex_init(&loop->wq_mutex);
  loop->wq_async.pending = 0;
  h->jobs = 0;
}

static bool renew_loop(gl_host *h) {
  drop_watchers(&h->loop);
  drop_jobs(h);
  if (uv_loop_fork(&h->loop) != 0) return false;
  uv_walk(&h->loop, stop_handle, h);
  h->alarm_due = 0;
  h->unpolled = 0;
  return true;
}

/* ---- the host ---- */

static void drop_queues(gl_host *h) {
  h->process++;
  gl_runqueue_forget(&h->queue);
  h->turn_hooks = h->late = h->chores = NULL;
  h->late_end = &h->late;
  h->chores_end = &h->chores;
  h->reap = NULL;
  h->clock.len = 0;
}

/* Forgets all tasks but the one that forked. Their coroutines and C stacks stay as they are for good. */
static void drop_tasks(gl_host *h) {
  gl_task *own = h->task;
  h->foreign_ids = h->task_ids;
  h->forker = own ? own->id : 0;
  h->live = own;
  h->census.tasks = own ? 1 : 0;
  h->daemons = own && own->daemon;
  h->census.parked = 0;
  if (!own) return;
  own->forked = true;
  own->next_live = NULL;
  own->at_live = &h->live;
  own->joiners = (gl_opqueue){0};
  gl_owned_release_all(own);
}

/* Blocks all signals: a signal that the child gets before its handlers are the defaults would be reported to the parent. */
static void before_fork(void) {
  sigset_t all;
  sigfillset(&all);
  if (watched) pthread_sigmask(SIG_SETMASK, &all, &mask);
}

static void after_fork(void) {
  if (watched) pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

static void in_child(gl_host *h) {
  is_child = h->forked = h->watchdog_due = true;
  drop_queues(h);
  drop_tasks(h);
  h->holds = 0;
  h->ending = false;
  h->exit = EXIT_SUCCESS;
  if (!renew_loop(h)) h->stop = true; /* out of descriptors: the child can run, but not wait */
  for (struct gl_fork_hook *hook = h->fork_hooks; hook; hook = hook->next) hook->forked(hook);
  gl_interrupt_forked(h);
}

static void on_forked(void) {
  if (watched) in_child(watched);
  after_fork();
}

/* Ends a child before libuv's destructor, which would join the threads of the pool: the parent's. This handler is registered before
 * all other exit handlers, and so runs after them. */
static void on_exit_of_child(int code, void *arg) {
  (void)arg;
  if (!is_child) return;
  fflush(NULL);
  _exit(code);
}

static void register_handlers(void) {
  pthread_atfork(before_fork, after_fork, on_forked); /* after libuv's own handlers: uv_loop_init has registered the one for signals */
  on_exit(on_exit_of_child, NULL);
}

void gl_fork_begin(gl_host *h) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, register_handlers);
  watched = h;
}

void gl_fork_end(gl_host *h) {
  if (watched == h) watched = NULL;
}

void gl_fork_add(gl_host *h, struct gl_fork_hook *hook) {
  hook->next = h->fork_hooks;
  h->fork_hooks = hook;
}

void gl_fork_remove(gl_host *h, struct gl_fork_hook *hook) {
  struct gl_fork_hook **at = &h->fork_hooks;
  while (*at && *at != hook) at = &(*at)->next;
  if (*at) *at = hook->next;
}

void gl_fork_leave(gl_host *h, int code) {
  for (struct gl_fork_hook *hook = h->fork_hooks; hook; hook = hook->next)
    if (hook->leave) hook->leave(hook);
  exit(code);
}
