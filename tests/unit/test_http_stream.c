/* Tests of server/http/stream: answers without an end, readers that are slow or gone, draining. */
#include "server/http/internal.h"
#include "tests/unit/http.h"

#define HELLO "data: hello\n\n"
#define BYE "retry: 1000\n\n"

static struct stream {
    struct rb_stream *stream;
    unsigned begun, idle, left, closed, too_slow;
    size_t cap;
} s;

static void on_idle(void *ctx)
{
    ((struct stream *)ctx)->idle++;
    assert_true(rb_stream_write(s.stream, ":\n\n", 3));
}

static void on_leaving(void *ctx)
{
    ((struct stream *)ctx)->left++;
    (void)rb_stream_write(s.stream, BYE, strlen(BYE));
    rb_stream_end(s.stream);
}

static void on_closed(void *ctx, bool too_slow)
{
    ((struct stream *)ctx)->closed++;
    ((struct stream *)ctx)->too_slow += too_slow;
}

static const struct rb_stream_handler handler = {on_idle, on_leaving, on_closed};

static void begin(struct rb_request *req)
{
    s.begun++;
    s.stream = rb_stream_begin(req, "text/event-stream", NULL, 0, s.cap, &handler, &s);
}

static void on_stream(struct rb_request *req, void *ctx)
{
    (void)ctx;
    begin(req);
}

static int setup(void **state)
{
    static const struct rb_route routes[] = {{"GET", "/stream", on_stream, NULL},
                                             {"GET", "/later", on_later, NULL}};
    char bound[RB_ADDR_SIZE];
    char why[256] = "";
    fixture_setup(state);
    struct fixture *f = *state;
    s = (struct stream){.cap = 65536};
    f->limits.request_us = f->limits.idle_us = f->limits.write_us = RB_SECOND / 20;
    f->limits.silence_us = RB_SECOND / 5;
    fixture_start(f);
    assert_ok(rb_http_listen(f->http, "test", "127.0.0.1:0", false, NULL, NULL, routes, COUNT(routes), f,
                             bound, why, sizeof(why)));
    assert_ok(rb_addr_parse(bound, &f->address, &f->address_len));
    return 0;
}

#define stream_test(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

static bool has(struct client *c, const char *text)
{
    client_read(c);
    return c->len && strstr(c->in, text);
}

static struct client *open_stream(struct fixture *f)
{
    struct client *c = client_new(f);
    client_send(f, c, GET("/stream"));
    WAIT_FOR(f, has(c, "\r\n\r\n"));
    assert_non_null(s.stream);
    return c;
}

static void test_says_what_it_is_and_goes_on(void **state)
{
    struct fixture *f = *state;
    struct client *c = open_stream(f);
    assert_memory_equal(c->in, "HTTP/1.1 200 OK\r\n", 17);
    assert_non_null(strstr(c->in, "\r\nContent-Type: text/event-stream\r\n"));
    assert_non_null(strstr(c->in, "\r\nConnection: close\r\n"));
    assert_null(strcasestr(c->in, "content-length"));
    assert_null(strcasestr(c->in, "transfer-encoding"));
    int64_t until = rb_clock_mono() + RB_SECOND; /* twenty times the limits of requests and answers */
    for (int i = 0; rb_clock_mono() < until; i++) {
        c->len = 0;
        assert_true(rb_stream_write(s.stream, HELLO, strlen(HELLO)));
        WAIT_FOR(f, has(c, HELLO));
    }
    rb_stream_end(s.stream);
    WAIT_FOR(f, client_is_closed(c));
    assert_false(c->reset);
    assert_int_equal(s.closed, 0);
    WAIT_FOR(f, rb_http_connections(f->http) == 0);
    client_free(c);
}

static void test_silence_is_broken_only_when_there_is_some(void **state)
{
    struct fixture *f = *state;
    struct client *c = open_stream(f);
    WAIT_FOR(f, s.idle == 2);
    WAIT_FOR(f, has(c, ":\n\n:\n\n"));
    int64_t until = rb_clock_mono() + RB_SECOND / 2;
    while (rb_clock_mono() < until) {
        assert_true(rb_stream_write(s.stream, HELLO, strlen(HELLO)));
        client_read(c);
        turn(f);
    }
    assert_int_equal(s.idle, 2);
    client_free(c);
    WAIT_FOR(f, s.closed == 1);
}

