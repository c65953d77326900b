/* SPDX-License-Identifier: MIT
 *
 * Opens COUNT keep-alive connections to 127.0.0.1:PORT, sends one GET on each
 * and keeps them open, so that the server's memory can be read meanwhile.
 *
 *   hold idle PORT PATH COUNT   reads each answer: the connections are idle
 *   hold wait PORT PATH COUNT   reads none: the requests are under way
 *
 * Prints "ready", waits for its standard input to end, then prints how many
 * connections are no longer as they should be: an idle or waiting connection
 * has nothing to read, neither bytes nor an end. With COUNT 1 and an empty
 * input it serves to see whether a server is up and answers what it should.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int read_answer(int fd) {
    char bytes[4096];
    size_t have = 0;
    while (have < sizeof bytes - 1) {
        ssize_t n = read(fd, bytes + have, sizeof bytes - 1 - have);
        if (n <= 0) return 0;
        have += (size_t)n;
        bytes[have] = 0;
        if (strstr(bytes, "Hello, World!")) return !strncmp(bytes, "HTTP/1.1 200 ", 13);
    }
    return 0;
}

static int open_one(int port, const char *request, int idle) {
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((unsigned short)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    size_t len = strlen(request);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to)) return -1;
    if (write(fd, request, len) != (ssize_t)len || (idle && !read_answer(fd))) {
        close(fd);
        return -1;
    }
    return fd;
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: hold idle|wait PORT PATH COUNT\n");
        return 2;
    }
    int idle = !strcmp(argv[1], "idle"), count = atoi(argv[4]), broken = 0;
    char request[512], byte;
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", argv[3]);
    int *fds = calloc((size_t)count, sizeof *fds);
    if (!fds) return 1;
    signal(SIGPIPE, SIG_IGN); /* a server that hangs up is counted, not fatal */
    for (int i = 0; i < count; i++) fds[i] = open_one(atoi(argv[2]), request, idle);
    puts("ready");
    fflush(stdout);
    while (read(0, &byte, 1) > 0) continue;
    for (int i = 0; i < count; i++)
        broken += fds[i] < 0 || recv(fds[i], &byte, 1, MSG_DONTWAIT | MSG_PEEK) >= 0;
    printf("%d\n", broken);
    return broken != 0;
}
