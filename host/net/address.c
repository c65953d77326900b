/* SPDX-License-Identifier: MIT */
#include "net/address.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#include "core/error.h"

static const char *parse_port(const char *text, int *port) {
  int n = 0;
  const char *c = text;
  for (; *c >= '0' && *c <= '9' && n <= 65535; c++) n = n * 10 + (*c - '0');
  if (c == text || *c || n > 65535) return "the port must be a number from 0 to 65535";
  *port = n;
  return NULL;
}

static const char *parse_unix(const char *path, gl_address *out) {
  if (!*path) return "the path of the unix socket is empty";
  if (strlen(path) >= sizeof out->path) return "the path of the unix socket is too long (107 bytes at most)";
  out->family = AF_UNIX;
  strcpy(out->path, path);
  return NULL;
}

const char *gl_address_split(const char *text, char host[GL_HOST_MAX], int *port) {
  const char *from = text, *colon = strrchr(text, ':'), *to = colon;
  if (!colon) return "expected host:port, [v6]:port or unix:path";
  if (*text == '[') {
    from = text + 1;
    to = colon - 1;
    if (to < from || *to != ']') return "expected [v6]:port";
  }
  size_t len = (size_t)(to - from);
  if (len == 0 || len >= GL_HOST_MAX) return "the host is empty or too long";
  memcpy(host, from, len);
  host[len] = 0;
  return parse_port(colon + 1, port);
}

bool gl_address_number(const char *host, int port, gl_address *out) {
  out->family = AF_INET;
  if (uv_ip4_addr(host, port, (struct sockaddr_in *)&out->ip) == 0) return true;
  out->family = AF_INET6;
  return uv_ip6_addr(host, port, (struct sockaddr_in6 *)&out->ip) == 0;
}

const char *gl_address_parse(const char *text, size_t text_len, gl_address *out) {
  *out = (gl_address){0};
  if (strlen(text) != text_len) return "an address has no NUL";
  if (strncmp(text, "unix:", 5) == 0) return parse_unix(text + 5, out);
  char host[GL_HOST_MAX];
  int port = 0;
  const char *wrong = gl_address_split(text, host, &port);
  if (wrong) return wrong;
  bool v6 = *text == '[';
  const char *ip = strcmp(host, "localhost") == 0 ? "127.0.0.1" : strcmp(host, "*") == 0 ? "0.0.0.0" : host;
  if (gl_address_number(ip, port, out) && (out->family == AF_INET6) == v6) return NULL;
  return v6 ? "not an IPv6 address" : "not an IP address (names are not looked up here)";
}

void gl_address_text(const struct sockaddr *sa, char out[GL_ADDRESS_MAX]) {
  char ip[INET6_ADDRSTRLEN] = "?";
  if (sa->sa_family == AF_INET) {
    const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
    uv_ip4_name(in, ip, sizeof ip);
    snprintf(out, GL_ADDRESS_MAX, "%s:%d", ip, ntohs(in->sin_port));
  } else if (sa->sa_family == AF_INET6) {
    const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)sa;
    uv_ip6_name(in, ip, sizeof ip);
    snprintf(out, GL_ADDRESS_MAX, "[%s]:%d", ip, ntohs(in->sin6_port));
  } else {
    snprintf(out, GL_ADDRESS_MAX, "unix");
  }
}

int gl_address_raise(lua_State *L, const char *op, int status, const char *text) {
  const char *path = strncmp(text, "unix:", 5) == 0 ? text + 5 : "", *slash = strrchr(path, '/');
  struct stat st;
  if (status == UV_ENOENT && slash > path) {
    const char *folder = lua_pushlstring(L, path, (size_t)(slash - path));
    if (stat(folder, &st) != 0) return gl_error_raise(L, op, "ENOENT", "%s: there is no folder %s", text, folder);
  }
  return gl_error_status(L, op, status, text);
}

/* ---- public addresses (RFC 6890 and later registrations) ---- */

typedef struct network {
  uint32_t address;
  uint8_t bits;
} network;

static bool is_public_v4(uint32_t ip) {
  static const network special[] = {
    {0x00000000, 8}, {0x0a000000, 8}, {0x64400000, 10}, {0x7f000000, 8}, {0xa9fe0000, 16}, {0xac100000, 12}, {0xc0000000, 24},
    {0xc0000200, 24}, {0xc0586300, 24}, {0xc0a80000, 16}, {0xc6120000, 15}, {0xc6336400, 24}, {0xcb007100, 24}, {0xe0000000, 3},
  };
  for (size_t i = 0; i < sizeof special / sizeof *special; i++)
    if ((ip ^ special[i].address) >> (32 - special[i].bits) == 0) return false;
  return true;
}

static uint32_t word_at(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

static bool is_public_v6(const uint8_t ip[16]) {
  uint32_t first = word_at(ip), second = word_at(ip + 4);
  bool low = word_at(ip + 8) == 0;
  if (first == 0x0064ff9b && second == 0 && low) return is_public_v4(word_at(ip + 12)); /* NAT64 */
  if (first >> 16 == 0x2002) return is_public_v4(first << 16 | second >> 16); /* 6to4 */
  if (first >> 29 != 1) return false; /* all public addresses are in 2000::/3: ::1, mapped, ULA, link-local and multicast ones are not */
  if (first >> 9 == 0x20010000 >> 9) return false; /* 2001::/23: Teredo and other protocols */
  return first != 0x20010db8 && first >> 12 != 0x3fff0; /* networks for documentation */
}

bool gl_address_is_public(const gl_address *address) {
  if (address->family == AF_INET) return is_public_v4(ntohl(((const struct sockaddr_in *)&address->ip)->sin_addr.s_addr));
  if (address->family == AF_INET6) return is_public_v6(((const struct sockaddr_in6 *)&address->ip)->sin6_addr.s6_addr);
  return false;
}