static void test_a_client_that_goes_away_is_told_once(void **state)
{
    struct fixture *f = *state;
    struct client *c = open_stream(f);
    client_free(c);
    WAIT_FOR(f, s.closed == 1);
    assert_int_equal(s.too_slow, 0);
    assert_int_equal(rb_http_connections(f->http), 0);
    struct client *half = open_stream(f);
    shutdown(half->fd, SHUT_WR);
    WAIT_FOR(f, s.closed == 2);
    client_free(half);
}

/* The owner writes before the loop has noticed, and may end it until he is told. */
static void test_writing_to_one_who_is_gone(void **state)
{
    struct fixture *f = *state;
    struct client *c = open_stream(f);
    struct linger at_once = {.l_onoff = 1};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    client_free(c);
    while (rb_stream_write(s.stream, HELLO, strlen(HELLO)))
        ;
    assert_int_equal(s.closed, 0); /* not from within */
    rb_stream_end(s.stream);
    WAIT_FOR(f, rb_http_connections(f->http) == 0);
    turn(f);
    assert_int_equal(s.closed, 0);
}

static void test_a_slow_reader_is_cut_off_at_the_cap(void **state)
{
    static char chunk[4096];
    struct fixture *f = *state;
    memset(chunk, 'x', sizeof(chunk));
    struct client *c = client_deaf(f, GET("/stream"));
    WAIT_FOR(f, s.begun == 1);
    size_t taken = 0;
    while (rb_stream_write(s.stream, chunk, sizeof(chunk))) {
        taken += sizeof(chunk);
        turn(f);
        assert_in_range(f->http->unsent, 0, s.cap);
    }
    assert_in_range(taken, s.cap, s.cap + 262144); /* the kernel has some of it */
    WAIT_FOR(f, s.closed == 1);
    assert_int_equal(s.too_slow, 1);
    assert_int_equal(f->http->unsent, 0);
    client_free(c);
}

/* What waits for all clients together has a limit, too. */
static void test_slow_readers_share_what_answers_may_wait(void **state)
{
    static char chunk[65536];
    struct fixture *f = *state;
    f->http->limits.buffered_bytes = 16384;
    s.cap = 1u << 20;
    struct client *c = client_deaf(f, GET("/stream"));
    WAIT_FOR(f, s.begun == 1);
    for (int i = 0; i < 8 && rb_stream_write(s.stream, chunk, sizeof(chunk)); i++)
        assert_in_range(f->http->unsent, 0, 16384);
    WAIT_FOR(f, s.too_slow == 1);
    client_free(c);
}

static void test_a_reader_that_takes_nothing_is_cut_off_in_time(void **state)
{
    static char chunk[4096];
    struct fixture *f = *state;
    s.cap = 1u << 20;
    struct client *c = client_deaf(f, GET("/stream"));
    WAIT_FOR(f, s.begun == 1);
    while (f->http->unsent == 0)
        assert_true(rb_stream_write(s.stream, chunk, sizeof(chunk)));
    WAIT_FOR(f, s.closed == 1);
    assert_int_equal(s.too_slow, 1);
    assert_int_equal(s.idle, 0);
    client_free(c);
}

/* ... and one that catches up is not. */
static void test_a_reader_that_catches_up_stays(void **state)
{
    static char chunk[4096];
    struct fixture *f = *state;
    s.cap = 1u << 20;
    struct client *c = client_deaf(f, GET("/stream"));
    WAIT_FOR(f, s.begun == 1);
    for (int i = 0; i < 3; i++) {
        while (f->http->unsent == 0)
            assert_true(rb_stream_write(s.stream, chunk, sizeof(chunk)));
        WAIT_FOR(f, (client_read(c), f->http->unsent == 0));
    }
    WAIT_FOR(f, s.idle == 1);
    assert_int_equal(s.closed, 0);
    client_free(c);
    WAIT_FOR(f, s.closed == 1);
}

