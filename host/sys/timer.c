/* SPDX-License-Identifier: MIT
 *
 * Sleeping: the smallest binding, and the model of those that wait for a callback of the loop. One op struct and, in this order,
 * push_sleep, cancel_sleep, (free_sleep,) sleep_type, on_sleep, timer_sleep. This op owns nothing but itself, so that it needs no
 * free; one that owned a buffer would free it there. The model of bindings over the thread pool is fs/tree.c.
 */
#include "sys/timer.h"

#include "core/check.h"
#include "core/error.h"
#include "core/op.h"

typedef struct sleep_op {
  gl_op op;
  gl_timer timer; /* until the sleep is over */
} sleep_op;

static int push_sleep(lua_State *L, gl_op *op) {
  if (op->status < 0) return gl_error_status(L, op->type->name, op->status, NULL);
  return 0;
}

static void cancel_sleep(gl_op *op) {
  gl_timer_drop(&op->host->clock, &((sleep_op *)op)->timer);
  gl_op_done(op, UV_ECANCELED);
}

static const gl_optype sleep_type = {"task.sleep", push_sleep, cancel_sleep, NULL};

static void on_sleep(gl_timer *timer) {
  gl_op_done(&GL_CONTAINER(timer, sleep_op, timer)->op, 0);
}

static int timer_sleep(lua_State *L) {
  double seconds = luaL_checknumber(L, 1);
  luaL_argcheck(L, seconds >= 0, 1, "a number of seconds >= 0 expected"); /* NaN fails, too */
  sleep_op *s = gl_op_new(L, &sleep_type, sizeof *s, 0);
  s->timer.fire = on_sleep;
  if (!gl_timer_arm(&s->op.host->clock, &s->timer, seconds)) gl_op_done(&s->op, UV_ENOMEM);
  return gl_await(L, &s->op, GL_FOREVER);
}

static int timer_now(lua_State *L) {
  lua_pushnumber(L, (double)uv_hrtime() / 1e9);
  return 1;
}

int luaopen_green_timer(lua_State *L) {
  static const luaL_Reg functions[] = {{"sleep", timer_sleep}, {"now", timer_now}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
