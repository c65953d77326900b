/* SPDX-License-Identifier: MIT */
#include "fs/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/error.h"
#include "core/scope.h"
#include "core/work.h"
#include "fs/tree.h"

typedef struct close_op {
  gl_work work;
  gl_fs_cleanup *cleanup;
} close_op;

gl_fs_cleanup *gl_fs_cleanup_new(gl_host *h) {
  gl_fs_cleanup *r = calloc(1, sizeof *r);
  if (!r) return NULL;
  r->host = h;
  r->process = h->process;
  r->fd = -1;
  h->census.handles++;
  return r;
}

static void release(gl_fs_cleanup *r) {
  r->host->census.handles--;
  free(r->path);
  free(r);
}

/* Removes before it closes: once the descriptor is closed, nobody finds the name any more. */
static int clean_up(gl_fs_cleanup *r) {
  int err = 0;
  bool ours = r->process == r->host->process;
  if (ours && r->disposition == GL_FS_REMOVE) unlink(r->path);
  if (ours && r->disposition == GL_FS_REMOVE_TREE) gl_fs_remove_tree(r->path);
  if (r->fd >= 0 && close(r->fd) != 0 && errno != EINTR) err = -errno;
  r->fd = -1;
  return err;
}

static void run_sweep(uv_work_t *req) { clean_up(req->data); }

static void on_swept(uv_work_t *req, int status) {
  (void)status; /* nobody cancels it */
  release(req->data);
}

void gl_fs_cleanup_sweep(gl_fs_cleanup *r) {
  if (!r->slow) {
    clean_up(r);
    release(r);
    return;
  }
  r->req.data = r;
  uv_queue_work(&r->host->loop, &r->req, run_sweep, on_swept); /* fails only without a callback */
}

static void run_close(gl_work *w) { w->result = clean_up(((close_op *)w)->cleanup); }

static int push_close(lua_State *L, gl_op *op) {
  if (op->status < 0) return gl_error_status(L, op->type->name, op->status, ((close_op *)op)->cleanup->path);
  return 0;
}

static void free_close(gl_op *op) { release(((close_op *)op)->cleanup); }

/* There is no cancel: what is to be cleaned up would be left behind. */
static const gl_optype close_type = {"file.close", push_close, NULL, free_close};

static bool may_wait(lua_State *L) {
  gl_task *t = gl_host_of(L)->task;
  return t && !gl_in_finalizer(L) && gl_scope_check(t) == GL_DONE;
}

int gl_fs_cleanup_close(lua_State *L, gl_fs_cleanup **slot) {
  gl_fs_cleanup *r = *slot;
  if (!r->slow || !may_wait(L)) {
    *slot = NULL;
    gl_fs_cleanup_sweep(r);
    return 0;
  }
  close_op *c = gl_op_new(L, &close_type, sizeof *c, 0);
  *slot = NULL;
  c->cleanup = r;
  c->work.run = run_close;
  return gl_work_await(L, &c->work, GL_FOREVER);
}
