/* SPDX-License-Identifier: MIT */
#include "core/work.h"

static void run_work(uv_work_t *req) {
  gl_work *w = req->data;
  w->run(w);
}

static void on_work(uv_work_t *req, int status) {
  gl_work *w = req->data;
  gl_op_done(&w->op, status < 0 ? status : w->result);
}

void gl_work_cancel(gl_op *op) { uv_cancel((uv_req_t *)&((gl_work *)op)->req); }

int gl_work_await(lua_State *L, gl_work *w, double timeout) {
  w->req.data = w;
  int err = uv_queue_work(&w->op.host->loop, &w->req, run_work, on_work);
  if (err) gl_op_done(&w->op, err);
  return gl_await(L, &w->op, timeout);
}
