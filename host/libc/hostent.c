/* SPDX-License-Identifier: MIT
 *
 * gethostbyname and its like. The thread fills a block that the question owns. For the functions with static buffers the block
 * becomes the buffer, after the wait; for the others (_r) the block is copied to the caller's, with the pointers in it moved.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "libc/ask.h"
#include "libc/calls.h"

#define FIRST 1024 /* bytes of a static buffer that was never too small */

typedef enum key_kind { BY_NAME, BY_NAME_AND_FAMILY, BY_ADDRESS } key_kind;

typedef struct search {
  gl_ask ask;
  key_kind kind;
  bool grows;             /* a block that is too small is made larger, */
  char *block, *buffer;   /* which is owned; where in it libc writes: aligned as the caller's buffer */
  size_t size;            /* bytes of the buffer */
  int family;
  struct hostent entry, *found;
  int result, host_error; /* what the function has returned; h_errno */
  size_t len;             /* of an address */
  char key[];             /* the name or the address */
} search;

/* ---- in a thread ---- */

static void search_once(search *s) {
  s->host_error = 0;
  switch (s->kind) {
    case BY_NAME: s->result = gethostbyname_r(s->key, &s->entry, s->buffer, s->size, &s->found, &s->host_error); break;
    case BY_NAME_AND_FAMILY:
      s->result = gethostbyname2_r(s->key, s->family, &s->entry, s->buffer, s->size, &s->found, &s->host_error);
      break;
    case BY_ADDRESS:
      s->result = gethostbyaddr_r(s->key, (socklen_t)s->len, s->family, &s->entry, s->buffer, s->size, &s->found, &s->host_error);
  }
  s->ask.error = errno;
}

static void ask_search(gl_question *q) {
  search *s = (search *)q;
  search_once(s);
  while (s->grows && s->result == ERANGE) {
    char *larger = realloc(s->block, 2 * s->size);
    if (!larger) return;
    s->block = s->buffer = larger;
    s->size *= 2;
    search_once(s);
  }
}

static void free_search(gl_question *q) {
  free(((search *)q)->block);
  free(q);
}

static const gl_question_type search_type = {ask_search, gl_ask_answered, free_search};

/* ---- on the loop ---- */

/* A search for `len` bytes of key, whose buffer is aligned as `like` is. NULL: out of memory; errno is set. */
static search *new_search(key_kind kind, const void *key, size_t len, int family, size_t size, const char *like) {
  size_t skew = (uintptr_t)like % 16;
  search *s = calloc(1, sizeof *s + len + 1);
  char *block = malloc(size + skew + 1);
  if (!s || !block) {
    free(block);
    free(s);
    errno = ENOMEM;
    return NULL;
  }
  s->ask.question.type = &search_type;
  s->kind = kind;
  s->block = block;
  s->buffer = block + skew;
  s->size = size;
  s->family = family;
  s->len = len;
  memcpy(s->key, key, len);
  return s;
}

static const char *domain_of(const search *s) {
  if (s->kind != BY_ADDRESS) return s->key;
  bool here = s->family == AF_INET ? s->key[0] == 127 : memcmp(s->key, &in6addr_loopback, sizeof in6addr_loopback) == 0;
  return here ? "localhost" : s->family == AF_INET ? "in-addr.arpa" : "ip6.arpa";
}

static bool run(gl_layer *l, search *s) {
  return gl_ask_and_wait(l, s->kind == BY_ADDRESS ? &gl_gethostbyaddr_type : &gl_gethostbyname_type, &s->ask, domain_of(s));
}

/* Is it a question that can be asked at all? Else libc's own says what is wrong. */
static bool is_address(const void *address, socklen_t len, int family) {
  return address && ((family == AF_INET && len == sizeof(struct in_addr)) || (family == AF_INET6 && len == sizeof(struct in6_addr)));
}

/* ---- with a static buffer ---- */

typedef struct place {
  struct hostent entry;
  char *block;
} place;

static _Thread_local place places[BY_ADDRESS + 1];

static struct hostent *fail(void) {
  h_errno = errno == EAGAIN ? TRY_AGAIN : NETDB_INTERNAL;
  return NULL;
}

static struct hostent *search_static(gl_layer *l, key_kind kind, const void *key, size_t len, int family) {
  search *s = new_search(kind, key, len, family, FIRST, NULL);
  if (!s) return fail();
  s->grows = true;
  if (!run(l, s)) return fail();
  place *p = &places[kind];
  if (s->result != 0) errno = s->ask.error;
  if (s->host_error) h_errno = s->host_error;
  bool found = s->result == 0 && s->found;
  if (found) {
    free(p->block);
    *p = (place){s->entry, s->block};
    s->block = NULL;
  }
  free_search(&s->ask.question);
  return found ? &p->entry : NULL;
}

