/* SPDX-License-Identifier: MIT
 *
 * Questions to the system's resolver: hosts file, search domains and all. The resolver blocks for as long as a name server is
 * silent, so each question has a thread of its own: questions that hang hold up neither other questions, nor files, nor the
 * end of the process. Who gets a thread next is decided in lookup_queue.h.
 *
 *     gl_resolver_ask --> WAITING --(a thread is free)--> RUNNING --(thread_main: type->ask)--> ANSWERED --on_answers--> the asker's
 *                            |                               |
 *                            '-- gl_resolver_drop: freed     '-- gl_resolver_drop: `dropped`, the thread goes on; freed afterwards
 *
 *  1. `answered` is called once, by on_answers or gl_resolver_block, unless the question was dropped before.
 *  2. While a question is RUNNING its thread alone touches what belongs to the asker; every other member is the loop's.
 *  3. The resolver (struct gl_resolver) lives until the host and the last thread have let go of it.
 */
#ifndef GL_CORE_RESOLVER_H
#define GL_CORE_RESOLVER_H

#include "core/host.h"
#include "core/lookup_queue.h"

typedef struct gl_question gl_question;

/* What all questions of one kind share. */
typedef struct gl_question_type {
  void (*ask)(gl_question *q);                  /* asks the system, in a thread of its own, and keeps the answer in the question */
  void (*answered)(gl_question *q, int status); /* on the loop; the question is the asker's again. status: 0, or UV_E* = it was not asked */
  void (*free)(gl_question *q);                 /* frees a question that was dropped; on the loop, or in the thread */
} gl_question_type;

/* First member of an asker's own struct. */
struct gl_question {
  gl_lookup_entry entry;
  const gl_question_type *type;
  struct gl_resolver *resolver;
  gl_question *next; /* in `answers` */
  bool running;      /* a thread has it */
  bool dropped;
  bool loopback;     /* the name means this machine whatever the system says: localhost, and all below it (RFC 6761) */
};

/* Asks a question about a host, whose name decides on the thread only. Sets `loopback` before `ask` runs. Returns 0, and the question
 * is the resolver's until it is answered or dropped; or UV_E*, and it is the asker's still. Calls no Lua. */
int gl_resolver_ask(gl_host *h, gl_question *q, const char *name);

/* Is the name an address in figures, which is no question to anybody? */
bool gl_resolver_is_number(const char *name);

/* Nobody waits for the answer any more: `q` is not valid from here on. */
void gl_resolver_drop(gl_question *q);

/* Blocks the loop's thread until the question is answered, and true is returned, or `ms` milliseconds are over: then it is dropped. */
bool gl_resolver_block(gl_question *q, int ms);

/* Lets go of the threads; nobody may wait any more. Called when the host is closed, after its Lua state and before its loop. */
void gl_resolver_close(gl_host *h);

#endif
