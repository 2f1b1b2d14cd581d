/*
 * Opens N keep-alive connections, asks once for /healthz on each of them, says so and holds them idle until
 * its standard input ends. Run by tests/bench/run.mjs to see what a connection costs the daemon.
 */
#include <err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/net.h"

enum { ANSWER_SIZE = 4096 };

static void ask(int fd, const char *address)
{
    char text[ANSWER_SIZE];
    int len = snprintf(text, sizeof(text), "GET /healthz HTTP/1.1\r\nHost: %s\r\n\r\n", address);
    if (send(fd, text, (size_t)len, MSG_NOSIGNAL) != len)
        err(1, "send");
    ssize_t got = recv(fd, text, sizeof(text) - 1, 0);
    if (got < 12 || memcmp(text, "HTTP/1.1 200", 12))
        errx(1, "/healthz did not answer 200");
}

static void hold(const char *address)
{
    struct sockaddr_storage to;
    socklen_t len;
    if (rb_addr_parse(address, &to, &len) != RB_OK)
        errx(2, "no address: %s", address);
    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, len))
        err(1, "connect to %s", address);
    ask(fd, address);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        errx(2, "usage: hold HOST:PORT CONNECTIONS");
    long n = strtol(argv[2], NULL, 10);
    for (long i = 0; i < n; i++)
        hold(argv[1]);
    printf("holding %ld\n", n);
    fflush(stdout);
    while (getchar() != EOF)
        ;
    return 0;
}
