/* SPDX-License-Identifier: MIT
 *
 * One object, one call at a time. Blocking code keeps a connection in a module and calls it from everywhere, which is safe where a
 * call is over before the next one begins. So while a task has left its C stack standing in the middle of C functions of a module,
 * it holds
 *
 *     the userdata on the stacks of these functions, and in their upvalues,
 *     the descriptor that the innermost one waits for, since objects may share it (a cursor and its connection),
 *     the whole module, when one has userdata and sleeps: no descriptor tells what objects share then (SQLite sleeps while another
 *     process has the lock),
 *
 * and another task that reaches for one of these waits until the holder's C code is back in Lua, first come first served:
 *
 *     task A  conn:execute --poll--> parks: holds conn          back: holds nothing; B is woken;    back in Lua
 *                                      (gl_hold leave)            A is `midway`, and goes before B   (core/back.h)
 *     task B                         conn:execute: luaL_checkudata --ticket--> ..................... runs: conn is free
 *
 * Invariants:
 *  1. The holds of a task are in the table exactly while it is parked, but for the one of its exchange.
 *  2. A ticket is in the queue of its key from the first wait until its task goes on for good; a task has at most one.
 *  3. The first ticket of a key that nobody holds belongs to a task that was woken.
 */
#ifndef GL_LIBC_HOLD_H
#define GL_LIBC_HOLD_H

#include "libc/layer.h"

/* NULL: out of memory. */
struct gl_holds *gl_holds_new(gl_host *h);
void gl_holds_free(gl_host *h, struct gl_holds *s);

/* A hold: a task has an object, a descriptor, or a module. */
typedef struct gl_hold {
  struct gl_hold *next; /* in its bucket */
  const void *key;      /* an object, a descriptor, or where a module lies in memory */
  gl_task *owner;
} gl_hold;

/* Notes that a C module uses objects at all: until then nothing is looked for. */
void gl_hold_begin(struct gl_holds *s);

/* Is nothing held, and waited for? */
bool gl_hold_is_idle(const struct gl_holds *s);

/* A C function, running on L, reaches for an object: waits while another task holds it. When that wait is cut short, raises the task's
 * own error on L if the caller `may_raise`; otherwise the task trespasses: its calls of libc fail until it is back in Lua. */
void gl_hold_await(gl_layer *l, lua_State *L, const void *object, bool may_raise);

/* The same for a descriptor that a call of libc is about to use. Raises nothing. */
void gl_hold_await_descriptor(gl_layer *l, int fd);

/* Is anybody waiting for an object? */
bool gl_hold_has_queue(const struct gl_holds *s);

/* Keeps an object from all but `t`, while no C code of that is in the middle of it (libc/exchange.h). The hold is the caller's. */
void gl_hold_keep(struct gl_holds *s, gl_hold *w, const void *object, gl_task *t);

/* Ends that, if the hold has an owner, and wakes who waits for the object. */
void gl_hold_release(struct gl_holds *s, gl_hold *w, const void *object);

#endif
