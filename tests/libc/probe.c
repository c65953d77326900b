/* SPDX-License-Identifier: MIT
 *
 * A C module that makes each of the calls of host/libc/, knows nothing of greenlua, and runs under lua as well. Every call returns its
 * result, the name of its errno (nil unless the result is -1), and what it has found.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int result(lua_State *L, long long r) {
  int error = errno;
  lua_pushinteger(L, r);
  if (r != -1) return 1;
  lua_pushstring(L, strerrorname_np(error));
  return 2;
}

/* A result with bytes or a number beside it. */
static int with_bytes(lua_State *L, long long r, const char *buf) {
  if (r < 0) return result(L, r);
  lua_pushinteger(L, r);
  lua_pushnil(L);
  lua_pushlstring(L, buf, (size_t)r);
  return 3;
}

static int with_number(lua_State *L, long long r, long long n) {
  if (result(L, r) == 1) lua_pushnil(L);
  lua_pushinteger(L, n);
  return 3;
}

#define INT(i) ((int)luaL_checkinteger(L, (i)))
#define OPT(i, d) ((int)luaL_optinteger(L, (i), (d)))

static struct timespec span(lua_State *L, int i) {
  double ms = luaL_checknumber(L, i);
  return (struct timespec){(time_t)(ms / 1000), (long)((long long)(ms * 1000000) % 1000000000)};
}

/* ---- descriptors ---- */

static int p_pair(lua_State *L) {
  int fd[2], r = socketpair(AF_UNIX, OPT(1, SOCK_STREAM) | SOCK_CLOEXEC, 0, fd);
  if (r != 0) return luaL_error(L, "socketpair");
  lua_pushinteger(L, fd[0]);
  lua_pushinteger(L, fd[1]);
  return 2;
}

static int p_pipe(lua_State *L) {
  int fd[2];
  if (pipe2(fd, O_CLOEXEC) != 0) return luaL_error(L, "pipe");
  lua_pushinteger(L, fd[0]);
  lua_pushinteger(L, fd[1]);
  return 2;
}

/* listen() -> descriptor, port */
static int p_listen(lua_State *L) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t n = sizeof a;
  if (fd < 0 || bind(fd, (struct sockaddr *)&a, n) != 0 || listen(fd, OPT(1, 16)) != 0) return luaL_error(L, "listen");
  getsockname(fd, (struct sockaddr *)&a, &n);
  lua_pushinteger(L, fd);
  lua_pushinteger(L, ntohs(a.sin_port));
  return 2;
}

/* udp() -> descriptor, port */
static int p_udp(lua_State *L) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t n = sizeof a;
  if (fd < 0 || bind(fd, (struct sockaddr *)&a, n) != 0) return luaL_error(L, "udp");
  getsockname(fd, (struct sockaddr *)&a, &n);
  lua_pushinteger(L, fd);
  lua_pushinteger(L, ntohs(a.sin_port));
  return 2;
}

static int p_socket(lua_State *L) { return result(L, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); }
static int p_eventfd(lua_State *L) { return result(L, eventfd(0, EFD_CLOEXEC)); }

static int p_timerfd(lua_State *L) {
  int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  struct itimerspec when = {.it_value = span(L, 1)};
  timerfd_settime(fd, 0, &when, NULL);
  return result(L, fd);
}

static int p_nonblock(lua_State *L) { return result(L, fcntl(INT(1), F_SETFL, fcntl(INT(1), F_GETFL) | O_NONBLOCK)); }

/* blocks(fd): has it no O_NONBLOCK? */
static int p_blocks(lua_State *L) {
  lua_pushboolean(L, !(fcntl(INT(1), F_GETFL) & O_NONBLOCK));
  return 1;
}

/* limit(fd, ms): both directions */
static int p_limit(lua_State *L) {
  struct timespec t = span(L, 2);
  struct timeval v = {t.tv_sec, t.tv_nsec / 1000};
  setsockopt(INT(1), SOL_SOCKET, SO_SNDTIMEO, &v, sizeof v);
  return result(L, setsockopt(INT(1), SOL_SOCKET, SO_RCVTIMEO, &v, sizeof v));
}

static int p_small(lua_State *L) {
  int n = 4096;
  setsockopt(INT(1), SOL_SOCKET, SO_RCVBUF, &n, sizeof n);
  return result(L, setsockopt(INT(1), SOL_SOCKET, SO_SNDBUF, &n, sizeof n));
}

