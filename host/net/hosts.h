/* SPDX-License-Identifier: MIT
 *
 * Which names the machine knows by itself, without asking the network: those of its hosts file.
 */
#ifndef GL_NET_HOSTS_H
#define GL_NET_HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

/* The file as it was read last. Zeroed = not yet. */
typedef struct gl_hosts {
  char *text;       /* its names, each with a final 0 */
  char **names;     /* in order */
  size_t n;
  struct timespec when;
  off_t size;
  ino_t inode;
} gl_hosts;

/* Is the name in there? Reads the file when it has changed; one of more than 1 MB is not looked at. */
bool gl_hosts_has(gl_hosts *h, const char *name);

void gl_hosts_free(gl_hosts *h);

#endif
