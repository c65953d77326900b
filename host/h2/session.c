/* SPDX-License-Identifier: MIT */
#include "h2/session.h"

#include <stdint.h>
#include <string.h>

#include "core/block.h"
#include "core/library.h"

#define MAX_ACKS 1000         /* answers to SETTINGS and PING that wait to be written, at most */
#define MAX_CONTINUATIONS 8   /* CONTINUATION frames of one head, at most (CVE-2024-28182) */
#define RESETS UINT32_MAX     /* http/h2_guard.c counts resets, those that a client provokes among them */

bool gl_h2_library(void) { return gl_library_need("libnghttp2.so.14") == NULL; }

/* ---- memory ---- */

static void *mem_resize(void *block, size_t n, void *user) {
  (void)user;
  return gl_memory_resize_for_library(block, n, true);
}

static void *mem_new(size_t n, void *user) { return mem_resize(NULL, n, user); }

static void mem_free(void *block, void *user) {
  (void)user;
  if (block) gl_memory_resize_for_library(block, 0, true);
}

static void *mem_zeroed(size_t n, size_t size, void *user) {
  if (size && n > SIZE_MAX / size) return NULL;
  void *block = mem_resize(NULL, n * size, user);
  return block ? memset(block, 0, n * size) : NULL;
}

/* ---- sessions ---- */

static nghttp2_option *options(void) {
  nghttp2_option *o;
  if (nghttp2_option_new(&o) != 0) return NULL;
  nghttp2_option_set_no_auto_window_update(o, 1); /* the windows open as scripts read */
  nghttp2_option_set_max_outbound_ack(o, MAX_ACKS);
  nghttp2_option_set_max_continuations(o, MAX_CONTINUATIONS);
  nghttp2_option_set_stream_reset_rate_limit(o, RESETS, RESETS);
  return o;
}

nghttp2_session *gl_h2_session_new(void (*set)(nghttp2_session_callbacks *callbacks), void *user) {
  static nghttp2_session_callbacks *callbacks; /* constant after the first call */
  static nghttp2_option *usual;
  nghttp2_mem mem = {NULL, mem_new, mem_free, mem_zeroed, mem_resize};
  nghttp2_session *session;
  if (!usual && !(usual = options())) return NULL;
  if (!callbacks && nghttp2_session_callbacks_new(&callbacks) != 0) return NULL;
  set(callbacks);
  return nghttp2_session_server_new3(&session, callbacks, user, usual, &mem) == 0 ? session : NULL;
}
