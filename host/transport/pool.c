/* SPDX-License-Identifier: MIT */
#include "transport/pool.h"

#include <stdlib.h>
#include <string.h>

#include "transport/outbound.h"
#include "transport/roundtrip.h"

#define SWEEP_SECONDS 5.0

/* ---- origins ---- */

void gl_pool_unref(gl_pool *p) {
  if (--p->refs > 0) return;
  gl_heads_free(&p->heads);
  free(p);
}

static void warm_up(gl_origin *o) {
  gl_pool *p = o->pool;
  *(o->colder ? &o->colder->warmer : &p->coldest) = o->warmer;
  *(o->warmer ? &o->warmer->colder : &p->warmest) = o->colder;
  o->cold = false;
  p->ncold--;
}

static void origin_free(gl_origin *o) {
  gl_pool *p = o->pool;
  if (o->cold) warm_up(o);
  gl_map_remove(&p->origins, &o->node);
  if (o->session) SSL_SESSION_free(o->session);
  gl_tls_config_unref(o->to.tls);
  free(o);
  gl_pool_unref(p);
}

/* Remembers an origin for its session, and frees the one that was used the longest time ago if too many are remembered. */
static void cool_down(gl_origin *o) {
  gl_pool *p = o->pool;
  o->colder = p->warmest;
  o->warmer = NULL;
  *(p->warmest ? &p->warmest->warmer : &p->coldest) = o;
  p->warmest = o;
  o->cold = true;
  if (++p->ncold > GL_POOL_SESSIONS) origin_free(p->coldest);
}

void gl_origin_release(gl_origin *o) {
  if (--o->uses > 0) return;
  if (o->session && !o->pool->closed) cool_down(o);
  else origin_free(o);
}

gl_origin *gl_pool_find(gl_pool *p, const char *key, size_t len) {
  uint64_t hash = gl_hash_bytes(&p->key, key, len);
  for (gl_mapnode *n = gl_map_find(&p->origins, hash); n; n = gl_map_next(n)) {
    gl_origin *o = GL_CONTAINER(n, gl_origin, node);
    if (o->to.key_len != len || memcmp(o->to.key, key, len) != 0) continue;
    if (o->cold) warm_up(o);
    o->uses++;
    return o;
  }
  return NULL;
}

static size_t text_size(const char *text) { return text ? strlen(text) + 1 : 0; }

static const char *copy_text(char **to, const char *text) {
  if (!text) return NULL;
  char *copy = strcpy(*to, text);
  *to += strlen(text) + 1;
  return copy;
}

/* Copies the strings and the pins behind the struct. */
static void copy_spec(gl_origin *o, const gl_origin_spec *to) {
  char *at = (char *)(o + 1);
  o->to = *to;
  o->to.pins = (const uint8_t(*)[32])memcpy(at, to->npins ? to->pins[0] : (const uint8_t *)"", to->npins * sizeof *to->pins);
  at += to->npins * sizeof *to->pins;
  o->to.key = memcpy(at, to->key, to->key_len);
  at += to->key_len;
  o->to.host = copy_text(&at, to->host);
  o->to.path = copy_text(&at, to->path);
  o->to.proxy_host = copy_text(&at, to->proxy_host);
  o->to.proxy_auth = copy_text(&at, to->proxy_auth);
  o->to.server_name = copy_text(&at, to->server_name);
}

gl_origin *gl_origin_new(gl_pool *p, const gl_origin_spec *to) {
  size_t texts = text_size(to->host) + text_size(to->path) + text_size(to->proxy_host) + text_size(to->proxy_auth) + text_size(to->server_name);
  gl_origin *o = calloc(1, sizeof *o + to->npins * sizeof *to->pins + to->key_len + texts);
  if (o) {
    copy_spec(o, to);
    o->pool = p;
    o->uses = 1;
    o->node.hash = gl_hash_bytes(&p->key, to->key, to->key_len);
    if (gl_map_add(&p->origins, &o->node)) {
      p->refs++;
      return o;
    }
  }
  free(o);
  gl_tls_config_unref(to->tls);
  return NULL;
}

void gl_pool_claim(gl_pool *p, gl_roundtrip *rt) {
  gl_roundtrip *before = p->claimed;
  p->claimed = rt;
  if (before) gl_roundtrip_unref(before);
}

gl_roundtrip *gl_pool_take_claim(gl_pool *p) {
  gl_roundtrip *rt = p->claimed;
  p->claimed = NULL;
  return rt;
}

/* ---- the line ---- */

static void enqueue(gl_origin *o, gl_roundtrip *rt) {
  rt->next = NULL;
  rt->prev = o->last;
  *(o->last ? &o->last->next : &o->first) = rt;
  o->last = rt;
  rt->queued = true;
  o->nwaiting++;
  o->pool->stats.waiting++;
}

void gl_pool_leave(gl_origin *o, gl_roundtrip *rt) {
  *(rt->prev ? &rt->prev->next : &o->first) = rt->next;
  *(rt->next ? &rt->next->prev : &o->last) = rt->prev;
  rt->queued = false;
  o->nwaiting--;
  o->pool->stats.waiting--;
}

static void dial(gl_origin *o, gl_roundtrip *rt) {
  if (!gl_outbound_dial(o, rt)) gl_roundtrip_abort(rt, UV_ENOMEM, "not enough memory");
}

