/* SPDX-License-Identifier: MIT
 *
 * One HTTP request and its response, over libcurl, in C memory: no Lua here. The response is collected in two
 * buffers, head and body; a streamed body is a bounded window that stops the transfer while it is full.
 */
#ifndef GL_CURL_CURL_EXCHANGE_H
#define GL_CURL_CURL_EXCHANGE_H

#include "core/buf.h"
#include "core/op.h"
#include "curl/curl_loop.h"

/* What to ask. Strings are the caller's; `body` must stay until the exchange is over, unless it streams. */
typedef struct gl_curl_spec {
  const char *method, *url, *body, *ca;
  const char *address;    /* the URL that is asked for; `url` is how it was given, for messages */
  const char *proxy;      /* its URL; empty: none */
  const char *proxy_authorization; /* a header line for it, or NULL */
  size_t body_len;
  size_t max_body;        /* bytes, after decompression */
  double timeout;         /* seconds: for all of it; when streamed, for the head */
  double connect_timeout; /* seconds */
  bool verify;            /* the server's certificate */
  bool stream;            /* done with the head; the body follows in pieces */
} gl_curl_spec;

typedef struct gl_curl_exchange {
  gl_transfer transfer;
  gl_op *waiter;              /* done when there is something for it: the answer, the head, a piece, the end */
  gl_timer limit;
  double timeout;             /* what limit was armed with */
  struct curl_slist *headers; /* owned; to be filled before the start */
  struct curl_slist *proxy_headers; /* owned */
  const char *upload;         /* body of a POST or PATCH, as on_upload hands it out */
  char *upload_copy;          /* owned; the same, when nothing else keeps it */
  size_t upload_len, uploaded;
  gl_buf head;                /* last response's, header lines as they came */
  gl_buf body;
  size_t max_body;
  int status;                 /* HTTP */
  bool streams, headed;       /* the head is complete */
  bool paused, over;
  int refs;                   /* its owner's, and one for each op that reads from it */
  bool timed_out, too_big, closed;
  CURLcode code;              /* once over */
  int os_error;               /* errno of the connection, when that failed */
  char why[CURL_ERROR_SIZE];
} gl_curl_exchange;

/* A new exchange, ready for headers. NULL: out of memory. */
gl_curl_exchange *gl_curl_exchange_new(gl_curl *c);

/* Send it; x->waiter hears of it, at once if that fails. */
void gl_curl_exchange_start(gl_curl_exchange *x, const gl_curl_spec *rq);

/* The waiter wants a piece of a streamed body: say done to it now or when there is one, it ends or nothing
 * came for x->timeout. */
void gl_curl_exchange_next(gl_curl_exchange *x, gl_op *waiter);

/* Forget the bytes of the body, which are used; the transfer goes on if it was paused. */
void gl_curl_exchange_eat(gl_curl_exchange *x);

/* The waiter stops waiting, without being told. */
void gl_curl_exchange_leave(gl_curl_exchange *x);

/* Stop it; a waiter is told. Harmless when over. */
void gl_curl_exchange_close(gl_curl_exchange *x);

/* Drop a reference; the last one stops and frees it. */
void gl_curl_exchange_unref(gl_curl_exchange *x);

/* Did it fail, and why? NULL: it did not. Else the code of the error object, and `*why` for people. */
const char *gl_curl_exchange_error(const gl_curl_exchange *x, const char **why);

#endif
