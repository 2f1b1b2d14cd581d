/* Tests of server/http: order under pipelining, clients that go away, draining, the end. */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <netinet/in.h>

#include "server/http/internal.h"
#include "tests/unit/http.h"

static void answer_pending(struct fixture *f, const char *text)
{
    assert_true(f->pending_count > 0);
    struct rb_request *req = f->pending[0];
    f->pending_count--;
    memmove(f->pending, f->pending + 1, f->pending_count * sizeof(*f->pending));
    rb_reply(req, 200, "text/plain", NULL, 0, text, strlen(text));
}

static void settle(struct fixture *f)
{
    for (int i = 0; i < 20; i++) {
        turn(f);
    }
}

static void test_pipelined_requests_wait_for_the_one_before(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    struct client *c = client_new(f);
    client_send(f, c, GET("/later") GET("/hello") GET("/later") GET("/seen/1") GET("/none"));
    WAIT_FOR(f, f->pending_count == 1);
    settle(f);
    assert_int_equal(f->handled, 0);
    answer_pending(f, "first");
    assert_int_equal(f->handled, 0); /* nobody else's handler runs inside the reply */
    WAIT_FOR(f, f->pending_count == 1);
    client_answer(f, c, &a);
    assert_string_equal(a.body, "first");
    client_answer(f, c, &a);
    assert_string_equal(a.body, "hello");
    assert_false(client_has_more(c));
    answer_pending(f, "third");
    client_answer(f, c, &a);
    assert_string_equal(a.body, "third");
    client_answer(f, c, &a);
    assert_non_null(strstr(a.body, "id=1"));
    client_answer(f, c, &a);
    assert_int_equal(a.status, 404);
    client_free(c);
    free(a.body);
}

static void test_many_pipelined_requests(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    struct client *c = client_new(f);
    const char one[] = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n%04d";
    for (int i = 0; i < 2000; i++) {
        char text[sizeof(one) + 8];
        snprintf(text, sizeof(text), one, i);
        client_send(f, c, text);
    }
    for (int i = 0; i < 2000; i++) {
        client_answer(f, c, &a);
        assert_int_equal(atoi(a.body), i);
    }
    client_free(c);
    free(a.body);
}

/* Who piles up requests does not make the others wait for the end of the pile. */
static void test_a_pile_of_requests_is_no_privilege(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    struct client *greedy = client_new(f);
    struct client *modest = client_new(f);
    WAIT_FOR(f, rb_http_connections(f->http) == 2);
    char pile[100 * (sizeof(GET("/hello")) - 1)];
    for (size_t at = 0; at < sizeof(pile); at += sizeof(GET("/hello")) - 1) {
        memcpy(pile + at, GET("/hello"), sizeof(GET("/hello")) - 1);
    }
    (void)send(greedy->fd, pile, sizeof(pile), MSG_NOSIGNAL);
    (void)send(modest->fd, GET("/seen/1"), sizeof(GET("/seen/1")) - 1, MSG_NOSIGNAL);
    while (!client_has_answer(modest, false)) {
        event_base_loop(f->base, EVLOOP_ONCE);
    }
    assert_in_range(f->handled, 0, 8);
    for (int i = 0; i < 100; i++) {
        client_answer(f, greedy, &a);
        assert_int_equal(a.status, 200);
    }
    client_free(greedy);
    client_free(modest);
    free(a.body);
}

/* While a handler has a request, what a client sends stays in the kernel but for a little. */
static void test_waiting_bytes_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct client *c = client_new(f);
    char block[4096];
    memset(block, 'x', sizeof(block));
    client_send(f, c, GET("/later"));
    WAIT_FOR(f, f->pending_count == 1);
    for (int i = 0; i < 5000; i++) {
        (void)send(c->fd, block, sizeof(block), MSG_NOSIGNAL | MSG_DONTWAIT);
        turn(f);
    }
    struct rb_http_conn *conn = TAILQ_FIRST(&f->http->lanes[RB_LANE_HANDLING].conns);
    assert_in_range(evbuffer_get_length(bufferevent_get_input(conn->bev)), 1, 4 * RB_INPUT_MAX);
    answer_pending(f, "");
    client_free(c);
}

static void test_a_bad_request_behind_a_good_one(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    struct client *c = client_new(f);
    client_send(f, c, GET("/later") "nonsense\r\n\r\n" GET("/hello"));
    WAIT_FOR(f, f->pending_count == 1);
    answer_pending(f, "good");
    client_answer(f, c, &a);
    assert_string_equal(a.body, "good");
    client_answer(f, c, &a);
    assert_int_equal(a.status, 400);
    client_expect_closed(f, c);
    assert_int_equal(f->handled, 0);
    client_free(c);
    free(a.body);
}

