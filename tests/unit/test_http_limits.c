/* Tests of server/http: every cap answers as it should, and what was taken is given back. */
#include <malloc.h>
#include <netinet/in.h>

#include "server/http/internal.h"
#include "tests/unit/http.h"

#define HEAD_START "GET /hello HTTP/1.1\r\nHost: a\r\n"

static char *repeat(const char *text, size_t times)
{
    size_t len = strlen(text);
    char *out = malloc(len * times + 1);
    for (size_t i = 0; i < times; i++) {
        memcpy(out + i * len, text, len);
    }
    out[len * times] = '\0';
    return out;
}

/* A request of this many bytes in its head. */
static char *request_of(size_t size)
{
    char *out = malloc(size + 1);
    int len = snprintf(out, size + 1, "%sX: ", HEAD_START);
    memset(out + len, 'x', size - (size_t)len - 4);
    memcpy(out + size - 4, "\r\n\r\n", 5);
    return out;
}

static void test_size_of_the_head(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    f->limits.header_bytes = 2000;
    char *fits = request_of(2000);
    char *too_long = request_of(2001);
    assert_int_equal(ask(f, fits, NULL), 200);
    assert_int_equal(ask(f, too_long, &a), 431);
    assert_problem(&a, 431, "headers-too-large");
    assert_non_null(strstr(a.head, "Connection: close"));
    free(fits);
    free(too_long);
    free(a.body);
}

static void test_spaces_count_as_bytes_of_the_head(void **state)
{
    char *spaces = repeat(" ", 20000);
    char *text = malloc(30000);
    sprintf(text, HEAD_START "X:%sx\r\n\r\n", spaces);
    assert_int_equal(ask(*state, text, NULL), 431);
    free(text);
    free(spaces);
}

