/* SPDX-License-Identifier: MIT
 *
 * To be preloaded: a system's resolver that is silent about some names until it is told to answer. A name g7.test, and the address
 * 10.0.0.7, wait for gate_open(7); they stand for 127.0.0.1 then. All others are the system's.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GATES 65536

static char opened[GATES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

void gate_open(int n) {
  pthread_mutex_lock(&lock);
  opened[n % GATES] = 1;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
}

static void pass(int n) {
  pthread_mutex_lock(&lock);
  while (!opened[n % GATES]) pthread_cond_wait(&changed, &lock);
  pthread_mutex_unlock(&lock);
}

/* The gate of a name; -1: none. */
static int gate_of(const char *name) {
  int n;
  char end;
  return name && sscanf(name, "g%d.tes%c", &n, &end) == 2 ? n : -1;
}

static const char *through(const char *name) {
  int n = gate_of(name);
  if (n < 0) return name;
  pass(n);
  return "127.0.0.1";
}

#define NEXT(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **list) {
  return NEXT(getaddrinfo)(through(name), service, hints, list);
}

int gethostbyname_r(const char *name, struct hostent *e, char *buf, size_t size, struct hostent **found, int *error) {
  return NEXT(gethostbyname_r)(through(name), e, buf, size, found, error);
}

int gethostbyname2_r(const char *name, int family, struct hostent *e, char *buf, size_t size, struct hostent **found, int *error) {
  return NEXT(gethostbyname2_r)(through(name), family, e, buf, size, found, error);
}

/* The gate of an address; -1: none. */
static int gate_at(uint32_t address) { return address >> 24 == 10 ? (int)(address & 0xffffff) : -1; }

int gethostbyaddr_r(const void *at, socklen_t len, int family, struct hostent *e, char *buf, size_t size, struct hostent **found, int *error) {
  struct in_addr a = {0};
  if (family == AF_INET) memcpy(&a, at, sizeof a);
  int n = gate_at(ntohl(a.s_addr));
  if (n < 0) return NEXT(gethostbyaddr_r)(at, len, family, e, buf, size, found, error);
  pass(n);
  return NEXT(gethostbyname_r)("127.0.0.1", e, buf, size, found, error);
}

int getnameinfo(const struct sockaddr *address, socklen_t len, char *host, socklen_t host_len, char *service, socklen_t service_len, int flags) {
  struct sockaddr_in a = {0};
  if (address->sa_family == AF_INET && len >= sizeof a) memcpy(&a, address, sizeof a);
  int n = flags & NI_NUMERICHOST ? -1 : gate_at(ntohl(a.sin_addr.s_addr));
  if (n < 0) return NEXT(getnameinfo)(address, len, host, host_len, service, service_len, flags);
  pass(n);
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return NEXT(getnameinfo)((struct sockaddr *)&a, sizeof a, host, host_len, service, service_len, flags | NI_NUMERICHOST);
}
