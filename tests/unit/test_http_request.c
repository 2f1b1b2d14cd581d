/* Tests of server/http: what a handler sees of a request, and what a client gets for paths and methods. */
#include <ctype.h>

#include "tests/unit/http.h"

static void test_answer_has_the_headers_it_must(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    assert_int_equal(ask(f, GET("/hello"), &a), 200);
    assert_string_equal(a.body, "hello");
    assert_non_null(strstr(a.head, "\r\nContent-Length: 5\r\n"));
    assert_non_null(strstr(a.head, "\r\nContent-Type: text/plain\r\n"));
    assert_non_null(strstr(a.head, " GMT\r\n"));
    assert_null(strstr(a.head, "Connection:"));
    free(a.body);
}

static void test_unknown_path_is_404(void **state)
{
    struct answer a = {0};
    (void)ask(*state, GET("/nothing"), &a);
    assert_problem(&a, 404, "not-found");
    (void)ask(*state, GET("/hello/"), &a);
    assert_problem(&a, 404, "not-found");
    (void)ask(*state, GET("/seen/"), &a);
    assert_problem(&a, 404, "not-found");
    (void)ask(*state, GET("//hello"), &a);
    assert_problem(&a, 404, "not-found");
    free(a.body);
}

static void test_wrong_method_is_405_and_names_the_right_ones(void **state)
{
    struct answer a = {0};
    (void)ask(*state, "DELETE /hello HTTP/1.1\r\nHost: a\r\n\r\n", &a);
    assert_problem(&a, 405, "method-not-allowed");
    assert_non_null(strstr(a.head, "\r\nAllow: GET, HEAD\r\n"));
    (void)ask(*state, "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", &a);
    assert_non_null(strstr(a.head, "\r\nAllow: POST, PUT\r\n"));
    (void)ask(*state, "QUERY /seen/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab", &a);
    assert_problem(&a, 405, "method-not-allowed");
    assert_non_null(strstr(a.head, "\r\nAllow: GET, HEAD, POST\r\n"));
    free(a.body);
}

