/* SPDX-License-Identifier: MIT
 *
 * Reads the messages of one direction of an HTTP/1 connection, requests or responses (RFC 9112). No Lua, no loop, no buffer: a head is
 * collected in a gl_head, and the bytes of a body are passed to on_body as they come.
 *
 *     HEAD --read_head: complete, a body follows--> BODY --the last chunk's size--> TRAILERS
 *       |   '--complete, none follows--> DONE <--read_body: its last byte; read_end--'  |
 *       |                                  ^----------------their last line-------------'
 *       '--malformed: head->refuse_status  BODY, TRAILERS --malformed, refused, cut short--> BAD
 *
 * 1. `head` is not NULL in HEAD. In the other states the reader does not need the head, so that the head's owner may take it.
 * 2. A function reads all bytes that it gets, or stops at a change of the state. In DONE and BAD nothing is read.
 * 3. gl_h1_reader_next leads from any state to HEAD. After a refused head and after BAD the beginning of the next message is unknown, so
 *    that the connection must be closed.
 */
#ifndef GL_H1_READER_H
#define GL_H1_READER_H

#include "h1/head.h"

typedef enum gl_h1_state { GL_H1_HEAD, GL_H1_BODY, GL_H1_TRAILERS, GL_H1_DONE, GL_H1_BAD } gl_h1_state;

/* The way in which the end of a body is found. */
typedef enum gl_body_mode { GL_BODY_NONE, GL_BODY_LENGTH, GL_BODY_CHUNKED, GL_BODY_UNTIL_CLOSE } gl_body_mode;

typedef struct gl_h1_reader gl_h1_reader;

/* Gets a piece of the body, valid during the call. False: the piece is refused, and the message is BAD. */
typedef bool gl_h1_on_body(gl_h1_reader *r, const char *at, size_t n);

struct gl_h1_reader {
  llhttp_t parser;       /* reads header lines and chunks */
  gl_head *head;         /* the head that is read */
  const gl_head_limits *limits;
  gl_h1_on_body *on_body;
  uint64_t body_read;    /* bytes of the body that have arrived */
  uint64_t left;         /* GL_BODY_LENGTH: bytes of the body that have not arrived */
  uint64_t framing;      /* GL_BODY_CHUNKED: bytes beside the body: sizes, extensions, trailers */
  uint8_t mode;          /* gl_body_mode, once the head is complete */
  uint8_t state;         /* gl_h1_state */
  bool responses;        /* else requests */
  uint8_t answers;       /* gl_answers, of the response that is read */
  char trailers_last;    /* the last byte of the trailers that have arrived */
  bool keeps_trailers;   /* else trailers are dropped */
  bool no_memory;        /* BAD: there was no memory for the trailers */
  bool too_large;        /* BAD: the trailers, or all framing, exceed the limit */
  gl_head *trailers;     /* kept trailers, which the owner of the reader frees; NULL = none */
  const char *wrong;     /* BAD: what is wrong with the message, a static text; NULL = on_body refused a piece */
};

/* Makes a reader of requests or of responses, in HEAD, without a head. `limits` must live as long as the reader. */
void gl_h1_reader_init(gl_h1_reader *r, bool responses, const gl_head_limits *limits, gl_h1_on_body *on_body);

/* Begins the next message, whose head goes into `head`, which is empty. NULL: the caller sets r->head before the first byte. */
void gl_h1_reader_next(gl_h1_reader *r, gl_head *head);

/* Reads on in the head; returns how many bytes were read. Afterwards the head is malformed if head->refuse_status is set, and else
 * complete if the state is not HEAD any more. */
size_t gl_h1_read_head(gl_h1_reader *r, const char *bytes, size_t n);

/* Reads on in the body or its trailers; returns how many bytes were read. */
size_t gl_h1_read_body(gl_h1_reader *r, const char *bytes, size_t n);

/* Call, but not in HEAD, when the peer sends nothing more: a body until close is then complete (DONE), any other is cut short (BAD). */
void gl_h1_read_end(gl_h1_reader *r);

#endif
