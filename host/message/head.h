/* SPDX-License-Identifier: MIT
 *
 * The head of a message that is sent: a request's or a response's, whatever version of HTTP the carrier speaks. (A head that was
 * received is a gl_head, h1/head.h, on both sides.)
 */
#ifndef GL_MESSAGE_HEAD_H
#define GL_MESSAGE_HEAD_H

#include <stdbool.h>

#include "h1/fields.h"
#include "h1/head.h"

#define GL_LENGTH_UNKNOWN INT64_C(-1)

/* Fields to send, as places in one text, in the order in which they leave. The maker of the list has checked names and values
 * (RFC 9110, 5.1 and 5.5), and has left out the fields that frame or route a message: Content-Length, Transfer-Encoding,
 * Connection, Expect, Date, Host. The carrier writes those itself. */
typedef struct gl_fields {
  const char *text;
  const gl_field *list;
  uint32_t n;
} gl_fields;

/* Returns the bytes of the text, in which the fields' names and values lie in order. */
static inline size_t gl_fields_text(const gl_fields *f) { return f->n ? (size_t)f->list[f->n - 1].value + f->list[f->n - 1].value_len : 0; }

/* Copies fields into memory of their own, which gl_fields_free frees. False: out of memory. */
bool gl_fields_copy(gl_fields *to, const gl_fields *from);

/* Frees a copy; zeroed memory is an empty one. */
void gl_fields_free(gl_fields *copy);

/* All memory is the caller's, and is used only during the call that gets the head. */
typedef struct gl_message_head {
  uint16_t status;                   /* a response's, 101 to 599; 0: this is a request's head */
  bool close;                        /* nothing follows this message on its connection, as far as HTTP/1 is concerned */
  bool hold;                         /* the head may still be taken back (gl_carrier.take_back): it leaves with the first
                                        byte of the body, or at the end */
  bool takes_trailers;               /* a request's: trailers of the response are read and not only skipped (RFC 9110, 10.1.4) */
  bool expect;                       /* a request's: the server is to say 100 Continue before the body is sent */
  bool upgrade;                      /* a response 426 to a request that should have asked for WebSocket */
  int64_t length;                    /* bytes of the body, announced as Content-Length; GL_LENGTH_UNKNOWN: not announced */
  const char *type;                  /* the Content-Type, for a message whose fields have none; NULL: none */
  gl_fields fields;
  gl_text method, authority;         /* a request's; authority: host[:port], as in Host */
  gl_text target;                    /* in origin form ("/path"), "*", or in absolute form for a proxy */
} gl_message_head;

#endif
