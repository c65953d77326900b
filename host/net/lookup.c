/* SPDX-License-Identifier: MIT */
#include "net/lookup.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/check.h"
#include "core/class.h"
#include "core/error.h"
#include "core/fork.h"
#include "net/address.h"
#include "net/hosts.h"

#define BUCKETS 64
#define STACK ((size_t)512 * 1024) /* bytes: the system's resolver loads modules that want some */

/* Where names are looked up: what the machine knows by itself does not wait for name servers. */
enum { NETWORK, HERE, LANES };

/* Names that are answered by the same servers, as far as their last two labels tell. Those that hang hold up each other. */
typedef struct domain {
  struct domain *next;        /* with the same hash */
  struct domain *next_ready;  /* in its lane's ring: some wait, and may have a thread */
  gl_lookup *first, *last;    /* those that wait for one */
  unsigned running;
  bool ready;                 /* is in the ring */
  int lane;
  char name[];
} domain;

typedef struct lane {
  domain *first, *last;       /* ready: each in turn */
  unsigned threads;
} lane;

static const unsigned most[LANES] = {GL_LOOKUP_THREADS, GL_LOOKUP_THREADS / 8};

/* The lookups of a host. It lives until the host and the last thread have let go. */
typedef struct pool {
  struct gl_fork_hook fork;
  pthread_mutex_t lock;
  gl_lookup *answered; /* by threads, newest first; guarded, like the next two */
  unsigned refs;
  bool closed;         /* the host is gone: what comes now is nobody's */
  uv_async_t async;
  lane lanes[LANES];
  domain *domains[BUCKETS]; /* those with lookups */
  gl_hosts hosts;
  int wanted;          /* lookups somebody waits for: these keep the loop alive */
} pool;

struct gl_lookup {
  pool *pool;
  domain *domain;
  gl_lookup *next, *before;
  gl_lookup_done done; /* NULL: cancelled */
  void *owner;
  struct addrinfo *list;
  int status;
  int family;
  bool begun;
  bool loopback;       /* it is this machine, whatever its name */
  char service[8];
  char host[];
};

/* ---- in a thread ---- */

/* The resolver says "no such host" when it cannot open its own files or a socket. */
static int out_of_descriptors(void) {
  int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (fd >= 0) close(fd);
  return fd < 0 && (errno == EMFILE || errno == ENFILE) ? -errno : 0;
}

static int status_of(int eai) {
  switch (eai) {
    case 0: return 0;
    case EAI_ADDRFAMILY: return UV_EAI_ADDRFAMILY;
    case EAI_AGAIN: return UV_EAI_AGAIN;
    case EAI_FAIL: return UV_EAI_FAIL;
    case EAI_FAMILY: return UV_EAI_FAMILY;
    case EAI_MEMORY: return UV_EAI_MEMORY;
    case EAI_NODATA: return UV_EAI_NODATA;
    case EAI_NONAME: return UV_EAI_NONAME;
    case EAI_SERVICE: return UV_EAI_SERVICE;
    case EAI_SOCKTYPE: return UV_EAI_SOCKTYPE;
    case EAI_SYSTEM: return errno ? -errno : UV_EAI_FAIL;
    default: return UV_EAI_FAIL;
  }
}

/* libuv's, without a callback, is the system's in this thread, and knows names in UTF-8. It takes a loop, and that descriptors. */
static int look_up_utf8(gl_lookup *l, const struct addrinfo *hints) {
  uv_loop_t loop;
  uv_getaddrinfo_t req;
  int status = uv_loop_init(&loop);
  if (status) return status;
  status = uv_getaddrinfo(&loop, &req, NULL, l->host, l->service, hints);
  l->list = status ? NULL : req.addrinfo;
  uv_loop_close(&loop);
  return status;
}

static bool is_ascii(const char *name) {
  while (*name && (unsigned char)*name < 0x80) name++;
  return !*name;
}

static int look_up(gl_lookup *l) {
  struct addrinfo hints = {.ai_family = l->family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
  int full = out_of_descriptors();
  int status = l->loopback ? status_of(getaddrinfo(NULL, l->service, &hints, &l->list))
               : is_ascii(l->host) ? status_of(getaddrinfo(l->host, l->service, &hints, &l->list)) : look_up_utf8(l, &hints);
  if (!status) return 0;
  l->list = NULL;
  return full ? full : (full = out_of_descriptors()) ? full : status;
}

static void lookup_free(gl_lookup *l) {
  uv_freeaddrinfo(l->list);
  free(l);
}

/* With the lock, which it gives back. */
static void let_go(pool *p) {
  bool last = --p->refs == 0;
  pthread_mutex_unlock(&p->lock);
  if (!last) return;
  pthread_mutex_destroy(&p->lock);
  free(p);
}

static void *thread_main(void *arg) {
  gl_lookup *l = arg;
  pool *p = l->pool;
  l->status = look_up(l);
  pthread_mutex_lock(&p->lock);
  if (p->closed) {
    lookup_free(l);
  } else {
    l->next = p->answered;
    p->answered = l;
    uv_async_send(&p->async);
  }
  let_go(p);
  return NULL;
}

static int start_thread(gl_lookup *l) {
  pool *p = l->pool;
  pthread_t thread;
  pthread_attr_t attr;
  sigset_t all, before;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, STACK);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  pthread_mutex_lock(&p->lock);
  p->refs++;
  pthread_mutex_unlock(&p->lock);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
  int err = pthread_create(&thread, &attr, thread_main, l);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attr);
  if (err) {
    pthread_mutex_lock(&p->lock);
    let_go(p);
    return -err;
  }
  p->lanes[l->domain->lane].threads++;
  l->domain->running++;
  l->begun = true;
  return 0;
}

