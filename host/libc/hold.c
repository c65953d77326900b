/* SPDX-License-Identifier: MIT */
#include "libc/hold.h"

#include <errno.h>
#include <stdlib.h>

#include "core/back.h"
#include "core/check.h"
#include "core/error.h"
#include "core/op.h"
#include "core/scope.h"
#include "libc/exchange.h"
#include "libc/frames.h"

#define BUCKETS 1024
#define DESCRIPTOR(fd) ((const void *)(((uintptr_t)(fd) << 1) | 1)) /* no object has an odd address */

/* What one parked task holds. */
typedef struct parked {
  size_t n, descriptors, modules; /* holds; of these so many are for descriptors and for modules */
  gl_hold at[];
} parked;

typedef struct ticket {
  struct ticket *next; /* in its bucket, oldest first */
  const void *key;     /* NULL: it is in no queue */
  gl_task *task;
  gl_op *op;           /* while the task waits; NULL: it runs */
} ticket;

/* A wait for an object. */
typedef struct object_op {
  gl_op op;
  ticket *ticket; /* on the C stack of the task; NULL once the wait is over */
} object_op;

struct gl_holds {
  bool begun;                                  /* a C module has used an object */
  size_t holds, descriptors, modules, tickets; /* how many there are; of the holds so many are for descriptors and for modules */
  size_t kept;                                 /* holds of exchanges, which are not among those */
  struct {
    gl_hold *holds;
    ticket *tickets;
  } bucket[BUCKETS];
};

static size_t bucket_of(const void *key) { return (size_t)(((uintptr_t)key >> 1) * 0x9e3779b97f4a7c15u >> 40) % BUCKETS; }

void gl_hold_begin(struct gl_holds *s) { s->begun = true; }

bool gl_hold_is_idle(const struct gl_holds *s) { return !s->holds && !s->tickets && !s->kept; }

bool gl_hold_has_queue(const struct gl_holds *s) { return s->tickets > 0; }

/* Another task than `t` that holds the key; NULL: none. */
static gl_task *other_holder(const struct gl_holds *s, const void *key, const gl_task *t) {
  for (const gl_hold *w = s->bucket[bucket_of(key)].holds; w; w = w->next)
    if (w->key == key && w->owner != t) return w->owner;
  return NULL;
}

static ticket *first_ticket(const struct gl_holds *s, const void *key) {
  ticket *q = s->bucket[bucket_of(key)].tickets;
  while (q && q->key != key) q = q->next;
  return q;
}

static void wake_first(const struct gl_holds *s, const void *key) {
  ticket *q = first_ticket(s, key);
  if (q && q->op && !q->op->done) gl_op_done(q->op, 0);
}

/* ---- a task leaves its C stack, and comes back ---- */

static gl_layer *layer_of(const gl_host *h) { return gl_layer_here && gl_layer_here->host == h ? gl_layer_here : NULL; }

static void add_hold(struct gl_holds *s, gl_hold *w, const void *key, gl_task *t) {
  gl_hold **at = &s->bucket[bucket_of(key)].holds;
  *w = (gl_hold){.next = *at, .key = key, .owner = t};
  *at = w;
}

/* Notes what the C code of modules on the stack of the running task is in the middle of. Without memory it holds nothing. */
static void *on_leave(gl_host *h, gl_task *t) {
  gl_layer *l = layer_of(h);
  if (!l || !l->holds->begun) return NULL;
  gl_frames f;
  int fd = l->fd, level = l->reaching ? 1 : 0; /* who only waits for an object does not hold it */
  l->fd = GL_NO_FD;
  t->midway = l->reaching = false;
  gl_frames_look(&f, h->running, level);
  parked *p = f.n ? malloc(sizeof *p + (f.n + 1) * sizeof *p->at) : NULL;
  if (!p) return NULL;
  struct gl_holds *s = l->holds;
  const void *module = fd == GL_NO_FDS ? gl_frames_module(f.user) : NULL;
  *p = (parked){.descriptors = fd >= 0 && f.inner, .modules = module != NULL};
  for (size_t i = 0; i < f.n; i++) add_hold(s, &p->at[p->n++], f.object[i], t);
  if (p->descriptors) add_hold(s, &p->at[p->n++], DESCRIPTOR(fd), t);
  if (p->modules) add_hold(s, &p->at[p->n++], module, t);
  s->holds += p->n;
  s->descriptors += p->descriptors;
  s->modules += p->modules;
  return p;
}

