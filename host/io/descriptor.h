/* SPDX-License-Identifier: MIT
 *
 * Reading and writing a descriptor without ever blocking, and without O_NONBLOCK on one that other processes share:
 * an attempt says how many bytes moved, or what it would have to wait for.
 *
 * Regular files ask the page cache (RWF_NOWAIT) and go to the pool for the rest; where the file system cannot be asked (ext4,
 * for writing), a little is written at once if it is a local one. Pipes and sockets are polled, then
 * asked with RWF_NOWAIT; where the kernel has none (before 6.4), the pool moves what the poll has promised. A terminal
 * is opened once more, so that it has flags of its own.
 */
#ifndef GL_IO_DESCRIPTOR_H
#define GL_IO_DESCRIPTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What an attempt may say instead of a count or a negative errno. */
#define GL_WAIT_READY (-100001) /* not now: when the descriptor is ready */
#define GL_WAIT_POOL (-100002)  /* it may take long: on the pool */

typedef struct gl_descriptor {
  int fd;         /* whose number everybody knows; -1 = closed */
  int io;         /* the one to use: fd, or a terminal of our own */
  bool known;     /* the rest is filled in */
  off_t size;     /* of a regular file when it was looked at; else 0 */
  bool seekable;  /* one position for reading and writing */
  bool polled;    /* pipe, socket, terminal, device */
  bool terminal;
  bool device;    /* polled; ready means that it does not block */
  bool nonblock;  /* has O_NONBLOCK, which is ours alone */
  bool nowait[2]; /* RWF_NOWAIT is worth a try: reading, writing */
  bool cached;    /* it is not, for writing, but a little goes to this machine's page cache and waits for no disk */
} gl_descriptor;

/* Open what the kernel can find without touching a disk. A descriptor, -ENOENT, or -EAGAIN: it cannot tell. */
int gl_open_cached(const char *path, int flags);

/* A descriptor nobody looked at yet. `own`: opened by us, so that O_NONBLOCK on it is nobody else's business. */
void gl_descriptor_init(gl_descriptor *d, int fd, bool own);

/* Look at it: what it is. Before anything else. */
void gl_descriptor_look(gl_descriptor *d);

/* Bytes moved, 0 = end of file, a negative errno, or GL_WAIT_*. */
ssize_t gl_descriptor_read(gl_descriptor *d, void *to, size_t n);
ssize_t gl_descriptor_write(gl_descriptor *d, const void *from, size_t n);

/* The same, blocking: on the pool, in finalizers, at exit. A count or a negative errno. */
ssize_t gl_descriptor_read_sync(const gl_descriptor *d, void *to, size_t n);
ssize_t gl_descriptor_write_sync(const gl_descriptor *d, const void *from, size_t n);

/* Drop what gl_descriptor_look opened; `fd` is the caller's to close. */
void gl_descriptor_drop(gl_descriptor *d);

#endif
