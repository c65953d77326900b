/* SPDX-License-Identifier: MIT
 *
 * The rest of a list of buffers, of which a part is done: a copy of the list, since the caller's is constant.
 */
#ifndef GL_LIBC_IOV_H
#define GL_LIBC_IOV_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#define GL_IOV_FEW 8

typedef struct gl_iov {
  struct iovec *at; /* the first buffer that is not done */
  size_t n;
  struct iovec *copy; /* `few`, or allocated */
  struct iovec few[GL_IOV_FEW];
} gl_iov;

/* The bytes of all buffers. */
size_t gl_iov_length(const struct iovec *v, size_t n);

/* Copies the list. False: out of memory. */
bool gl_iov_copy(gl_iov *rest, const struct iovec *v, size_t n);

/* Takes `done` bytes off the front. */
void gl_iov_skip(gl_iov *rest, size_t done);

/* Frees the copy. Keeps errno. */
void gl_iov_free(gl_iov *rest);

#endif
