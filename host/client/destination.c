/* SPDX-License-Identifier: MIT */
#include "client/destination.h"

#include <string.h>

#include "client/spec.h"
#include "core/error.h"

#define PINS 16

static int port_at(lua_State *L, int idx) {
  double port = gl_spec_number(L, idx, "port", -1);
  if (!(port >= 1 && port <= 65535) || port != (int)port) luaL_error(L, "port: 1 to 65535 expected");
  return (int)port;
}

static const char *host_at(lua_State *L, int idx) {
  const char *host = gl_spec_need(L, idx, "host");
  if (!*host || strlen(host) >= GL_HOST_MAX) gl_spec_refuse(L, "'%s' is no host", host);
  for (const char *p = host; *p; p++)
    if (*p <= ' ' || *p >= 0x7f || strchr("/?#@[]\\", *p)) gl_spec_refuse(L, "'%s' is no host", host);
  return host;
}

void gl_destination_read(lua_State *L, gl_destination *t) {
  const char *scheme = gl_spec_need(L, 1, "scheme");
  t->https = strcmp(scheme, "https") == 0;
  if (!t->https && strcmp(scheme, "http") != 0) gl_spec_refuse(L, "unsupported scheme '%s'", scheme);
  t->host = host_at(L, 1);
  t->port = port_at(L, 1);
  t->path = gl_spec_text(L, 1, "unix", NULL);
  if (t->path && (!*t->path || strlen(t->path) >= sizeof((gl_address){0}).path)) gl_spec_refuse(L, "unix: '%s' is no path of a socket", t->path);
  if (lua_getfield(L, 1, "proxy") == LUA_TTABLE) {
    int proxy = lua_gettop(L);
    if (t->path) gl_spec_refuse(L, "%s: to a unix socket no proxy leads", "proxy");
    t->proxy_host = host_at(L, proxy);
    t->proxy_port = port_at(L, proxy);
    t->proxy_auth = gl_spec_text(L, proxy, "authorization", NULL);
    if (t->proxy_auth) gl_spec_check_value(L, "Proxy-Authorization", t->proxy_auth, strlen(t->proxy_auth));
  }
  lua_pop(L, 1);
}

/* Writes ":" and the port; snprintf would be felt, once for each request. */
static char *put_port(char *to, int port) {
  int unit = 1;
  while (port / unit > 9) unit *= 10;
  *to++ = ':';
  for (; unit; unit /= 10) *to++ = (char)('0' + port / unit % 10);
  return to;
}

size_t gl_destination_authority(const gl_destination *t, char out[GL_AUTHORITY_MAX]) {
  bool v6 = strchr(t->host, ':') != NULL;
  size_t n = strlen(t->host); /* less than GL_HOST_MAX: host_at */
  char *to = out;
  if (v6) *to++ = '[';
  memcpy(to, t->host, n);
  to += n;
  if (v6) *to++ = ']';
  if (t->port != (t->https ? 443 : 80)) to = put_port(to, t->port);
  return (size_t)(to - out);
}

/* ---- the origin ---- */

static int sextet(char c) {
  static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const char *at = c ? strchr(set, c) : NULL;
  return at ? (int)(at - set) : -1;
}

/* Reads a pin: "sha256/", then 43 sextets and one "=". False: the text is no pin. */
static bool read_pin(const char *text, uint8_t out[32]) {
  uint32_t bits = 0;
  if (strncmp(text, "sha256/", 7) != 0) return false;
  text += 7;
  if (strlen(text) != 44 || text[43] != '=') return false;
  for (int i = 0, n = 0, have = 0; i < 43; i++) {
    int six = sextet(text[i]);
    if (six < 0) return false;
    bits = bits << 6 | (uint32_t)six;
    have += 6;
    if (have >= 8 && n < 32) out[n++] = (uint8_t)(bits >> (have -= 8));
  }
  return true;
}

/* Reads the list of pins, and returns how many there are. An empty list is refused: its author did not wish to trust every key. */
static unsigned read_pins(lua_State *L, int tls, uint8_t pins[PINS][32]) {
  unsigned n = 0;
  if (lua_getfield(L, tls, "pins") == LUA_TTABLE) {
    int list = lua_gettop(L);
    lua_Integer count = (lua_Integer)lua_rawlen(L, list);
    if (count > PINS) luaL_error(L, "pins: 16 at most expected");
    if (count == 0) gl_spec_refuse(L, "%s: a list of at least one \"sha256/...=\" expected", "pins");
    for (lua_Integer i = 1; i <= count; i++, lua_pop(L, 1)) {
      const char *text = lua_rawgeti(L, list, i) == LUA_TSTRING ? lua_tostring(L, -1) : "?";
      if (!read_pin(text, pins[n++])) gl_spec_refuse(L, "pins: \"sha256/...=\" expected, not '%s'", text);
    }
  }
  lua_pop(L, 1);
  return n;
}

typedef struct identity {
  gl_tls_settings set;
  const char *server_name;
  uint8_t pins[PINS][32];
  unsigned npins;
  bool usual; /* the table asks for nothing special */
} identity;

