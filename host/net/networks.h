/* SPDX-License-Identifier: MIT
 *
 * A set of networks, as people list them: "10.0.0.0/8", "2001:db8::/32", "192.0.2.7" (that address alone), "unix" (unix sockets).
 * An IPv6 address that stands for an IPv4 one (::ffff:192.0.2.7) is taken for the latter.
 */
#ifndef GL_NET_NETWORKS_H
#define GL_NET_NETWORKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

typedef struct gl_network {
  uint8_t ip[16]; /* an IPv4 address in the form ::ffff:a.b.c.d */
  uint8_t bits;   /* that an address has in common with `ip`, at least; 0 to 128 */
} gl_network;

typedef struct gl_networks {
  uint32_t n;
  bool unix_sockets;
  gl_network at[];
} gl_networks;

/* Reads one network; "unix" is not for this function. NULL: done. Else a static text that says what is wrong. */
const char *gl_network_parse(const char *text, gl_network *out);

/* Is the address of one of the networks? `family` is AF_INET, AF_INET6 or AF_UNIX, whose address is not looked at. */
bool gl_networks_have(const gl_networks *set, int family, const struct sockaddr_storage *address);

#endif
