/* Tests of common/buf: content, caps, failures that stay, JSON strings that Jansson reads back. */
#include "common/buf.h"
#include "tests/unit/unit.h"

#include <jansson.h>
#include <stdio.h>

static void test_appends(void **state)
{
    (void)state;
    struct rb_buf buf;
    rb_buf_init(&buf, 1000);
    rb_buf_str(&buf, "a");
    rb_buf_char(&buf, 'b');
    rb_buf_int(&buf, -12);
    rb_buf_add(&buf, "c\0d", 3);
    rb_buf_printf(&buf, "<%d %s>", 5, "x");
    assert_ok(rb_buf_err(&buf));
    assert_int_equal(buf.len, 13);
    assert_memory_equal(buf.data, "ab-12c\0d<5 x>", 14);
    rb_buf_deinit(&buf);
    assert_null(buf.data);
    assert_int_equal(buf.len, 0);
}

static void test_integers(void **state)
{
    (void)state;
    static const int64_t numbers[] = {0, 7, -7, 10, 1234567890123, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < COUNT(numbers); i++) {
        char want[32];
        struct rb_buf buf;
        rb_buf_init(&buf, 100);
        snprintf(want, sizeof(want), "%lld", (long long)numbers[i]);
        rb_buf_int(&buf, numbers[i]);
        assert_string_equal(buf.data, want);
        rb_buf_deinit(&buf);
    }
}

static void test_cap_is_exact_and_sticks(void **state)
{
    (void)state;
    struct rb_buf buf;
    rb_buf_init(&buf, 10);
    rb_buf_str(&buf, "0123456789");
    assert_ok(rb_buf_err(&buf));
    rb_buf_char(&buf, 'x');
    assert_err(rb_buf_err(&buf), RB_ERR_TOO_LARGE);
    assert_string_equal(buf.data, "0123456789");
    rb_buf_add(&buf, "", 0); /* would fit, but an append is missing before it */
    assert_err(rb_buf_err(&buf), RB_ERR_TOO_LARGE);
    size_t len = 99;
    assert_null(rb_buf_take(&buf, &len));
    assert_int_equal(len, 0);
    rb_buf_reset(&buf);
    assert_ok(rb_buf_err(&buf));
    rb_buf_str(&buf, "again");
    assert_string_equal(buf.data, "again");
    rb_buf_deinit(&buf);
}

static void test_nothing_is_half_added(void **state)
{
    (void)state;
    struct rb_buf buf;
    rb_buf_init(&buf, 8);
    rb_buf_str(&buf, "123456");
    rb_buf_printf(&buf, "%s", "abc");
    assert_string_equal(buf.data, "123456");
    rb_buf_reset(&buf);
    rb_buf_str(&buf, "12345");
    rb_buf_json(&buf, "ab"); /* four with its quotes */
    assert_err(rb_buf_err(&buf), RB_ERR_TOO_LARGE);
    assert_string_equal(buf.data, "12345");
    rb_buf_reset(&buf);
    rb_buf_str(&buf, "1234");
    rb_buf_json(&buf, "ab");
    assert_ok(rb_buf_err(&buf));
    assert_string_equal(buf.data, "1234\"ab\"");
    rb_buf_deinit(&buf);
}

static void test_cap_of_zero_and_of_everything(void **state)
{
    (void)state;
    struct rb_buf buf;
    rb_buf_init(&buf, 0);
    rb_buf_str(&buf, "");
    assert_ok(rb_buf_err(&buf));
    rb_buf_char(&buf, 'x');
    assert_err(rb_buf_err(&buf), RB_ERR_TOO_LARGE);
    rb_buf_deinit(&buf);
    rb_buf_init(&buf, SIZE_MAX);
    rb_buf_str(&buf, "fits");
    assert_string_equal(buf.data, "fits");
    rb_buf_deinit(&buf);
}

static void test_printf_grows(void **state)
{
    (void)state;
    struct rb_buf buf;
    rb_buf_init(&buf, 100000);
    char long_text[3001];
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    for (int i = 0; i < 20; i++)
        rb_buf_printf(&buf, "%s|", long_text);
    assert_ok(rb_buf_err(&buf));
    assert_int_equal(buf.len, 20 * 3001);
    assert_int_equal(strlen(buf.data), buf.len);
    assert_int_equal(buf.data[buf.len - 1], '|');
    rb_buf_deinit(&buf);
}

static void test_take(void **state)
{
    (void)state;
    struct rb_buf buf;
    size_t len;
    rb_buf_init(&buf, 100);
    char *text = rb_buf_take(&buf, NULL); /* nothing was added: still a text */
    assert_string_equal(text, "");
    free(text);
    rb_buf_str(&buf, "mine");
    text = rb_buf_take(&buf, &len);
    assert_string_equal(text, "mine");
    assert_int_equal(len, 4);
    rb_buf_str(&buf, "next");
    assert_string_equal(buf.data, "next");
    assert_string_equal(text, "mine");
    free(text);
    rb_buf_deinit(&buf);
}

static void test_json_reads_back(void **state)
{
    (void)state;
    char all[0x80];
    for (int c = 1; c < 0x80; c++)
        all[c - 1] = (char)c;
    all[0x7f] = '\0';
    static const char chinese[] = "\xe7\x83\x9f\xe8\x8d\x89 \xf0\x9f\x93\x9e";
    const char *texts[] = {"", "plain", all, "</script>", chinese, "\"\"", "\\", "ends with \n"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct rb_buf buf;
        rb_buf_init(&buf, 2000);
        rb_buf_json(&buf, texts[i]);
        for (size_t j = 0; j < buf.len; j++)
            assert_true((unsigned char)buf.data[j] >= 0x20);
        json_t *value = json_loadb(buf.data, buf.len, JSON_DECODE_ANY, NULL);
        assert_non_null(value);
        assert_string_equal(json_string_value(value), texts[i]);
        json_decref(value);
        rb_buf_deinit(&buf);
    }
}

static void test_json_of_nothing_and_of_nul(void **state)
{
    (void)state;
    struct rb_buf buf;
    rb_buf_init(&buf, 100);
    rb_buf_json(&buf, NULL);
    rb_buf_json_n(&buf, "a\0b", 3);
    assert_string_equal(buf.data, "null\"a\\u0000b\"");
    rb_buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appends),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_cap_is_exact_and_sticks),
        cmocka_unit_test(test_nothing_is_half_added),
        cmocka_unit_test(test_cap_of_zero_and_of_everything),
        cmocka_unit_test(test_printf_grows),
        cmocka_unit_test(test_take),
        cmocka_unit_test(test_json_reads_back),
        cmocka_unit_test(test_json_of_nothing_and_of_nul),
    };
    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
