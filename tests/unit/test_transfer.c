/*
 * Outgoing calls against a small receiver on the same loop, whose answer is the first line of the request:
 * "/status/410" and the like. What a target may do to us, and what we must not do to others.
 */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/clock.h"
#include "server/channel/transfer.h"

enum { LIMIT_MS = 400, BLOCK = 16384 };

static struct {
    struct event_base *base;
    struct evconnlistener *listener;
    unsigned port;
    unsigned connections; /* taken since the start of the test */
    unsigned open;
    int requests;
    char last[4096]; /* the last request, as it came */
} sink;

static struct rb_networks *loopback;

/* --- the receiver --- */

static void drop(struct bufferevent *bev, bool reset)
{
    struct linger now = {.l_onoff = 1};
    if (reset)
        setsockopt(bufferevent_getfd(bev), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    bufferevent_free(bev);
    sink.open--;
}

static void say(struct bufferevent *bev, const char *fmt, ...) RB_PRINTF(2, 3);
static void say(struct bufferevent *bev, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    evbuffer_add_vprintf(bufferevent_get_output(bev), fmt, args);
    va_end(args);
}

static void on_written(struct bufferevent *bev, void *ctx)
{
    (void)ctx;
    drop(bev, false);
}

static void pour(struct bufferevent *bev, void *ctx)
{
    static const char block[BLOCK] = {'x'};
    (void)ctx;
    bufferevent_write(bev, block, sizeof(block));
}

static void drip(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    bufferevent_write(arg, "x", 1);
}

/* A timer that drips ends with its connection. */
static void on_drip_end(struct bufferevent *bev, short what, void *ctx)
{
    (void)what;
    event_free(ctx);
    drop(bev, false);
}

static void on_event(struct bufferevent *bev, short what, void *ctx);
static void answer(struct bufferevent *bev, const char *path)
{
    int status;
    char extra[200];
    if (sscanf(path, "/status/%d", &status) == 1) {
        say(bev, "HTTP/1.1 %d Word\r\nLocation: /elsewhere\r\nContent-Length: 2\r\n\r\nok", status);
    } else if (sscanf(path, "/retry-after/%199[^ ]", extra) == 1) {
        for (char *c = extra; *c; c++)
            *c = *c == '_' ? ' ' : *c;
        say(bev, "HTTP/1.1 503 Busy\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n", extra);
    } else if (strncmp(path, "/endless", 8) == 0) {
        say(bev, "HTTP/1.1 200 OK\r\n\r\n");
        bufferevent_setcb(bev, NULL, pour, on_event, NULL);
    } else if (strncmp(path, "/drip", 5) == 0) {
        struct timeval often = {.tv_usec = 20000};
        say(bev, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
        struct event *timer = event_new(sink.base, -1, EV_PERSIST, drip, bev);
        event_add(timer, &often);
        bufferevent_setcb(bev, NULL, NULL, on_drip_end, timer);
    } else if (strncmp(path, "/head", 5) == 0) {
        say(bev, "HTTP/1.1 200 OK\r\n");
        for (int i = 0; i < 3000; i++)
            say(bev, "X-Header-%d: 01234567890123456789\r\n", i);
        say(bev, "\r\n");
    } else if (strncmp(path, "/rubbish", 8) == 0) {
        say(bev, "220 mail.test ESMTP\r\n");
    } else if (strncmp(path, "/reset", 6) == 0) {
        drop(bev, true);
    } else if (strncmp(path, "/close", 5) == 0) {
        say(bev, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        bufferevent_setcb(bev, NULL, on_written, on_event, NULL);
    } /* "/hang": nothing */
}

static void on_read(struct bufferevent *bev, void *ctx)
{
    struct evbuffer *in = bufferevent_get_input(bev);
    struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
    char *length;
    (void)ctx;
    if (end.pos < 0)
        return;
    size_t have = evbuffer_get_length(in);
    size_t copied = have < sizeof(sink.last) - 1 ? have : sizeof(sink.last) - 1;
    evbuffer_copyout(in, sink.last, copied);
    sink.last[copied] = '\0';
    length = strstr(sink.last, "Content-Length: ");
    assert_non_null(length);
    if (have < (size_t)end.pos + 4 + (size_t)atoi(length + 16))
        return;
    evbuffer_drain(in, have);
    sink.requests++;
    answer(bev, strchr(sink.last, ' ') + 1);
}

static void on_event(struct bufferevent *bev, short what, void *ctx)
{
    (void)ctx;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        drop(bev, false);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *addr, int len,
                      void *ctx)
{
    struct bufferevent *bev = bufferevent_socket_new(sink.base, fd, BEV_OPT_CLOSE_ON_FREE);
    (void)listener;
    (void)addr;
    (void)len;
    (void)ctx;
    sink.connections++;
    sink.open++;
    bufferevent_setcb(bev, on_read, NULL, on_event, NULL);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
}

/* --- calls and their ends --- */

struct result {
    int64_t retry_after_us;
    int64_t took_us;
    size_t body_len;
    struct rb_transfers *again; /* calls once more from within the callback */
    const char *again_path;
    int ended;
    enum rb_err err;
    int status;
    bool started; /* rb_transfers_start has returned */
    char error[80];
    char body[16];
};

static void make_call(struct rb_call *call, char url[256], const char *path)
{
    if (strstr(path, "://"))
        snprintf(url, 256, "%s", path);
    else
        snprintf(url, 256, "http://127.0.0.1:%u%s", sink.port, path);
    *call = (struct rb_call){.url = url,
                             .body = "{\"a\":1}",
                             .body_len = 7,
                             .n_headers = 2,
                             .headers = {"Content-Type: application/cloudevents+json", "webhook-id: 42"}};
}

static void on_answer(void *ctx, const struct rb_answer *answer)
{
    struct result *result = ctx;
    assert_true(result->started);
    result->ended++;
    result->err = answer->err;
    result->status = answer->status;
    snprintf(result->error, sizeof(result->error), "%s", answer->error ? answer->error : "");
    result->retry_after_us = answer->retry_after_us;
    result->took_us = answer->took_us;
    result->body_len = answer->body_len;
    snprintf(result->body, sizeof(result->body), "%s", answer->body);
    if (result->again) {
        static char url[256];
        struct rb_call call;
        struct rb_transfers *again = result->again;
        result->again = NULL;
        make_call(&call, url, result->again_path);
        assert_ok(rb_transfers_start(again, &call, on_answer, result));
        assert_string_equal(result->body, answer->body); /* the new call left the old answer alone */
    }
}

static void start(struct rb_transfers *transfers, const char *path, char url[256], struct result *result)
{
    struct rb_call call;
    make_call(&call, url, path);
    result->started = false;
    assert_ok(rb_transfers_start(transfers, &call, on_answer, result));
    assert_int_equal(result->ended, 0);
    result->started = true;
}

static void on_late(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    *(bool *)arg = true;
}

static void run_until(const int *n, int wanted)
{
    struct timeval limit = {.tv_sec = 10};
    bool late = false;
    struct event *timer = evtimer_new(sink.base, on_late, &late);
    evtimer_add(timer, &limit);
    while (*n < wanted && !late)
        event_base_loop(sink.base, EVLOOP_ONCE);
    event_free(timer);
    assert_int_equal(*n, wanted);
}

static struct result call_once(struct rb_transfers *transfers, const char *path)
{
    char url[256];
    struct result result = {0};
    start(transfers, path, url, &result);
    run_until(&result.ended, 1);
    return result;
}

static struct rb_transfers *transfers_new(unsigned connections)
{
    sink.connections = sink.requests = 0;
    return rb_transfers_new(sink.base, connections, loopback, LIMIT_MS * 1000);
}

/* Lets the receiver see that connections were closed. */
static void transfers_end(struct rb_transfers *transfers)
{
    rb_transfers_free(transfers);
    for (int i = 0; i < 100 && sink.open; i++)
        event_base_loop(sink.base, EVLOOP_NONBLOCK);
    assert_int_equal(sink.open, 0);
}

/* --- tests --- */

static void test_request_as_given(void **state)
{
    struct rb_transfers *transfers = transfers_new(4);
    (void)state;
    struct result result = call_once(transfers, "/status/204");
    assert_int_equal(result.status, 204);
    assert_memory_equal(sink.last, "POST /status/204 HTTP/1.1\r\n", 27);
    assert_non_null(strstr(sink.last, "\r\nContent-Type: application/cloudevents+json\r\n"));
    assert_non_null(strstr(sink.last, "\r\nwebhook-id: 42\r\n"));
    assert_non_null(strstr(sink.last, "\r\nContent-Length: 7\r\n"));
    assert_null(strcasestr(sink.last, "\r\nexpect"));
    assert_null(strcasestr(sink.last, "\r\ncookie"));
    assert_non_null(strstr(sink.last, "\r\n\r\n{\"a\":1}"));
    transfers_end(transfers);
}

static void test_status_and_body(void **state)
{
    static const int statuses[] = {200, 201, 204, 302, 404, 410, 429, 500, 503};
    struct rb_transfers *transfers = transfers_new(4);
    (void)state;
    for (size_t i = 0; i < COUNT(statuses); i++) {
        char path[32];
        snprintf(path, sizeof(path), "/status/%d", statuses[i]);
        struct result result = call_once(transfers, path);
        assert_err(result.err, RB_OK);
        assert_int_equal(result.status, statuses[i]);
        assert_string_equal(result.error, "");
    }
    transfers_end(transfers);
}

static void test_redirects_are_not_followed(void **state)
{
    struct rb_transfers *transfers = transfers_new(4);
    (void)state;
    assert_int_equal(call_once(transfers, "/status/307").status, 307);
    assert_int_equal(sink.requests, 1);
    assert_null(strstr(sink.last, "/elsewhere"));
    transfers_end(transfers);
}

static void test_connections_are_kept(void **state)
{
    struct rb_transfers *transfers = transfers_new(4);
    (void)state;
    for (int i = 0; i < 50; i++)
        assert_int_equal(call_once(transfers, "/status/200").status, 200);
    assert_int_equal(sink.connections, 1);
    transfers_end(transfers);
}

/* A kept connection that the receiver has closed meanwhile costs nothing but a new one; descriptors are used
 * again all the time here. */
static void test_closed_connections_are_replaced(void **state)
{
    struct rb_transfers *transfers = transfers_new(8);
    struct result results[8];
    char urls[8][256];
    (void)state;
    for (int round = 0; round < 40; round++) {
        memset(results, 0, sizeof(results));
        for (size_t i = 0; i < COUNT(results); i++)
            start(transfers, i % 2 ? "/close" : "/status/200", urls[i], &results[i]);
        for (size_t i = 0; i < COUNT(results); i++) {
            run_until(&results[i].ended, 1);
            assert_int_equal(results[i].status, 200);
        }
    }
    transfers_end(transfers);
}

static void test_inside_is_refused(void **state)
{
    static const char *const hosts[] = {"127.0.0.1",          "localhost",  "127.1",
                                        "2130706433",         "0x7f000001", "[::1]",
                                        "[::ffff:127.0.0.1]", "0.0.0.0",    "[::]"};
    struct rb_transfers *transfers = rb_transfers_new(sink.base, 4, NULL, LIMIT_MS * 1000);
    (void)state;
    sink.connections = 0;
    for (size_t i = 0; i < COUNT(hosts); i++) {
        char url[256];
        snprintf(url, sizeof(url), "http://%s:%u/status/200", hosts[i], sink.port);
        struct result result = call_once(transfers, url);
        assert_err(result.err, RB_ERR_REFUSED);
        assert_string_equal(result.error, "address is not allowed");
        assert_int_equal(result.status, 0);
    }
    assert_err(call_once(transfers, "http://169.254.169.254/latest/").err, RB_ERR_REFUSED);
    assert_err(call_once(transfers, "https://10.0.0.1/").err, RB_ERR_REFUSED);
    assert_int_equal(sink.connections, 0);
    transfers_end(transfers);
}

static void test_long_answers_are_cut(void **state)
{
    struct rb_transfers *transfers = transfers_new(4);
    (void)state;
    struct result result = call_once(transfers, "/endless");
    assert_err(result.err, RB_OK);
    assert_int_equal(result.status, 200);
    assert_int_equal(result.body_len, RB_ANSWER_BYTES);
    for (int i = 0; i < 1000 && sink.open; i++)
        event_base_loop(sink.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    assert_int_equal(sink.open, 0); /* not kept */
    assert_int_equal(call_once(transfers, "/status/200").body_len, 2);
    transfers_end(transfers);
}

static void test_long_heads_are_refused(void **state)
{
    struct rb_transfers *transfers = transfers_new(4);
    (void)state;
    struct result result = call_once(transfers, "/head");
    assert_err(result.err, RB_ERR_AWAY);
    assert_string_equal(result.error, "answer's head too long");
    transfers_end(transfers);
}

static void test_time_is_limited(void **state)
{
    static const char *const paths[] = {"/hang", "/drip"};
    struct rb_transfers *transfers = transfers_new(4);
    (void)state;
    for (size_t i = 0; i < COUNT(paths); i++) {
        struct result result = call_once(transfers, paths[i]);
        assert_err(result.err, RB_ERR_TIMEOUT);
        assert_int_equal(result.status, 0);
        assert_in_range(result.took_us, LIMIT_MS * 1000 - 1000, LIMIT_MS * 1000 + 2 * RB_SECOND);
    }
    transfers_end(transfers);
}

static void test_what_is_no_answer(void **state)
{
    struct rb_transfers *transfers = transfers_new(4);
    (void)state;
    assert_err(call_once(transfers, "/reset").err, RB_ERR_AWAY);
    assert_err(call_once(transfers, "/rubbish").err, RB_ERR_AWAY);
    assert_err(call_once(transfers, "http://127.0.0.1:1/").err, RB_ERR_AWAY);
    assert_err(call_once(transfers, "http://nowhere.invalid/").err, RB_ERR_AWAY);
    struct result result = call_once(transfers, "file:///etc/hostname");
    assert_err(result.err, RB_ERR_AWAY);
    assert_string_equal(result.error, "neither http nor https");
    assert_err(call_once(transfers, "not a URL").err, RB_ERR_AWAY);
    transfers_end(transfers);
}

static void test_retry_after(void **state)
{
    static const struct {
        const char *value;
        int64_t least, most; /* seconds */
    } cases[] = {{"120", 120, 120},
                 {"0", 0, 0},
                 {"99999999999", 3 * 86400, 3 * 86400},
                 {"-5", 0, 0},
                 {"soon", 0, 0},
                 {"Wed,_21_Oct_2015_07:28:00_GMT", 0, 0},
                 {"Fri,_31_Dec_2100_23:59:59_GMT", 3 * 86400, 3 * 86400}};
    struct rb_transfers *transfers = transfers_new(4);
    char path[128], date[64];
    time_t later = time(NULL) + 300;
    struct tm tm;
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        snprintf(path, sizeof(path), "/retry-after/%s", cases[i].value);
        struct result result = call_once(transfers, path);
        assert_int_equal(result.status, 503);
        assert_in_range(result.retry_after_us / RB_SECOND, cases[i].least, cases[i].most);
    }
    strftime(date, sizeof(date), "%a,_%d_%b_%Y_%H:%M:%S_GMT", gmtime_r(&later, &tm));
    snprintf(path, sizeof(path), "/retry-after/%s", date);
    assert_in_range(call_once(transfers, path).retry_after_us / RB_SECOND, 290, 300);
    transfers_end(transfers);
}

static void test_proxies_of_the_environment_are_not_used(void **state)
{
    (void)state;
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    struct rb_transfers *transfers = transfers_new(4);
    assert_int_equal(call_once(transfers, "/status/200").status, 200);
    transfers_end(transfers);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
}

static void test_no_more_calls_than_allowed(void **state)
{
    struct rb_transfers *transfers = transfers_new(2);
    struct result results[2] = {{0}};
    char urls[3][256];
    struct rb_call call;
    (void)state;
    start(transfers, "/status/200", urls[0], &results[0]);
    start(transfers, "/status/200", urls[1], &results[1]);
    make_call(&call, urls[2], "/status/200");
    assert_err(rb_transfers_start(transfers, &call, on_answer, NULL), RB_ERR_FULL);
    assert_int_equal(rb_transfers_running(transfers), 2);
    run_until(&results[0].ended, 1);
    run_until(&results[1].ended, 1);
    assert_int_equal(rb_transfers_running(transfers), 0);
    transfers_end(transfers);
}

static void test_a_callback_may_call_again(void **state)
{
    struct rb_transfers *transfers = transfers_new(1);
    struct result result = {.again = transfers, .again_path = "/status/404"};
    char url[256];
    (void)state;
    start(transfers, "/status/200", url, &result);
    run_until(&result.ended, 2);
    assert_int_equal(result.status, 404);
    transfers_end(transfers);
}

static void test_stop_ends_each_call_once(void **state)
{
    struct rb_transfers *transfers = transfers_new(4);
    struct result results[3] = {{0}};
    char urls[3][256];
    (void)state;
    for (size_t i = 0; i < COUNT(results); i++)
        start(transfers, "/hang", urls[i], &results[i]);
    run_until(&sink.requests, COUNT(results));
    rb_transfers_stop(transfers);
    for (size_t i = 0; i < COUNT(results); i++) {
        assert_int_equal(results[i].ended, 1);
        assert_err(results[i].err, RB_ERR_AWAY);
    }
    assert_int_equal(rb_transfers_running(transfers), 0);
    assert_int_equal(call_once(transfers, "/status/200").status, 200); /* and can be used again */
    transfers_end(transfers);
}

static int set_up(void **state)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    const char *bad;
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* as the daemon does */
    sink.base = event_base_new();
    sink.listener = evconnlistener_new_bind(sink.base, on_accept, NULL, LEV_OPT_CLOSE_ON_FREE, 64,
                                            (struct sockaddr *)&addr, sizeof(addr));
    if (!sink.listener || getsockname(evconnlistener_get_fd(sink.listener), (struct sockaddr *)&addr, &len))
        return -1;
    sink.port = ntohs(addr.sin_port);
    return rb_networks_parse("127.0.0.0/8", &loopback, &bad) == RB_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    evconnlistener_free(sink.listener);
    event_base_free(sink.base);
    rb_networks_free(loopback);
    libevent_global_shutdown();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_as_given),
        cmocka_unit_test(test_status_and_body),
        cmocka_unit_test(test_redirects_are_not_followed),
        cmocka_unit_test(test_connections_are_kept),
        cmocka_unit_test(test_closed_connections_are_replaced),
        cmocka_unit_test(test_inside_is_refused),
        cmocka_unit_test(test_long_answers_are_cut),
        cmocka_unit_test(test_long_heads_are_refused),
        cmocka_unit_test(test_time_is_limited),
        cmocka_unit_test(test_what_is_no_answer),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_proxies_of_the_environment_are_not_used),
        cmocka_unit_test(test_no_more_calls_than_allowed),
        cmocka_unit_test(test_a_callback_may_call_again),
        cmocka_unit_test(test_stop_ends_each_call_once),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