static void remove_hold(struct gl_holds *s, gl_hold *w) {
  gl_hold **at = &s->bucket[bucket_of(w->key)].holds;
  while (*at != w) at = &(*at)->next;
  *at = w->next;
}

/* The task is in the middle of its C code still, and goes on with it before those who wait. */
static void on_return(gl_host *h, gl_task *t, void *left) {
  gl_layer *l = layer_of(h);
  parked *p = left;
  struct gl_holds *s = l->holds;
  for (size_t i = 0; i < p->n; i++) {
    remove_hold(s, &p->at[i]);
    if (!first_ticket(s, p->at[i].key)) continue;
    t->midway = true;
    wake_first(s, p->at[i].key);
  }
  s->holds -= p->n;
  s->descriptors -= p->descriptors;
  s->modules -= p->modules;
  free(p);
  if (t->midway) gl_back_arm(h);
}

/* ---- a task makes way in the middle of an exchange ---- */

void gl_hold_keep(struct gl_holds *s, gl_hold *w, const void *object, gl_task *t) {
  add_hold(s, w, object, t);
  s->kept++;
}

void gl_hold_release(struct gl_holds *s, gl_hold *w, const void *object) {
  if (w->owner) {
    remove_hold(s, w);
    w->owner = NULL;
    s->kept--;
  }
  if (s->tickets) wake_first(s, object);
}

/* ---- the queue ---- */

static void enqueue(struct gl_holds *s, ticket *q, const void *key) {
  ticket **at = &s->bucket[bucket_of(key)].tickets;
  while (*at) at = &(*at)->next;
  q->key = key;
  q->next = NULL;
  *at = q;
  s->tickets++;
}

/* The next in line is woken: it looks for itself whether its turn has come. */
static void dequeue(struct gl_holds *s, ticket *q) {
  if (!q->key) return;
  ticket **at = &s->bucket[bucket_of(q->key)].tickets;
  while (*at != q) at = &(*at)->next;
  *at = q->next;
  s->tickets--;
  wake_first(s, q->key);
  q->key = NULL;
}

/* ---- the op ---- */

static int push_object(lua_State *L, gl_op *op) {
  (void)L;
  (void)op;
  return 0;
}

static void free_object(gl_op *op) {
  object_op *w = (object_op *)op;
  if (w->ticket) w->ticket->op = NULL;
  w->ticket = NULL;
}

static void cancel_object(gl_op *op) {
  free_object(op);
  gl_op_done(op, UV_ECANCELED);
}

const gl_optype gl_object_type = {"libc.object", push_object, cancel_object, free_object, NULL};

/* Waits until the ticket is woken. Returns GL_DONE or why the wait is over. */
static int wait_in_line(gl_layer *l, ticket *q) {
  int why = gl_scope_check(q->task);
  if (why != GL_DONE) return why;
  object_op *w = gl_op_make(l->host, &gl_object_type, sizeof *w);
  if (!w) return GL_NO_STACK;
  w->ticket = q;
  q->op = &w->op;
  l->reaching = true;
  int outcome = gl_op_wait(&w->op, 0, false);
  l->reaching = false; /* without a C stack the task has not left */
  return outcome;
}

/* ---- reaching for an object ---- */

/* Is the running task in the middle of another C function that has the object, or holds its module? It goes on freely. */
static bool is_inside(gl_layer *l, const void *key) {
  gl_frames f;
  gl_frames_look(&f, l->host->running, 1);
  for (size_t i = 0; i < f.n; i++)
    if (f.object[i] == key) return true;
  return f.user && l->holds->modules && gl_frames_module(f.user) == key;
}

