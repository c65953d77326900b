/* SPDX-License-Identifier: MIT
 *
 * A connected byte stream (TCP or a unix socket). Reads land in the host's scratch buffer and are handed to the user of the stream
 * at once. Writes are gathered, and leave in one system call: at the end of the turn, or when somebody flushes, as the server does
 * after a response when no further request is there whose response could go with it. No function here calls Lua or waits, and all
 * may be used from loop callbacks.
 *
 * Reading                                             What the user is told:  data* -> end -> closed
 *
 *     paused <---gl_stream_pause--- reading ---on_read: the peer's end, an error; break_all---> ended
 *            ----gl_stream_read, hang_up------>
 *
 * Writing                                             What the user is told:  (full -> drained)*
 *
 *     open --finish(half): all output has left--> shut --finish--> closing
 *       |---finish: all output has left--------------------------> closing
 *       |---break_off: a write failed, and the user hears_out------> mute ---finish--> closing
 *       '---break_all: a write failed, no memory, the filter gives up---> broken --finish--> closing
 *
 * The handle                          any --gl_stream_close, _reset--> closing --on_closed--> gone --(no hook queued)--> freed
 *
 *  1. `end` is told once, and no `data` after it. `closed` is told once, and nothing after it.
 *  2. Bytes leave in the order in which they were written: those of the write in flight, then those of `output`, then `plain`.
 *  3. While a write is in flight nothing else is given to the kernel; on_write goes on with what was gathered meanwhile.
 *  4. Once the writing side is mute, broken or closing, what is written is thrown away without an error: the end was told, or will be.
 *  5. `plain` is empty unless there is a filter.
 *  6. A stream is freed only when no hook for the end of the turn refers to it.
 *  7. `file` leaves behind `output` and `plain`, which stay empty but for its own pieces. While a job works on it, a stream that is closing
 *     keeps its handle, which gl_stream_resume closes.
 *
 * A filter (net/tls.h) may sit between the stream and its user, who notices nothing: what arrives goes through the filter first, and
 * what is written waits in `plain` until the filter has turned it into output.
 */
#ifndef GL_NET_STREAM_H
#define GL_NET_STREAM_H

#include "core/buf.h"
#include "core/host.h"
#include "net/hangup.h"
#include "net/output.h"

typedef struct gl_stream gl_stream;

/* What the owner of a stream is told, from the loop. */
typedef struct gl_stream_user {
  void (*data)(gl_stream *s, const char *bytes, size_t n); /* bytes are valid during the call */
  void (*end)(gl_stream *s, int status); /* once: UV_EOF or an error; no data comes after it */
  void (*drained)(gl_stream *s);         /* after gl_stream_full() was true: there is room again */
  void (*closed)(gl_stream *s);          /* the handle is gone; the stream is freed when this returns */
  void (*blocked)(gl_stream *s);         /* the kernel did not take all that was written; NULL: not of interest */
  bool served;                           /* by a server of ours: what a forked child writes is thrown away */
  bool wants_end;                        /* also while it is paused: see gl_stream_pause */
} gl_stream_user;

/* What sits between a stream and its user. */
typedef struct gl_filter {
  void (*received)(gl_stream *s, const char *bytes, size_t n); /* bytes came from the wire: it calls user->data with what they mean */
  void (*ended)(gl_stream *s, int status);                     /* the wire has ended: it calls gl_stream_end */
  void (*fill)(gl_stream *s); /* moves a piece of `plain` to `output`; once `plain` is empty and `after_output` is set, says goodbye */
  void (*free)(gl_stream *s); /* frees `filtering` */
} gl_filter;

typedef struct gl_write gl_write;
typedef struct gl_file_out gl_file_out;

struct gl_stream {
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } uv;
  gl_host *host;
  const gl_stream_user *user;
  void *owner;
  const gl_filter *filter; /* NULL: none */
  void *filtering;   /* the filter's own */
  gl_buf plain;      /* with a filter: what the user wrote and the filter has not turned into output */
  gl_output output;  /* gathered, for the next flush */
  gl_hangup *hangup; /* watches while the stream is paused, for a user that wants the end; NULL: nothing does */
  gl_write *write;   /* the write in flight: what the kernel did not take at once; NULL: none */
  size_t in_flight;  /* while there is such a write: its bytes */
  gl_file_out *file; /* what leaves behind all output (net/file_out.h); NULL: none */
  uint64_t written;  /* bytes the user wrote so far */
  uint64_t taken;    /* bytes the kernel took, but for those of the write in flight */
  gl_turn_hook turn;
  uint32_t made_in;  /* number of the process (gl_host.process) that made it, */
  uint32_t used_in;  /* and of the one that used it last */
  int file_error;    /* how the last file ended: all of it was sent (0), it had fewer bytes (UV_EOF), or another UV_E* of reading it */
  bool file_cut;     /* the last file was dropped before all of it was with the kernel */
  enum { GL_THEN_NOTHING, GL_THEN_SHUT, GL_THEN_CLOSE } after_output; /* what is due once all output has left */
  bool reading; /* libuv reads */
  bool hung_up; /* the other side ended while the stream was paused: what is left is read, without a pause */
  bool ended;   /* the user was told the end */
  bool held;    /* the filter lets no output out yet, nor the end of it */
  bool full;    /* the user was told to wait for drained */
  bool shut;    /* the writing side was shut down */
  bool hears_out; /* set by the user: a write that fails ends only writing; what the other side said before is still read */
  bool mute;    /* such a write has failed: output is thrown away */
  bool broken;  /* the stream is of no use any more: output is thrown away */
  bool closing; /* the handle is being closed */
  bool gone;    /* the user was told that it is closed */
};

