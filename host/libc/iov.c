/* SPDX-License-Identifier: MIT */
#include "libc/iov.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

size_t gl_iov_length(const struct iovec *v, size_t n) {
  size_t length = 0;
  for (size_t i = 0; i < n; i++) length += v[i].iov_len;
  return length;
}

bool gl_iov_copy(gl_iov *rest, const struct iovec *v, size_t n) {
  rest->copy = n <= GL_IOV_FEW ? rest->few : malloc(n * sizeof *v);
  if (!rest->copy) return false;
  memcpy(rest->copy, v, n * sizeof *v);
  rest->at = rest->copy;
  rest->n = n;
  return true;
}

void gl_iov_skip(gl_iov *rest, size_t done) {
  while (rest->n && done >= rest->at->iov_len) {
    done -= rest->at->iov_len;
    rest->at++;
    rest->n--;
  }
  if (!rest->n) return;
  rest->at->iov_base = (char *)rest->at->iov_base + done;
  rest->at->iov_len -= done;
}

void gl_iov_free(gl_iov *rest) {
  int error = errno;
  if (rest->copy != rest->few) free(rest->copy);
  errno = error;
}