static void read_identity(lua_State *L, identity *id) {
  static const unsigned char alpn[] = "\x08http/1.1";
  id->set = (gl_tls_settings){.verify = true, .resumes = true, .alpn = alpn, .alpn_len = sizeof alpn - 1};
  id->usual = lua_getfield(L, 1, "tls") != LUA_TTABLE;
  int tls = lua_gettop(L);
  if (!id->usual) {
    const char *version = gl_spec_text(L, tls, "min_version", NULL);
    id->set.ca = gl_spec_text(L, tls, "ca", NULL);
    id->set.cert = gl_spec_text(L, tls, "cert", NULL);
    id->set.key = gl_spec_text(L, tls, "key", NULL);
    id->set.verify = gl_spec_flag(L, tls, "verify", true);
    id->server_name = gl_spec_text(L, tls, "server_name", NULL);
    id->set.min_version = version && strcmp(version, "1.3") == 0 ? 13 : 0;
    if (version && !id->set.min_version && strcmp(version, "1.2") != 0) gl_spec_refuse(L, "min_version: \"1.2\" or \"1.3\" expected, not '%s'", version);
    id->npins = read_pins(L, tls, id->pins);
    if (id->set.key && !id->set.cert) gl_spec_refuse(L, "%s: without a cert", "key");
    id->usual = id->set.verify && !id->set.ca && !id->set.cert && !id->set.min_version && !id->server_name && !id->npins;
  }
  lua_pop(L, 1);
}

/* Adds a part with its length, so that no two lists of parts read the same. */
static void add_part(luaL_Buffer *b, const void *bytes, size_t n) {
  luaL_addlstring(b, (const char *)&n, sizeof n);
  luaL_addlstring(b, bytes, n);
}

static void add_optional(luaL_Buffer *b, const char *text) {
  luaL_addchar(b, text ? '+' : '-');
  if (text) add_part(b, text, strlen(text));
}

/* Adds a PEM setting. With a path, it stands for what the file has now: a certificate that is renewed is read anew, and no connection that
 * was made with the old one serves whoever asks for the new one. */
static void add_pem(luaL_Buffer *b, const char *pem) {
  add_optional(b, pem);
  if (!pem) return;
  gl_tls_version version = gl_tls_version_of(pem);
  add_part(b, &version, sizeof version);
}

/* Pushes the key of the origin: bytes that only this process reads, and each request makes anew. */
static void push_key(lua_State *L, const gl_destination *t, const identity *id, bool deny_private) {
  const int numbers[] = {t->https, deny_private, t->port, t->proxy_port};
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addlstring(&b, (const char *)numbers, sizeof numbers);
  add_optional(&b, t->host);
  add_optional(&b, t->path);
  add_optional(&b, t->proxy_host);
  add_optional(&b, t->proxy_auth);
  if (id && !id->usual) {
    luaL_addchar(&b, id->set.verify ? 'v' : 'n');
    luaL_addchar(&b, id->set.min_version == 13 ? '3' : '2');
    add_pem(&b, id->set.ca);
    add_pem(&b, id->set.cert);
    add_pem(&b, id->set.key);
    add_optional(&b, id->server_name);
    add_part(&b, id->pins, id->npins * sizeof *id->pins);
  }
  luaL_pushresult(&b);
}

static gl_tls_config *config_new(lua_State *L, const gl_tls_settings *set) {
  char why[GL_TLS_WHY];
  gl_tls_config *c = gl_tls_config_new(set, why);
  if (!c) gl_spec_raise(L, strstr(why, "needs OpenSSL") ? "ENOLIBRARY" : "ETLS", "tls: %s", why);
  return c;
}

/* Returns a reference to the TLS configuration for this identity. */
static gl_tls_config *configure(lua_State *L, gl_pool *p, const identity *id) {
  gl_tls_settings usual = {.verify = true, .resumes = true, .alpn = id->set.alpn, .alpn_len = id->set.alpn_len};
  bool trusts = id->set.verify && !id->set.ca;
  if (trusts && !p->trusting) p->trusting = config_new(L, &usual);
  if (id->usual) {
    p->trusting->refs++;
    return p->trusting;
  }
  gl_tls_settings set = id->set;
  set.trusting = trusts ? p->trusting : NULL;
  return config_new(L, &set);
}

gl_origin *gl_destination_origin(lua_State *L, gl_pool *p, const gl_destination *t) {
  identity id = {0};
  bool deny = gl_spec_flag(L, 1, "deny_private", false);
  if (t->https) read_identity(L, &id);
  if (deny && t->proxy_host) gl_spec_refuse(L, "deny_private: a proxy%s resolves names by itself", "");
  if (deny && t->path) gl_spec_raise(L, "EACCES", "deny_private: a unix socket%s is not public", "");
  push_key(L, t, t->https ? &id : NULL, deny);
  gl_origin_spec to = {.host = t->host, .port = t->port, .path = t->path, .proxy_host = t->proxy_host, .proxy_port = t->proxy_port, .deny_private = deny};
  to.key = lua_tolstring(L, -1, &to.key_len);
  gl_origin *o = gl_pool_find(p, to.key, to.key_len);
  if (o) return o;
  to.tunnels = t->proxy_host && t->https;
  to.proxy_auth = to.tunnels ? t->proxy_auth : NULL;
  if (t->https) {
    to.server_name = id.server_name;
    to.pins = (const uint8_t(*)[32])id.pins;
    to.npins = id.npins;
    to.tls = configure(L, p, &id);
  }
  o = gl_origin_new(p, &to);
  if (!o) gl_spec_raise(L, "ENOMEM", "%s", "not enough memory");
  return o;
}