/* ---- on the loop ---- */

static const char key; /* registry[&key]: userdata with a pointer to the pool */

static pool *pool_of(gl_host *h) {
  lua_rawgetp(h->L, LUA_REGISTRYINDEX, &key);
  pool **at = lua_touserdata(h->L, -1);
  lua_pop(h->L, 1);
  GL_CHECK(at && *at);
  return *at;
}

static void want(pool *p, int more) {
  p->wanted += more;
  if (p->wanted) uv_ref((uv_handle_t *)&p->async);
  else uv_unref((uv_handle_t *)&p->async);
}

static void tell(gl_lookup *l) {
  struct addrinfo *list = l->list;
  l->list = NULL;
  want(l->pool, -1);
  l->done(l->owner, l->status, list);
}

/* ---- whose turn it is ---- */

static domain **bucket_of(pool *p, const char *name) {
  unsigned hash = 5381;
  for (; *name; name++) hash = hash * 33 + (unsigned char)*name;
  return &p->domains[hash % BUCKETS];
}

static void take_out(pool *p, domain *d) {
  if (d->running || d->first || d->ready) return;
  domain **at = bucket_of(p, d->name);
  while (*at != d) at = &(*at)->next;
  *at = d->next;
  free(d);
}

static domain *domain_of(pool *p, const char *name, int which) {
  domain **at = bucket_of(p, name), *d;
  for (d = *at; d; d = d->next)
    if (d->lane == which && strcmp(d->name, name) == 0) return d;
  size_t len = strlen(name) + 1;
  d = calloc(1, sizeof *d + len);
  if (!d) return NULL;
  memcpy(d->name, name, len);
  d->lane = which;
  d->next = *at;
  return *at = d;
}

static void make_ready(pool *p, domain *d) {
  lane *in = &p->lanes[d->lane];
  if (d->ready || !d->first || d->running >= GL_LOOKUP_DOMAIN) return;
  d->ready = true;
  d->next_ready = NULL;
  if (in->last) in->last->next_ready = d;
  else in->first = d;
  in->last = d;
}

static void enqueue(gl_lookup *l) {
  domain *d = l->domain;
  l->before = d->last;
  if (d->last) d->last->next = l;
  else d->first = l;
  d->last = l;
  make_ready(l->pool, d);
}

static void unqueue(gl_lookup *l) {
  domain *d = l->domain;
  if (l->before) l->before->next = l->next;
  else d->first = l->next;
  if (l->next) l->next->before = l->before;
  else d->last = l->before;
}

static void start_waiting(pool *p, int which) {
  lane *in = &p->lanes[which];
  while (in->first && in->threads < most[which]) {
    domain *d = in->first;
    if (!(in->first = d->next_ready)) in->last = NULL;
    d->ready = false;
    gl_lookup *l = d->first;
    d->running++; /* it stays, whatever whom we tell does */
    if (l) {
      unqueue(l);
      int err = start_thread(l);
      if (err) { /* else it is the thread's, its status, too */
        l->status = err;
        tell(l);
        lookup_free(l);
      }
    }
    d->running--;
    make_ready(p, d);
    take_out(p, d);
  }
}

static void on_answered(uv_async_t *async) {
  pool *p = async->data;
  pthread_mutex_lock(&p->lock);
  gl_lookup *l = p->answered;
  p->answered = NULL;
  pthread_mutex_unlock(&p->lock);
  while (l) {
    gl_lookup *next = l->next;
    domain *d = l->domain;
    p->lanes[d->lane].threads--;
    if (l->done) tell(l);
    lookup_free(l);
    d->running--;
    make_ready(p, d);
    take_out(p, d);
    l = next;
  }
  for (int i = 0; i < LANES; i++) start_waiting(p, i);
}

/* ---- looking up ---- */

/* localhost and all below it are this machine (RFC 6761), unless its own file says otherwise. */
static bool is_localhost(const char *host, size_t len) {
  static const char name[] = "localhost";
  size_t n = sizeof name - 1;
  return len >= n && strncasecmp(host + len - n, name, n) == 0 && (len == n || host[len - n - 1] == '.');
}