static void test_length_of_the_target(void **state)
{
    struct answer a = {0};
    char *target = repeat("/long", 4000);
    char *text = malloc(30000);
    sprintf(text, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", target);
    (void)ask(*state, text, &a);
    assert_problem(&a, 414, "uri-too-long");
    free(text);
    free(target);
    free(a.body);
}

static void test_number_of_headers(void **state)
{
    for (size_t n = 99; n <= 100; n++) {
        char *lines = repeat("x: y\r\n", n);
        char *text = malloc(2000);
        sprintf(text, HEAD_START "%s\r\n", lines);
        assert_int_equal(ask(*state, text, NULL), n == 99 ? 200 : 431);
        free(text);
        free(lines);
    }
}

static void test_announced_body_is_refused_before_it_comes(void **state)
{
    struct answer a = {0};
    (void)ask(*state, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n", &a);
    assert_problem(&a, 413, "too-large");
    (void)ask(*state, "POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n", &a);
    assert_problem(&a, 413, "too-large");
    (void)ask(*state, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10001\r\n", &a);
    assert_problem(&a, 413, "too-large");
    (void)ask(*state,
              "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff0\r\n", &a);
    assert_problem(&a, 413, "too-large");
    free(a.body);
}

static void test_body_of_exactly_the_limit(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    char *body = repeat("0123456789abcdef", 4096);
    char *text = malloc(70000);
    sprintf(text, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n%s", body);
    assert_int_equal(ask(f, text, &a), 200);
    assert_string_equal(a.body, body);
    sprintf(text,
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n%s\r\n0\r\n\r\n",
            body);
    assert_int_equal(ask(f, text, &a), 200);
    assert_string_equal(a.body, body);
    assert_int_equal(f->http->buffered, 0);
    free(text);
    free(body);
    free(a.body);
}

/* The answer reaches even a client that sends all of its ten megabytes before it looks. */
static void test_refused_body_does_not_destroy_the_answer(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    struct client *c = client_new(f);
    char *block = repeat("x", 1u << 20);
    client_send(f, c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10485760\r\n\r\n");
    for (int i = 0; i < 10; i++) {
        client_send_n(f, c, block, 1u << 20);
    }
    client_answer(f, c, &a);
    assert_int_equal(a.status, 413);
    client_expect_closed(f, c);
    assert_false(c->reset);
    client_free(c);
    free(block);
    free(a.body);
}

static void test_route_with_a_limit_of_its_own(void **state)
{
    struct answer a = {0};
    char *body = repeat("x", 1u << 20);
    char *text = malloc((1u << 20) + 200);
    sprintf(text,
            "POST /batch HTTP/1.1\r\nHost: a\r\nContent-Type: batch\r\nContent-Length: 1048576\r\n\r\n%s",
            body);
    assert_int_equal(ask(*state, text, &a), 200);
    assert_int_equal(a.len, 1u << 20);
    sprintf(text,
            "POST /batch HTTP/1.1\r\nHost: a\r\nContent-Type: batch\r\nContent-Length: 1048577\r\n\r\n");
    assert_int_equal(ask(*state, text, &a), 413);
    sprintf(text, "POST /batch HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n");
    assert_int_equal(ask(*state, text, &a), 413);
    free(text);
    free(body);
    free(a.body);
}

static void test_chunks_that_are_all_wrapping(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    struct client *c = client_new(f);
    char *chunk = repeat("1;e=\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"\r\nx\r\n", 1000);
    client_send(f, c, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client_send(f, c, chunk);
    client_answer(f, c, &a);
    assert_int_equal(a.status, 413);
    client_free(c);
    free(chunk);
    /* but chunks of one byte are only foolish */
    chunk = repeat("1\r\nx\r\n", 20000);
    c = client_new(f);
    client_send(f, c, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client_send(f, c, chunk);
    client_send(f, c, "0\r\n\r\n");
    client_answer(f, c, &a);
    assert_int_equal(a.len, 20000);
    client_free(c);
    free(chunk);
    free(a.body);
}

static void test_bodies_of_all_together(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    f->limits.buffered_bytes = 100000;
    char *body = repeat("x", 60000);
    struct client *first = client_new(f);
    struct client *second = client_new(f);
    client_send(f, first, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 60001\r\n\r\n");
    client_send(f, first, body);
    WAIT_FOR(f, f->http->buffered > 60000);
    client_send(f, second, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n");
    client_send(f, second, body);
    client_answer(f, second, &a);
    assert_problem(&a, 503, "busy");
    assert_non_null(strstr(a.head, "\r\nRetry-After: "));
    client_send(f, first, "x");
    client_answer(f, first, &a);
    assert_int_equal(a.status, 200);
    assert_int_equal(f->http->buffered, 0);
    client_free(first);
    client_free(second);
    free(body);
    free(a.body);
}

/* Long heads are memory too. */
static void test_heads_of_all_together(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    char *head = request_of(16000);
    f->limits.buffered_bytes = 50000;
    struct client *clients[4];
    for (size_t i = 0; i < COUNT(clients); i++) {
        clients[i] = client_new(f);
        client_send_n(f, clients[i], head, 15999);
    }
    client_answer(f, clients[3], &a);
    assert_problem(&a, 503, "busy");
    client_send(f, clients[0], "\n");
    client_answer(f, clients[0], &a);
    assert_int_equal(a.status, 200);
    for (size_t i = 0; i < COUNT(clients); i++) {
        client_free(clients[i]);
    }
    WAIT_FOR(f, rb_http_connections(f->http) == 0);
    assert_int_equal(f->http->buffered, 0);
    free(head);
    free(a.body);
}

static bool waits_for(struct fixture *f, size_t readers)
{
    struct rb_http_conn *conn;
    TAILQ_FOREACH(conn, &f->http->lanes[RB_LANE_WRITING].conns, link)
    {
        readers--;
    }
    return readers == 0 && !TAILQ_FIRST(&f->http->lanes[RB_LANE_IDLE].conns);
}

/* Of clients that do not read, the one that has not read for longest gives way; what is not copied is free.
 */
static void test_answers_of_all_together(void **state)
{
    struct fixture *f = *state;
    struct client *clients[4];
    for (unsigned i = 0; i < COUNT(clients) - 1; i++) {
        clients[i] = client_deaf(f, i ? GET("/big") : GET("/lasting"));
        WAIT_FOR(f, waits_for(f, i + 1));
    }
    assert_in_range(f->http->unsent, 1, 2 * BIG_BODY);
    f->http->limits.buffered_bytes = f->http->unsent + 1000;
    clients[3] = client_deaf(f, GET("/big"));
    WAIT_FOR(f, client_is_closed(clients[1]));
    assert_true(clients[1]->len < BIG_BODY);
    assert_int_equal(rb_http_connections(f->http), 3);
    f->http->limits.buffered_bytes = 24u << 20;
    for (size_t i = 0; i < COUNT(clients); i++) {
        client_free(clients[i]);
    }
    WAIT_FOR(f, rb_http_connections(f->http) == 0);
    assert_int_equal(f->http->unsent, 0);
}

static void test_connections_in_all(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    f->limits.connections = 2;
    struct client *one = client_new(f);
    struct client *two = client_new(f);
    WAIT_FOR(f, rb_http_connections(f->http) == 2);
    struct client *three = client_new(f);
    client_answer(f, three, &a);
    assert_int_equal(a.status, 503);
    assert_non_null(strstr(a.head, "\r\nRetry-After: 1\r\n"));
    client_expect_closed(f, three);
    client_free(one);
    WAIT_FOR(f, rb_http_connections(f->http) == 1);
    assert_int_equal(ask(f, GET("/hello"), NULL), 200);
    client_free(two);
    client_free(three);
    free(a.body);
}

/* A client from another address of the loopback network. */
static struct client *client_from(struct fixture *f, const char *host)
{
    struct sockaddr_storage from;
    socklen_t len;
    struct client *c = client_new(f);
    close(c->fd);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_ok(rb_addr_parse(host, &from, &len));
    assert_int_equal(bind(c->fd, (struct sockaddr *)&from, len), 0);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&f->address, f->address_len), 0);
    return c;
}

static void test_connections_of_one_address(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    f->limits.per_address = 1;
    struct client *one = client_new(f);
    WAIT_FOR(f, rb_http_connections(f->http) == 1);
    assert_int_equal(ask(f, GET("/hello"), NULL), 503);
    struct client *other = client_from(f, "127.0.0.2:0");
    client_send(f, other, GET("/hello"));
    client_answer(f, other, &a);
    assert_int_equal(a.status, 200);
    client_free(one);
    WAIT_FOR(f, rb_http_connections(f->http) == 1);
    assert_int_equal(ask(f, GET("/hello"), NULL), 200);
    client_free(other);
    free(a.body);
}

static void test_trusted_proxy_has_no_cap_of_its_own(void **state)
{
    struct fixture *f = *state;
    const char *bad;
    f->limits.per_address = 1;
    assert_ok(rb_networks_parse("127.0.0.1", &f->proxies, &bad));
    struct client *one = client_new(f);
    WAIT_FOR(f, rb_http_connections(f->http) == 1);
    assert_int_equal(ask(f, GET("/hello"), NULL), 200);
    client_free(one);
}

static void test_client_behind_proxies(void **state)
{
    static const struct {
        const char *lines;
        const char *peer;
    } cases[] = {
        {"", "peer=127.0.0.1 "},
        {"X-Forwarded-For: 198.51.100.7\r\n", "peer=198.51.100.7 "},
        {"X-Forwarded-For: 1.1.1.1, 198.51.100.7 , 10.1.2.3\r\n", "peer=198.51.100.7 "},
        {"X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 198.51.100.8,10.0.0.1\r\n", "peer=198.51.100.8 "},
        {"X-Forwarded-For: 198.51.100.9\r\nX-Forwarded-For: 10.0.0.1\r\n", "peer=198.51.100.9 "},
        {"X-Forwarded-For: 1.1.1.1, nonsense, 10.0.0.1\r\n", "peer=10.0.0.1 "},
        {"X-Forwarded-For: [2001:db8::1]:4711\r\n", "peer=2001:db8::1 "},
        {"X-Forwarded-For: 198.51.100.7:4711\r\n", "peer=198.51.100.7 "},
        {"X-Forwarded-For: ,\r\n", "peer=127.0.0.1 "},
    };
    struct fixture *f = *state;
    struct answer a = {0};
    const char *bad;
    assert_ok(rb_networks_parse("127.0.0.1, 10.0.0.0/8", &f->proxies, &bad));
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[512];
        snprintf(text, sizeof(text), "GET /seen/1 HTTP/1.1\r\nHost: a\r\n%s\r\n", cases[i].lines);
        assert_int_equal(ask(f, text, &a), 200);
        if (!strstr(a.body, cases[i].peer)) {
            fail_msg("%s gives %s", cases[i].lines, a.body);
        }
    }
    free(a.body);
}

static void test_forwarded_for_of_a_stranger_is_ignored(void **state)
{
    struct answer a = {0};
    (void)ask(*state, "GET /seen/1 HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n", &a);
    assert_non_null(strstr(a.body, "peer=127.0.0.1 "));
    free(a.body);
}

size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t allocated(void)
{
    return __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes()
                                                   : mallinfo2().uordblks;
}

/* A client that has had its answer costs us its connection and two empty buffers: a thousand, two megabytes.
 */
static void test_idle_connections_are_small(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    struct client *clients[301];
    size_t before = 0;
    for (size_t i = 0; i < COUNT(clients); i++) {
        clients[i] = client_new(f);
        client_send(f, clients[i], "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd");
        client_answer(f, clients[i], &a);
        assert_int_equal(a.status, 200);
        free(clients[i]->in);
        clients[i]->in = NULL;
        clients[i]->len = clients[i]->size = 0;
        if (i == 0) {
            before = allocated();
        }
    }
    assert_int_equal(f->http->requests, 0);
    assert_in_range((allocated() - before) / 300, sizeof(struct rb_http_conn), 2048);
    for (size_t i = 0; i < COUNT(clients); i++) {
        client_free(clients[i]);
    }
    free(a.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        http_test(test_size_of_the_head),
        http_test(test_spaces_count_as_bytes_of_the_head),
        http_test(test_length_of_the_target),
        http_test(test_number_of_headers),
        http_test(test_announced_body_is_refused_before_it_comes),
        http_test(test_body_of_exactly_the_limit),
        http_test(test_refused_body_does_not_destroy_the_answer),
        http_test(test_route_with_a_limit_of_its_own),
        http_test(test_chunks_that_are_all_wrapping),
        http_test(test_bodies_of_all_together),
        http_test(test_heads_of_all_together),
        http_test(test_answers_of_all_together),
        http_test(test_connections_in_all),
        http_test(test_connections_of_one_address),
        http_test(test_trusted_proxy_has_no_cap_of_its_own),
        http_test(test_client_behind_proxies),
        http_test(test_forwarded_for_of_a_stranger_is_ignored),
        http_test(test_idle_connections_are_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
