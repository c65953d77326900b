/* SPDX-License-Identifier: MIT */
#include "net/query.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <uv.h>

/* The error when this process cannot open one more file; 0 when it can. The resolver says "no such host" when it cannot open
 * its own files or a socket. */
static int out_of_descriptors(void) {
  int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (fd >= 0) close(fd);
  return fd < 0 && (errno == EMFILE || errno == ENFILE) ? -errno : 0;
}

static int status_of(int eai) {
  switch (eai) {
    case 0: return 0;
    case EAI_ADDRFAMILY: return UV_EAI_ADDRFAMILY;
    case EAI_AGAIN: return UV_EAI_AGAIN;
    case EAI_FAIL: return UV_EAI_FAIL;
    case EAI_FAMILY: return UV_EAI_FAMILY;
    case EAI_MEMORY: return UV_EAI_MEMORY;
    case EAI_NODATA: return UV_EAI_NODATA;
    case EAI_NONAME: return UV_EAI_NONAME;
    case EAI_SERVICE: return UV_EAI_SERVICE;
    case EAI_SOCKTYPE: return UV_EAI_SOCKTYPE;
    case EAI_SYSTEM: return errno ? -errno : UV_EAI_FAIL;
    default: return UV_EAI_FAIL;
  }
}

/* Asks by libuv, which converts names in UTF-8. Without a callback uv_getaddrinfo runs in the calling thread. It wants a loop, and
 * a loop takes descriptors. */
static int ask_in_utf8(gl_query *q, const struct addrinfo *hints) {
  uv_loop_t loop;
  uv_getaddrinfo_t req;
  int status = uv_loop_init(&loop);
  if (status) return status;
  status = uv_getaddrinfo(&loop, &req, NULL, q->host, q->service, hints);
  q->list = status ? NULL : req.addrinfo;
  uv_loop_close(&loop);
  return status;
}

static bool is_ascii(const char *name) {
  while (*name && (unsigned char)*name < 0x80) name++;
  return !*name;
}

static int ask(gl_query *q) {
  struct addrinfo hints = {.ai_family = q->family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
  if (q->loopback) return status_of(getaddrinfo(NULL, q->service, &hints, &q->list));
  if (is_ascii(q->host)) return status_of(getaddrinfo(q->host, q->service, &hints, &q->list));
  return ask_in_utf8(q, &hints);
}

void gl_query_run(gl_query *q) {
  int full = out_of_descriptors();
  q->status = ask(q);
  if (!q->status) return;
  q->list = NULL;
  if (!full) full = out_of_descriptors();
  if (full) q->status = full;
}
