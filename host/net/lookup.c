/* SPDX-License-Identifier: MIT */
#include "net/lookup.h"

#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/resolver.h"
#include "net/query.h"

struct gl_lookup {
  gl_question question;
  gl_lookup_done done;
  void *owner;
  gl_query query;
  char host[];
};

static size_t size_of(const char *host) { return sizeof(gl_lookup) + strlen(host) + 1; }

static void lookup_ask(gl_question *q) {
  gl_lookup *l = (gl_lookup *)q;
  l->query.loopback = q->loopback;
  gl_query_run(&l->query);
}

static void lookup_free(gl_question *q) {
  gl_lookup *l = (gl_lookup *)q;
  uv_freeaddrinfo(l->query.list);
  gl_memory_resize(l, size_of(l->host), 0);
}

static void lookup_answered(gl_question *q, int status) {
  gl_lookup *l = (gl_lookup *)q;
  struct addrinfo *list = l->query.list;
  l->query.list = NULL;
  l->done(l->owner, status ? status : l->query.status, list);
  lookup_free(q);
}

static const gl_question_type lookup_type = {lookup_ask, lookup_answered, lookup_free};

int gl_lookup_start(gl_host *h, const char *host, int port, int family, gl_lookup_done done, void *owner, gl_lookup **out) {
  gl_lookup *l = gl_memory_resize(NULL, 0, size_of(host));
  if (!l) return UV_ENOMEM;
  *l = (gl_lookup){.question.type = &lookup_type, .done = done, .owner = owner, .query = {.host = l->host, .family = family}};
  snprintf(l->query.service, sizeof l->query.service, "%d", port);
  strcpy(l->host, host);
  int err = gl_resolver_ask(h, &l->question, host);
  if (err) lookup_free(&l->question);
  else *out = l;
  return err;
}

void gl_lookup_cancel(gl_lookup *l) { gl_resolver_drop(&l->question); }
