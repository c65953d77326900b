/* SPDX-License-Identifier: MIT */
#include "libc/describe.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "libc/frames.h"

void gl_call_note(gl_call *c, gl_host *h, int fd) {
  c->fd = fd;
  c->name = NULL;
  c->caller = gl_frames_function(h->running, 0);
}

/* Writes the address of a peer. Returns the length. */
static int put_address(const struct sockaddr_storage *a, char *out, size_t size) {
  char text[INET6_ADDRSTRLEN] = "?";
  const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
  const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;
  const struct sockaddr_un *un = (const struct sockaddr_un *)a;
  switch (a->ss_family) {
    case AF_INET: return snprintf(out, size, "%s:%d", inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text), ntohs(v4->sin_port));
    case AF_INET6: return snprintf(out, size, "[%s]:%d", inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text), ntohs(v6->sin6_port));
    case AF_UNIX: return snprintf(out, size, "unix:%s", un->sun_path);
    default: return snprintf(out, size, "socket");
  }
}

/* Writes the process that a pidfd stands for. Returns the length; 0: it is no pidfd. */
static int put_process(int fd, char *out, size_t size) {
  char line[128];
  int pid = 0;
  snprintf(line, sizeof line, "/proc/self/fdinfo/%d", fd);
  FILE *info = fopen(line, "re");
  while (info && !pid && fgets(line, sizeof line, info)) sscanf(line, "Pid: %d", &pid);
  if (info) fclose(info);
  return pid > 0 ? snprintf(out, size, "process %d", pid) : 0;
}

/* Writes what a descriptor is: a peer, a listening socket's own address, a process, or what the kernel calls it. */
static int put_descriptor(int fd, char *out, size_t size) {
  struct sockaddr_storage a = {0};
  socklen_t n = sizeof a;
  if (getpeername(fd, (struct sockaddr *)&a, &n) == 0) return put_address(&a, out, size);
  n = sizeof a;
  if (getsockname(fd, (struct sockaddr *)&a, &n) == 0) return put_address(&a, out, size);
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t len = readlink(link, out, size - 1);
  if (len < 0) return snprintf(out, size, "descriptor %d", fd);
  out[len] = '\0';
  int put = strstr(out, "[pidfd]") ? put_process(fd, out, size) : 0;
  return put ? put : (int)len;
}

/* Returns the path of a module as `require` would name it: behind a folder of Lua's, else the file's own name. */
static const char *module_name(const char *path) {
  const char *name = strstr(path, "/lua/5.4/"), *slash = strrchr(path, '/');
  if (name) return name + strlen("/lua/5.4/");
  return slash ? slash + 1 : path;
}

void gl_call_describe(const gl_call *c, char *out, size_t size) {
  Dl_info info;
  int len = c->name ? snprintf(out, size, "%s", c->name) : c->fd >= 0 ? put_descriptor(c->fd, out, size) : 0;
  if (len < 0 || (size_t)len >= size || !c->caller) return;
  if (dladdr((void *)(uintptr_t)c->caller, &info) == 0 || !info.dli_fname) return;
  snprintf(out + len, size - (size_t)len, "%s(%s)", len ? " " : "", module_name(info.dli_fname));
}
