/* SPDX-License-Identifier: MIT
 *
 * The keys with which a server encrypts the tickets that resume sessions. OpenSSL would use one key as long as the server lives, and who
 * learned that key could read what was said in all that time; so a key encrypts for one lifetime of a ticket, decrypts for another, and
 * is forgotten then. No Lua, no loop.
 *
 *     (none) --gl_tickets_key: random--> current --gl_tickets_key, a lifetime later--> previous --the same again--> wiped
 */
#ifndef GL_NET_TLS_TICKETS_H
#define GL_NET_TLS_TICKETS_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

typedef struct gl_ticket_key {
  unsigned char name[16]; /* stands at the beginning of each ticket */
  unsigned char cipher[32], mac[32];
  bool there;
} gl_ticket_key;

typedef struct gl_tickets {
  gl_ticket_key current, previous;
  uint64_t since;    /* ms, monotonic: when `current` was made */
  uint64_t lifetime; /* ms, of a ticket */
} gl_tickets;

/* Lets sessions of the server's context be resumed within so many seconds, by the keys of `t`, which is zeroed and outlives the context's
 * connections. 0: no session is resumed. */
void gl_tickets_use(gl_tickets *t, SSL_CTX *ctx, long seconds);

/* Wipes the keys. */
void gl_tickets_forget(gl_tickets *t);

#endif
