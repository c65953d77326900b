/* SPDX-License-Identifier: MIT
 *
 * Addresses as people write them: "127.0.0.1:8080", "[::1]:8080", "localhost:8080", "unix:/run/app.sock".
 */
#ifndef GL_NET_ADDRESS_H
#define GL_NET_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include <lua.h>

#define GL_ADDRESS_MAX 160 /* bytes of text, with the final 0 */
#define GL_HOST_MAX 256    /* bytes of a host's name, with the final 0 */

typedef struct gl_address {
  int family;                   /* AF_INET, AF_INET6 or AF_UNIX */
  struct sockaddr_storage ip;   /* AF_INET, AF_INET6: address and port */
  char path[108];               /* AF_UNIX: the path (sun_path) */
  unsigned mode;                /* mode of the socket file that a listener makes; 0 = as the umask has it. Not set by gl_address_parse */
} gl_address;

/* Reads an address of `text_len` bytes and a final 0; a host `*` stands for every IPv4 address. NULL: done. Else a static text that says
 * what is wrong with the address. */
const char *gl_address_parse(const char *text, size_t text_len, gl_address *out);

/* Splits "name:80" or "[::1]:80" into host and port. NULL: done. Else a static text that says what is wrong. */
const char *gl_address_split(const char *text, char host[GL_HOST_MAX], int *port);

/* Makes `out` of a numeric IP address and a port. False: the host is no such address. */
bool gl_address_number(const char *host, int port, gl_address *out);

/* Is the address one of the public internet? False for addresses of this machine, of private and link-local networks, of the inner
 * networks of carriers, for documentation and of multicast groups, for IPv6 addresses that stand for such an IPv4 address, and for unix
 * sockets. */
bool gl_address_is_public(const gl_address *address);

/* Raises the failure `status` (UV_E*) of an operation with the address `text`; names the folder of a unix socket if that is missing. Never
 * returns. */
int gl_address_raise(lua_State *L, const char *op, int status, const char *text);

/* Writes the text form of a socket address. */
void gl_address_text(const struct sockaddr *sa, char out[GL_ADDRESS_MAX]);

#endif
