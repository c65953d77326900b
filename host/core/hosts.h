/* SPDX-License-Identifier: MIT
 *
 * The hosts file: the names that the machine knows by itself, without a question to the network.
 */
#ifndef GL_CORE_HOSTS_H
#define GL_CORE_HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

/* The file as it was read last. Zeroed: the file was not read yet. */
typedef struct gl_hosts {
  char *text;       /* owned; contains the names, each with a final 0 */
  char **names;     /* owned; the names in `text`, sorted without regard to case */
  size_t n;         /* names */
  struct timespec when; /* time of the file's last change; with `size` and `inode` tells that the file has changed */
  off_t size;
  ino_t inode;
} gl_hosts;

/* Does the file have the name, in any case? Reads the file, on the loop, when it has changed; ignores a file of more than 1 MB. */
bool gl_hosts_has(gl_hosts *h, const char *name);

/* Frees what `h` holds, and zeroes `h`. */
void gl_hosts_free(gl_hosts *h);

#endif
