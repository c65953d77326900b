/* SPDX-License-Identifier: MIT */
#include "net/tls_tickets.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <uv.h>

#define DIGEST "SHA256"

static uint64_t now(void) { return uv_hrtime() / 1000000; }

static bool make_key(gl_ticket_key *k) {
  k->there = RAND_bytes(k->name, sizeof k->name) == 1 && RAND_bytes(k->cipher, sizeof k->cipher) == 1 && RAND_bytes(k->mac, sizeof k->mac) == 1;
  return k->there;
}

void gl_tickets_forget(gl_tickets *t) {
  OPENSSL_cleanse(&t->current, sizeof t->current);
  OPENSSL_cleanse(&t->previous, sizeof t->previous);
}

/* Takes the keys whose time is over out of use. */
static void rotate(gl_tickets *t) {
  uint64_t age = now() - t->since;
  if (!t->current.there || age < t->lifetime) return;
  if (age < 2 * t->lifetime) t->previous = t->current;
  else OPENSSL_cleanse(&t->previous, sizeof t->previous);
  OPENSSL_cleanse(&t->current, sizeof t->current);
}

/* Returns the key for new tickets; NULL: there is no randomness for one. */
static const gl_ticket_key *key_to_encrypt(gl_tickets *t) {
  if (t->current.there) return &t->current;
  if (!make_key(&t->current)) return NULL;
  t->since = now();
  return &t->current;
}

static const gl_ticket_key *key_of(const gl_tickets *t, const unsigned char name[16]) {
  if (t->current.there && memcmp(t->current.name, name, 16) == 0) return &t->current;
  if (t->previous.there && memcmp(t->previous.name, name, 16) == 0) return &t->previous;
  return NULL;
}

static bool set_mac(EVP_MAC_CTX *mac, const gl_ticket_key *k) {
  const OSSL_PARAM params[] = {
    OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)k->mac, sizeof k->mac),
    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, DIGEST, 0),
    OSSL_PARAM_construct_end(),
  };
  return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* Is a ticket that was good to be replaced? In TLS 1.3 each is used once only, so that nobody who listens can tell that two connections
 * are of one client (RFC 8446, appendix C.4). */
static bool is_stale(const gl_tickets *t, const gl_ticket_key *k, const SSL *ssl) { return k != &t->current || SSL_version(ssl) == TLS1_3_VERSION; }

/* OpenSSL's callback. Returns 1; 2: and the ticket is to be replaced; 0: a ticket of no key of ours, the handshake is a full one, or goes
 * without a ticket; -1: it fails. */
static int on_ticket(SSL *ssl, unsigned char name[16], unsigned char iv[EVP_MAX_IV_LENGTH], EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt) {
  gl_tickets *t = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), 0);
  rotate(t);
  const gl_ticket_key *k = encrypt ? key_to_encrypt(t) : key_of(t, name);
  if (!k) return 0;
  if (!set_mac(mac, k)) return -1;
  if (!encrypt) return EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->cipher, iv) != 1 ? -1 : is_stale(t, k, ssl) ? 2 : 1;
  memcpy(name, k->name, sizeof k->name);
  if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1) return -1;
  return EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->cipher, iv) == 1 ? 1 : -1;
}

void gl_tickets_use(gl_tickets *t, SSL_CTX *ctx, long seconds) {
  if (seconds == 0) {
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(ctx, 0);
    return;
  }
  t->lifetime = (uint64_t)seconds * 1000;
  SSL_CTX_set_timeout(ctx, seconds);
  SSL_CTX_set_ex_data(ctx, 0, t);
  SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
}
