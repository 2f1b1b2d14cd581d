/*
 * Opens N streams of the console and holds them until its standard input ends, reading what comes. Its first
 * line is the hashes of the sessions' tokens that it has made, four streams a session; it goes on when a line
 * says that these sessions are there. Run by tests/bench/run.mjs to see what open streams cost.
 */
#include <err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/err.h"
#include "common/net.h"
#include "server/console/token.h"

enum { ANSWER_SIZE = 4096, OF_SESSION = 4, SPARE = 64, AT_ONCE = 256 };

static void make_tokens(char (*tokens)[RB_TOKEN_SIZE], long n)
{
    for (long i = 0; i < n; i++) {
        uint8_t hash[RB_TOKEN_HASH];
        rb_token_make(tokens[i]);
        rb_token_hash(tokens[i], hash);
        for (int b = 0; b < RB_TOKEN_HASH; b++)
            printf("%02x", hash[b]);
        putchar(i + 1 < n ? ' ' : '\n');
    }
    fflush(stdout);
    if (getchar() == EOF)
        errx(1, "the sessions were not made");
}

/* Until hello is there. */
static int open_stream(const struct sockaddr_storage *to, socklen_t len, const char *token)
{
    char text[ANSWER_SIZE];
    size_t got = 0;
    int fd = socket(to->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)to, len))
        err(1, "connect");
    int n = snprintf(text, sizeof(text),
                     "GET /api/v1/stream HTTP/1.1\r\nHost: bench\r\nCookie: ringback=%s\r\n\r\n", token);
    if (send(fd, text, (size_t)n, MSG_NOSIGNAL) != n)
        err(1, "send");
    do {
        ssize_t more = recv(fd, text + got, sizeof(text) - 1 - got, 0);
        if (more <= 0)
            errx(1, "no stream: %.*s", (int)got, text);
        got += (size_t)more;
        text[got] = '\0';
    } while (!strstr(text, "event: hello") && got + 1 < sizeof(text));
    return fd;
}

static void watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
        err(1, "epoll");
}

static void read_on(int epoll)
{
    static char text[65536];
    struct epoll_event events[AT_ONCE];
    for (;;) {
        int n = epoll_wait(epoll, events, AT_ONCE, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == STDIN_FILENO)
                return;
            if (recv(events[i].data.fd, text, sizeof(text), MSG_DONTWAIT) == 0)
                errx(1, "a stream has ended");
        }
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_storage to;
    socklen_t len;
    if (argc != 3)
        errx(2, "usage: streams HOST:PORT STREAMS");
    long n = strtol(argv[2], NULL, 10);
    if (n < 1 || rb_addr_parse(argv[1], &to, &len) != RB_OK)
        errx(2, "no address or number: %s %s", argv[1], argv[2]);
    struct rlimit limit = {.rlim_cur = (rlim_t)n + SPARE, .rlim_max = (rlim_t)n + SPARE};
    if (setrlimit(RLIMIT_NOFILE, &limit))
        err(1, "descriptors");
    long sessions = (n + OF_SESSION - 1) / OF_SESSION;
    char(*tokens)[RB_TOKEN_SIZE] = calloc((size_t)sessions, RB_TOKEN_SIZE);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!tokens || epoll < 0)
        err(1, "memory");
    make_tokens(tokens, sessions);
    for (long i = 0; i < n; i++)
        watch(epoll, open_stream(&to, len, tokens[i / OF_SESSION]));
    watch(epoll, STDIN_FILENO);
    printf("holding %ld\n", n);
    fflush(stdout);
    read_on(epoll);
    free(tokens);
    return 0;
}
