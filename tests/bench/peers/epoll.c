/* SPDX-License-Identifier: MIT
 *
 * The yardstick of the bench: the least a one-threaded HTTP server can do.
 *
 * It never parses a request. It counts the blank lines that end requests in
 * the bytes of one read and answers them all with one write, so its CPU time
 * per request is close to what the kernel alone costs. Every other server is
 * measured as a ratio to this one.
 *
 *   epoll plaintext PORT         "Hello, World!" (also the upstream of proxies)
 *   epoll upstream PORT          the same, under the name it plays in a proxy run
 *   epoll json PORT              {"message":"Hello, World!"}
 *   epoll sleep PORT MS          "Hello, World!", MS milliseconds later
 *   epoll proxy PORT UPSTREAM    asks 127.0.0.1:UPSTREAM, relays its answer
 *
 * It trusts its client: GET requests without bodies, and in sleep and proxy
 * one request at a time per connection. What it cannot do it shows by closing
 * the connection, which the load generator reports as an error.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 512, READ = 16384, BATCH = 64, TAIL = 3 };

struct conn {
    int fd;
    unsigned owed;            /* sleep: answers due at `due`; > 0 while queued */
    void (*ready)(struct conn *);
    struct conn *peer;        /* proxy: the other side of a request under way */
    struct conn *next;        /* in the queue of sleepers or of idle upstreams */
    long long due;            /* sleep: milliseconds of the monotonic clock */
    unsigned char tail_len;   /* the end of the last read, if it may be the */
    char tail[TAIL];          /* start of a blank line cut in two */
};

static int loop;
static void (*on_request)(struct conn *, unsigned);
static char answers[BATCH * 256];
static size_t answer_len;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static struct conn *watch(int fd, void (*ready)(struct conn *)) {
    struct conn *c = calloc(1, sizeof *c);
    if (!c) die("calloc");
    c->fd = fd;
    c->ready = ready;
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &ev)) die("epoll_ctl");
    return c;
}

static void no_delay(int fd) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
}

static struct sockaddr_in local(int port) {
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((unsigned short)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* A short write means a client that does not read: give it up. It is closed
 * by its own next event, because this batch of events may still name it. */
static void send_all(struct conn *c, const char *bytes, size_t len) {
    if (write(c->fd, bytes, len) != (ssize_t)len) shutdown(c->fd, SHUT_RDWR);
}

static void answer(struct conn *c, unsigned count) {
    for (; count > BATCH; count -= BATCH) send_all(c, answers, BATCH * answer_len);
    send_all(c, answers, count * answer_len);
}

/* ---- sleep: every wait is equally long, so a queue in order of arrival is
 * also in order of time. ---- */

static int sleep_ms;
static struct conn *sleepers, **last_sleeper = &sleepers;

static long long now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void answer_later(struct conn *c, unsigned count) {
    if (c->owed) {
        shutdown(c->fd, SHUT_RDWR);
        return;
    }
    c->owed = count;
    c->due = now_ms() + sleep_ms + 1; /* + 1: the clock is cut to milliseconds */
    c->next = NULL;
    *last_sleeper = c;
    last_sleeper = &c->next;
}

static int wake_sleepers(void) { /* returns the milliseconds to the next, or -1 */
    if (!sleepers) return -1;
    long long now = now_ms();
    while (sleepers && sleepers->due <= now) {
        struct conn *c = sleepers;
        sleepers = c->next;
        if (!sleepers) last_sleeper = &sleepers;
        if (c->fd < 0) { /* closed while it slept */
            free(c);
            continue;
        }
        answer(c, c->owed);
        c->owed = 0;
    }
    return sleepers ? (int)(sleepers->due - now) : -1;
}

/* ---- proxy: a stack of idle upstream connections, opened on demand. An
 * answer of the upstream is assumed to arrive in one read, which holds for
 * the small answers of `epoll upstream`. ---- */

static int upstream_port;
static struct conn *idle_upstreams;

static void relay(struct conn *up) {
    char bytes[READ];
    ssize_t n = read(up->fd, bytes, sizeof bytes);
    struct conn *client = up->peer;
    up->peer = NULL;
    if (n <= 0 || !client) die("upstream ended or answered unasked");
    client->peer = NULL;
    up->next = idle_upstreams;
    idle_upstreams = up;
    if (client->fd < 0) free(client);
    else send_all(client, bytes, (size_t)n);
}

static struct conn *take_upstream(void) {
    struct conn *up = idle_upstreams;
    if (up) {
        idle_upstreams = up->next;
        return up;
    }
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = local(upstream_port);
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) die("connect");
    no_delay(fd);
    return watch(fd, relay);
}

static void ask_upstream(struct conn *client, unsigned count) {
    static const char get[] = "GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    if (count != 1 || client->peer) {
        shutdown(client->fd, SHUT_RDWR);
        return;
    }
    struct conn *up = take_upstream();
    up->peer = client;
    client->peer = up;
    send_all(up, get, sizeof get - 1);
}

