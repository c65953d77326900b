/* SPDX-License-Identifier: MIT
 *
 *     UNSET --alarm_set--> SET --on_alarm--> GOING_OFF --on_end--> UNSET, or SET if on_alarm came again meanwhile
 *       '--------------------'---- alarm_gc ---> freed     '-- alarm_gc: orphan --> on_end frees
 *
 * Invariants:
 *  1. `timer` is armed exactly in SET, or in GOING_OFF when it was set again meanwhile.
 *  2. `going_off` is true exactly in GOING_OFF: the task has the alarm's address.
 *  3. The object of an alarm that is no orphan is in the registry's weak table, under the alarm's address.
 */
#include "sys/alarm.h"

#include <stdlib.h>

#include "core/check.h"
#include "core/class.h"
#include "core/clock.h"
#include "core/task.h"

#define ALARM "green.alarm"

typedef struct alarm_clock {
  gl_timer timer;
  gl_host *host;
  bool going_off;
  bool again;  /* it was due while it went off */
  bool orphan; /* its object was collected */
} alarm_clock;

static const char objects = 'o'; /* registry: address of an alarm_clock -> its object, weak */

/* Calls the function of the alarm, unless its object is gone. */
static int alarm_main(lua_State *L) {
  alarm_clock *a = lua_touserdata(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &objects);
  if (a->orphan || lua_rawgetp(L, -1, a) != LUA_TUSERDATA) return 0;
  lua_getiuservalue(L, -1, 1);
  lua_call(L, 0, 0);
  return 0;
}

static void on_end(gl_task *t, int status, int nresults) {
  alarm_clock *a = t->owner;
  (void)nresults;
  if (status != LUA_OK) gl_task_log_error(t, "an alarm");
  a->going_off = false;
  if (a->orphan) free(a);
  else if (a->again) gl_timer_arm(&a->host->clock, &a->timer, 0);
}

static void on_alarm(gl_timer *timer) {
  alarm_clock *a = GL_CONTAINER(timer, alarm_clock, timer);
  a->again = a->going_off;
  if (!a->going_off) a->going_off = gl_task_start(a->host, alarm_main, a, on_end, false) != NULL;
}

static alarm_clock *check_alarm(lua_State *L) { return *(alarm_clock **)gl_class_self(L, ALARM); }

static int alarm_set(lua_State *L) {
  alarm_clock *a = check_alarm(L);
  double seconds = luaL_checknumber(L, 2);
  luaL_argcheck(L, seconds >= 0, 2, "a number of seconds >= 0 expected");
  if (!gl_timer_arm(&a->host->clock, &a->timer, seconds)) return luaL_error(L, "not enough memory");
  return 0;
}

static int alarm_gc(lua_State *L) {
  alarm_clock **at = lua_touserdata(L, 1), *a = *at;
  if (!a) return 0;
  *at = NULL;
  gl_timer_drop(&a->host->clock, &a->timer);
  if (a->going_off) a->orphan = true;
  else free(a);
  return 0;
}

static int alarm_new(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  alarm_clock **at = lua_newuserdatauv(L, sizeof *at, 1);
  *at = NULL;
  luaL_setmetatable(L, ALARM);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  alarm_clock *a = calloc(1, sizeof *a);
  if (!a) return luaL_error(L, "not enough memory");
  a->timer.fire = on_alarm;
  a->host = gl_host_of(L);
  *at = a;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &objects);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, a);
  lua_pop(L, 1);
  return 1;
}

int luaopen_green_alarm(lua_State *L) {
  static const luaL_Reg methods[] = {{"set", alarm_set}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", alarm_gc}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"new", alarm_new}, {NULL, NULL}};
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &objects);
  gl_class_new(L, ALARM, methods, meta);
  luaL_newlib(L, functions);
  return 1;
}
