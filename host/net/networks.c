/* SPDX-License-Identifier: MIT */
#include "net/networks.h"

#include <netinet/in.h>
#include <string.h>

#include "net/address.h"

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}; /* what an IPv4 address in an IPv6 one begins with (RFC 4291, 2.5.5.2) */

/* Writes the 16 bytes of an address. */
static void bytes_of(int family, const struct sockaddr_storage *address, uint8_t out[16]) {
  if (family == AF_INET6) {
    memcpy(out, &((const struct sockaddr_in6 *)address)->sin6_addr, 16);
    return;
  }
  memcpy(out, mapped, sizeof mapped);
  memcpy(out + sizeof mapped, &((const struct sockaddr_in *)address)->sin_addr, 4);
}

/* Have two addresses the first `bits` bits in common? */
static bool agree(const uint8_t *a, const uint8_t *b, int bits) {
  int whole = bits / 8, rest = bits % 8;
  return memcmp(a, b, (size_t)whole) == 0 && (!rest || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

/* Reads the number behind the slash. -1: it is none, or more than `most`. */
static int bits_of(const char *text, int most) {
  int bits = 0, digits = 0;
  for (; *text >= '0' && *text <= '9' && digits < 3; text++, digits++) bits = bits * 10 + (*text - '0');
  return *text || !digits || bits > most ? -1 : bits;
}

const char *gl_network_parse(const char *text, gl_network *out) {
  char host[GL_HOST_MAX];
  const char *slash = strchr(text, '/');
  size_t len = slash ? (size_t)(slash - text) : strlen(text);
  gl_address address;
  if (len >= sizeof host) return "not an IP address";
  memcpy(host, text, len);
  host[len] = 0;
  if (strchr(host, '%') || !gl_address_number(host, 0, &address)) return "not an IP address";
  int width = address.family == AF_INET ? 32 : 128, bits = slash ? bits_of(slash + 1, width) : width;
  if (bits < 0) return width == 32 ? "what follows the slash must be 0 to 32" : "what follows the slash must be 0 to 128";
  bytes_of(address.family, &address.ip, out->ip);
  out->bits = (uint8_t)(bits + 128 - width);
  for (int i = out->bits; i < 128; i++)
    if (out->ip[i / 8] >> (7 - i % 8) & 1) return "the address has more bits than the number behind the slash says";
  return NULL;
}

bool gl_networks_have(const gl_networks *set, int family, const struct sockaddr_storage *address) {
  if (family == AF_UNIX) return set->unix_sockets;
  if (family != AF_INET && family != AF_INET6) return false;
  uint8_t ip[16];
  bytes_of(family, address, ip);
  for (uint32_t i = 0; i < set->n; i++)
    if (agree(ip, set->at[i].ip, set->at[i].bits)) return true;
  return false;
}