/* ---- clients ---- */

static void close_client(struct conn *c) {
    close(c->fd);
    c->fd = -1;
    if (!c->owed && !c->peer) free(c); /* else freed by whoever still names it */
}

/* How many requests end in these bytes; *rest is what follows the last. */
static unsigned count_requests(const char *p, const char *end, const char **rest) {
    unsigned count = 0;
    *rest = p;
    while (end - p >= 4 && (p = memchr(p, '\r', (size_t)(end - p - 3)))) {
        if (memcmp(p, "\r\n\r\n", 4) == 0) {
            count++;
            *rest = p += 4;
        } else {
            p++;
        }
    }
    return count;
}

static void client_ready(struct conn *c) {
    char bytes[TAIL + READ], *start = bytes + TAIL - c->tail_len;
    memcpy(start, c->tail, c->tail_len);
    ssize_t n = read(c->fd, bytes + TAIL, READ);
    if (n <= 0) {
        close_client(c);
        return;
    }
    const char *rest, *end = bytes + TAIL + n;
    unsigned count = count_requests(start, end, &rest);
    c->tail_len = (unsigned char)(end - rest < TAIL ? end - rest : TAIL);
    memcpy(c->tail, end - c->tail_len, c->tail_len);
    if (count) on_request(c, count);
}

static void listener_ready(struct conn *c) {
    int fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0) return;
    no_delay(fd);
    watch(fd, client_ready);
}

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    struct sockaddr_in at = local(port);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 4096)) die("listen");
    return fd;
}

static void prepare_answers(const char *type, const char *body) {
    answer_len = (size_t)snprintf(
        answers, sizeof answers / BATCH,
        "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s", type,
        strlen(body), body);
    for (int i = 1; i < BATCH; i++) memcpy(answers + (size_t)i * answer_len, answers, answer_len);
}

int main(int argc, char **argv) {
    const char *mode = argc > 2 ? argv[1] : "";
    int extra = argc > 3 ? atoi(argv[3]) : 0;
    prepare_answers("text/plain", "Hello, World!");
    on_request = answer;
    if (!strcmp(mode, "json")) {
        prepare_answers("application/json", "{\"message\":\"Hello, World!\"}");
    } else if (!strcmp(mode, "sleep") && extra) {
        on_request = answer_later;
        sleep_ms = extra;
    } else if (!strcmp(mode, "proxy") && extra) {
        on_request = ask_upstream;
        upstream_port = extra;
    } else if (strcmp(mode, "plaintext") && strcmp(mode, "upstream")) {
        fprintf(stderr, "usage: epoll plaintext|upstream|json|sleep|proxy PORT [MS|UPSTREAM]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    loop = epoll_create1(0);
    watch(listen_on(atoi(argv[2])), listener_ready);
    struct epoll_event events[EVENTS];
    for (;;) {
        int n = epoll_wait(loop, events, EVENTS, wake_sleepers());
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            c->ready(c);
        }
    }
}
