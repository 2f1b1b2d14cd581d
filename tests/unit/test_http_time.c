/* Tests of server/http: nothing a client does slowly, or not at all, holds a connection for long. */
#include <netinet/in.h>
#include <sys/resource.h>

#include "server/http/internal.h"
#include "tests/unit/http.h"

#define MS (RB_SECOND / 1000)

/* Sends a byte of text every 10 ms, then of filler without end, until there is an answer. Returns the time.
 */
static int64_t drip(struct fixture *f, const char *text, char filler, struct answer *a)
{
    struct client *c = client_new(f);
    int64_t start = rb_clock_mono();
    int64_t next = start;
    while (!client_has_answer(c, false)) {
        char byte = *text ? *text++ : filler;
        assert_true(rb_clock_mono() < start + PATIENCE * RB_SECOND);
        if (send(c->fd, &byte, 1, MSG_NOSIGNAL) < 0) {
            break;
        }
        next += 10 * MS;
        WAIT_FOR(f, rb_clock_mono() >= next || client_has_answer(c, false));
    }
    client_answer(f, c, a);
    client_free(c);
    return rb_clock_mono() - start;
}

static void test_dripping_does_not_extend_the_deadline(void **state)
{
    static const char *const heads[] = {
        "GET /hello HTTP/1.1\r\nHost: a\r\nX: ",
        "GET /hel",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nf000\r\n",
    };
    struct fixture *f = *state;
    struct answer a = {0};
    f->limits.request_us = 200 * MS;
    for (size_t i = 0; i < COUNT(heads); i++) {
        int64_t took = drip(f, heads[i], 'x', &a);
        assert_problem(&a, 408, "request-timeout");
        assert_non_null(strstr(a.head, "Connection: close"));
        assert_in_range(took, 200 * MS, 2000 * MS);
    }
    free(a.body);
}

static void test_a_silent_connection_is_closed(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    f->limits.idle_us = 100 * MS;
    struct client *fresh = client_new(f);
    struct client *kept = client_new(f);
    client_send(f, kept, GET("/hello"));
    client_answer(f, kept, &a);
    assert_int_equal(a.status, 200);
    client_expect_closed(f, fresh);
    client_expect_closed(f, kept);
    assert_int_equal(rb_http_connections(f->http), 0);
    client_free(fresh);
    client_free(kept);
    free(a.body);
}

/* Empty lines are no request: they do not keep an idle connection. */
static void test_empty_lines_do_not_count(void **state)
{
    struct fixture *f = *state;
    f->limits.idle_us = 100 * MS;
    struct client *c = client_new(f);
    while (!client_is_closed(c)) {
        int64_t next = rb_clock_mono() + 10 * MS;
        (void)send(c->fd, "\r\n", 2, MSG_NOSIGNAL);
        WAIT_FOR(f, rb_clock_mono() >= next);
    }
    assert_int_equal(rb_http_connections(f->http), 0);
    client_free(c);
}

static void test_a_handler_may_take_longer(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    f->limits.request_us = f->limits.idle_us = 50 * MS;
    struct client *c = client_new(f);
    client_send(f, c, GET("/later"));
    WAIT_FOR(f, f->pending_count == 1);
    int64_t later = rb_clock_mono() + 200 * MS;
    WAIT_FOR(f, rb_clock_mono() >= later);
    rb_reply(f->pending[--f->pending_count], 200, NULL, NULL, 0, "late", 4);
    client_answer(f, c, &a);
    assert_string_equal(a.body, "late");
    client_free(c);
    free(a.body);
}

static void test_a_reader_that_never_reads_is_closed(void **state)
{
    struct fixture *f = *state;
    f->limits.write_us = 100 * MS;
    struct client *c = client_deaf(f, GET("/big"));
    WAIT_FOR(f, rb_http_connections(f->http) == 1 && TAILQ_FIRST(&f->http->lanes[RB_LANE_WRITING].conns));
    WAIT_FOR(f, rb_http_connections(f->http) == 0);
    client_free(c);
}

static void test_a_reader_that_reads_on_gets_all(void **state)
{
    struct fixture *f = *state;
    char *piece = malloc(1u << 20);
    size_t got = 0;
    f->limits.write_us = 100 * MS;
    struct client *c = client_deaf(f, GET("/big"));
    int64_t start = rb_clock_mono();
    while (got < BIG_BODY) { /* at 20 MiB a second, several of its limits long */
        ssize_t n = recv(c->fd, piece, 1u << 20, MSG_DONTWAIT);
        assert_true(n != 0 && (n > 0 || errno == EAGAIN));
        got += n > 0 ? (size_t)n : 0;
        int64_t due = start + (int64_t)got / 20;
        WAIT_FOR(f, rb_clock_mono() >= due);
        turn(f);
    }
    assert_true(rb_clock_mono() - start > 3 * f->limits.write_us);
    free(piece);
    client_free(c);
}

/* A second deadline begins with a second request, not with the first. */
static void test_each_request_has_its_own_deadline(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    f->limits.request_us = 150 * MS;
    struct client *c = client_new(f);
    for (int i = 0; i < 4; i++) {
        int64_t later = rb_clock_mono() + 60 * MS;
        client_send(f, c, "GET /hello HTTP/1.1\r\n");
        WAIT_FOR(f, rb_clock_mono() >= later);
        client_send(f, c, "Host: a\r\n\r\n");
        client_answer(f, c, &a);
        assert_int_equal(a.status, 200);
    }
    client_free(c);
    free(a.body);
}

/* Without a descriptor left the listener rests, and goes on when there is one again. */
static void test_out_of_descriptors(void **state)
{
    struct fixture *f = *state;
    struct rlimit before;
    struct client *c = client_new(f);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {.rlim_cur = (rlim_t)c->fd + 1, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int64_t later = rb_clock_mono() + 50 * MS;
    unsigned turns = 0;
    while (rb_clock_mono() < later) {
        struct timeval rest = {.tv_usec = 10 * MS};
        event_base_loopexit(f->base, &rest);
        event_base_loop(f->base, EVLOOP_ONCE);
        turns++;
    }
    assert_in_range(turns, 1, 20);
    assert_int_equal(rb_http_connections(f->http), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    WAIT_FOR(f, rb_http_connections(f->http) == 1);
    client_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        http_test(test_dripping_does_not_extend_the_deadline),
        http_test(test_a_silent_connection_is_closed),
        http_test(test_empty_lines_do_not_count),
        http_test(test_a_handler_may_take_longer),
        http_test(test_a_reader_that_never_reads_is_closed),
        http_test(test_a_reader_that_reads_on_gets_all),
        http_test(test_each_request_has_its_own_deadline),
        http_test(test_out_of_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
