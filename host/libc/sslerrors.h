/* SPDX-License-Identifier: MIT
 *
 * OpenSSL's queue of errors, which is the thread's: SSL_get_error looks into it, and must not find the errors of another task
 * after its own task has waited in the middle of SSL_read.
 */
#ifndef GL_LIBC_SSLERRORS_H
#define GL_LIBC_SSLERRORS_H

typedef struct gl_sslerrors gl_sslerrors;

/* Takes the errors out of the queue. NULL: it was empty, no OpenSSL is loaded, or there is no memory. */
gl_sslerrors *gl_sslerrors_take(void);

/* Empties the queue, and puts `e` into it, which is freed. */
void gl_sslerrors_put(gl_sslerrors *e);

#endif
