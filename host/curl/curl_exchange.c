/* SPDX-License-Identifier: MIT */
#include "curl/curl_exchange.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/check.h"
#include "core/memory.h"

#define HEAD_MAX (256u * 1024) /* bytes of a response head */
#define WINDOW (256u * 1024)   /* bytes of a streamed body nobody has taken yet */

/* ---- news for the waiter ---- */

void gl_curl_exchange_leave(gl_curl_exchange *x) {
  if (x->waiter) gl_timer_drop(&x->waiter->host->clock, &x->limit);
  x->waiter = NULL;
}

static void tell(gl_curl_exchange *x) {
  gl_op *op = x->waiter;
  gl_curl_exchange_leave(x);
  if (op) gl_op_done(op, 0);
}

static void end(gl_curl_exchange *x, CURLcode code) {
  x->over = true;
  x->code = code;
  tell(x);
}

static void on_transfer(gl_transfer *t, CURLcode code) {
  gl_curl_exchange *x = GL_CONTAINER(t, gl_curl_exchange, transfer);
  long os_error = 0;
  if (code == CURLE_COULDNT_CONNECT) curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_error);
  x->os_error = (int)os_error;
  end(x, code);
}

static void on_limit(gl_timer *timer) {
  gl_curl_exchange *x = GL_CONTAINER(timer, gl_curl_exchange, limit);
  gl_curl_stop(&x->transfer);
  x->timed_out = true;
  end(x, CURLE_OPERATION_TIMEDOUT);
}

/* ---- the response, as curl hands it over ---- */

static void begin_head(gl_curl_exchange *x, const char *line, size_t n) {
  const char *space = memchr(line, ' ', n);
  x->head.off = x->head.len = 0;
  x->headed = false;
  x->status = 0;
  for (const char *at = space ? space + 1 : line + n; at < line + n && *at >= '0' && *at <= '9' && x->status < 1000; at++)
    x->status = x->status * 10 + (*at - '0');
}

static void end_head(gl_curl_exchange *x) {
  x->headed = x->status >= 200 || x->status == 101;
  if (!x->headed || !x->streams) return;
  tell(x);
}

static size_t on_header(char *line, size_t size, size_t n, void *data) {
  gl_curl_exchange *x = data;
  n *= size;
  if (n >= 5 && memcmp(line, "HTTP/", 5) == 0) {
    begin_head(x, line, n);
    return n;
  }
  if (x->headed) return n; /* trailers */
  if (n <= 2 && (line[0] == '\r' || line[0] == '\n')) {
    end_head(x);
    return n;
  }
  if (x->head.len + n > HEAD_MAX) {
    x->too_big = true;
    return 0;
  }
  return gl_buf_add(&x->head, line, n) ? n : 0;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *data) {
  gl_curl_exchange *x = data;
  n *= size;
  if (x->streams && x->body.len >= WINDOW) {
    x->paused = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  if (n > x->max_body - x->body.len) {
    x->too_big = true;
    return 0;
  }
  if (!gl_buf_add(&x->body, bytes, n)) return 0;
  if (x->streams) tell(x);
  return n;
}

/* ---- the request ---- */

static char *memdup(const char *bytes, size_t n) {
  char *copy = gl_memory_resize(NULL, 0, n);
  return copy ? memcpy(copy, bytes, n) : NULL;
}

/* libcurl sends a request again when a kept connection dies before the answer begins. The server may have done the
 * work by then, so that a method that is not idempotent (RFC 9110, 9.2.2) must fail instead: its body comes from
 * a callback, and to begin again is refused. */
static size_t on_upload(char *to, size_t size, size_t n, void *data) {
  gl_curl_exchange *x = data;
  n *= size;
  if (n > x->upload_len - x->uploaded) n = x->upload_len - x->uploaded;
  memcpy(to, x->upload + x->uploaded, n);
  x->uploaded += n;
  return n;
}

static int on_rewind(void *data, curl_off_t offset, int origin) {
  gl_curl_exchange *x = data;
  if (!x->status || origin != SEEK_SET || offset < 0 || (size_t)offset > x->upload_len) return CURL_SEEKFUNC_FAIL;
  x->status = 0;
  x->uploaded = (size_t)offset;
  return CURL_SEEKFUNC_OK;
}

static bool set_upload(gl_curl_exchange *x, const gl_curl_spec *rq) {
  CURL *easy = x->transfer.easy;
  x->upload = rq->body;
  if (rq->stream && !(x->upload = x->upload_copy = memdup(rq->body, rq->body_len))) return false; /* the op goes before the body */
  x->upload_len = rq->body_len;
  curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)rq->body_len);
  curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_upload);
  curl_easy_setopt(easy, CURLOPT_READDATA, x);
  curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_rewind);
  curl_easy_setopt(easy, CURLOPT_SEEKDATA, x);
  curl_easy_setopt(easy, CURLOPT_POST, 1L);
  return true;
}

