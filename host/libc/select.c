/* SPDX-License-Identifier: MIT
 *
 * select and pselect. The kernel looks at copies of the sets without waiting, so that the sets are as they were while the call
 * waits, and what the kernel makes of them at the end. Sets may have any number of bits, whatever FD_SETSIZE is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libc/abandon.h"
#include "libc/calls.h"
#include "libc/limit.h"
#include "libc/spin.h"
#include "libc/wait.h"

#define SETS 3
#define WORD (8 * sizeof(unsigned long)) /* bits of a word: the kernel counts sets in words */

/* One call. */
typedef struct selection {
  int n;                     /* descriptors below this number */
  size_t bytes;              /* of each set */
  unsigned long *set[SETS];  /* the caller's, to be read from, written to, and exceptions; any may be NULL */
  unsigned long *copy[SETS]; /* what the kernel looks at */
  gl_watch *watches;
  size_t count;
} selection;

static bool has(const unsigned long *set, int fd) { return set && (set[(size_t)fd / WORD] >> ((size_t)fd % WORD) & 1); }

/* Asks the kernel, which does not wait, and which no signal interrupts. */
static int look(const selection *s) {
  static const struct timespec at_once;
  fd_set *sets[SETS];
  int got;
  do {
    for (int i = 0; i < SETS; i++) {
      if (s->set[i]) memcpy(s->copy[i], s->set[i], s->bytes);
      sets[i] = s->set[i] ? (fd_set *)s->copy[i] : NULL;
    }
    got = pselect(s->n, sets[0], sets[1], sets[2], &at_once, NULL);
  } while (got < 0 && errno == EINTR);
  return got;
}

/* Gives the caller what the kernel has found. */
static int answer(const selection *s, int got) {
  for (int i = 0; got >= 0 && i < SETS; i++)
    if (s->set[i]) memcpy(s->set[i], s->copy[i], s->bytes);
  return got;
}

static void make_watches(selection *s) {
  static const unsigned int events[SETS] = {POLLIN, POLLOUT, POLLPRI};
  s->count = 0;
  for (int fd = 0; fd < s->n; fd++) {
    uint32_t wanted = 0;
    for (int i = 0; i < SETS; i++)
      if (has(s->set[i], fd)) wanted |= events[i];
    if (wanted) s->watches[s->count++] = (gl_watch){.fd = fd, .events = wanted};
  }
}

static size_t descriptors_of(const selection *s) {
  size_t count = 0;
  for (int fd = 0; fd < s->n; fd++)
    if (has(s->set[0], fd) || has(s->set[1], fd) || has(s->set[2], fd)) count++;
  return count;
}

/* Waits until something is ready; nothing was a moment ago. */
static int wait_for_some(gl_layer *l, selection *s, uint64_t due) {
  for (;;) {
    make_watches(s);
    gl_waited waited = gl_wait(l, &gl_select_type, s->watches, s->count, due);
    if (waited == GL_WAITED_FAILED) return -1;
    if (waited == GL_WAITED_CLOSED) {
      errno = EBADF;
      return -1;
    }
    int got = look(s);
    if (got != 0 || waited == GL_WAITED_TIMEOUT) return answer(s, got);
  }
}

static int select_until(gl_layer *l, selection *s, uint64_t due) {
  char *memory = malloc(SETS * s->bytes + 1);
  s->watches = calloc(descriptors_of(s) + 1, sizeof *s->watches);
  int got = -1;
  if (memory && s->watches) {
    for (size_t i = 0; i < SETS; i++) s->copy[i] = (unsigned long *)(void *)(memory + i * s->bytes);
    got = look(s);
    got = got != 0 ? answer(s, got) : wait_for_some(l, s, due);
  } else {
    errno = ENOMEM;
  }
  int error = errno;
  free(s->watches);
  free(memory);
  errno = error;
  return got;
}

static int start(gl_layer *l, int n, fd_set *in, fd_set *out, fd_set *except, uint64_t due) {
  if (gl_wait_is_barred(l, &gl_select_type)) return -1;
  for (int fd = 0; l->abandonments && fd < n; fd++)
    if (has((const unsigned long *)in, fd)) gl_abandon_check(l, fd);
  size_t bytes = ((size_t)n + WORD - 1) / WORD * sizeof(unsigned long);
  selection s = {.n = n, .bytes = bytes, .set = {(unsigned long *)in, (unsigned long *)out, (unsigned long *)except}};
  return select_until(l, &s, due);
}

/* A call that does not wait: no signal makes it fail. */
static int look_once(int n, fd_set *in, fd_set *out, fd_set *except) {
  static const struct timespec at_once;
  int got;
  do got = pselect(n, in, out, except, &at_once, NULL);
  while (got < 0 && errno == EINTR);
  return gl_spin_result(got, &gl_select_type, GL_NO_FD, 0);
}

int gl_libc_pselect(int n, fd_set *in, fd_set *out, fd_set *except, const struct timespec *limit, const sigset_t *mask) {
  uint64_t due;
  gl_layer *l = gl_layer_now();
  bool none = gl_limit_is_none(limit);
  if (!l || n < 0 || !gl_limit_keeps_mask(mask) || (!none && !gl_limit_until(limit, &due))) return pselect(n, in, out, except, limit, mask);
  if (none) return look_once(n, in, out, except);
  return start(l, n, in, out, except, due);
}

/* Linux leaves in `limit` what was left of it. */
static void tell_left(struct timeval *limit, uint64_t due) {
  uint64_t now = uv_hrtime(), left = due > now ? (due - now) / 1000 : 0;
  *limit = (struct timeval){(time_t)(left / 1000000), (suseconds_t)(left % 1000000)};
}

int gl_libc_select(int n, fd_set *in, fd_set *out, fd_set *except, struct timeval *limit) {
  uint64_t due = 0;
  struct timespec time = {0};
  if (limit) time = (struct timespec){limit->tv_sec + limit->tv_usec / 1000000, limit->tv_usec % 1000000 * 1000};
  gl_layer *l = gl_layer_now();
  bool none = limit && gl_limit_is_none(&time);
  if (!l || n < 0 || (!none && !gl_limit_until(limit ? &time : NULL, &due))) return select(n, in, out, except, limit);
  if (none) return look_once(n, in, out, except);
  int got = start(l, n, in, out, except, due);
  int error = errno;
  if (due) tell_left(limit, due);
  errno = error;
  return got;
}
