/* SPDX-License-Identifier: MIT */
#include "core/hosts.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "/etc/hosts"
#define MOST ((off_t)1 << 20) /* bytes of the file, at most: it is read on the loop */
#define BLANK " \t\r\f\v"

void gl_hosts_free(gl_hosts *h) {
  free(h->text);
  free(h->names);
  *h = (gl_hosts){0};
}

static int by_name(const void *a, const void *b) { return strcasecmp(*(char *const *)a, *(char *const *)b); }

/* Finds the names in the text, whose lines have an address, names and perhaps a comment. A name takes two bytes at least, so that there
 * are at most half as many names as bytes. */
static void index_names(gl_hosts *h) {
  char *lines = NULL, *words = NULL;
  h->names = malloc((strlen(h->text) / 2 + 1) * sizeof *h->names);
  if (!h->names) return;
  for (char *line = strtok_r(h->text, "\n", &lines); line; line = strtok_r(NULL, "\n", &lines)) {
    line[strcspn(line, "#")] = '\0';
    if (!strtok_r(line, BLANK, &words)) continue;
    for (char *name; (name = strtok_r(NULL, BLANK, &words)) != NULL;) h->names[h->n++] = name;
  }
  qsort(h->names, h->n, sizeof *h->names, by_name);
}

static void read_all(gl_hosts *h, int fd, off_t size) {
  h->text = malloc((size_t)size + 1);
  ssize_t got = h->text ? read(fd, h->text, (size_t)size) : -1;
  if (got < 0) return;
  h->text[got] = '\0';
  index_names(h);
}

static void refresh(gl_hosts *h) {
  struct stat st;
  if (stat(FILE_NAME, &st) != 0 || !S_ISREG(st.st_mode)) {
    gl_hosts_free(h);
    return;
  }
  bool same = h->size == st.st_size && h->inode == st.st_ino && h->when.tv_sec == st.st_mtim.tv_sec && h->when.tv_nsec == st.st_mtim.tv_nsec;
  if (same) return;
  gl_hosts_free(h);
  int fd = st.st_size <= MOST ? open(FILE_NAME, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
  if (fd < 0) return;
  read_all(h, fd, st.st_size);
  close(fd);
  h->size = st.st_size;
  h->inode = st.st_ino;
  h->when = st.st_mtim;
}

bool gl_hosts_has(gl_hosts *h, const char *name) {
  refresh(h);
  return h->n && bsearch(&name, h->names, h->n, sizeof *h->names, by_name) != NULL;
}