static void test_client_gone_before_the_answer(void **state)
{
    struct fixture *f = *state;
    struct linger hard = {.l_onoff = 1};
    struct client *polite = client_new(f);
    struct client *rude = client_new(f);
    client_send(f, polite, "GET /later HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    client_send(f, rude, GET("/later"));
    WAIT_FOR(f, f->pending_count == 2);
    setsockopt(rude->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    client_free(rude);
    WAIT_FOR(f, rb_http_connections(f->http) == 1);
    client_free(polite);
    settle(f);
    for (unsigned i = 0; i < 2; i++) { /* its request is alive to the end */
        assert_string_equal(rb_request_path(f->pending[i]), "/later");
    }
    answer_pending(f, "to nobody");
    answer_pending(f, "to nobody");
    WAIT_FOR(f, rb_http_connections(f->http) == 0);
    assert_int_equal(f->http->requests, 0);
    assert_int_equal(f->http->buffered, 0);
}

static void test_half_closed_client_gets_its_answers(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    struct client *c = client_new(f);
    client_send(f, c, GET("/later") GET("/hello") "GET /cut");
    shutdown(c->fd, SHUT_WR);
    WAIT_FOR(f, f->pending_count == 1);
    settle(f);
    answer_pending(f, "late");
    client_answer(f, c, &a);
    assert_string_equal(a.body, "late");
    client_answer(f, c, &a);
    assert_string_equal(a.body, "hello");
    client_expect_closed(f, c);
    WAIT_FOR(f, rb_http_connections(f->http) == 0);
    client_free(c);
    free(a.body);
}

static void test_requests_outlive_the_room(void **state)
{
    struct fixture *f = *state;
    struct client *c = client_new(f);
    client_send(f, c, "GET /later HTTP/1.1\r\nHost: a\r\nX: y\r\nContent-Length: 3\r\n\r\nabc");
    WAIT_FOR(f, f->pending_count == 1);
    rb_http_free(f->http);
    f->http = NULL;
    size_t len;
    assert_string_equal(rb_request_header(f->pending[0], "x"), "y");
    assert_string_equal(rb_request_body(f->pending[0], &len), "abc");
    assert_ptr_equal(rb_request_ctx(f->pending[0]), f);
    assert_false(rb_request_is_tls(f->pending[0]));
    answer_pending(f, "to nobody");
    client_free(c);
}

static void on_drained(void *ctx)
{
    struct fixture *f = ctx;
    assert_false(f->drained);
    f->drained = true;
}

static void test_drain_answers_what_is_there(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    struct client *idle = client_new(f);
    client_send(f, idle, GET("/hello"));
    client_answer(f, idle, &a);
    struct client *busy = client_new(f);
    client_send(f, busy, GET("/later"));
    WAIT_FOR(f, f->pending_count == 1);
    struct client *half = client_new(f);
    client_send(f, half, "GET /hello HTTP/1.1\r\n");
    WAIT_FOR(f, TAILQ_FIRST(&f->http->lanes[RB_LANE_READING].conns));
    struct client *sent = client_new(f); /* its bytes are in the kernel, its connection in the backlog */
    (void)send(sent->fd, GET("/hello"), sizeof(GET("/hello")) - 1, MSG_NOSIGNAL);

    rb_http_drain(f->http, on_drained, f);
    struct client late = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_int_equal(connect(late.fd, (struct sockaddr *)&f->address, f->address_len), -1);
    close(late.fd);
    client_expect_closed(f, idle);
    client_answer(f, sent, &a);
    assert_int_equal(a.status, 200);
    assert_non_null(strstr(a.head, "Connection: close"));
    client_expect_closed(f, sent);
    assert_false(f->drained);
    client_send(f, half, "Host: a\r\n\r\n");
    client_answer(f, half, &a);
    assert_int_equal(a.status, 200);
    client_expect_closed(f, half);
    answer_pending(f, "late");
    client_answer(f, busy, &a);
    assert_string_equal(a.body, "late");
    assert_non_null(strstr(a.head, "Connection: close"));
    client_expect_closed(f, busy);
    client_free(idle);
    client_free(busy);
    client_free(half);
    client_free(sent);
    WAIT_FOR(f, f->drained);
    free(a.body);
}

/* A client that has only just connected is given a moment to say what it wants. */
static void test_drain_gives_the_newcomer_a_moment(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    struct client *c = client_new(f);
    WAIT_FOR(f, rb_http_connections(f->http) == 1);
    rb_http_drain(f->http, on_drained, f);
    settle(f);
    client_send(f, c, GET("/hello"));
    client_answer(f, c, &a);
    assert_int_equal(a.status, 200);
    client_free(c);
    WAIT_FOR(f, f->drained);
    free(a.body);
}

/* A kept-alive client whose next request is already in the kernel is answered too. */
static void test_drain_sees_a_request_on_its_way(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    struct client *c = client_new(f);
    client_send(f, c, GET("/hello"));
    client_answer(f, c, &a);
    (void)send(c->fd, GET("/hello"), sizeof(GET("/hello")) - 1, MSG_NOSIGNAL);
    rb_http_drain(f->http, on_drained, f);
    client_answer(f, c, &a);
    assert_int_equal(a.status, 200);
    client_free(c);
    WAIT_FOR(f, f->drained);
    free(a.body);
}

static void test_drain_of_nothing_ends_from_the_loop(void **state)
{
    struct fixture *f = *state;
    fixture_start(f);
    fixture_listen(f, NULL, NULL);
    rb_http_drain(f->http, on_drained, f);
    assert_false(f->drained);
    WAIT_FOR(f, f->drained);
}

/* Nobody can hold a draining process: not with silence, not with half a request, not by never reading. */
static void test_drain_does_not_wait_for_the_slow(void **state)
{
    struct fixture *f = *state;
    struct client *silent = client_new(f);
    struct client *half = client_new(f);
    struct client *deaf = client_new(f);
    client_send(f, half, "GET /hello HTTP/1.1\r\n");
    client_send(f, deaf, GET("/big") GET("/big") GET("/big"));
    WAIT_FOR(f, TAILQ_FIRST(&f->http->lanes[RB_LANE_WRITING].conns));
    WAIT_FOR(f, rb_http_connections(f->http) == 3);
    int64_t start = rb_clock_mono();
    rb_http_drain(f->http, on_drained, f);
    WAIT_FOR(f, f->drained);
    assert_in_range(rb_clock_mono() - start, 0, 8 * RB_SECOND);
    client_free(silent);
    client_free(half);
    client_free(deaf);
}

static void test_two_listeners_keep_their_routes_apart(void **state)
{
    static const struct rb_route others[] = {{"GET", "/other", on_hello, NULL}};
    struct fixture *f = *state;
    char bound[RB_ADDR_SIZE];
    char why[128];
    assert_int_equal(ask(f, GET("/other"), NULL), 404);
    assert_ok(rb_http_listen(f->http, "other", "127.0.0.1:0", true, NULL, NULL, others, 1, f, bound, why,
                             sizeof(why)));
    assert_ok(rb_addr_parse(bound, &f->address, &f->address_len));
    assert_int_equal(ask(f, GET("/other"), NULL), 200);
    assert_int_equal(ask(f, GET("/hello"), NULL), 404);
    /* reuse_port: a second one on the same port; without it, none */
    assert_ok(
        rb_http_listen(f->http, "twin", bound, true, NULL, NULL, others, 1, f, bound, why, sizeof(why)));
    assert_err(
        rb_http_listen(f->http, "third", bound, false, NULL, NULL, others, 1, f, bound, why, sizeof(why)),
        RB_ERR_IO);
    assert_non_null(strstr(why, "in use"));
    assert_err(
        rb_http_listen(f->http, "bad", "nowhere", false, NULL, NULL, others, 1, f, bound, why, sizeof(why)),
        RB_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        http_test(test_pipelined_requests_wait_for_the_one_before),
        http_test(test_many_pipelined_requests),
        http_test(test_a_pile_of_requests_is_no_privilege),
        http_test(test_waiting_bytes_are_bounded),
        http_test(test_a_bad_request_behind_a_good_one),
        http_test(test_client_gone_before_the_answer),
        http_test(test_half_closed_client_gets_its_answers),
        http_test(test_requests_outlive_the_room),
        http_test(test_drain_answers_what_is_there),
        http_test(test_drain_gives_the_newcomer_a_moment),
        http_test(test_drain_sees_a_request_on_its_way),
        http_test(test_drain_of_nothing_ends_from_the_loop),
        http_test(test_drain_does_not_wait_for_the_slow),
        http_test(test_two_listeners_keep_their_routes_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
