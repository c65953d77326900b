/* SPDX-License-Identifier: MIT
 *
 * What a client can make us do without a request: answer pings and settings, read frames that say nothing, begin what it resets at once
 * (CVE-2023-44487), or have us reset it (CVE-2025-8671: a stream of which the client has made us say RST_STREAM costs no less). A client may
 * do so much of it as any honest one needs, and as work and time make good; a connection beyond that is told ENHANCE_YOUR_CALM and closed.
 */
#include "http/h2.h"
#include "http/server.h"

#define FRAMES 2000.0        /* frames that bring nothing, at once */
#define FRAMES_A_SECOND 200.0
#define FRAMES_FOR_WORK 4.0  /* made good by a request, or a frame with that many bytes of a body: */
#define WORK ((size_t)256)   /* frames with fewer may have been made small on purpose, by a window of one byte for one */
#define RESETS 1000.0        /* streams that end before their time, at once: a page with pictures that is left resets a hundred */
#define RESETS_A_SECOND 33.0

static double least(double a, double b) { return a < b ? a : b; }

void gl_h2_guard_begin(gl_h2 *h2) {
  h2->guard = (gl_h2_guard){.at = uv_now(&h2->conn->server->host->loop), .frames = FRAMES, .resets = RESETS};
}

static void make_good(gl_h2 *h2) {
  gl_h2_guard *g = &h2->guard;
  uint64_t now = uv_now(&h2->conn->server->host->loop);
  if (now == g->at) return;
  double seconds = (double)(now - g->at) / 1000;
  g->at = now;
  g->frames = least(FRAMES, g->frames + seconds * FRAMES_A_SECOND);
  g->resets = least(RESETS, g->resets + seconds * RESETS_A_SECOND);
}

static bool calm(gl_h2 *h2) {
  h2->fault = NGHTTP2_ENHANCE_YOUR_CALM;
  return false;
}

void gl_h2_guard_work(gl_h2 *h2, size_t n) {
  if (n >= WORK) h2->guard.frames = least(FRAMES, h2->guard.frames + FRAMES_FOR_WORK);
}

bool gl_h2_guard_frame(gl_h2 *h2, const nghttp2_frame *frame) {
  bool empty = frame->hd.type == NGHTTP2_DATA && frame->hd.length == frame->data.padlen && !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
  if (frame->hd.type == NGHTTP2_HEADERS) gl_h2_guard_work(h2, WORK);
  if (frame->hd.type == NGHTTP2_HEADERS || (frame->hd.type == NGHTTP2_DATA && !empty)) return true;
  make_good(h2);
  return --h2->guard.frames >= 0 || calm(h2);
}

bool gl_h2_guard_reset(gl_h2 *h2) {
  make_good(h2);
  return --h2->guard.resets >= 0 || calm(h2);
}
