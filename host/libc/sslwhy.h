/* SPDX-License-Identifier: MIT
 *
 * SSL_get_error as C modules find it: why a call of OpenSSL has failed. After SSL_ERROR_SYSCALL errno is to tell more, says its manual;
 * but a connection on which something has failed once fails from then on with errno 0 (a peer that has ended without a goodbye, and
 * then a send). LuaSec takes that for success of no bytes, LuaSocket sends what is left over, and both are never back in Lua.
 */
#ifndef GL_LIBC_SSLWHY_H
#define GL_LIBC_SSLWHY_H

/* OpenSSL's own, of the library that the caller is linked to; errno is never 0 after a failed system call. */
int gl_ssl_SSL_get_error(const void *ssl, int result);

#endif
