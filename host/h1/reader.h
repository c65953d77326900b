/* SPDX-License-Identifier: MIT
 *
 * Reads the messages of one direction of an HTTP/1 connection, requests or responses (RFC 9112): bytes in, a head and a
 * body out. No Lua, no loop, no buffer: the head collects in a gl_head, the body is handed on as it comes.
 *
 *     HEAD --read_head: complete, a body follows--> BODY --the last chunk's size--> TRAILERS
 *       |   '--complete, none follows--> DONE <--read_body: its last byte; read_end--'  |
 *       |                                  ^----------------their last line-------------'
 *       '--malformed: head->refuse_status  BODY, TRAILERS --malformed, refused, cut short--> BAD
 *
 * 1. `head` is not NULL in HEAD. In the other states it is its owner's, who may take it.
 * 2. A function that was given bytes has used all of them, or stopped at a change of the state. In DONE and BAD nothing is used.
 * 3. gl_h1_reader_next leads from any state to HEAD. After a refused head and after BAD nothing can be told about the bytes
 *    that follow: the connection is of no more use.
 */
#ifndef GL_H1_READER_H
#define GL_H1_READER_H

#include "h1/head.h"

typedef enum gl_h1_state { GL_H1_HEAD, GL_H1_BODY, GL_H1_TRAILERS, GL_H1_DONE, GL_H1_BAD } gl_h1_state;

/* How the end of a body is found. */
typedef enum gl_body_mode { GL_BODY_NONE, GL_BODY_LENGTH, GL_BODY_CHUNKED, GL_BODY_UNTIL_CLOSE } gl_body_mode;

typedef struct gl_h1_reader gl_h1_reader;

/* Takes a piece of the body. False: it is refused, and the message is BAD. */
typedef bool gl_h1_on_body(gl_h1_reader *r, const char *at, size_t n);

struct gl_h1_reader {
  llhttp_t parser;       /* of header lines and chunks */
  gl_head *head;         /* what is read into */
  const gl_head_limits *limits;
  gl_h1_on_body *on_body;
  uint64_t body_read;    /* bytes of the body that arrived */
  uint64_t left;         /* GL_BODY_LENGTH: bytes that are still to come */
  uint64_t framing;      /* GL_BODY_CHUNKED: bytes that were not body: sizes, extensions, trailers */
  uint8_t mode;          /* gl_body_mode, once the head is complete */
  uint8_t state;         /* gl_h1_state */
  bool responses;        /* else requests */
  bool bodiless;         /* the response that is read answers HEAD or CONNECT: it has no body, whatever it says */
  char trailers_last;    /* the last byte of the trailers so far */
  bool keeps_trailers;   /* else they are dropped */
  bool no_memory;        /* BAD: there was none for the trailers */
  bool too_large;        /* BAD: the trailers, or all that is framing, are */
  gl_head *trailers;     /* kept ones: the owner's, who frees them; NULL = there are none */
  const char *wrong;     /* BAD: what is wrong with the message; NULL = the piece of the body was refused */
};

/* A reader of requests or of responses, in HEAD, without a head. `limits` stay the caller's. */
void gl_h1_reader_init(gl_h1_reader *r, bool responses, const gl_head_limits *limits, gl_h1_on_body *on_body);

/* Begins the next message, with an empty head to read into (NULL: it is set before the first byte). */
void gl_h1_reader_next(gl_h1_reader *r, gl_head *head);

/* Reads on in the head; returns how many bytes were used. Then the state tells whether it is complete, unless
 * head->refuse_status says that it is malformed. */
size_t gl_h1_read_head(gl_h1_reader *r, const char *bytes, size_t n);

/* Reads on in the body or its trailers; returns how many bytes were used. */
size_t gl_h1_read_body(gl_h1_reader *r, const char *bytes, size_t n);

/* The peer sends nothing more: a body until close is complete, any other is cut short. Not in HEAD. */
void gl_h1_read_end(gl_h1_reader *r);

#endif