struct hostent *gl_libc_gethostbyname(const char *name) {
  gl_layer *l = gl_resolver_is_number(name) ? NULL : gl_layer_now();
  return l ? search_static(l, BY_NAME, name, strlen(name), AF_INET) : gethostbyname(name);
}

struct hostent *gl_libc_gethostbyname2(const char *name, int family) {
  gl_layer *l = gl_resolver_is_number(name) ? NULL : gl_layer_now();
  return l ? search_static(l, BY_NAME_AND_FAMILY, name, strlen(name), family) : gethostbyname2(name, family);
}

struct hostent *gl_libc_gethostbyaddr(const void *address, socklen_t len, int family) {
  gl_layer *l = is_address(address, len, family) ? gl_layer_now() : NULL;
  return l ? search_static(l, BY_ADDRESS, address, len, family) : gethostbyaddr(address, len, family);
}

/* ---- with the caller's buffer ---- */

typedef struct target {
  struct hostent *entry;
  char *buffer;
  size_t size;
  struct hostent **found;
  int *host_error;
} target;

static void *moved(const search *s, const target *t, void *at) { return at ? t->buffer + ((char *)at - s->buffer) : NULL; }

/* Moves the pointers of a list, which libc does not always align. */
static void move_list(const search *s, const target *t, char **list) {
  void *one;
  for (char *at = (char *)list; at; at += sizeof one) {
    memcpy(&one, at, sizeof one);
    if (!one) return;
    one = moved(s, t, one);
    memcpy(at, &one, sizeof one);
  }
}

/* Copies the answer: all pointers in it lead into the buffer. */
static void copy_entry(const search *s, const target *t) {
  move_list(s, t, s->entry.h_aliases);
  move_list(s, t, s->entry.h_addr_list);
  *t->entry = s->entry;
  t->entry->h_name = moved(s, t, s->entry.h_name);
  t->entry->h_aliases = moved(s, t, s->entry.h_aliases);
  t->entry->h_addr_list = moved(s, t, s->entry.h_addr_list);
  memcpy(t->buffer, s->buffer, t->size);
}

static int search_reentrant(gl_layer *l, key_kind kind, const void *key, size_t len, int family, const target *t) {
  search *s = new_search(kind, key, len, family, t->size, t->buffer);
  *t->found = NULL;
  if (!s || !run(l, s)) {
    *t->host_error = errno == EAGAIN ? TRY_AGAIN : NETDB_INTERNAL;
    return errno;
  }
  int result = s->result;
  if (result == 0 && s->found) {
    copy_entry(s, t);
    *t->found = t->entry;
  }
  if (result != 0) errno = s->ask.error;
  *t->host_error = s->host_error;
  free_search(&s->ask.question);
  return result;
}

int gl_libc_gethostbyname_r(const char *name, struct hostent *entry, char *buffer, size_t size, struct hostent **found, int *host_error) {
  gl_layer *l = gl_resolver_is_number(name) ? NULL : gl_layer_now();
  if (!l) return gethostbyname_r(name, entry, buffer, size, found, host_error);
  return search_reentrant(l, BY_NAME, name, strlen(name), AF_INET, &(target){entry, buffer, size, found, host_error});
}

int gl_libc_gethostbyname2_r(const char *name, int family, struct hostent *entry, char *buffer, size_t size, struct hostent **found,
                             int *host_error) {
  gl_layer *l = gl_resolver_is_number(name) ? NULL : gl_layer_now();
  if (!l) return gethostbyname2_r(name, family, entry, buffer, size, found, host_error);
  return search_reentrant(l, BY_NAME_AND_FAMILY, name, strlen(name), family, &(target){entry, buffer, size, found, host_error});
}

int gl_libc_gethostbyaddr_r(const void *address, socklen_t len, int family, struct hostent *entry, char *buffer, size_t size,
                            struct hostent **found, int *host_error) {
  gl_layer *l = is_address(address, len, family) ? gl_layer_now() : NULL;
  if (!l) return gethostbyaddr_r(address, len, family, entry, buffer, size, found, host_error);
  return search_reentrant(l, BY_ADDRESS, address, len, family, &(target){entry, buffer, size, found, host_error});
}
