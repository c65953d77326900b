/* SPDX-License-Identifier: MIT
 *
 * Connections that a task was torn from in the middle of an exchange: it waited for an answer, or was about to, and must end. The
 * answer is still to come, and whoever asks next on that connection would get it. So nobody receives on the connection any more:
 *
 *     SOUND --gl_abandon_note--> ABANDONED --somebody is about to receive--> LOST --close--> forgotten
 *       |                        what is sent still goes out,                ^ it was shut down: receiving fails with ECONNRESET,
 *       |                        such as a goodbye                           | sending with EPIPE, poll says POLLIN and POLLHUP
 *       '------- the same, in the middle of what it sends -------------------'
 *
 * It does not look like the end of a stream: who is told that the other side has ended takes the connection for sound so far
 * (OpenSSL then fails without an error, and LuaSec tries for ever what failed so).
 */
#ifndef GL_LIBC_ABANDON_H
#define GL_LIBC_ABANDON_H

#include "libc/layer.h"

/* Notes that a wait for this descriptor alone was cut short, or that a task is torn from its exchange there. Does nothing unless it is
 * a stream's, and connected. It is lost at once when the task was `sending`: whatever came next would be taken for the rest of that; and
 * without memory. Keeps errno. */
void gl_abandon_note(gl_layer *l, int fd, bool sending);

/* What is behind a descriptor, as a number that no other socket has at the same time; 0: no socket. Keeps errno. */
uint64_t gl_abandon_socket(int fd);

/* Somebody is about to receive, or to look whether he could: true when the connection is lost, which it is from now on if it was
 * abandoned. Keeps errno. */
bool gl_abandon_check(gl_layer *l, int fd);

/* Descriptors first..last are about to be closed. */
void gl_abandon_close(gl_layer *l, unsigned int first, unsigned int last);

/* Frees what is noted. */
void gl_abandon_free(gl_layer *l);

#endif
