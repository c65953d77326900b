/* SPDX-License-Identifier: MIT */
#include "core/cancel.h"
#include "core/interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "core/task.h"

struct gl_interrupter {
  uv_async_t came;
  gl_task *task;        /* whom the next SIGINT interrupts; NULL = not armed */
  atomic_bool line;     /* the task runs a line of a prompt */
  atomic_llong pending; /* second, plus 1, at which a SIGINT came that the loop has not looked at yet; 0 = none */
};

#define STUCK 2 /* seconds without a turn of the loop after which Ctrl-C at a prompt ends the process, too */

/* What the handler, which may run on any thread, finds: SIGINT is sent to the whole process. */
static _Atomic(struct gl_interrupter *) armed;

static void set_handler_of(int signo, void (*handler)(int)) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
  sigaction(signo, &action, NULL);
}

static void set_handler(void (*handler)(int)) { set_handler_of(SIGINT, handler); }

static void on_sigint(int signo);

/* ---- while a command has the terminal ---- */

static const int suspended[] = {SIGINT, SIGQUIT}; /* signals that are the command's alone */
static atomic_int commands; /* commands that have the terminal, of all hosts: a process has one terminal and one handler of a signal */
static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER; /* the count and the handlers change together */

/* Ignores a signal. A handler does that, since children would inherit SIG_IGN. */
static void on_suspended(int signo) {
  if (!atomic_load(&commands)) set_handler_of(signo, SIG_DFL); /* another handler was put back to this one after the command had ended */
}

/* Replaces the handler of a signal, if it is `from`. */
static void exchange_handler(void (*from)(int), void (*to)(int), int signo) {
  struct sigaction now;
  if (sigaction(signo, NULL, &now) == 0 && now.sa_handler == from) set_handler_of(signo, to);
}

static void exchange_both(void (*from)(int), void (*to)(int)) {
  for (int i = 0; i < 2; i++) exchange_handler(from, to, suspended[i]);
}

void gl_interrupt_suspend(void) {
  pthread_mutex_lock(&changing);
  if (atomic_fetch_add(&commands, 1) == 0) exchange_both(SIG_DFL, on_suspended);
  pthread_mutex_unlock(&changing);
}

void gl_interrupt_resume(void) {
  pthread_mutex_lock(&changing);
  if (atomic_fetch_sub(&commands, 1) == 1) exchange_both(on_suspended, SIG_DFL);
  pthread_mutex_unlock(&changing);
}

/* ---- Ctrl-C ---- */

/* Is the handler of SIGINT one of this file, or none? Any other belongs to a script that waits for SIGINT by name. */
static bool is_ours(void) {
  struct sigaction now;
  sigaction(SIGINT, NULL, &now);
  return now.sa_handler == on_sigint || now.sa_handler == on_suspended || now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN;
}

/* Has the loop not looked at an earlier SIGINT for STUCK seconds? Notes this SIGINT, if there is no earlier one. */
static bool is_stuck(struct gl_interrupter *i) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  long long none = 0, second = (long long)now.tv_sec + 1;
  return !atomic_compare_exchange_strong(&i->pending, &none, second) && second - none >= STUCK;
}

/* Leaves the rest to the loop, since Lua may be in the middle of anything; and the last word to the person, since the loop may be
 * stuck. */
static void on_sigint(int signo) {
  (void)signo;
  if (atomic_load(&commands)) return;
  struct gl_interrupter *i = atomic_load(&armed);
  if (!i || !atomic_load(&i->line) || is_stuck(i)) set_handler(SIG_DFL);
  if (i) uv_async_send(&i->came);
}

static void on_came(uv_async_t *came) {
  struct gl_interrupter *i = came->data;
  atomic_store(&i->pending, 0);
  if (!i->task) return;
  if (!i->task->line) {
    gl_task_interrupt(i->task);
    return;
  }
  gl_task_interrupt_line(i->task->host, i->task->line);
}

static struct gl_interrupter *interrupter_new(gl_host *h) {
  struct gl_interrupter *i = calloc(1, sizeof *i);
  if (!i || uv_async_init(&h->loop, &i->came, on_came) != 0) {
    free(i);
    return NULL;
  }
  i->came.data = i;
  uv_unref((uv_handle_t *)&i->came); /* it does not keep the loop alive */
  return i;
}

void gl_interrupt_arm(gl_host *h, gl_task *t) {
  if (!h->interrupter) h->interrupter = interrupter_new(h);
  if (!h->interrupter) return; /* out of memory: SIGINT ends the process */
  h->interrupter->task = t;
  atomic_store(&h->interrupter->line, t->line != 0);
  atomic_store(&armed, h->interrupter);
  if (is_ours()) set_handler(on_sigint);
}

void gl_interrupt_disarm(gl_host *h) {
  if (!h->interrupter || !h->interrupter->task) return;
  struct gl_interrupter *ours = h->interrupter;
  ours->task = NULL;
  if (!atomic_compare_exchange_strong(&armed, &ours, NULL)) return; /* SIGINT is for another host by now */
  if (is_ours()) set_handler(atomic_load(&commands) ? on_suspended : SIG_DFL);
}

/* The commands that run are the parent's, and so are the ops that would say when they end. */
void gl_interrupt_forked(gl_host *h) {
  pthread_mutex_init(&changing, NULL); /* another thread of the parent may have held it */
  atomic_store(&commands, 0);
  exchange_both(on_suspended, SIG_DFL);
  if (h->interrupter && h->interrupter->task != h->task) gl_interrupt_disarm(h);
}

static void on_closed(uv_handle_t *came) { free(came->data); }

void gl_interrupt_stop(gl_host *h) {
  if (!h->interrupter) return;
  gl_interrupt_disarm(h);
  uv_close((uv_handle_t *)&h->interrupter->came, on_closed);
  h->interrupter = NULL;
}