static int p_close(lua_State *L) { return result(L, close(INT(1))); }
static int p_dup2(lua_State *L) { return result(L, dup2(INT(1), INT(2))); }
static int p_dup3(lua_State *L) { return result(L, dup3(INT(1), INT(2), O_CLOEXEC)); }
static int p_close_range(lua_State *L) { return result(L, close_range((unsigned)INT(1), (unsigned)INT(2), 0)); }

/* ---- what happens later, on a thread of its own, whose calls are libc's ---- */

typedef struct later {
  int ms, fd, fill;
  size_t n;
  char bytes[64];
} later;

static void *later_main(void *arg) {
  later *l = arg;
  struct timespec t = {l->ms / 1000, l->ms % 1000 * 1000000L};
  char sink[65536];
  nanosleep(&t, NULL);
  if (l->fill > 0) while (l->fill > 0) {
    ssize_t n = read(l->fd, sink, sizeof sink);
    if (n <= 0) break;
    l->fill -= (int)n;
  } else if (l->n) {
    if (write(l->fd, l->bytes, l->n) < 0) abort();
  } else {
    shutdown(l->fd, SHUT_WR);
  }
  close(l->fd);
  free(l);
  return NULL;
}

/* The thread has a descriptor of its own, since the number may be another's by then. */
static int start(lua_State *L, later *l) {
  l->fd = fcntl(l->fd, F_DUPFD_CLOEXEC, 500);
  pthread_t thread;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int err = pthread_create(&thread, NULL, later_main, l);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (err) return luaL_error(L, "no thread");
  pthread_detach(thread);
  return 0;
}

/* later(ms, fd, bytes): writes them then; "": ends the writing side */
static int p_later(lua_State *L) {
  size_t n;
  const char *bytes = luaL_checklstring(L, 3, &n);
  later *l = calloc(1, sizeof *l);
  *l = (later){.ms = INT(1), .fd = INT(2), .n = n};
  memcpy(l->bytes, bytes, n);
  return start(L, l);
}

/* drain(ms, fd, n): reads n bytes then */
static int p_drain(lua_State *L) {
  later *l = calloc(1, sizeof *l);
  *l = (later){.ms = INT(1), .fd = INT(2), .fill = INT(3)};
  return start(L, l);
}

/* ---- the poll family ---- */

static int p_poll(lua_State *L) {
  struct pollfd p = {.fd = INT(1), .events = (short)INT(2)};
  int r = poll(&p, 1, INT(3));
  return with_number(L, r, p.revents);
}

/* polls({fd...}, ms) -> result, errno, sum of revents: more of them than lie on the stack */
static int p_polls(lua_State *L) {
  nfds_t n = (nfds_t)lua_rawlen(L, 1);
  struct pollfd *p = calloc(n, sizeof *p);
  for (nfds_t i = 0; i < n; i++) {
    lua_rawgeti(L, 1, (lua_Integer)i + 1);
    p[i] = (struct pollfd){.fd = (int)lua_tointeger(L, -1), .events = POLLIN};
    lua_pop(L, 1);
  }
  int ms = INT(2), r = poll(p, n, ms), error = errno, sum = 0;
  for (nfds_t i = 0; i < n; i++) sum += p[i].revents;
  free(p);
  errno = error;
  return with_number(L, r, sum);
}

static int p_ppoll(lua_State *L) {
  struct pollfd p = {.fd = INT(1), .events = (short)INT(2)};
  struct timespec t = span(L, 3);
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, NULL, &mask);
  int r = ppoll(&p, 1, &t, lua_toboolean(L, 4) ? &mask : NULL);
  return with_number(L, r, p.revents);
}

/* select(fd, "r"|"w"|"e", ms) -> result, errno, is it in the set still? */
static int p_select(lua_State *L) {
  fd_set set;
  int fd = INT(1);
  char how = *luaL_checkstring(L, 2);
  struct timespec t = span(L, 3);
  struct timeval v = {t.tv_sec, t.tv_nsec / 1000};
  FD_ZERO(&set);
  FD_SET(fd, &set);
  int r = select(fd + 1, how == 'r' ? &set : NULL, how == 'w' ? &set : NULL, how == 'e' ? &set : NULL, &v);
  return with_number(L, r, FD_ISSET(fd, &set) + (!v.tv_sec && !v.tv_usec ? 10 : 0));
}

static int p_pselect(lua_State *L) {
  fd_set set;
  int fd = INT(1);
  char how = *luaL_checkstring(L, 2);
  struct timespec t = span(L, 3);
  FD_ZERO(&set);
  FD_SET(fd, &set);
  int r = pselect(fd + 1, how == 'r' ? &set : NULL, how == 'w' ? &set : NULL, how == 'e' ? &set : NULL, &t, NULL);
  return with_number(L, r, FD_ISSET(fd, &set));
}

