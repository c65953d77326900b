/* SPDX-License-Identifier: MIT
 *
 * Connections that a task was torn from in the middle of an exchange: it waited for an answer, or was about to, and must end. The answer is still to come,
 * and whoever asks next on that connection would get it. So nobody receives on the connection any more: the next attempt finds that it
 * has ended. What is sent still goes out, such as a goodbye.
 */
#ifndef GL_LIBC_ABANDON_H
#define GL_LIBC_ABANDON_H

#include "libc/layer.h"

/* Notes that a wait for this descriptor alone was cut short, or that a task is torn from its exchange there. Does nothing unless it is a stream's, and connected. Without memory
 * the connection ends at once. Keeps errno. */
void gl_abandon_note(gl_layer *l, int fd);

/* What is behind a descriptor, as a number that no other socket has at the same time; 0: no socket. Keeps errno. */
uint64_t gl_abandon_socket(int fd);

/* Somebody is about to receive: ends the connection if it was abandoned. Keeps errno. */
void gl_abandon_check(gl_layer *l, int fd);

/* Frees what is noted. */
void gl_abandon_free(gl_layer *l);

#endif
