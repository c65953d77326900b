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

/* An attempt returns one of these instead of a count or a negative errno when it would block. */
#define GL_WAIT_READY (-100001) /* try again when the descriptor is ready */
#define GL_WAIT_POOL (-100002)  /* have the thread pool do it */

typedef struct gl_descriptor {
  int fd;         /* the number that scripts and C modules know; -1 = closed */
  int io;         /* the descriptor to use: fd, or another one of the same terminal */
  bool known;     /* gl_descriptor_look has filled in the rest */
  off_t size;     /* of a regular file when it was looked at; else 0 */
  bool seekable;  /* has one position for reading and writing */
  bool polled;    /* is a pipe, socket, terminal or device */
  bool terminal;
  bool device;    /* is a device: does not block once it is ready */
  bool nonblock;  /* has O_NONBLOCK, which no other process sees */
  bool nowait[2]; /* RWF_NOWAIT is worth a try: for reading; for writing */
  bool cached;    /* RWF_NOWAIT is refused for writing, but a small write goes to this machine's page cache and waits for no disk */
} gl_descriptor;

/* Opens a file that the kernel finds without touching a disk. Returns a descriptor, -ENOENT, or -EAGAIN: only the disk can tell. */
int gl_open_cached(const char *path, int flags);

/* Makes a descriptor of fd, and looks at nothing yet. `own`: no other process shares the open file description, and so its flags. */
void gl_descriptor_init(gl_descriptor *d, int fd, bool own);

/* Finds out what the descriptor is. Call before all that follows; later calls are no-ops. */
void gl_descriptor_look(gl_descriptor *d);

/* Attempts that never block. Return the bytes moved, 0 at the end of the file, a negative errno, or GL_WAIT_*. */
ssize_t gl_descriptor_read(gl_descriptor *d, void *to, size_t n);
ssize_t gl_descriptor_write(gl_descriptor *d, const void *from, size_t n);

/* The same, blocking: on the pool, in finalizers, at exit. Return a count or a negative errno. */
ssize_t gl_descriptor_read_sync(const gl_descriptor *d, void *to, size_t n);
ssize_t gl_descriptor_write_sync(const gl_descriptor *d, const void *from, size_t n);

/* Closes what gl_descriptor_look has opened; the caller closes `fd`. */
void gl_descriptor_drop(gl_descriptor *d);

#endif