static void test_options_of_the_whole_server(void **state)
{
    struct answer a = {0};
    assert_int_equal(ask(*state, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", &a), 204);
    assert_non_null(strstr(a.head, "\r\nAllow: GET, HEAD, POST, PUT\r\n"));
    assert_null(strstr(a.head, "Content-Length"));
    assert_int_equal(ask(*state, "M-SEARCH * HTTP/1.1\r\nHost: a\r\n\r\n", &a), 405);
    free(a.body);
}

static void test_connect_is_never_a_tunnel(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    struct client *c = client_new(f);
    client_send(f, c, "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n" GET("/hello"));
    client_answer(f, c, &a);
    assert_int_equal(a.status, 405);
    client_expect_closed(f, c);
    assert_int_equal(f->handled, 0);
    client_free(c);
    free(a.body);
}

static void test_upgrade_is_a_plain_request(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    struct client *c = client_new(f);
    client_send(
        f, c,
        "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n" GET("/hello"));
    client_answer(f, c, &a);
    assert_int_equal(a.status, 200);
    client_answer(f, c, &a);
    assert_int_equal(a.status, 200);
    client_free(c);
    free(a.body);
}

static void test_head_has_no_body(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    struct client *c = client_new(f);
    client_send(f, c, "HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\nHEAD /none HTTP/1.1\r\nHost: a\r\n\r\n");
    client_answer_to(f, c, true, &a);
    assert_int_equal(a.status, 200);
    assert_non_null(strstr(a.head, "\r\nContent-Length: 5\r\n"));
    client_answer_to(f, c, true, &a);
    assert_int_equal(a.status, 404);
    client_send(f, c, GET("/hello"));
    client_answer(f, c, &a);
    assert_int_equal(a.status, 200);
    client_free(c);
    free(a.body);
}

static void test_parameters_are_decoded(void **state)
{
    struct answer a = {0};
    (void)ask(*state, "GET /seen/a%20b%2Fc?q=%E4%BD%A0+x&q=2 HTTP/1.1\r\nHost: a\r\nx-TEST: \t v \t\r\n\r\n",
              &a);
    assert_string_equal(a.body,
                        "GET /seen/a b/c id=a b/c sub=- q=\xE4\xBD\xA0 x header=v peer=127.0.0.1 tls=0");
    (void)ask(*state, GET("/seen/1/sub/2?Q=1&&=&q"), &a);
    assert_string_equal(a.body, "GET /seen/1/sub/2 id=1 sub=2 q= header=- peer=127.0.0.1 tls=0");
    (void)ask(*state, GET("/seen/x#q?q=1"), &a);
    assert_string_equal(a.body, "GET /seen/x id=x sub=- q=- header=- peer=127.0.0.1 tls=0");
    (void)ask(*state, GET("http://user@a.example:80/seen/y?q=1"), &a);
    assert_string_equal(a.body, "GET /seen/y id=y sub=- q=1 header=- peer=127.0.0.1 tls=0");
    assert_int_equal(ask(*state, GET("http://a"), NULL), 200);
    assert_int_equal(ask(*state, GET("http://a?q"), NULL), 200);
    free(a.body);
}

static void test_targets_that_cannot_be_decoded_are_400(void **state)
{
    static const char *const bad[] = {
        GET("/seen/%"),       GET("/seen/%4"),      GET("/seen/%zz"),   GET("/seen/%00"),
        GET("/seen/1?q=%00"), GET("/seen/1?%g1"),   GET("/seen/%ff"),   GET("/seen/1?q=%C0%80"),
        GET("ftp://a/hello"), GET("http:///hello"), GET("http://a b/"), GET("http://a:b/hello"),
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(ask(*state, bad[i], NULL), 400);
    }
}

static void test_host_must_be_one_and_valid(void **state)
{
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        {"GET /hello HTTP/1.1\r\n\r\n", 400},
        {"GET /hello HTTP/1.0\r\n\r\n", 200},
        {"GET /hello HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", 400},
        {"GET /hello HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400},
        {"GET /hello HTTP/1.1\r\nHost:\r\n\r\n", 200},
        {"GET /hello HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
        {"GET /hello HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
        {"GET /hello HTTP/1.1\r\nHost: a@b\r\n\r\n", 400},
        {"GET /hello HTTP/1.1\r\nHost: a:b\r\n\r\n", 400},
        {"GET /hello HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 200},
        {"GET /hello HTTP/1.1\r\nHost: [::1\r\n\r\n", 400},
        {"GET /hello HTTP/1.1\r\nHost: a.example:8080\r\n\r\n", 200},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (ask(*state, cases[i].request, NULL) != cases[i].status) {
            fail_msg("not %d: %s", cases[i].status, cases[i].request);
        }
    }
}

/* Every byte in a header's value, in its name, in the target: only what RFC 9112 has there is let through. */
static void test_every_byte(void **state)
{
    struct fixture *f = *state;
    for (int byte = 0; byte < 256; byte++) {
        char text[128];
        bool text_byte = byte == '\t' || (byte >= ' ' && byte != 0x7f);
        int len = snprintf(text, sizeof(text), "GET /hello HTTP/1.1\r\nHost: a\r\nX: a?b\r\n\r\n");
        *strchr(text, '?') = (char)byte;
        if (ask_n(f, text, (size_t)len, NULL) != (text_byte ? 200 : 400)) {
            fail_msg("byte 0x%02x in a value", (unsigned)byte);
        }
        bool token = byte && (isalnum(byte) || strchr("!#$%&'*+-.^_`|~", byte)) && byte < 0x80;
        len = snprintf(text, sizeof(text), "GET /hello HTTP/1.1\r\nHost: a\r\nX?Y: ab\r\n\r\n");
        *strchr(text, '?') = (char)byte;
        if (byte != ':' && ask_n(f, text, (size_t)len, NULL) != (token ? 200 : 400)) {
            fail_msg("byte 0x%02x in a name", (unsigned)byte);
        }
        len = snprintf(text, sizeof(text), "GET /hello/? HTTP/1.1\r\nHost: a\r\n\r\n");
        *strchr(text, '?') = (char)byte;
        int status = ask_n(f, text, (size_t)len, NULL);
        bool graphic = byte > ' ' && byte < 0x7f && byte != '%';
        if ((status == 404) != graphic && status != 400 && byte != ' ') {
            fail_msg("byte 0x%02x in the target: %d", (unsigned)byte, status);
        }
    }
}

static void test_bodies_by_length_and_chunked(void **state)
{
    struct answer a = {0};
    static const char nul[] = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab\0de";
    (void)ask_n(*state, nul, sizeof(nul) - 1, &a);
    assert_int_equal(a.len, 5);
    assert_memory_equal(a.body, "ab\0de", 5);
    (void)ask(*state,
              "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
              "5;ext=\"x\"\r\nhello\r\n6\r\n world\r\n0\r\nX-Test: trailer\r\n\r\n",
              &a);
    assert_string_equal(a.body, "hello world");
    (void)ask(*state,
              "POST /seen/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Test: no\r\n\r\n",
              &a);
    assert_non_null(strstr(a.body, "header=- "));
    free(a.body);
}

static void test_framing_that_leaves_a_doubt(void **state)
{
    static const struct {
        const char *version;
        const char *lines;
        int status;
    } cases[] = {
        {"1.1", "Transfer-Encoding: chunked", 200},
        {"1.0", "Transfer-Encoding: chunked", 400},
        {"1.1", "Transfer-Encoding: chunked\r\nContent-Length: 5", 400},
        {"1.1", "Content-Length: 5\r\nTransfer-Encoding: chunked", 400},
        {"1.1", "Transfer-Encoding:", 400},
        {"1.1", "Transfer-Encoding: identity", 400},
        {"1.1", "Transfer-Encoding: gzip, chunked", 415},
        {"1.1", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", 415},
        {"1.1", "Transfer-Encoding: chunked, chunked", 400},
        {"1.1", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400},
        {"1.1", "Transfer-Encoding: xchunked", 400},
        {"1.1", "Content-Length: 5, 5", 400},
        {"1.1", "Content-Length: 5\r\nContent-Length: 5", 400},
        {"1.1", "Content-Length: +5", 400},
        {"1.1", "Content-Length: 0x5", 400},
        {"1.1", "Content-Length: -5", 400},
        {"1.1", "Content-Length: 18446744073709551621", 400},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[256];
        unsigned before = f->handled;
        snprintf(text, sizeof(text), "POST /echo HTTP/%s\r\nHost: a\r\n%s\r\n\r\n0\r\n\r\n", cases[i].version,
                 cases[i].lines);
        int status = ask(f, text, NULL);
        if (status != cases[i].status || f->handled - before != (status == 200)) {
            fail_msg("%d for %s %s", status, cases[i].version, cases[i].lines);
        }
    }
}

static void test_keep_alive_by_version(void **state)
{
    static const struct {
        const char *request;
        const char *connection; /* the header of the answer */
        bool closed;
    } cases[] = {
        {"GET /hello HTTP/1.0\r\n\r\n", "Connection: close", true},
        {"GET /hello HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "Connection: keep-alive", false},
        {"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: x, close\r\n\r\n", "Connection: close", true},
        {GET("/hello"), NULL, false},
    };
    struct fixture *f = *state;
    struct answer a = {0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct client *c = client_new(f);
        client_send(f, c, cases[i].request);
        client_answer(f, c, &a);
        assert_int_equal(a.status, 200);
        assert_true(!cases[i].connection || strstr(a.head, cases[i].connection));
        if (cases[i].closed) {
            client_expect_closed(f, c);
        } else {
            client_send(f, c, GET("/hello"));
            client_answer(f, c, &a);
            assert_int_equal(a.status, 200);
        }
        client_free(c);
    }
    free(a.body);
}

static void test_expectations(void **state)
{
    struct fixture *f = *state;
    struct answer a = {0};
    struct client *c = client_new(f);
    client_send(f, c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n");
    client_answer(f, c, &a);
    assert_int_equal(a.status, 100);
    client_send(f, c, "abc");
    client_answer(f, c, &a);
    assert_string_equal(a.body, "abc");
    /* a body that is not wanted is not asked for */
    client_send(f, c, "POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    client_answer(f, c, &a);
    assert_int_equal(a.status, 404);
    client_expect_closed(f, c);
    assert_int_equal(
        ask(f, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: tea\r\n\r\nabc", NULL), 417);
    assert_int_equal(
        ask(f, "POST /echo HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc", NULL), 200);
    client_free(c);
    free(a.body);
}

/* The same request whole, and one byte at a time: what is seen does not depend on the network. */
static void test_any_split_gives_the_same(void **state)
{
    struct fixture *f = *state;
    static const char text[] = "\r\nPOST /seen/one?q=two HTTP/1.1\r\nHost: a\r\nX-Test: three four \r\n"
                               "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: t\r\n\r\n";
    struct answer a = {0};
    struct client *c = client_new(f);
    for (const char *at = text; *at; at++) {
        client_send_n(f, c, at, 1);
        turn(f);
    }
    client_answer(f, c, &a);
    assert_string_equal(a.body, "POST /seen/one id=one sub=- q=two header=three four peer=127.0.0.1 tls=0");
    client_free(c);
    free(a.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        http_test(test_answer_has_the_headers_it_must),
        http_test(test_unknown_path_is_404),
        http_test(test_wrong_method_is_405_and_names_the_right_ones),
        http_test(test_options_of_the_whole_server),
        http_test(test_connect_is_never_a_tunnel),
        http_test(test_upgrade_is_a_plain_request),
        http_test(test_head_has_no_body),
        http_test(test_parameters_are_decoded),
        http_test(test_targets_that_cannot_be_decoded_are_400),
        http_test(test_host_must_be_one_and_valid),
        http_test(test_every_byte),
        http_test(test_bodies_by_length_and_chunked),
        http_test(test_framing_that_leaves_a_doubt),
        http_test(test_keep_alive_by_version),
        http_test(test_expectations),
        http_test(test_any_split_gives_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
