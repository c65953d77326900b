/* SPDX-License-Identifier: MIT
 *
 * libcurl's multi interface on the host's loop: one multi handle per host, made when it is first asked for and
 * closed with the Lua state. Sockets are watched by uv_poll, curl's time-outs are one gl_timer.
 *
 * The poll handle of a connection that goes back to curl's cache stays armed, so a request on a kept connection costs no
 * epoll_ctl.
 */
#ifndef GL_CURL_CURL_LOOP_H
#define GL_CURL_CURL_LOOP_H

#include <curl/curl.h>

#include "core/host.h"

typedef struct gl_curl gl_curl;

/* One transfer, embedded in the struct of whoever asks for it. */
typedef struct gl_transfer {
  CURL *easy;                                         /* from gl_curl_start until it is over; else NULL */
  gl_curl *curl;
  struct gl_transfer *next, **at;                     /* among those that run */
  void (*done)(struct gl_transfer *t, CURLcode code); /* in the loop, once, t->easy still readable; starts and stops
                                                         no transfer; not called after gl_curl_stop */
} gl_transfer;

/* The multi handle of this host. Raises when it cannot be made. */
gl_curl *gl_curl_of(lua_State *L);

/* An easy handle for `t` with the constant options set, not yet running. False: out of memory. */
bool gl_curl_prepare(gl_curl *c, gl_transfer *t);

/* Run it. False: it could not be started, t->easy was given back. */
bool gl_curl_start(gl_transfer *t);

/* Forget it, running or only prepared; harmless when it is over. Not from a callback of curl. */
void gl_curl_stop(gl_transfer *t);

/* Let a transfer whose write callback said CURL_WRITEFUNC_PAUSE go on. May call that callback. */
void gl_curl_resume(gl_transfer *t);

#endif
