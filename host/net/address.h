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
#define GL_HOST_MAX 256    /* of a host's name */

typedef struct gl_address {
  int family;                   /* AF_INET, AF_INET6 or AF_UNIX */
  struct sockaddr_storage ip;   /* for the first two */
  char path[108];               /* for the third (sun_path) */
  unsigned mode;                /* of the file a listener makes of it, 0 = what the umask leaves. Not set by gl_address_parse */
} gl_address;

/* Reads one, of so many bytes and a final 0. `*` is every IPv4 address. NULL, or what is wrong with it. */
const char *gl_address_parse(const char *text, size_t text_len, gl_address *out);

/* Splits "name:80" or "[::1]:80" into host and port. NULL, or what is wrong with it. */
const char *gl_address_split(const char *text, char host[GL_HOST_MAX], int *port);

/* Reads a numeric IP address. False: it is none. */
bool gl_address_number(const char *host, int port, gl_address *out);

/* Is the address one of the public internet? Not: this machine, private and link-local networks, what carriers and documents use,
 * groups, unix sockets, and IPv6 addresses that stand for such an IPv4 one. */
bool gl_address_is_public(const gl_address *address);

/* Raises what came of using the address `text`: for a unix socket in a folder that is not there, says that. Never returns. */
int gl_address_raise(lua_State *L, const char *op, int status, const char *text);

/* Writes the text form of a socket address. */
void gl_address_text(const struct sockaddr *sa, char out[GL_ADDRESS_MAX]);

#endif