/* What the names behind the same servers have in common. */
static void domain_name(const char *host, char out[GL_HOST_MAX]) {
  size_t len = strlen(host), from = len;
  for (int dots = 0; from > 0; from--)
    if (host[from - 1] == '.' && from < len && ++dots == 2) break;
  size_t n = 0;
  for (; from < len && n < GL_HOST_MAX - 1; from++) out[n++] = (char)tolower((unsigned char)host[from]);
  out[n] = '\0';
}

/* Finds out where the name belongs. False: out of memory. */
static bool place(gl_lookup *l) {
  char plain[GL_HOST_MAX], name[GL_HOST_MAX] = "";
  size_t len = strlen(l->host);
  if (len && l->host[len - 1] == '.') len--;
  snprintf(plain, sizeof plain, "%.*s", (int)len, l->host);
  gl_address number;
  bool listed = gl_address_number(plain, 0, &number) || gl_hosts_has(&l->pool->hosts, l->host);
  l->loopback = !listed && is_localhost(plain, strlen(plain));
  if (!listed && !l->loopback) domain_name(plain, name);
  l->domain = domain_of(l->pool, name, listed || l->loopback ? HERE : NETWORK);
  return l->domain != NULL;
}

static int start(gl_lookup *l) {
  domain *d = l->domain;
  bool now = !d->first && d->running < GL_LOOKUP_DOMAIN && l->pool->lanes[d->lane].threads < most[d->lane];
  if (now) return start_thread(l);
  enqueue(l);
  return 0;
}

int gl_lookup_start(gl_host *h, const char *host, int port, int family, gl_lookup_done done, void *owner, gl_lookup **out) {
  pool *p = pool_of(h);
  size_t len = strlen(host) + 1;
  gl_lookup *l = calloc(1, sizeof *l + len);
  if (!l) return UV_ENOMEM;
  *l = (gl_lookup){.pool = p, .done = done, .owner = owner, .family = family};
  snprintf(l->service, sizeof l->service, "%d", port);
  memcpy(l->host, host, len);
  int err = place(l) ? start(l) : UV_ENOMEM;
  if (err) {
    if (l->domain) take_out(p, l->domain);
    free(l);
    return err;
  }
  want(p, 1);
  *out = l;
  return 0;
}

void gl_lookup_cancel(gl_lookup *l) {
  want(l->pool, -1);
  l->done = NULL;
  if (l->begun) return; /* its thread has it */
  unqueue(l); /* its domain is taken out when its turn comes */
  lookup_free(l);
}

/* ---- the pool opens and closes ---- */

static void on_closed(uv_handle_t *handle) {
  pool *p = handle->data;
  pthread_mutex_lock(&p->lock);
  let_go(p);
}

/* All tasks have ended: nobody waits there. */
static void free_domains(pool *p) {
  for (int i = 0; i < BUCKETS; i++) {
    for (domain *d = p->domains[i], *next; d; d = next) {
      next = d->next;
      GL_CHECK(!d->first);
      free(d);
    }
  }
}

/* In a forked child: its threads, and what they look up, are the parent's. */
static void on_forked(struct gl_fork_hook *hook) {
  pool *p = GL_CONTAINER(hook, pool, fork);
  pthread_mutex_init(&p->lock, NULL); /* a thread may have held it */
  p->answered = NULL;
  p->refs = 1;
  memset(p->lanes, 0, sizeof p->lanes);
  memset(p->domains, 0, sizeof p->domains);
  p->wanted = 0;
  uv_unref((uv_handle_t *)&p->async);
}

static int close_pool(lua_State *L) {
  pool *p = *(pool **)lua_touserdata(L, 1);
  if (!p) return 0;
  pthread_mutex_lock(&p->lock);
  p->closed = true;
  gl_fork_remove(gl_host_of(L), &p->fork);
  gl_lookup *l = p->answered;
  pthread_mutex_unlock(&p->lock);
  for (gl_lookup *next; l; l = next) {
    next = l->next;
    lookup_free(l);
  }
  free_domains(p);
  gl_hosts_free(&p->hosts);
  uv_close((uv_handle_t *)&p->async, on_closed);
  return 0;
}

void gl_lookup_init(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) == LUA_TNIL) {
    pool **at = lua_newuserdatauv(L, sizeof *at, 0), *p;
    *at = NULL;
    gl_class_finalizer(L, close_pool);
    p = calloc(1, sizeof *p);
    int err = p ? uv_async_init(gl_loop(L), &p->async, on_answered) : UV_ENOMEM;
    if (err) {
      free(p);
      gl_error_status(L, "net", err, NULL);
      return; /* it raised */
    }
    pthread_mutex_init(&p->lock, NULL);
    uv_unref((uv_handle_t *)&p->async);
    p->async.data = p;
    p->refs = 1;
    p->fork = (struct gl_fork_hook){.forked = on_forked};
    gl_fork_add(gl_host_of(L), &p->fork);
    *at = p;
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
  }
  lua_pop(L, 1);
}
