/* SPDX-License-Identifier: MIT
 *
 * getaddrinfo and getnameinfo. What has no name in it asks nobody, and is libc's own call.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "libc/ask.h"
#include "libc/calls.h"

/* What the call returns when it must fail, for the errno that is set. */
static int failed(void) { return errno == EAGAIN ? EAI_AGAIN : errno == ENOMEM ? EAI_MEMORY : EAI_SYSTEM; }

/* errno is the task's as well, where the result says so. */
static int result_of(const gl_ask *a, int result) {
  if (result == EAI_SYSTEM) errno = a->error;
  return result;
}

/* ---- getaddrinfo ---- */

typedef struct forward {
  gl_ask ask;
  bool hinted;
  struct addrinfo hints;
  int result;
  struct addrinfo *list;
  char *service; /* in `text`, or NULL */
  char text[];   /* the name, and the service */
} forward;

static void ask_forward(gl_question *q) {
  forward *f = (forward *)q;
  f->result = getaddrinfo(f->text, f->service, f->hinted ? &f->hints : NULL, &f->list);
  f->ask.error = errno;
}

static void free_forward(gl_question *q) {
  forward *f = (forward *)q;
  if (f->result == 0 && f->list) freeaddrinfo(f->list);
  free(f);
}

static const gl_question_type forward_type = {ask_forward, gl_ask_answered, free_forward};

static forward *new_forward(const char *name, const char *service, const struct addrinfo *hints) {
  size_t n = strlen(name) + 1, k = service ? strlen(service) + 1 : 0;
  forward *f = calloc(1, sizeof *f + n + k);
  if (!f) return NULL;
  f->ask.question.type = &forward_type;
  memcpy(f->text, name, n);
  if (service) f->service = memcpy(f->text + n, service, k);
  f->hinted = hints != NULL;
  if (hints) {
    f->hints.ai_flags = hints->ai_flags;
    f->hints.ai_family = hints->ai_family;
    f->hints.ai_socktype = hints->ai_socktype;
    f->hints.ai_protocol = hints->ai_protocol;
  }
  return f;
}

int gl_libc_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **list) {
  bool asks = name && !(hints && (hints->ai_flags & AI_NUMERICHOST)) && !gl_resolver_is_number(name);
  gl_layer *l = asks ? gl_layer_now() : NULL;
  if (!l) return getaddrinfo(name, service, hints, list);
  forward *f = new_forward(name, service, hints);
  if (!f) return EAI_MEMORY;
  if (!gl_ask_and_wait(l, &gl_getaddrinfo_type, &f->ask, name)) return failed();
  int result = result_of(&f->ask, f->result);
  if (result == 0) *list = f->list;
  f->list = NULL;
  free_forward(&f->ask.question);
  return result;
}

/* ---- getnameinfo ---- */

typedef struct backward {
  gl_ask ask;
  struct sockaddr_storage address;
  socklen_t len, host_len, service_len;
  unsigned int flags;
  int result;
  char *service; /* in `text` */
  char text[];   /* the name that was found, and the service */
} backward;

static void ask_backward(gl_question *q) {
  backward *b = (backward *)q;
  b->result = getnameinfo((const struct sockaddr *)&b->address, b->len, b->text, b->host_len, b->service_len ? b->service : NULL,
                          b->service_len, (int)b->flags);
  b->ask.error = errno;
}

static void free_backward(gl_question *q) { free(q); }

static const gl_question_type backward_type = {ask_backward, gl_ask_answered, free_backward};

/* The servers that know an address: this machine for its own addresses, all others are one domain for each kind. */
static const char *domain_of(const struct sockaddr *address) {
  const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
  const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
  if (address->sa_family == AF_INET) return ntohl(v4->sin_addr.s_addr) >> 24 == 127 ? "localhost" : "in-addr.arpa";
  return address->sa_family == AF_INET6 && !IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ? "ip6.arpa" : "localhost";
}

static backward *new_backward(const struct sockaddr *address, socklen_t len, socklen_t host_len, socklen_t service_len, unsigned int flags) {
  backward *b = calloc(1, sizeof *b + host_len + service_len);
  if (!b) return NULL;
  b->ask.question.type = &backward_type;
  memcpy(&b->address, address, len);
  b->len = len;
  b->host_len = host_len;
  b->service_len = service_len;
  b->flags = flags;
  b->service = b->text + host_len;
  return b;
}

int gl_libc_getnameinfo(const struct sockaddr *address, socklen_t len, char *host, socklen_t host_len, char *service, socklen_t service_len,
                        int flags) {
  if (!service) service_len = 0;
  bool asks = address && host && host_len && !(flags & NI_NUMERICHOST) && len >= sizeof(sa_family_t) && len <= sizeof(struct sockaddr_storage);
  gl_layer *l = asks && (address->sa_family == AF_INET || address->sa_family == AF_INET6) ? gl_layer_now() : NULL;
  size_t least = l && address->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
  if (!l || len < least) return getnameinfo(address, len, host, host_len, service, service_len, flags);
  backward *b = new_backward(address, len, host_len, service_len, (unsigned int)flags);
  if (!b) return EAI_MEMORY;
  if (!gl_ask_and_wait(l, &gl_getnameinfo_type, &b->ask, domain_of(address))) return failed();
  int result = result_of(&b->ask, b->result);
  memcpy(host, b->text, host_len);
  if (service_len) memcpy(service, b->service, service_len);
  free(b);
  return result;
}
