/* Tests of server/gateway/media and of the decoding of ce- headers. */
#include "server/gateway/attributes.h"
#include "server/gateway/media.h"
#include "tests/unit/unit.h"

static void test_modes(void **state)
{
    (void)state;
    assert_int_equal(rb_media_mode("application/json"), RB_MODE_BINARY);
    assert_int_equal(rb_media_mode("Application/JSON; Charset=UTF-8"), RB_MODE_BINARY);
    assert_int_equal(rb_media_mode("application/json ; charset=\"utf-8\" ; q=1"), RB_MODE_BINARY);
    assert_int_equal(rb_media_mode("application/json;"), RB_MODE_BINARY);
    assert_int_equal(rb_media_mode("application/cloudevents+json; charset=utf-8"), RB_MODE_STRUCTURED);
    assert_int_equal(rb_media_mode("application/cloudevents-batch+json"), RB_MODE_BATCHED);
}

static void test_other_types(void **state)
{
    (void)state;
    static const char *const others[] = {"",
                                         "text/plain",
                                         "application/jsonx",
                                         "application/json; charset=latin1",
                                         "application/json; charset=utf-16",
                                         "application/json; charset=\"utf-8",
                                         "application/json x",
                                         "application/json; charset",
                                         "application/cloudevents",
                                         "application/cloudevents+xml",
                                         "application/x-www-form-urlencoded"};
    assert_int_equal(rb_media_mode(NULL), RB_MODE_NONE);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_int_equal(rb_media_mode(others[i]), RB_MODE_NONE);
}

static void assert_decoded(const char *value, const char *expected)
{
    char out[64];
    assert_ok(rb_header_decode(value, out));
    assert_string_equal(out, expected);
}

static void test_decoding(void **state)
{
    (void)state;
    assert_decoded("plain", "plain");
    assert_decoded("a%20b%25", "a b%");
    assert_decoded("%E7%83%9F%e8%8d%89", "烟草");
    assert_decoded("\"quoted \\\"x\\\" %41\"", "quoted \"x\" A");
    assert_decoded("\"", "\"");
    assert_decoded("\"\"", "");
    assert_decoded("烟", "烟");
}

static void test_bad_encoding(void **state)
{
    (void)state;
    static const char *const bad[] = {"%",   "%4",     "%G0",  "%0g",    "a%",       "%00",
                                      "%FF", "%E7%83", "\xff", "%C0%80", "%ED%A0%80"};
    char out[64];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(rb_header_decode(bad[i], out), RB_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_other_types),
        cmocka_unit_test(test_decoding),
        cmocka_unit_test(test_bad_encoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
