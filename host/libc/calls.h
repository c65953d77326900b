/* SPDX-License-Identifier: MIT
 *
 * The functions of libc as C modules find them: gl_libc_read is exported as `read`, and gl_libc_read_chk as `__read_chk`, which
 * compilers put in for `read` where they know how long the buffer is (host/libc/functions, host/cmake/symbols.cmake). Each has
 * libc's contract; libc/layer.h tells what comes on top.
 */
#ifndef GL_LIBC_CALLS_H
#define GL_LIBC_CALLS_H

#include <netdb.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

int gl_libc_poll(struct pollfd *fds, nfds_t n, int ms);
int gl_libc_poll_chk(struct pollfd *fds, nfds_t n, int ms, size_t size);
int gl_libc_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *limit, const sigset_t *mask);
int gl_libc_ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *limit, const sigset_t *mask, size_t size);
int gl_libc_select(int n, fd_set *in, fd_set *out, fd_set *except, struct timeval *limit);
int gl_libc_pselect(int n, fd_set *in, fd_set *out, fd_set *except, const struct timespec *limit, const sigset_t *mask);
int gl_libc_epoll_wait(int epoll, struct epoll_event *events, int most, int ms);
int gl_libc_epoll_pwait(int epoll, struct epoll_event *events, int most, int ms, const sigset_t *mask);
int gl_libc_epoll_pwait2(int epoll, struct epoll_event *events, int most, const struct timespec *limit, const sigset_t *mask);

int gl_libc_connect(int fd, const struct sockaddr *to, socklen_t len);
int gl_libc_accept(int fd, struct sockaddr *from, socklen_t *len);
int gl_libc_accept4(int fd, struct sockaddr *from, socklen_t *len, int flags);

ssize_t gl_libc_recv(int fd, void *buf, size_t n, int flags);
ssize_t gl_libc_recv_chk(int fd, void *buf, size_t n, size_t size, int flags);
ssize_t gl_libc_recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *from, socklen_t *len);
ssize_t gl_libc_recvfrom_chk(int fd, void *buf, size_t n, size_t size, int flags, struct sockaddr *from, socklen_t *len);
ssize_t gl_libc_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t gl_libc_send(int fd, const void *buf, size_t n, int flags);
ssize_t gl_libc_sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *to, socklen_t len);
ssize_t gl_libc_sendmsg(int fd, const struct msghdr *message, int flags);

ssize_t gl_libc_read(int fd, void *buf, size_t n);
ssize_t gl_libc_read_chk(int fd, void *buf, size_t n, size_t size);
ssize_t gl_libc_readv(int fd, const struct iovec *v, int n);
ssize_t gl_libc_write(int fd, const void *buf, size_t n);
ssize_t gl_libc_writev(int fd, const struct iovec *v, int n);

int gl_libc_clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *left);
int gl_libc_nanosleep(const struct timespec *time, struct timespec *left);
int gl_libc_usleep(useconds_t us);
unsigned int gl_libc_sleep(unsigned int seconds);

int gl_libc_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **list);
int gl_libc_getnameinfo(const struct sockaddr *address, socklen_t len, char *host, socklen_t host_len, char *service, socklen_t service_len,
                        int flags);
struct hostent *gl_libc_gethostbyname(const char *name);
struct hostent *gl_libc_gethostbyname2(const char *name, int family);
struct hostent *gl_libc_gethostbyaddr(const void *address, socklen_t len, int family);
int gl_libc_gethostbyname_r(const char *name, struct hostent *entry, char *buffer, size_t size, struct hostent **found, int *host_error);
int gl_libc_gethostbyname2_r(const char *name, int family, struct hostent *entry, char *buffer, size_t size, struct hostent **found,
                             int *host_error);
int gl_libc_gethostbyaddr_r(const void *address, socklen_t len, int family, struct hostent *entry, char *buffer, size_t size,
                            struct hostent **found, int *host_error);

pid_t gl_libc_waitpid(pid_t pid, int *status, int options);
pid_t gl_libc_wait(int *status);
pid_t gl_libc_wait3(int *status, int options, struct rusage *usage);
pid_t gl_libc_wait4(pid_t pid, int *status, int options, struct rusage *usage);
int gl_libc_waitid(idtype_t type, id_t id, siginfo_t *info, int options);
int gl_libc_system(const char *command);

int gl_libc_close(int fd);
int gl_libc_close_range(unsigned int first, unsigned int last, int flags);
int gl_libc_dup2(int from, int to);
int gl_libc_dup3(int from, int to, int flags);

#endif