static bool idempotent(const char *method) { return strcmp(method, "POST") != 0 && strcmp(method, "PATCH") != 0; }

/* GET, HEAD and POST are known to libcurl and change as HTTP says on redirects; all others go by name. */
static bool set_method(gl_curl_exchange *x, const gl_curl_spec *rq) {
  CURL *easy = x->transfer.easy;
  bool get = strcmp(rq->method, "GET") == 0, post = strcmp(rq->method, "POST") == 0;
  bool has_body = rq->body != NULL;
  if (rq->body_len && !idempotent(rq->method)) {
    if (!set_upload(x, rq)) return false;
  } else if (has_body || post) {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)rq->body_len);
    curl_easy_setopt(easy, rq->stream ? CURLOPT_COPYPOSTFIELDS : CURLOPT_POSTFIELDS, rq->body ? rq->body : "");
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
  } else {
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
  }
  if (post || (get && !has_body)) return true;
  if (strcmp(rq->method, "HEAD") == 0) {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    return true;
  }
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, rq->method);
  return true;
}

static bool set_identity(gl_curl_exchange *x, const gl_curl_spec *rq) {
  CURL *easy = x->transfer.easy;
  if (!rq->verify) {
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  if (rq->ca) curl_easy_setopt(easy, CURLOPT_CAINFO, rq->ca);
  curl_easy_setopt(easy, CURLOPT_PROXY, rq->proxy);
  if (!rq->proxy_authorization) return true;
  x->proxy_headers = curl_slist_append(NULL, rq->proxy_authorization);
  curl_easy_setopt(easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
  curl_easy_setopt(easy, CURLOPT_PROXYHEADER, x->proxy_headers);
  return x->proxy_headers != NULL;
}

static long milliseconds(double seconds) {
  double ms = seconds * 1e3;
  return ms < 1 ? 1 : ms > 1e9 ? 1000000000L : (long)ms;
}

static CURLcode set_options(gl_curl_exchange *x, const gl_curl_spec *rq) {
  CURL *easy = x->transfer.easy;
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, x->why);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, x);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, x);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, x->headers);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(rq->connect_timeout));
  if (!set_method(x, rq)) return CURLE_OUT_OF_MEMORY;
  if (!set_identity(x, rq)) return CURLE_OUT_OF_MEMORY;
  return curl_easy_setopt(easy, CURLOPT_URL, rq->address);
}

gl_curl_exchange *gl_curl_exchange_new(gl_curl *c) {
  gl_curl_exchange *x = calloc(1, sizeof *x);
  if (!x) return NULL;
  x->transfer.done = on_transfer;
  x->limit.fire = on_limit;
  x->refs = 1;
  if (gl_curl_prepare(c, &x->transfer)) return x;
  free(x);
  return NULL;
}

