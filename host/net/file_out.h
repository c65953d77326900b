/* SPDX-License-Identifier: MIT
 *
 * A part of a file on its way into a stream. Jobs on the thread pool read the disk, so that the loop never waits for one; and the
 * socket, which does not block, never holds a thread. A job gives the kernel as much of the file as the socket takes, by sendfile(2), without a
 * copy; once the socket is full, the job reads a small piece, which the loop writes as it writes any bytes, so that the loop hears when
 * there is room again. Where sendfile is impossible (TLS, some file systems), a job reads a large piece instead.
 *
 *     gl_stream_send_file --> WAITS --gl_file_out_go_on: all before has left--> WORKS (a job)
 *                              ^ |                                              |
 *                              | '--gl_file_out_drop-------------> freed        |
 *                              '------on_worked: more to send-------------------|
 *         over, and freed <-----------on_worked: all was given to the stream; the file ended or failed; the stream threw it away
 *
 *  1. A stream has one file at a time, in WAITS or WORKS. What was written before it leaves before it; nothing is written behind it until it is
 *     over.
 *  2. In WORKS only the job touches `sent`, `piece`, `wrong`, `torn` and `direct`, and only the loop the rest; `stop` is atomic.
 *  3. A stream does not close its handle in WORKS: the descriptor's number would become another's, which would get the bytes.
 *  4. No more than the promised bytes are sent; if there are fewer, the stream's `file_error` says so, and none is made up.
 *
 * A forked child has none of the parent's jobs, and frees what it finds in WORKS.
 */
#ifndef GL_NET_FILE_OUT_H
#define GL_NET_FILE_OUT_H

#include "core/open_file.h"
#include "net/stream.h"

/* Sends `n` bytes of a file from `at` on, of which it takes a reference, once all that was written has left. The stream is full until
 * the kernel has taken them all, or `file_error` says why not; then `drained` is told. In this turn the user may write what leaves before
 * the file, and then nothing more until `drained`. On a stream that throws away what is written it does nothing. False: out of memory, and nothing is sent. */
bool gl_stream_send_file(gl_stream *s, gl_open_file *file, uint64_t at, uint64_t n);

/* For the stream: starts the next job, if it is time for one. */
void gl_file_out_go_on(gl_stream *s);

/* For the stream: forgets the file, at once or when its job has ended. */
void gl_file_out_drop(gl_stream *s);

/* Bytes of the file that the stream was not given yet. */
uint64_t gl_file_out_left(const gl_file_out *f);

/* Is a job under way, so that the next step is not the other side's? */
bool gl_file_out_works(const gl_file_out *f);

/* Is a job giving the kernel the last part, so that the other side may have all of the file before the loop hears of it? Who drops the file
 * then is told `drained` in a moment, and sees by `file_cut` whether it has. */
bool gl_file_out_ends(const gl_file_out *f);

#endif
