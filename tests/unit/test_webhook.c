/*
 * The webhook channel: what the request says, and what each kind of answer means.
 */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "common/clock.h"
#include "common/sign.h"
#include "server/channel/channel.h"

static const char *header(const struct rb_call *call, const char *name)
{
    size_t len = strlen(name);
    for (unsigned i = 0; i < call->n_headers; i++)
        if (strncmp(call->headers[i], name, len) == 0 && call->headers[i][len] == ':')
            return call->headers[i] + len + 2;
    return "";
}

static void test_request_is_signed(void **state)
{
    char secret[RB_SECRET_SIZE];
    struct rb_call call = {0};
    char *made = NULL;
    (void)state;
    rb_secret_make(secret);
    struct rb_message message = {.id = "7e1f3f0a-0000-4000-8000-000000000001",
                                 .address = "https://a.test/hook",
                                 .secret = secret,
                                 .body = "{\"data\":{}}",
                                 .body_len = 11};
    assert_ok(rb_channel_webhook.compose(&message, 1790000000 * RB_SECOND + 999999, &call, &made));
    assert_string_equal(call.url, message.address);
    assert_ptr_equal(call.body, message.body);
    assert_int_equal(call.body_len, 11);
    assert_string_equal(header(&call, "Content-Type"), "application/cloudevents+json");
    assert_string_equal(header(&call, "User-Agent"), "ringback/" RB_VERSION);
    assert_string_equal(header(&call, "webhook-id"), message.id);
    assert_string_equal(header(&call, "webhook-timestamp"), "1790000000");
    assert_true(rb_sign_verify(secret, message.id, "1790000000", header(&call, "webhook-signature"),
                               message.body, 11, 1790000000));
}

static void test_request_wants_a_secret(void **state)
{
    struct rb_message message = {.id = "x", .address = "http://a.test/", .secret = "no secret", .body = ""};
    struct rb_call call = {0};
    char *made = NULL;
    (void)state;
    assert_err(rb_channel_webhook.compose(&message, 0, &call, &made), RB_ERR_INVALID);
}

static void test_answers(void **state)
{
    static const struct {
        int status;
        enum rb_fate fate;
    } cases[] = {
        {200, RB_FATE_DELIVERED}, {201, RB_FATE_DELIVERED}, {202, RB_FATE_DELIVERED},
        {204, RB_FATE_DELIVERED}, {299, RB_FATE_DELIVERED}, {300, RB_FATE_RETRY},
        {302, RB_FATE_RETRY},     {304, RB_FATE_RETRY},     {308, RB_FATE_RETRY},
        {400, RB_FATE_REFUSED},   {401, RB_FATE_RETRY},     {403, RB_FATE_RETRY},
        {404, RB_FATE_RETRY},     {408, RB_FATE_RETRY},     {409, RB_FATE_REFUSED},
        {410, RB_FATE_GONE},      {413, RB_FATE_REFUSED},   {422, RB_FATE_REFUSED},
        {425, RB_FATE_RETRY},     {429, RB_FATE_RETRY},     {499, RB_FATE_REFUSED},
        {500, RB_FATE_RETRY},     {503, RB_FATE_RETRY},     {599, RB_FATE_RETRY},
        {101, RB_FATE_RETRY},     {999, RB_FATE_RETRY},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct rb_answer answer = {.status = cases[i].status, .retry_after_us = 5 * RB_SECOND};
        struct rb_verdict verdict;
        rb_channel_webhook.judge(&answer, &verdict);
        assert_int_equal(verdict.fate, cases[i].fate);
        assert_int_equal(verdict.status, cases[i].status);
        assert_null(verdict.error);
        bool may_ask = cases[i].status == 429 || cases[i].status == 503;
        assert_int_equal(verdict.rest_us, may_ask ? 5 * RB_SECOND : 0);
    }
}

static void test_no_answer(void **state)
{
    struct rb_answer answer = {.err = RB_ERR_TIMEOUT, .error = "no answer in time"};
    struct rb_verdict verdict;
    (void)state;
    rb_channel_webhook.judge(&answer, &verdict);
    assert_int_equal(verdict.fate, RB_FATE_RETRY);
    assert_int_equal(verdict.status, 0);
    assert_string_equal(verdict.error, "no answer in time");
}

static void test_channels_by_name(void **state)
{
    (void)state;
    assert_ptr_equal(rb_channel_find("webhook"), &rb_channel_webhook);
    assert_null(rb_channel_find("pigeon"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_is_signed), cmocka_unit_test(test_request_wants_a_secret),
        cmocka_unit_test(test_answers),           cmocka_unit_test(test_no_answer),
        cmocka_unit_test(test_channels_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
