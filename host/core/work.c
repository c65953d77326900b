/* SPDX-License-Identifier: MIT */
#include "core/work.h"

#include "core/memory.h"

static void run_work(uv_work_t *req) {
  gl_work *w = req->data;
  gl_memory_serve(w->op.host, true);
  w->run(w);
  gl_memory_serve(NULL, false);
}

static void on_work(uv_work_t *req, int status) {
  gl_work *w = req->data;
  w->op.host->jobs--;
  if (status >= 0) status = w->result;
  if (w->after) w->after(w, status);
  else gl_op_done(&w->op, status);
}

void gl_work_cancel(gl_op *op) { uv_cancel((uv_req_t *)&((gl_work *)op)->req); }

void gl_work_start(gl_work *w) {
  w->req.data = w;
  gl_memory_relieve(w->op.host);
  w->op.host->jobs++;
  uv_queue_work(&w->op.host->loop, &w->req, run_work, on_work); /* fails only without a callback */
}

int gl_work_await(lua_State *L, gl_work *w, double timeout) {
  gl_work_start(w);
  return gl_await(L, &w->op, timeout);
}
