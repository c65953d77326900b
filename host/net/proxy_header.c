/* SPDX-License-Identifier: MIT */
#include "net/proxy_header.h"

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#include "net/address.h"

/* ---- version 1: "PROXY TCP4 192.0.2.7 192.0.2.1 40312 443\r\n" ---- */

#define LINE_MAX_1 107 /* bytes of such a line, with its end (section 2.1) */

/* Takes the text up to the next blank, or the end. False: there is none, or it does not fit into `out`. */
static bool take_word(const char **at, const char *end, char *out, size_t size) {
  const char *blank = memchr(*at, ' ', (size_t)(end - *at));
  const char *stop = blank ? blank : end;
  size_t n = (size_t)(stop - *at);
  if (n == 0 || n >= size || memchr(*at, 0, n)) return false;
  memcpy(out, *at, n);
  out[n] = 0;
  *at = blank ? blank + 1 : end;
  return true;
}

/* -1: the text is no port, which has no leading zeros. */
static int read_port(const char *text) {
  int port = 0;
  if (*text == '0' && text[1]) return -1;
  for (; *text; text++) {
    if (*text < '0' || *text > '9') return -1;
    port = port * 10 + (*text - '0');
    if (port > 65535) return -1;
  }
  return port;
}

static bool read_address(const char *host, int port, int family, gl_address *out) {
  return port >= 0 && !strchr(host, '%') && gl_address_number(host, port, out) && out->family == family;
}

/* Reads what stands between the protocol's name and the end of the line. */
static bool read_line(const char *at, const char *end, int family, gl_proxied *out) {
  char from[64], to[64], from_port[8], to_port[8];
  gl_address client, server;
  if (!take_word(&at, end, from, sizeof from) || !take_word(&at, end, to, sizeof to)) return false;
  if (!take_word(&at, end, from_port, sizeof from_port) || !take_word(&at, end, to_port, sizeof to_port) || at != end || end[-1] == ' ') return false;
  if (!read_address(from, read_port(from_port), family, &client) || !read_address(to, read_port(to_port), family, &server)) return false;
  out->family = family;
  out->address = client.ip;
  return true;
}

static long read_text(const char *bytes, size_t n, gl_proxied *out) {
  static const char unknown[] = "PROXY UNKNOWN", tcp4[] = "PROXY TCP4 ", tcp6[] = "PROXY TCP6 ";
  size_t most = n < LINE_MAX_1 ? n : LINE_MAX_1;
  const char *end = memmem(bytes, most, "\r\n", 2);
  if (!end) return n < LINE_MAX_1 ? 0 : -1;
  size_t len = (size_t)(end - bytes), head = sizeof tcp4 - 1;
  bool known = len > head && (memcmp(bytes, tcp4, head) == 0 || memcmp(bytes, tcp6, head) == 0);
  if (known && !read_line(bytes + head, end, memcmp(bytes, tcp4, head) == 0 ? AF_INET : AF_INET6, out)) return -1;
  bool nobody = len >= sizeof unknown - 1 && memcmp(bytes, unknown, sizeof unknown - 1) == 0 && (len == sizeof unknown - 1 || bytes[sizeof unknown - 1] == ' ');
  return known || nobody ? (long)len + 2 : -1;
}

/* ---- version 2: bytes ---- */

#define FIXED 16             /* the signature, version and command, family, length */
#define TYPE_SSL 0x20        /* PP2_TYPE_SSL */
#define CLIENT_SSL 0x01      /* PP2_CLIENT_SSL: the client's connection has TLS */

static const char signature[12] = "\r\n\r\n\0\r\nQUIT\n";

static size_t number(const char *at) { return (size_t)(uint8_t)at[0] << 8 | (uint8_t)at[1]; }

static void read_ip4(const char *at, gl_proxied *out) {
  struct sockaddr_in *ip = (struct sockaddr_in *)&out->address;
  ip->sin_family = AF_INET;
  memcpy(&ip->sin_addr, at, 4);
  memcpy(&ip->sin_port, at + 8, 2);
}

static void read_ip6(const char *at, gl_proxied *out) {
  struct sockaddr_in6 *ip = (struct sockaddr_in6 *)&out->address;
  ip->sin6_family = AF_INET6;
  memcpy(&ip->sin6_addr, at, 16);
  memcpy(&ip->sin6_port, at + 32, 2);
}

/* Reads the vectors of type, length and value behind the addresses. False: they are malformed. */
static bool read_vectors(const char *at, size_t n, gl_proxied *out) {
  while (n) {
    if (n < 3 || number(at + 1) > n - 3) return false;
    size_t len = number(at + 1);
    if ((uint8_t)*at == TYPE_SSL) {
      if (len < 5) return false;
      out->says_tls = true;
      out->secure = at[3] & CLIENT_SSL;
    }
    at += 3 + len;
    n -= 3 + len;
  }
  return true;
}

/* Bytes of the two addresses of each family, by the upper half of its byte; unknown ones are skipped whole. */
static bool read_addresses(const char *at, size_t n, int kind, gl_proxied *out) {
  static const struct { int family; size_t len; } of[] = {{AF_UNSPEC, 0}, {AF_INET, 12}, {AF_INET6, 36}, {AF_UNIX, 216}};
  if (kind == 0) return true; /* the receiver ignores what follows */
  if (kind > 3 || n < of[kind].len) return false;
  out->family = of[kind].family;
  if (out->family == AF_INET) read_ip4(at, out);
  if (out->family == AF_INET6) read_ip6(at, out);
  return read_vectors(at + of[kind].len, n - of[kind].len, out);
}

static long read_bytes(const char *bytes, size_t n, gl_proxied *out) {
  if (n < FIXED) return 0;
  int version = (uint8_t)bytes[12] >> 4, command = bytes[12] & 15, kind = (uint8_t)bytes[13] >> 4, transport = bytes[13] & 15;
  size_t len = number(bytes + 14);
  if (version != 2 || command > 1 || kind > 3 || transport > 2 || (command == 1 && transport == 2)) return -1; /* 2: datagrams */
  if (n < FIXED + len) return 0;
  if (command == 1 && !read_addresses(bytes + FIXED, len, kind, out)) return -1;
  return (long)(FIXED + len);
}

/* ---- either ---- */

static bool begins(const char *bytes, size_t n, const char *with, size_t len) { return memcmp(bytes, with, n < len ? n : len) == 0; }

long gl_proxy_header_read(const char *bytes, size_t n, gl_proxied *out) {
  *out = (gl_proxied){.family = AF_UNSPEC};
  if (begins(bytes, n, signature, sizeof signature)) return read_bytes(bytes, n, out);
  return begins(bytes, n, "PROXY ", 6) ? read_text(bytes, n, out) : -1;
}