static void test_what_a_client_sends_behind_is_nobodys(void **state)
{
    struct fixture *f = *state;
    struct client *c = client_new(f);
    client_send(f, c, GET("/stream") GET("/stream"));
    WAIT_FOR(f, has(c, "\r\n\r\n"));
    client_send(f, c, GET("/stream"));
    assert_true(rb_stream_write(s.stream, HELLO, strlen(HELLO)));
    WAIT_FOR(f, has(c, HELLO));
    assert_int_equal(s.begun, 1);
    assert_int_equal(s.closed, 0);
    while (!s.closed) /* nor is it taken without end */
        client_send(f, c, "0123456789012345678901234567890123456789");
    client_free(c);
}

static void test_nobody_to_stream_to(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    struct client *c = client_new(f);
    client_send(f, c, "HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    client_answer_to(f, c, true, &a);
    assert_int_equal(a.status, 200);
    assert_null(s.stream);
    client_send(f, c, "HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n"); /* the connection goes on */
    client_answer_to(f, c, true, &a);
    assert_int_equal(a.status, 200);
    client_free(c);

    struct client *gone = client_new(f);
    client_send(f, gone, GET("/later"));
    WAIT_FOR(f, f->pending_count == 1);
    struct linger at_once = {.l_onoff = 1};
    setsockopt(gone->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    client_free(gone);
    WAIT_FOR(f, rb_http_connections(f->http) == 0);
    begin(f->pending[--f->pending_count]);
    assert_null(s.stream);
    assert_int_equal(s.closed, 0);
    free(a.body);
}

static void test_http_1_0(void **state)
{
    struct fixture *f = *state;
    struct client *c = client_new(f);
    client_send(f, c, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    WAIT_FOR(f, has(c, "\r\n\r\n"));
    assert_null(strstr(c->in, "keep-alive"));
    assert_true(rb_stream_write(s.stream, HELLO, strlen(HELLO)));
    rb_stream_end(s.stream);
    WAIT_FOR(f, client_is_closed(c));
    assert_string_equal(strstr(c->in, "\r\n\r\n") + 4, HELLO);
    client_free(c);
}

static void on_drained(void *ctx)
{
    ((struct fixture *)ctx)->drained = true;
}

static void test_drain_ends_streams_at_once_with_last_words(void **state)
{
    struct fixture *f = *state;
    struct client *c = open_stream(f);
    struct client *late = client_new(f);
    client_send(f, late, GET("/later"));
    WAIT_FOR(f, f->pending_count == 1);
    rb_http_drain(f->http, on_drained, f);
    assert_int_equal(s.left, 1);
    WAIT_FOR(f, client_is_closed(c));
    assert_string_equal(strstr(c->in, "\r\n\r\n") + 4, BYE);
    assert_int_equal(s.closed, 0);
    begin(f->pending[--f->pending_count]); /* nobody begins one now */
    assert_null(s.stream);
    WAIT_FOR(f, client_is_closed(late));
    WAIT_FOR(f, f->drained);
    client_free(c);
    client_free(late);
}

static void test_the_room_may_go_first(void **state)
{
    struct fixture *f = *state;
    struct client *c = open_stream(f);
    rb_http_free(f->http);
    f->http = NULL;
    assert_int_equal(s.closed, 1);
    client_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stream_test(test_says_what_it_is_and_goes_on),
        stream_test(test_silence_is_broken_only_when_there_is_some),
        stream_test(test_a_client_that_goes_away_is_told_once),
        stream_test(test_writing_to_one_who_is_gone),
        stream_test(test_a_slow_reader_is_cut_off_at_the_cap),
        stream_test(test_slow_readers_share_what_answers_may_wait),
        stream_test(test_a_reader_that_takes_nothing_is_cut_off_in_time),
        stream_test(test_a_reader_that_catches_up_stays),
        stream_test(test_what_a_client_sends_behind_is_nobodys),
        stream_test(test_nobody_to_stream_to),
        stream_test(test_http_1_0),
        stream_test(test_drain_ends_streams_at_once_with_last_words),
        stream_test(test_the_room_may_go_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
