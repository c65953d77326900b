/* SPDX-License-Identifier: MIT
 *
 * Semaphores between tasks. A permit that is given back goes straight to the task that waited longest, so that nobody races for it
 * and nobody wakes in vain. A permit is always in one of three places:
 *
 *     available ---- semaphore_acquire, semaphore_try -----------------------> held by a task
 *     held --------- semaphore_release: nobody waits -------------------------> available
 *     held --------- semaphore_release: give, to the first in `waiting` ------> granted
 *     granted ------ push_acquire: the task runs ------------------------------> held by that task
 *     granted ------ free_acquire: the task was ended before it ran; give -----> granted to the next one, or available
 *
 * Invariants:
 *   1. available + granted + held = size, as long as tasks release what they hold, and only that.
 *   2. available > 0 only while nobody waits.
 *   3. An op in `waiting` is not granted; cancel_acquire takes it out, semaphore_close ends it with ECLOSED.
 *   4. The op pins its semaphore, which therefore outlives those who wait for it.
 */
#include "sys/semaphore.h"

#include "core/check.h"
#include "core/class.h"
#include "core/error.h"
#include "core/op.h"
#include "core/opqueue.h"

#define SEMAPHORE "green.semaphore"
#define ACQUIRE "semaphore.acquire"
#define MAX_WAIT 60.0 /* seconds, unless the caller says otherwise: no default waits for ever */

typedef struct semaphore {
  lua_Integer size;
  lua_Integer available;
  gl_opqueue waiting;
  bool closed;
} semaphore;

typedef struct acquire_op {
  gl_op op;
  semaphore *s;  /* pinned by the op */
  bool granted;  /* it has a permit that its task does not hold yet */
} acquire_op;

static semaphore *check_semaphore(lua_State *L) { return gl_class_self(L, SEMAPHORE); }

static void give(semaphore *s) {
  gl_op *op = gl_opqueue_take(&s->waiting);
  if (!op) {
    s->available++;
    return;
  }
  ((acquire_op *)op)->granted = true;
  gl_op_done(op, 0);
}

/* ---- acquire ---- */

static int fail_closed(lua_State *L) { return gl_error_raise(L, ACQUIRE, "ECLOSED", "the semaphore is closed"); }

static int push_acquire(lua_State *L, gl_op *op) {
  acquire_op *a = (acquire_op *)op;
  if (!a->granted) return fail_closed(L);
  a->granted = false; /* the task's now */
  lua_rawgeti(L, LUA_REGISTRYINDEX, op->pin);
  return 1;
}

static void cancel_acquire(gl_op *op) { gl_opqueue_cancel(&((acquire_op *)op)->s->waiting, op); }

static void free_acquire(gl_op *op) {
  acquire_op *a = (acquire_op *)op;
  if (a->granted) give(a->s);
}

static const gl_optype acquire_type = {ACQUIRE, push_acquire, cancel_acquire, free_acquire};

static int semaphore_acquire(lua_State *L) {
  semaphore *s = check_semaphore(L);
  double timeout = gl_check_timeout(L, 2, MAX_WAIT);
  lua_settop(L, 1);
  if (s->closed) return fail_closed(L);
  if (s->available > 0) {
    s->available--;
    return 1;
  }
  acquire_op *a = gl_op_new(L, &acquire_type, sizeof *a, 1);
  a->s = s;
  gl_opqueue_push(&s->waiting, &a->op);
  return gl_await(L, &a->op, timeout);
}

/* ---- the rest never waits ---- */

static int semaphore_try(lua_State *L) {
  semaphore *s = check_semaphore(L);
  bool got = !s->closed && s->available > 0;
  if (got) s->available--;
  lua_pushboolean(L, got);
  return 1;
}

static int semaphore_release(lua_State *L) {
  semaphore *s = check_semaphore(L);
  if (s->available >= s->size) return luaL_error(L, "semaphore released more often than acquired");
  give(s);
  return 0;
}

static int semaphore_available(lua_State *L) {
  lua_pushinteger(L, check_semaphore(L)->available);
  return 1;
}

static int semaphore_close(lua_State *L) {
  semaphore *s = check_semaphore(L);
  s->closed = true;
  gl_opqueue_finish(&s->waiting, 0);
  return 0;
}

static int semaphore_new(lua_State *L) {
  lua_Integer size = luaL_checkinteger(L, 1);
  luaL_argcheck(L, size >= 1, 1, "a number of permits >= 1 expected");
  semaphore *s = lua_newuserdatauv(L, sizeof *s, 0);
  *s = (semaphore){.size = size, .available = size};
  luaL_setmetatable(L, SEMAPHORE);
  return 1;
}

int luaopen_green_semaphore(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"acquire", semaphore_acquire},     {"try", semaphore_try},     {"release", semaphore_release},
    {"available", semaphore_available}, {"close", semaphore_close}, {NULL, NULL},
  };
  static const luaL_Reg meta[] = {{"__close", semaphore_release}, {NULL, NULL}}; /* local permit <close> = s:acquire() */
  static const luaL_Reg functions[] = {{"new", semaphore_new}, {NULL, NULL}};
  gl_class_new(L, SEMAPHORE, methods, meta);
  luaL_newlib(L, functions);
  return 1;
}