#define GL_STREAM_HIGH ((size_t)256 * 1024) /* output waiting beyond this: full */

/* A stream with an unconnected handle for the given address family (AF_INET, AF_INET6, AF_UNIX). Counted in
 * census.handles until it is closed. NULL: out of memory. */
gl_stream *gl_stream_new(gl_host *h, int family, const gl_stream_user *user, void *owner);

/* Is it shared with the parent of this forked child? Whatever was written before the fork is the parent's to send, and so
 * is the end: a close in the child says nothing to the other side. */
static inline bool gl_stream_is_foreign(const gl_stream *s) { return s->made_in != s->host->process; }

/* Begins or stops reading. Returns 0 or UV_E*. Idempotent. A user that wants the end is told it while the stream is paused, too: once
 * the other side has ended or broken the connection, what it sent before, which the kernel's buffer bounds, is read on, and
 * pausing does nothing any more. */
int gl_stream_read(gl_stream *s);
void gl_stream_pause(gl_stream *s);

/* Asks the kernel whether the other side of a paused stream has ended or broken the connection, and if so reads on as above. For a user that
 * looks now and then, which costs less than a watch for each stream. */
void gl_stream_look(gl_stream *s);

/* Queues bytes, which are copied. False: out of memory, the stream is broken. */
bool gl_stream_write(gl_stream *s, const void *bytes, size_t n);

/* Queues bytes that other streams send as well: `n` of them from `at` on, which are not copied when there are many. False: out of
 * memory, the stream is broken. */
bool gl_stream_share(gl_stream *s, gl_bytes *bytes, size_t at, size_t n);

/* Returns room in the output to build at least `n` bytes in place; call gl_stream_wrote with how many were used. NULL: out of
 * memory. */
char *gl_stream_room(gl_stream *s, size_t n);
void gl_stream_wrote(gl_stream *s, size_t n);

/* Takes back what was written since `written` was `mark`, into a buffer of that size unless it is NULL. False: some of
 * that has left already. */
bool gl_stream_retract(gl_stream *s, uint64_t mark, char *into);

/* Writes what is queued now, not at the end of the turn. */
void gl_stream_flush(gl_stream *s);

/* True while so much output, or a file, waits that the user should wait for `drained`. */
bool gl_stream_full(gl_stream *s);

/* Bytes written that the kernel has not taken, but for those of a file. */
size_t gl_stream_pending(const gl_stream *s);

/* Bytes that reached the other side (TCP: were acknowledged), of all that was written; grows as long as it reads, be it
 * slowly. Asks the kernel. */
uint64_t gl_stream_delivered(const gl_stream *s);

/* Bytes written that have not reached the other side, as far as is known (TCP: that it did not acknowledge; TLS: as they are on the wire,
 * once they are encrypted). Asks the kernel. */
uint64_t gl_stream_outstanding(const gl_stream *s);

/* Is what is written thrown away (invariant 4)? */
static inline bool gl_stream_is_mute(const gl_stream *s) { return s->broken || s->mute || s->closing; }

/* Closes once the output is written; `half` only shuts down the writing side, so that the peer can read it all. */
void gl_stream_finish(gl_stream *s, bool half);

/* Closes now and drops what is queued. `closed` follows later. Idempotent. */
void gl_stream_close(gl_stream *s);

/* Closes so that the other side cannot take the end for a regular one (TCP: a reset). */
void gl_stream_reset(gl_stream *s);

/* For files (net/file_out.h): a job has ended, and `status` (UV_E*) says what was wrong with the socket. Goes on writing, or closing. */
void gl_stream_resume(gl_stream *s, int status);

/* For files: queues all bytes of a buffer, whose memory the stream takes. Nothing else is queued. */
void gl_stream_adopt(gl_stream *s, gl_buf *bytes);

/* For filters: the user is told the end, once. Reading is over. */
void gl_stream_end(gl_stream *s, int status);

/* For filters: the stream is of no use any more. What is in `out` leaves if the kernel takes it at once, and the other
 * side reads the end. */
void gl_stream_break(gl_stream *s, int status);

/* For filters: there may be something to send, or `plain` can be moved now. */
void gl_stream_touch(gl_stream *s);

#endif
