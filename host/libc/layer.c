/* SPDX-License-Identifier: MIT */
#include "libc/layer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/task.h"
#include "libc/abandon.h"
#include "libc/exchange.h"
#include "libc/handler.h"
#include "libc/hold.h"
#include "libc/watch.h"

_Thread_local gl_layer *gl_layer_here;

extern const char *const gl_libc_names[];

bool gl_layer_finalizes(const gl_layer *l) { return gl_in_finalizer(l->host->running); }

bool gl_layer_is_ours(const void *function) {
  extern const char __executable_start[], etext[];
  return (const char *)function >= __executable_start && (const char *)function < etext;
}

bool gl_layer_is_home(const gl_layer *l) { return getpid() == l->process; }

gl_layer *gl_layer_admit(gl_layer *l) {
  const gl_task *t = l->host->task;
  if (t->state != GL_TASK_RUNNING || t->op || t->atomic || l->host->forked) return NULL;
  return gl_handler_runs() || !gl_layer_is_home(l) ? NULL : l;
}

static bool is_off(void) {
  const char *wish = getenv("GREENLUA_LIBC");
  return (wish && strcmp(wish, "off") == 0) || !gl_libc_names[0] || !*gl_libc_names[0];
}

void gl_layer_start(gl_host *h) {
  if (is_off()) return;
  gl_layer *l = calloc(1, sizeof *l);
  if (!l) return;
  l->host = h;
  l->process = getpid();
  l->fd = GL_NO_FD;
  l->holds = gl_holds_new(h);
  if (!l->holds) {
    free(l);
    return;
  }
  gl_exchange_start(h);
  gl_layer_here = l;
}

void gl_layer_stop(gl_host *h) {
  gl_layer *l = gl_layer_here;
  if (!l || l->host != h) return;
  gl_layer_here = NULL;
  gl_exchange_stop(l);
  if (l->watcher) gl_watcher_free(l->watcher);
  gl_holds_free(h, l->holds);
  gl_abandon_free(l);
  free(l);
}
