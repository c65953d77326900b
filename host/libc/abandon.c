/* SPDX-License-Identifier: MIT */
#include "libc/abandon.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* A descriptor by its number and by the socket behind it: the number may be another's later. */
struct gl_abandoned {
  int fd;
  bool lost;
  uint64_t socket;
};

uint64_t gl_abandon_socket(int fd) {
  struct stat st;
  int error = errno;
  uint64_t socket = fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) ? st.st_ino : 0;
  errno = error;
  return socket;
}

static bool is_connection(int fd) {
  int type = 0;
  socklen_t n = sizeof type;
  struct sockaddr_storage peer;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) != 0 || type != SOCK_STREAM) return false;
  n = sizeof peer;
  return getpeername(fd, (struct sockaddr *)&peer, &n) == 0;
}

/* Ends a connection. What has arrived is taken away, since it could be received even so. */
static void end(int fd) {
  char bytes[4096];
  shutdown(fd, SHUT_RDWR);
  while (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0) continue;
}

/* The place of a descriptor's note, old or new; NULL: out of memory. So there are never more notes than descriptors. */
static struct gl_abandoned *place_for(gl_layer *l, int fd) {
  for (size_t i = 0; i < l->abandonments; i++)
    if (l->abandoned[i].fd == fd) return &l->abandoned[i];
  struct gl_abandoned *more = realloc(l->abandoned, (l->abandonments + 1) * sizeof *more);
  if (!more) return NULL;
  l->abandoned = more;
  return &more[l->abandonments++];
}

void gl_abandon_note(gl_layer *l, int fd, bool sending) {
  int error = errno;
  if (is_connection(fd)) {
    struct gl_abandoned *one = place_for(l, fd);
    if (one) *one = (struct gl_abandoned){.fd = fd, .lost = sending, .socket = gl_abandon_socket(fd)};
    if (!one || sending) end(fd);
  }
  errno = error;
}

bool gl_abandon_check(gl_layer *l, int fd) {
  size_t i = 0;
  while (i < l->abandonments && l->abandoned[i].fd != fd) i++;
  if (i == l->abandonments) return false;
  struct gl_abandoned *one = &l->abandoned[i];
  bool same = one->socket == gl_abandon_socket(fd);
  int error = errno;
  if (!same) *one = l->abandoned[--l->abandonments];
  else if (!one->lost) end(fd);
  if (same) one->lost = true;
  errno = error;
  return same;
}

void gl_abandon_close(gl_layer *l, unsigned int first, unsigned int last) {
  for (size_t i = l->abandonments; i-- > 0;) {
    unsigned int fd = (unsigned int)l->abandoned[i].fd;
    if (fd >= first && fd <= last) l->abandoned[i] = l->abandoned[--l->abandonments];
  }
}

void gl_abandon_free(gl_layer *l) { free(l->abandoned); }