/* Has a connection been idle for longer than we keep one, or than its server says that it does? */
static bool is_stale(const gl_outbound *c) {
  uint64_t idle = uv_now(&c->pool->host->loop) - c->idle_since;
  return idle >= (uint64_t)(GL_POOL_IDLE_SECONDS * 1000) || idle >= c->idle_most;
}

/* Is a request that cannot be sent again too good for the kept connections of this server? Some announce no end and close after each
 * response (tinyproxy does): such a request would meet the end on its way. */
static bool wants_fresh(const gl_origin *o, const gl_roundtrip *rt) { return o->departs && !gl_roundtrip_is_repeatable(rt); }

void gl_pool_want(gl_origin *o, gl_roundtrip *rt, bool fresh) {
  fresh = fresh || wants_fresh(o, rt);
  while (!fresh && o->idle) {
    gl_outbound *c = o->idle;
    if (!is_stale(c) && gl_outbound_is_alive(c, rt->marks[GL_PHASE_QUEUE], !gl_roundtrip_is_repeatable(rt))) {
      gl_pool_unkeep(c);
      gl_outbound_serve(c, rt);
      return;
    }
    gl_outbound_drop(c);
  }
  if (o->nconns >= GL_POOL_PER_ORIGIN && o->idle) gl_outbound_drop(o->idle);
  if (o->nconns < GL_POOL_PER_ORIGIN && !o->first) dial(o, rt);
  else enqueue(o, rt);
}

/* A connection that fails at once comes back here, and returns: the loop below sees that there is one fewer. */
void gl_pool_gone(gl_origin *o) {
  if (o->dialing) return;
  o->dialing = true;
  o->uses++;
  while (o->first && o->nconns < GL_POOL_PER_ORIGIN) {
    gl_roundtrip *rt = o->first;
    gl_pool_leave(o, rt);
    dial(o, rt);
  }
  o->dialing = false;
  gl_origin_release(o);
}

/* ---- idle connections ---- */

static void on_sweep(gl_timer *timer) {
  gl_pool *p = GL_CONTAINER(timer, gl_pool, sweep);
  for (gl_outbound *c = p->oldest, *newer; c; c = newer) {
    newer = c->newer;
    if (is_stale(c)) gl_outbound_drop(c); /* to drop an idle connection drops no other one */
  }
  if (p->oldest) gl_timer_arm(&p->host->clock, &p->sweep, SWEEP_SECONDS);
}

void gl_pool_unkeep(gl_outbound *c) {
  gl_pool *p = c->pool;
  *c->idle_at = c->idle_next;
  if (c->idle_next) c->idle_next->idle_at = c->idle_at;
  *(c->older ? &c->older->newer : &p->oldest) = c->newer;
  *(c->newer ? &c->newer->older : &p->newest) = c->older;
  c->origin->nidle--;
  p->stats.idle--;
  p->host->census.handles++;
}

bool gl_pool_keep(gl_outbound *c) {
  gl_pool *p = c->pool;
  gl_origin *o = c->origin;
  if (p->closed) return false;
  if (o->first) {
    gl_roundtrip *rt = o->first;
    if (wants_fresh(o, rt)) return false;
    gl_pool_leave(o, rt);
    gl_outbound_serve(c, rt);
    return true;
  }
  if (p->stats.idle >= GL_POOL_IDLE) gl_outbound_drop(p->oldest);
  c->state = GL_OUTBOUND_IDLE;
  c->idle_since = uv_now(&p->host->loop);
  c->idle_next = o->idle;
  c->idle_at = &o->idle;
  if (o->idle) o->idle->idle_at = &c->idle_next;
  o->idle = c;
  c->older = p->newest;
  c->newer = NULL;
  *(p->newest ? &p->newest->newer : &p->oldest) = c;
  p->newest = c;
  o->nidle++;
  p->stats.idle++;
  p->host->census.handles--; /* invariant 4 */
  if (!p->sweep.slot) gl_timer_arm(&p->host->clock, &p->sweep, SWEEP_SECONDS); /* if it cannot, GL_POOL_IDLE is the limit */
  return true;
}

void gl_pool_close_idle(gl_pool *p) {
  while (p->oldest) gl_outbound_drop(p->oldest);
}

/* ---- life ---- */

/* Closes the idle connections in a forked child, since they are the parent's: to close copies of their descriptors says nothing to
 * the servers. */
static void on_forked(struct gl_fork_hook *hook) { gl_pool_close_idle(GL_CONTAINER(hook, gl_pool, fork)); }

gl_pool *gl_pool_new(gl_host *h) {
  gl_pool *p = calloc(1, sizeof *p);
  if (!p) return NULL;
  p->host = h;
  p->refs = 1;
  p->sweep.fire = on_sweep;
  p->fork = (struct gl_fork_hook){.forked = on_forked};
  gl_hash_key(&p->key);
  gl_fork_add(h, &p->fork);
  return p;
}

void gl_pool_close(gl_pool *p) {
  p->closed = true;
  gl_timer_drop(&p->host->clock, &p->sweep);
  gl_fork_remove(p->host, &p->fork);
  while (p->live) {
    gl_outbound *c = p->live;
    gl_roundtrip *rt = c->rt;
    if (c->state == GL_OUTBOUND_BUSY) c->x.user->abort(&c->x);
    else if (rt) gl_roundtrip_quit(rt);
    else gl_outbound_drop(c);
  }
  while (p->coldest) origin_free(p->coldest);
  gl_pool_claim(p, NULL);
  gl_tls_config_unref(p->trusting);
  gl_pool_unref(p);
}