/* epoll(fd, events, ms, how): one descriptor in an epoll of its own */
static int p_epoll(lua_State *L) {
  int epoll = epoll_create1(EPOLL_CLOEXEC), ms = INT(3), how = OPT(4, 0);
  struct epoll_event e = {.events = (uint32_t)INT(2), .data.fd = 7}, got = {0};
  epoll_ctl(epoll, EPOLL_CTL_ADD, INT(1), &e);
  struct timespec t = span(L, 3);
  int r = how == 0 ? epoll_wait(epoll, &got, 1, ms) : how == 1 ? epoll_pwait(epoll, &got, 1, ms, NULL) : epoll_pwait2(epoll, &got, 1, &t, NULL);
  int error = errno;
  close(epoll);
  errno = error;
  return with_number(L, r, got.events);
}

/* ---- sockets ---- */

static struct sockaddr_in loopback(int port) {
  return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int p_connect(lua_State *L) {
  struct sockaddr_in a = loopback(INT(2));
  return result(L, connect(INT(1), (struct sockaddr *)&a, sizeof a));
}

/* connect_unix(path) -> result of connect, errno, descriptor */
static int p_connect_unix(lua_State *L) {
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  strncpy(a.sun_path, luaL_checkstring(L, 1), sizeof a.sun_path - 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return with_number(L, connect(fd, (struct sockaddr *)&a, sizeof a), fd);
}

static int p_accept(lua_State *L) { return result(L, accept(INT(1), NULL, NULL)); }
static int p_accept4(lua_State *L) { return result(L, accept4(INT(1), NULL, NULL, SOCK_CLOEXEC)); }

static char buffer[1 << 20];

static int p_recv(lua_State *L) {
  char *buf = malloc((size_t)INT(2) + 1);
  ssize_t r = recv(INT(1), buf, (size_t)INT(2), OPT(3, 0));
  int error = errno;
  if (r > 0) memcpy(buffer, buf, (size_t)r);
  free(buf);
  errno = error;
  return with_bytes(L, r, buffer);
}

static int p_recvfrom(lua_State *L) {
  char buf[4096];
  struct sockaddr_in a = {0};
  socklen_t n = sizeof a;
  ssize_t r = recvfrom(INT(1), buf, (size_t)INT(2) % sizeof buf, OPT(3, 0), (struct sockaddr *)&a, &n);
  int k = with_bytes(L, r, buf);
  if (r < 0) return k;
  lua_pushboolean(L, ntohl(a.sin_addr.s_addr) == INADDR_LOOPBACK);
  return k + 1;
}

static int p_recvmsg(lua_State *L) {
  char buf[4096];
  size_t n = (size_t)INT(2) % sizeof buf, half = n / 2;
  struct iovec v[2] = {{buf, half}, {buf + half, n - half}};
  struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
  return with_bytes(L, recvmsg(INT(1), &m, OPT(3, 0)), buf);
}

static int p_send(lua_State *L) {
  size_t n;
  const char *bytes = luaL_checklstring(L, 2, &n);
  return result(L, send(INT(1), bytes, n, OPT(3, MSG_NOSIGNAL)));
}

static int p_sendto(lua_State *L) {
  size_t n;
  const char *bytes = luaL_checklstring(L, 2, &n);
  struct sockaddr_in a = loopback(OPT(3, 0));
  return result(L, sendto(INT(1), bytes, n, MSG_NOSIGNAL, OPT(3, 0) ? (struct sockaddr *)&a : NULL, OPT(3, 0) ? sizeof a : 0));
}

static int p_sendmsg(lua_State *L) {
  size_t n;
  char *bytes = (char *)luaL_checklstring(L, 2, &n);
  struct iovec v[2] = {{bytes, n / 2}, {bytes + n / 2, n - n / 2}};
  struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
  return result(L, sendmsg(INT(1), &m, MSG_NOSIGNAL));
}

static int p_read(lua_State *L) {
  char *buf = malloc((size_t)INT(2) + 1);
  ssize_t r = read(INT(1), buf, (size_t)INT(2));
  int error = errno;
  if (r > 0) memcpy(buffer, buf, (size_t)r);
  free(buf);
  errno = error;
  return with_bytes(L, r, buffer);
}

/* As compilers make it of a read into an array whose size they know. */
static int p_read_fixed(lua_State *L) {
  char buf[16];
  int n = INT(2);
  return with_bytes(L, read(INT(1), buf, (size_t)(n & 15)), buf);
}

static int p_readv(lua_State *L) {
  char buf[4096];
  size_t n = (size_t)INT(2) % sizeof buf, half = n / 2;
  struct iovec v[2] = {{buf, half}, {buf + half, n - half}};
  return with_bytes(L, readv(INT(1), v, 2), buf);
}

static int p_write(lua_State *L) {
  size_t n;
  const char *bytes = luaL_checklstring(L, 2, &n);
  return result(L, write(INT(1), bytes, n));
}

static int p_writev(lua_State *L) {
  size_t n;
  char *bytes = (char *)luaL_checklstring(L, 2, &n);
  struct iovec v[2] = {{bytes, n / 2}, {bytes + n / 2, n - n / 2}};
  return result(L, writev(INT(1), v, 2));
}

/* ---- sleeps: each returns its result, errno, and whether a remainder is told of ---- */

static int p_nanosleep(lua_State *L) {
  struct timespec t = span(L, 1), left = {9, 9};
  int r = nanosleep(&t, &left);
  return with_number(L, r, left.tv_sec == 9 ? 0 : left.tv_sec || left.tv_nsec);
}

static int p_clock_nanosleep(lua_State *L) {
  struct timespec t = span(L, 1);
  return result(L, clock_nanosleep(OPT(2, CLOCK_MONOTONIC), 0, &t, NULL));
}

static int p_sleep_until(lua_State *L) {
  struct timespec t = span(L, 1), now;
  clockid_t clock = OPT(2, CLOCK_MONOTONIC);
  clock_gettime(clock, &now);
  t.tv_sec += now.tv_sec;
  t.tv_nsec += now.tv_nsec;
  if (t.tv_nsec >= 1000000000) {
    t.tv_nsec -= 1000000000;
    t.tv_sec++;
  }
  int r = clock_nanosleep(clock, TIMER_ABSTIME, &t, NULL);
  clock_gettime(clock, &now);
  if (now.tv_sec < t.tv_sec || (now.tv_sec == t.tv_sec && now.tv_nsec < t.tv_nsec)) r = 1000; /* too early */
  return result(L, r);
}

static int p_usleep(lua_State *L) { return result(L, usleep((useconds_t)INT(1) * 1000)); }
static int p_sleep(lua_State *L) { return result(L, sleep((unsigned)INT(1))); }

/* ---- code that only tries again, and code in a handler or a child ---- */

/* retry(fd, n): polls until something is there, whatever poll says; at most n times */
static int p_retry(lua_State *L) {
  struct pollfd p = {.fd = INT(1), .events = POLLIN};
  int n = INT(2), failed = 0;
  while (failed < n && poll(&p, 1, -1) < 0) failed++;
  lua_pushinteger(L, failed);
  return 1;
}

/* One look of a kind at a descriptor, without waiting. */
static int look(const char *how, int fd, int epoll) {
  struct pollfd p = {.fd = fd, .events = POLLIN};
  struct timespec none = {0, 0};
  struct timeval no_time = {0, 0};
  struct epoll_event e;
  fd_set set;
  FD_ZERO(&set);
  FD_SET(fd, &set);
  if (!strcmp(how, "poll")) return poll(&p, 1, 0);
  if (!strcmp(how, "ppoll")) return ppoll(&p, 1, &none, NULL);
  if (!strcmp(how, "select")) return select(fd + 1, &set, NULL, NULL, &no_time);
  if (!strcmp(how, "pselect")) return pselect(fd + 1, &set, NULL, NULL, &none, NULL);
  return epoll_wait(epoll, &e, 1, 0);
}

/* One attempt at a descriptor that does not block. */
static int attempt(const char *how, int fd) {
  char c = 'x';
  struct iovec v = {&c, 1};
  if (!strcmp(how, "read")) return (int)read(fd, &c, 1);
  if (!strcmp(how, "write")) return (int)write(fd, &c, 1);
  if (!strcmp(how, "writev")) return (int)writev(fd, &v, 1);
  if (!strcmp(how, "send")) return (int)send(fd, &c, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (!strcmp(how, "accept")) return accept(fd, NULL, NULL);
  return (int)recv(fd, &c, 1, !strcmp(how, "recv") ? MSG_DONTWAIT : 0);
}

/* One look at a child. */
static int look_at_child(const char *how, pid_t pid) {
  siginfo_t info = {0};
  if (!strcmp(how, "waitpid")) return waitpid(pid, NULL, WNOHANG);
  if (!strcmp(how, "wait3")) return wait3(NULL, WNOHANG, NULL);
  if (!strcmp(how, "wait4")) return wait4(pid, NULL, WNOHANG, NULL);
  return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG) == 0 ? info.si_pid : -1;
}

/* spin(how, fd or process): tries until there is something, or the attempt fails, and is not back in Lua meanwhile. */
static int p_spin(lua_State *L) {
  const char *how = luaL_checkstring(L, 1);
  int on = INT(2), r;
  if (!strncmp(how, "wait", 4)) {
    while ((r = look_at_child(how, on)) == 0) continue;
  } else if (strstr(how, "poll") || strstr(how, "select")) {
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN};
    epoll_ctl(epoll, EPOLL_CTL_ADD, on, &e);
    while ((r = look(how, on, epoll)) == 0) continue;
    int error = errno;
    close(epoll);
    errno = error;
  } else {
    while ((r = attempt(how, on)) < 0 && errno == EAGAIN) continue;
  }
  return result(L, r);
}

/* swallow(fd, flags) -> bytes received, errno: receives as long as something comes; with MSG_PEEK it is the same again and again */
static int p_swallow(lua_State *L) {
  static char buf[65536];
  int fd = INT(1);
  lua_Integer all = 0;
  ssize_t n;
  while ((n = recv(fd, buf, sizeof buf, OPT(2, 0))) > 0) all += n;
  int error = errno;
  lua_pushinteger(L, all);
  lua_pushstring(L, n < 0 ? strerrorname_np(error) : NULL);
  return 2;
}

static volatile int handled = -1, handler_fd;
static void on_signal(int signo) {
  char c;
  struct pollfd p = {.fd = handler_fd, .events = POLLIN};
  int error = errno;
  (void)signo;
  handled = poll(&p, 1, 5000) == 1 ? (int)read(handler_fd, &c, 1) : 0;
  errno = error;
}

/* in_handler(fd): waits for a byte in a signal handler -> bytes read, what sigaction says of the handler, before and after */
static int p_in_handler(lua_State *L) {
  struct sigaction a = {.sa_handler = on_signal}, old, now;
  handler_fd = INT(1);
  handled = -1;
  sigaction(SIGUSR2, &a, &old);
  raise(SIGUSR2);
  sigaction(SIGUSR2, &old, &now);
  lua_pushinteger(L, handled);
  lua_pushboolean(L, old.sa_handler == SIG_DFL);
  lua_pushboolean(L, now.sa_handler == on_signal);
  return 3;
}

/* in_child(fd): waits for bytes in a child, by fork or vfork -> what the child has read */
static int p_in_child(lua_State *L) {
  int fd = INT(1);
  pid_t pid = fork();
  if (pid == 0) {
    char c;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct timespec t = {0, 1000000};
    nanosleep(&t, NULL);
    _exit(poll(&p, 1, 5000) == 1 && read(fd, &c, 1) == 1 ? 42 : 1);
  }
  lua_pushinteger(L, pid);
  return 1;
}

/* in_vfork(fd, other): the same in a child that shares this memory, and closes a descriptor of its own */
static int p_in_vfork(lua_State *L) {
  int fd = INT(1), other = INT(2);
  pid_t pid = vfork();
  if (pid == 0) {
    char c;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct timespec t = {0, 1000000};
    nanosleep(&t, NULL);
    close(other);
    _exit(poll(&p, 1, 5000) == 1 && read(fd, &c, 1) == 1 ? 42 : 1);
  }
  lua_pushinteger(L, pid);
  return 1;
}

/* spawn(command [, stdin]) -> process: by posix_spawn, a shell */
static int p_spawn(lua_State *L) {
  char *argv[] = {"sh", "-c", (char *)luaL_checkstring(L, 1), NULL};
  extern char **environ;
  posix_spawn_file_actions_t actions;
  pid_t pid;
  posix_spawn_file_actions_init(&actions);
  if (lua_isinteger(L, 2)) posix_spawn_file_actions_adddup2(&actions, INT(2), 0);
  int error = posix_spawn(&pid, "/bin/sh", &actions, NULL, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error) return luaL_error(L, "posix_spawn");
  lua_pushinteger(L, pid);
  return 1;
}

static int p_kill(lua_State *L) { return result(L, kill(INT(1), OPT(2, SIGKILL))); }

/* ---- children: each returns its result, errno, and the status; -7 = not touched ---- */

static int p_waitpid(lua_State *L) {
  int status = -7, r = waitpid(INT(1), &status, OPT(2, 0));
  return with_number(L, r, status);
}

static int p_wait(lua_State *L) {
  int status = -7, r = wait(&status);
  return with_number(L, r, status);
}

static int p_wait3(lua_State *L) {
  int status = -7;
  struct rusage usage = {.ru_maxrss = -1};
  int r = wait3(&status, OPT(1, 0), &usage);
  return with_number(L, r, r > 0 && usage.ru_maxrss <= 0 ? -8 : status);
}

static int p_wait4(lua_State *L) {
  int status = -7, r = wait4(INT(1), &status, OPT(2, 0), NULL);
  return with_number(L, r, status);
}

/* waitid(type, id, options, blind) -> result, errno, status and reason, unless it is blind */
static int p_waitid(lua_State *L) {
  siginfo_t info = {0};
  int r = waitid((idtype_t)INT(1), (id_t)INT(2), lua_toboolean(L, 4) ? NULL : &info, OPT(3, WEXITED));
  return with_number(L, r, info.si_pid ? info.si_status * 100 + info.si_code : 0);
}

static int p_system(lua_State *L) { return result(L, system(luaL_optstring(L, 1, NULL))); }

/* reap(pid) -> exit code */
static int p_reap(lua_State *L) {
  int status = 0;
  waitpid(INT(1), &status, 0);
  lua_pushinteger(L, status >> 8 & 255);
  return 1;
}

/* ---- names: each returns 0, or -1 and an error (errno for EAI_SYSTEM), and what was found ---- */

static const char *eai_name(int r) {
  static const struct {
    int code;
    const char *name;
  } names[] = {{EAI_AGAIN, "EAI_AGAIN"}, {EAI_FAIL, "EAI_FAIL"}, {EAI_FAMILY, "EAI_FAMILY"}, {EAI_MEMORY, "EAI_MEMORY"}, {EAI_NONAME, "EAI_NONAME"},
               {EAI_SERVICE, "EAI_SERVICE"}, {EAI_OVERFLOW, "EAI_OVERFLOW"}, {EAI_BADFLAGS, "EAI_BADFLAGS"}, {EAI_SOCKTYPE, "EAI_SOCKTYPE"}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (names[i].code == r) return names[i].name;
  return "EAI_?";
}

static int named(lua_State *L, int r, const char *text) {
  int error = errno;
  lua_pushinteger(L, r ? -1 : 0);
  if (r) lua_pushstring(L, r == EAI_SYSTEM ? strerrorname_np(error) : eai_name(r));
  else lua_pushnil(L);
  lua_pushstring(L, r ? NULL : text);
  return 3;
}

/* getaddrinfo(name, service, flags, family, hinted) */
static int p_getaddrinfo(lua_State *L) {
  struct addrinfo hints = {.ai_flags = OPT(3, 0), .ai_family = OPT(4, AF_INET), .ai_socktype = SOCK_STREAM}, *list = NULL;
  char text[512] = "", *at = text;
  int r = getaddrinfo(luaL_optstring(L, 1, NULL), luaL_optstring(L, 2, NULL), lua_isboolean(L, 5) ? NULL : &hints, &list);
  for (struct addrinfo *a = list; r == 0 && a && at < text + 400; a = a->ai_next) {
    char ip[64] = "?", port[16] = "?";
    getnameinfo(a->ai_addr, a->ai_addrlen, ip, sizeof ip, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    at += snprintf(at, (size_t)(text + sizeof text - at), "%s:%s %s ", ip, port, a->ai_canonname ? a->ai_canonname : "");
  }
  int error = errno;
  if (r == 0) freeaddrinfo(list);
  errno = error;
  return named(L, r, text);
}

/* getnameinfo(address as a number, port, flags, bytes of the name, bytes of the address) */
static int p_getnameinfo(lua_State *L) {
  char text[512] = "", host[256] = "", service[32] = "";
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl((uint32_t)luaL_checkinteger(L, 1)), .sin_port = htons(OPT(2, 80))};
  int r = getnameinfo((struct sockaddr *)&a, (socklen_t)OPT(5, sizeof a), host, (socklen_t)OPT(4, sizeof host), service, sizeof service, OPT(3, 0));
  snprintf(text, sizeof text, "%s %s", host, service);
  return named(L, r, text);
}

/* What a lookup has found, as text; -1 and h_errno, else. The third result of a failure is errno. */
static int entry(lua_State *L, const struct hostent *e) {
  int error = errno, number = h_errno;
  char text[1024] = "", *at = text, ip[64];
  lua_pushinteger(L, e ? 0 : -1);
  if (!e) lua_pushfstring(L, "h_errno %d", number);
  else lua_pushnil(L);
  if (!e) return lua_pushstring(L, number == NETDB_INTERNAL ? strerrorname_np(error) : NULL), 3;
  at += snprintf(at, 300, "%s", e->h_name);
  for (char **alias = e->h_aliases; *alias && at < text + 600; alias++) at += snprintf(at, 100, " (%s)", *alias);
  for (char **one = e->h_addr_list; *one && at < text + 900; one++)
    at += snprintf(at, 70, " %s", inet_ntop(e->h_addrtype, *one, ip, sizeof ip));
  lua_pushstring(L, text);
  return 3;
}

static int p_gethostbyname(lua_State *L) { return entry(L, gethostbyname(luaL_checkstring(L, 1))); }
static int p_gethostbyname2(lua_State *L) { return entry(L, gethostbyname2(luaL_checkstring(L, 1), OPT(2, AF_INET))); }

static int p_gethostbyaddr(lua_State *L) {
  struct in_addr a = {htonl((uint32_t)luaL_checkinteger(L, 1))};
  return entry(L, gethostbyaddr(&a, (socklen_t)OPT(2, sizeof a), AF_INET));
}

/* The functions with a buffer of the caller's: how many bytes it has, and how far from an even address it lies. */
static int reentrant(lua_State *L, int which) {
  struct hostent e, *found = &e;
  char *buf = malloc((size_t)OPT(2, 4096) + 16), *at = buf + OPT(3, 0);
  struct in_addr a = {which == 3 ? htonl((uint32_t)luaL_checkinteger(L, 1)) : 0};
  const char *name = which == 3 ? NULL : luaL_checkstring(L, 1);
  int r, number = -9;
  size_t n = (size_t)OPT(2, 4096);
  if (which == 1) r = gethostbyname_r(name, &e, at, n, &found, &number);
  else if (which == 2) r = gethostbyname2_r(name, AF_INET, &e, at, n, &found, &number);
  else r = gethostbyaddr_r(&a, sizeof a, AF_INET, &e, at, n, &found, &number);
  errno = r;
  h_errno = r ? NETDB_INTERNAL : number;
  int pushed = entry(L, found);
  free(buf);
  return pushed;
}

static int p_gethostbyname_r(lua_State *L) { return reentrant(L, 1); }
static int p_gethostbyname2_r(lua_State *L) { return reentrant(L, 2); }
static int p_gethostbyaddr_r(lua_State *L) { return reentrant(L, 3); }

/* h_errno(n): sets it; h_errno(): what it is */
static int p_h_errno(lua_State *L) {
  if (lua_isinteger(L, 1)) h_errno = INT(1);
  lua_pushinteger(L, h_errno);
  return 1;
}

/* after(fd, n): sets errno and h_errno, waits for the descriptor -> errno, h_errno then */
static int p_after(lua_State *L) {
  struct pollfd p = {.fd = INT(1), .events = POLLIN};
  int n = INT(2);
  errno = n;
  h_errno = n;
  poll(&p, 1, -1);
  int error = errno;
  lua_pushinteger(L, error);
  lua_pushinteger(L, h_errno);
  return 2;
}

/* open_gate(n): lets a question of gate.c be answered */
static int p_open_gate(lua_State *L) {
  void (*open)(int);
  *(void **)&open = dlsym(RTLD_DEFAULT, "gate_open");
  if (!open) return luaL_error(L, "gate.so is not preloaded");
  open(INT(1));
  return 0;
}

/* ---- an object ---- */

typedef struct object {
  int fd, calls, most, thing;
} object;

static object *reach(lua_State *L) {
  const char *how = lua_tostring(L, lua_upvalueindex(1));
  object *o = *how == 'c' ? luaL_checkudata(L, 1, "probe.object") : *how == 't' ? luaL_testudata(L, 1, "probe.object") : lua_touserdata(L, 1);
  if (!o) luaL_error(L, "no object");
  return o;
}

/* object:ask(text, line) -> answer: sends a line, and waits for one of the other side; -> nil, errno */
static int o_ask(lua_State *L) {
  object *o = reach(L);
  char buf[256];
  size_t n, got = 0;
  const char *text = luaL_checklstring(L, 2, &n);
  if (++o->calls > o->most) o->most = o->calls;
  ssize_t r = send(o->fd, text, n, MSG_NOSIGNAL);
  while (r >= 0) {
    struct pollfd p = {.fd = o->fd, .events = POLLIN};
    if ((r = poll(&p, 1, -1)) < 0) break;
    if ((r = recv(o->fd, buf + got, sizeof buf - got, 0)) <= 0) break;
    got += (size_t)r;
    if (buf[got - 1] == '\n') break;
  }
  int error = errno;
  o->calls--;
  if (r > 0) lua_pushlstring(L, buf, got);
  else lua_pushnil(L);
  if (r < 0) lua_pushstring(L, strerrorname_np(error));
  return r < 0 ? 2 : 1;
}

/* object:call(f, ...): calls back */
static int o_call(lua_State *L) {
  object *o = reach(L);
  if (++o->calls > o->most) o->most = o->calls;
  lua_call(L, lua_gettop(L) - 2, LUA_MULTRET);
  o->calls--;
  return lua_gettop(L) - 1;
}

/* object:nap(ms): sleeps with the object in hand */
static int o_nap(lua_State *L) {
  object *o = reach(L);
  if (++o->calls > o->most) o->most = o->calls;
  struct timespec t = span(L, 2);
  nanosleep(&t, NULL);
  o->calls--;
  return 0;
}

/* object:most() -> how many calls were in progress at once, at most */
static int o_most(lua_State *L) {
  lua_pushinteger(L, ((object *)lua_topointer(L, 1))->most);
  return 1;
}

/* object(fd, how): its methods reach for it by luaL_checkudata ("c"), luaL_testudata ("t") or lua_touserdata ("u") */
static int p_object(lua_State *L) {
  static const luaL_Reg methods[] = {{"ask", o_ask}, {"call", o_call}, {"nap", o_nap}, {"most", o_most}, {NULL, NULL}};
  object *o = lua_newuserdatauv(L, sizeof *o, 0);
  *o = (object){.fd = INT(1)};
  luaL_newmetatable(L, "probe.object");
  lua_newtable(L);
  lua_pushvalue(L, 2);
  luaL_setfuncs(L, methods, 1);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  return 1;
}

/* gc(fd) -> an object whose finalizer reads from a descriptor that blocks; its result goes into the global `finalized` */
static int gc_read(lua_State *L) {
  char c;
  ssize_t r = recv(*(int *)lua_touserdata(L, 1), &c, 1, 0);
  lua_pushstring(L, r < 0 ? strerrorname_np(errno) : "read");
  lua_setglobal(L, "finalized");
  return 0;
}

static int p_gc(lua_State *L) {
  *(int *)lua_newuserdatauv(L, sizeof(int), 0) = INT(1);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, gc_read);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  return 1;
}

int luaopen_probe(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"accept", p_accept}, {"accept4", p_accept4}, {"after", p_after}, {"blocks", p_blocks}, {"clock_nanosleep", p_clock_nanosleep},
    {"close", p_close}, {"close_range", p_close_range}, {"connect", p_connect}, {"connect_unix", p_connect_unix}, {"drain", p_drain},
    {"dup2", p_dup2}, {"dup3", p_dup3}, {"epoll", p_epoll}, {"eventfd", p_eventfd}, {"gc", p_gc}, {"getaddrinfo", p_getaddrinfo},
    {"gethostbyaddr", p_gethostbyaddr}, {"gethostbyaddr_r", p_gethostbyaddr_r}, {"gethostbyname", p_gethostbyname},
    {"gethostbyname2", p_gethostbyname2}, {"gethostbyname2_r", p_gethostbyname2_r}, {"gethostbyname_r", p_gethostbyname_r},
    {"getnameinfo", p_getnameinfo}, {"h_errno", p_h_errno}, {"in_child", p_in_child}, {"in_handler", p_in_handler}, {"in_vfork", p_in_vfork},
    {"kill", p_kill}, {"later", p_later}, {"limit", p_limit}, {"listen", p_listen}, {"nanosleep", p_nanosleep}, {"nonblock", p_nonblock},
    {"object", p_object}, {"open_gate", p_open_gate}, {"pair", p_pair}, {"pipe", p_pipe}, {"poll", p_poll}, {"polls", p_polls}, {"ppoll", p_ppoll},
    {"pselect", p_pselect}, {"read", p_read}, {"read_fixed", p_read_fixed}, {"readv", p_readv}, {"reap", p_reap}, {"recv", p_recv},
    {"recvfrom", p_recvfrom}, {"recvmsg", p_recvmsg}, {"retry", p_retry}, {"select", p_select}, {"send", p_send}, {"sendmsg", p_sendmsg},
    {"sendto", p_sendto}, {"sleep", p_sleep}, {"sleep_until", p_sleep_until}, {"small", p_small}, {"socket", p_socket}, {"spawn", p_spawn}, {"spin", p_spin},
    {"swallow", p_swallow}, {"system", p_system}, {"timerfd", p_timerfd}, {"udp", p_udp}, {"usleep", p_usleep}, {"wait", p_wait}, {"wait3", p_wait3}, {"wait4", p_wait4},
    {"waitid", p_waitid}, {"waitpid", p_waitpid}, {"write", p_write}, {"writev", p_writev}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