/* Must the ticket's task wait for the key? */
static bool is_blocked(gl_layer *l, lua_State *L, const ticket *q, const void *key) {
  if (other_holder(l->holds, key, q->task)) return true;
  const ticket *first = first_ticket(l->holds, key);
  return first && first != q && !q->task->midway && !gl_exchange_goes_on(l, L, key) && !is_inside(l, key);
}

/* Does the holder of the key, or whoever that one waits for, wait for the task itself? */
static gl_task *deadlocked_with(gl_layer *l, const void *key, const gl_task *t) {
  gl_task *first = other_holder(l->holds, key, t), *next = first;
  for (size_t i = 0; next && i <= l->holds->tickets; i++) {
    if (!next->op || next->op->type != &gl_object_type) return NULL;
    const ticket *q = ((const object_op *)next->op)->ticket;
    if (!q) return NULL;
    if (is_inside(l, q->key)) return first; /* the holds of a task that runs are in no table */
    next = other_holder(l->holds, q->key, next);
  }
  return NULL;
}

/* What the running task, whose ticket it is, must wait for to get the object: the object itself, or its module. NULL: nothing. */
static const void *blocked_by(gl_layer *l, lua_State *L, const ticket *q, const void *object) {
  if (is_blocked(l, L, q, object)) return object;
  if (!l->holds->modules || !L) return NULL;
  const void *module = gl_frames_module(gl_frames_function(L, 0));
  return module && is_blocked(l, L, q, module) ? module : NULL;
}

static int await_turn(gl_layer *l, lua_State *L, const void *object, gl_task **deadlocked) {
  ticket q = {.task = l->host->task};
  int why = GL_DONE;
  for (const void *by; why == GL_DONE && (by = blocked_by(l, L, &q, object)) != NULL;) {
    *deadlocked = deadlocked_with(l, by, q.task);
    if (*deadlocked) break;
    if (q.key != by) {
      dequeue(l->holds, &q);
      enqueue(l->holds, &q, by);
    }
    why = wait_in_line(l, &q);
  }
  dequeue(l->holds, &q);
  return why;
}

/* The task goes on without the object, as it cannot be told by an error: its calls of libc fail. */
static void trespass(gl_layer *l) {
  gl_task *t = l->host->task;
  t->trespasses = t->cut_short = true;
  t->detached_from = gl_object_type.name;
  gl_back_arm(l->host);
}

/* Raises that two tasks wait for each other, with where both stand. */
static void raise_deadlock(lua_State *L, gl_host *h, gl_task *other) {
  luaL_traceback(L, h->running, NULL, 1);
  if (other->co) luaL_traceback(L, other->co, NULL, 0);
  else lua_pushliteral(L, "");
  gl_error_raise(L, gl_object_type.name, "EDEADLK", "two tasks wait for objects that the other is in the middle of:\nthis one, %s\nthe other, %s",
                 lua_tostring(L, -2), lua_tostring(L, -1));
}

void gl_hold_await(gl_layer *l, lua_State *L, const void *object, bool may_raise) {
  gl_task *deadlocked = NULL;
  if (gl_layer_finalizes(l)) return;
  int why = await_turn(l, L, object, &deadlocked);
  if (why == GL_DONE && !deadlocked) return;
  if (!may_raise) {
    trespass(l);
    return;
  }
  if (deadlocked) raise_deadlock(L, l->host, deadlocked);
  if (why == GL_NO_STACK) gl_error_raise(L, gl_object_type.name, "EMFILE", "too many tasks wait where Lua cannot yield");
  gl_scope_raise(L, l->host->task, gl_object_type.name);
}

void gl_hold_await_descriptor(gl_layer *l, int fd) {
  gl_task *deadlocked = NULL;
  if (!l->holds->descriptors || gl_layer_finalizes(l)) return;
  if (await_turn(l, NULL, DESCRIPTOR(fd), &deadlocked) != GL_DONE || deadlocked) trespass(l);
}

/* ---- life ---- */

struct gl_holds *gl_holds_new(gl_host *h) {
  struct gl_holds *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  h->on_leave = on_leave;
  h->on_return = on_return;
  return s;
}

void gl_holds_free(gl_host *h, struct gl_holds *s) {
  GL_CHECK(!s->holds);
  h->on_leave = NULL;
  free(s);
}