void gl_curl_exchange_start(gl_curl_exchange *x, const gl_curl_spec *rq) {
  x->max_body = rq->stream ? SIZE_MAX : rq->max_body;
  x->timeout = rq->timeout;
  x->streams = rq->stream;
  bool ok = set_options(x, rq) == CURLE_OK && gl_timer_arm(&x->waiter->host->clock, &x->limit, rq->timeout);
  if (ok && gl_curl_start(&x->transfer)) return;
  gl_curl_stop(&x->transfer);
  end(x, CURLE_OUT_OF_MEMORY);
}

/* ---- a streamed body ---- */

void gl_curl_exchange_next(gl_curl_exchange *x, gl_op *waiter) {
  x->waiter = waiter;
  if (x->over || x->body.len) tell(x);
  else if (!gl_timer_arm(&waiter->host->clock, &x->limit, x->timeout)) gl_curl_exchange_close(x);
}

void gl_curl_exchange_eat(gl_curl_exchange *x) {
  gl_buf_eat(&x->body, x->body.len);
  if (!x->paused) return;
  x->paused = false;
  gl_curl_resume(&x->transfer);
}

void gl_curl_exchange_close(gl_curl_exchange *x) {
  if (x->over) return;
  gl_curl_stop(&x->transfer);
  x->closed = true;
  end(x, CURLE_ABORTED_BY_CALLBACK);
}

void gl_curl_exchange_unref(gl_curl_exchange *x) {
  if (--x->refs > 0) return;
  gl_curl_stop(&x->transfer);
  curl_slist_free_all(x->headers);
  curl_slist_free_all(x->proxy_headers);
  if (x->upload_copy) gl_memory_resize(x->upload_copy, x->upload_len, 0);
  gl_buf_free(&x->head);
  gl_buf_free(&x->body);
  free(x);
}

/* ---- what went wrong ---- */

static const char *code_of(const gl_curl_exchange *x) {
  if (x->too_big) return "EMSGSIZE";
  if (x->closed) return "ECONNABORTED";
  switch (x->code) {
    case CURLE_OPERATION_TIMEDOUT: return "ETIMEDOUT";
    case CURLE_URL_MALFORMAT: return "EINVAL";
    case CURLE_UNSUPPORTED_PROTOCOL: return "EPROTO"; /* not HTTP at all */
    case CURLE_COULDNT_RESOLVE_HOST: case CURLE_COULDNT_RESOLVE_PROXY: return "ENOTFOUND";
    case CURLE_COULDNT_CONNECT: return x->os_error ? uv_err_name(uv_translate_sys_error(x->os_error)) : "ECONNREFUSED";
    case CURLE_GOT_NOTHING: case CURLE_PARTIAL_FILE: case CURLE_RECV_ERROR: case CURLE_SEND_ERROR:
    case CURLE_SEND_FAIL_REWIND: return "ECONNRESET";
    case CURLE_OUT_OF_MEMORY: case CURLE_WRITE_ERROR: return "ENOMEM";
    case CURLE_SSL_CONNECT_ERROR: case CURLE_PEER_FAILED_VERIFICATION: case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM: case CURLE_SSL_CIPHER: case CURLE_SSL_ISSUER_ERROR: case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_ENGINE_INITFAILED: return "ETLS";
    default: return "EPROTO";
  }
}

const char *gl_curl_exchange_error(const gl_curl_exchange *x, const char **why) {
  if (x->code == CURLE_OK) return NULL;
  *why = x->why[0] ? x->why : curl_easy_strerror(x->code);
  if (x->timed_out) *why = x->headed ? "timed out within the body" : "timed out";
  else if (x->too_big) *why = x->headed ? "the body is larger than max_body" : "the response head is larger than 256 KiB";
  else if (x->closed) *why = "the response was closed";
  else if (x->code == CURLE_SEND_FAIL_REWIND) *why = "the connection closed before an answer; the request may have been carried out";
  else if (x->code == CURLE_WRITE_ERROR) *why = "not enough memory";
  else if (x->os_error) *why = uv_strerror(uv_translate_sys_error(x->os_error));
  return code_of(x);
}
