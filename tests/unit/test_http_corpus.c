/*
 * Tests of server/http against the request cases of llhttp (tests/http/requests.jsonl): what is wrong is
 * refused and never reaches a handler, what is right is taken, however the network cuts it. Run from the
 * repository's root.
 */
#include <jansson.h>

#include "tests/unit/http.h"

#define CORPUS "tests/http/requests.jsonl"
#define REQUEST_MAX 4096

static bool is_refusal(int status)
{
    static const int refusals[] = {0, 400, 411, 413, 414, 415, 417, 431, 501, 505};
    for (size_t i = 0; i < COUNT(refusals); i++) {
        if (status == refusals[i]) {
            return true;
        }
    }
    return false;
}

/* One character is one byte, up to U+00FF. */
static size_t bytes_of(const char *text, char out[REQUEST_MAX])
{
    size_t len = 0;
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        assert_true(len < REQUEST_MAX);
        if (*at < 0x80) {
            out[len++] = (char)*at;
        } else {
            out[len++] = (char)((at[0] & 3) << 6 | (at[1] & 0x3f));
            at++;
        }
    }
    return len;
}

static void check_case(struct fixture *f, const json_t *item, size_t step)
{
    char request[REQUEST_MAX];
    struct answer a = {0};
    const char *expect = json_string_value(json_object_get(item, "expect"));
    size_t len = bytes_of(json_string_value(json_object_get(item, "request")), request);
    struct client *c = client_new(f);
    unsigned before = f->handled;
    for (size_t at = 0; at < len && !c->reset; at += step) {
        client_send_n(f, c, request + at, len - at < step ? len - at : step);
    }
    client_answer_to(f, c, len > 5 && memcmp(request, "HEAD ", 5) == 0, &a);
    bool accepted = strcmp(expect, "accepted") == 0;
    if (accepted == is_refusal(a.status) || (!accepted && step > 1 && f->handled != before)) {
        fail_msg("%s: %d, but must be %s\n%.*s", json_string_value(json_object_get(item, "name")), a.status,
                 expect, (int)len, request);
    }
    if (!accepted && step > 1) {
        client_expect_closed(f, c);
    }
    free(a.body);
    client_free(c);
}

/* Behind a last request, cut off by the network, there is nothing to judge: it was answered before. */
static bool needs_all_at_once(const json_t *item)
{
    return strcmp(json_string_value(json_object_get(item, "expect")), "refused") == 0 &&
           json_object_get(item, "why");
}

static void for_each_case(struct fixture *f, size_t step)
{
    FILE *file = fopen(CORPUS, "r");
    size_t count = 0;
    assert_non_null(file);
    json_error_t error;
    json_t *item;
    while ((item = json_loadf(file, JSON_DISABLE_EOF_CHECK, &error))) {
        if (step > 1 || !needs_all_at_once(item)) {
            check_case(f, item, step);
        }
        json_decref(item);
        count++;
    }
    fclose(file);
    assert_int_equal(count, 124);
}

static void test_whole(void **state)
{
    for_each_case(*state, REQUEST_MAX);
}

static void test_byte_by_byte(void **state)
{
    for_each_case(*state, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        http_test(test_whole),
        http_test(test_byte_by_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
