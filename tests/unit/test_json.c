/* Tests of common/json: what is refused and why, depth and number of values to the unit, a hash of values. */
#include "common/json.h"
#include "common/utf8.h"
#include "tests/unit/unit.h"

#include <math.h>
#include <stdio.h>

static char why[200];

static enum rb_err parse_n(const char *text, size_t len)
{
    json_t *value = NULL;
    char *exact = malloc(len ? len : 1); /* so that the sanitizer sees a read behind the end */
    assert_non_null(exact);
    memcpy(exact, text, len);
    why[0] = '\0';
    enum rb_err err = rb_json_parse(exact, len, &value, why, sizeof(why));
    if (err == RB_OK)
        json_decref(value);
    else
        assert_true(strlen(why) > 0);
    assert_true(rb_utf8_valid(why, strlen(why)));
    free(exact);
    return err;
}

static enum rb_err parse(const char *text)
{
    return parse_n(text, strlen(text));
}

static void test_taken(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}",
        "[]",
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1e10",
        "\"\"",
        " [1] ",
        "\n{\t}",
        "[1,2]",
        "1E-400",
        "123456789012345678901234567890",
        "1.5",
        "\"\\/\"",
        "{\"\":1}",
        "[[]]",
        "-0.0e0",
        "[null]",
        "\"\\ud83d\\udcde\"", /* a pair of surrogates */
        "\"[[[[,,,,\"",       /* only a text */
        "{\"a\\\"[\":\"]\\\\\"}",
    };
    for (size_t i = 0; i < COUNT(texts); i++)
        if (parse(texts[i]) != RB_OK)
            fail_msg("refused: %s: %s", texts[i], why);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "{",
        "}",
        "[1,]",
        "[,1]",
        "{\"a\":1,}",
        "{\"a\"}",
        "{a:1}",
        "{'a':1}",
        "[1 2]",
        "[1]]",
        "{} {}",
        "nul",
        "NaN",
        "Infinity",
        "-Infinity",
        "+1",
        "01",
        "1.",
        ".5",
        "1e",
        "0x10",
        "-",
        "1e309",                   /* beyond a double */
        "-1e309",                  /* likewise */
        "\"",                      /* no end */
        "\"\\\"",                  /* no end */
        "\"\\x\"",                 /* no such escape */
        "\"\\u12\"",               /* half an escape */
        "\"\\u0000\"",             /* NUL */
        "{\"\\u0000\":1}",         /* NUL in a key */
        "\"\\ud800\"",             /* lone surrogates */
        "\"\\udc00\"",             /* likewise */
        "\"\\ud800\\ud800\"",      /* likewise */
        "\"\\ud800x\"",            /* likewise */
        "\"\xff\"",                /* no UTF-8 */
        "\"\xc0\x80\"",            /* overlong */
        "\"\xed\xa0\x80\"",        /* a surrogate in UTF-8 */
        "\"\xf4\x90\x80\x80\"",    /* beyond U+10FFFF */
        "\"\xe7\x83\"",            /* half a character */
        "[\xe7\x83\x9f]",          /* no string */
        "\xef\xbb\xbf{}",          /* a byte order mark */
        "\"a\nb\"",                /* a raw control character */
        "\"a\tb\"",                /* likewise */
        "{\"a\":1,\"a\":1}",       /* the same key twice */
        "{\"a\":1,\"\\u0061\":2}", /* likewise, spelled otherwise */
        "{\"x\":{\"a\":1,\"a\":1}}",
        "[1]//",
        "/**/[1]",
    };
    for (size_t i = 0; i < COUNT(texts); i++)
        if (parse(texts[i]) != RB_ERR_INVALID)
            fail_msg("not refused: %s", texts[i]);
    assert_err(parse_n("\0", 1), RB_ERR_INVALID);
    assert_err(parse_n("{}\0", 3), RB_ERR_INVALID);
    assert_err(parse_n("\"a\0b\"", 5), RB_ERR_INVALID);
    assert_err(parse_n("[1\0]", 4), RB_ERR_INVALID);
}

static void test_why_tells_where(void **state)
{
    (void)state;
    assert_err(parse("{\n  \"a\": 1,\n  \"b\": x\n}"), RB_ERR_INVALID);
    assert_memory_equal(why, "line 3, column ", 15);
    assert_err(parse("[\"\x1b[31m\"]"), RB_ERR_INVALID);
    for (const char *c = why; *c; c++)
        assert_true((unsigned char)*c >= 0x20);
    char small[5];
    json_t *value;
    assert_err(rb_json_parse("[", 1, &value, small, sizeof(small)), RB_ERR_INVALID);
    assert_int_equal(strlen(small), 4);
}

/* "[[[…]]]" or "{"a":{"a":…" of so many levels. */
static enum rb_err parse_nested(const char *open, const char *middle, const char *close, int levels)
{
    char text[4096] = "";
    for (int i = 0; i < levels; i++)
        strcat(text, open);
    strcat(text, middle);
    for (int i = 0; i < levels; i++)
        strcat(text, close);
    return parse(text);
}

static void test_depth(void **state)
{
    (void)state;
    assert_ok(parse_nested("[", "", "]", 32));
    assert_ok(parse_nested("[", "1", "]", 32));
    assert_ok(parse_nested("{\"a\":", "1", "}", 32));
    assert_ok(parse_nested("[{\"a\":", "1", "}]", 16));
    assert_err(parse_nested("[", "", "]", 33), RB_ERR_INVALID);
    assert_non_null(strstr(why, "32 levels"));
    assert_err(parse_nested("{\"a\":", "1", "}", 33), RB_ERR_INVALID);
    assert_err(parse_nested("[", "{}", "]", 32), RB_ERR_INVALID);
    assert_err(parse_nested("[", "", "", 1000), RB_ERR_INVALID);
    /* brackets in a string are text, also behind a quote that does not end it */
    assert_ok(parse("[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"]"));
    assert_ok(parse("[\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"]"));
    assert_err(parse("[\"\\\\\",[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"]"), RB_ERR_INVALID);
    assert_non_null(strstr(why, "32 levels"));
    /* neighbours do not add up */
    char text[400] = "[[]";
    for (int i = 0; i < 60; i++)
        strcat(text, ",[[]]");
    strcat(text, "]");
    assert_ok(parse(text));
}

/* An array of so many items, each the same text. */
static enum rb_err parse_items(const char *item, size_t count)
{
    size_t len = strlen(item);
    char *text = malloc(count * (len + 1) + 2), *at = text;
    assert_non_null(text);
    *at++ = '[';
    for (size_t i = 0; i < count; i++) {
        memcpy(at, item, len);
        at += len;
        *at++ = ',';
    }
    at[-1] = ']';
    enum rb_err err = parse_n(text, (size_t)(at - text));
    free(text);
    return err;
}

static void test_number_of_values(void **state)
{
    (void)state;
    /* the array itself is a value too */
    assert_ok(parse_items("0", RB_JSON_VALUES - 1));
    assert_err(parse_items("0", RB_JSON_VALUES), RB_ERR_TOO_LARGE);
    assert_ok(parse_items("[]", RB_JSON_VALUES - 1));
    assert_err(parse_items("[]", RB_JSON_VALUES), RB_ERR_TOO_LARGE);
    assert_ok(parse_items("[ ]", RB_JSON_VALUES - 1));
    assert_ok(parse_items("[0]", RB_JSON_VALUES / 2 - 1));
    assert_err(parse_items("[0]", RB_JSON_VALUES / 2), RB_ERR_TOO_LARGE);
    assert_ok(parse_items("{\"a\":{}}", RB_JSON_VALUES / 2 - 1));
    assert_err(parse_items("{\"a\":0}", RB_JSON_VALUES / 2), RB_ERR_TOO_LARGE);
    assert_ok(parse_items("\",,,,\"", RB_JSON_VALUES / 4)); /* no values in a string */
}

static void test_numbers_are_reals(void **state)
{
    (void)state;
    json_t *value;
    assert_ok(rb_json_parse("[1,-7,9007199254740993]", 23, &value, why, sizeof(why)));
    for (size_t i = 0; i < 3; i++)
        assert_true(json_is_real(json_array_get(value, i)));
    assert_true(json_real_value(json_array_get(value, 2)) == 9007199254740992.0); /* as RFC 8785 has it */
    json_decref(value);
}

static void hash(const char *type, const char *text, uint8_t out[RB_HASH_SIZE])
{
    json_t *value = NULL;
    if (text)
        assert_ok(rb_json_parse(text, strlen(text), &value, why, sizeof(why)));
    assert_ok(rb_json_hash(type, value, out));
    json_decref(value);
}

static bool same(const char *left, const char *right)
{
    uint8_t a[RB_HASH_SIZE], b[RB_HASH_SIZE];
    hash("t", left, a);
    hash("t", right, b);
    return memcmp(a, b, RB_HASH_SIZE) == 0;
}

static void test_hash_ignores_spelling(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"{\"a\":1,\"b\":[true,null]}", " { \"b\" : [ true , null ] ,\n \"a\" : 1 } "},
        {"1", "1.0"},
        {"100", "1e2"},
        {"0.1", "1E-1"},
        {"0", "-0"},
        {"0", "-0.0e5"},
        {"0", "1e-400"},
        {"9007199254740992", "9007199254740993"}, /* one double */
        {"\"a\"", "\"\\u0061\""},
        {"\"/\"", "\"\\/\""},
        {"\"\xe7\x83\x9f\"", "\"\\u70DF\""},
        {"\"\xf0\x9f\x93\x9e\"", "\"\\ud83d\\udcde\""},
        {"{\"\\u0061\":1}", "{\"a\":1}"},
        {"{\"a\":{\"x\":1,\"y\":2}}", "{\"a\":{\"y\":2,\"x\":1}}"},
    };
    for (size_t i = 0; i < COUNT(pairs); i++)
        if (!same(pairs[i][0], pairs[i][1]))
            fail_msg("%s and %s differ", pairs[i][0], pairs[i][1]);
}

static void test_hash_tells_values_apart(void **state)
{
    (void)state;
    static const char *const texts[] = {
        NULL, /* absent */
        "null",
        "true",
        "false",
        "0",
        "1",
        "-1",
        "\"\"",
        "\"0\"",
        "\"null\"",
        "\"a\"",
        "\"A\"",
        "\"a \"",
        "\"\xc3\xa9\"",  /* é */
        "\"e\xcc\x81\"", /* the same to the eye, another text */
        "[]",
        "{}",
        "[[]]",
        "[{}]",
        "[null]",
        "[1,2]",
        "[2,1]",
        "[12]",
        "[[1],2]",
        "[1,[2]]",
        "[\"a\",\"b\"]",
        "[\"ab\"]",
        "[\"a\",\"b\",\"\"]",
        "{\"a\":1}",
        "{\"a\":\"1\"}",
        "{\"a\":null}",
        "{\"b\":1}",
        "{\"a\":1,\"b\":2}",
        "{\"a\":2,\"b\":1}",
        "{\"a\":{\"b\":2}}",
        "{\"ab\":2}",
        "[\"a\",1]",
    };
    uint8_t hashes[COUNT(texts)][RB_HASH_SIZE];
    for (size_t i = 0; i < COUNT(texts); i++) {
        hash("t", texts[i], hashes[i]);
        for (size_t j = 0; j < i; j++)
            if (memcmp(hashes[i], hashes[j], RB_HASH_SIZE) == 0)
                fail_msg("%s and %s are one", texts[i], texts[j]);
    }
    uint8_t a[RB_HASH_SIZE], b[RB_HASH_SIZE];
    hash("type", "1", a);
    hash("typf", "1", b);
    assert_memory_not_equal(a, b, RB_HASH_SIZE);
}

/* An object of n keys, forwards or backwards. */
static char *many_keys(size_t n, bool backwards)
{
    char *text = malloc(n * 24 + 3), *at = text;
    assert_non_null(text);
    *at++ = '{';
    for (size_t i = 0; i < n; i++)
        at +=
            sprintf(at, "%s\"k%zu\":%zu", i ? "," : "", backwards ? n - 1 - i : i, backwards ? n - 1 - i : i);
    strcpy(at, "}");
    return text;
}

static void test_hash_sorts_few_and_many_keys(void **state)
{
    (void)state;
    static const size_t sizes[] = {2, 11, 24, 25, 200, 3000};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        char *forwards = many_keys(sizes[i], false), *backwards = many_keys(sizes[i], true);
        assert_true(same(forwards, backwards));
        char *digit = &forwards[strlen(forwards) - 2]; /* of the last key's value */
        *digit = *digit == '9' ? '8' : '9';
        assert_false(same(forwards, backwards));
        free(forwards);
        free(backwards);
    }
}

static void test_hash_of_long_texts(void **state)
{
    (void)state;
    /* around the size of the block that is gathered, nothing is lost or doubled */
    uint8_t last[RB_HASH_SIZE] = {0}, now[RB_HASH_SIZE];
    for (size_t len = 900; len < 2200; len++) {
        char *text = malloc(len + 3);
        assert_non_null(text);
        memset(text, 'x', len + 2);
        text[0] = text[len + 1] = '"';
        text[len + 2] = '\0';
        hash("t", text, now);
        assert_memory_not_equal(now, last, RB_HASH_SIZE);
        text[len] = 'y'; /* the last character counts */
        hash("t", text, last);
        assert_memory_not_equal(now, last, RB_HASH_SIZE);
        memcpy(last, now, RB_HASH_SIZE);
        free(text);
    }
}

static void test_hash_stays_the_same_for_ever(void **state)
{
    (void)state;
    /* it is stored: another version of the program must find the same bytes */
    static const uint8_t want[RB_HASH_SIZE] = {0x84, 0x7d, 0x76, 0xec, 0x32, 0x01, 0x43, 0xf5,
                                               0x0b, 0xcf, 0xa3, 0xff, 0x6d, 0x45, 0x3f, 0xbd};
    uint8_t got[RB_HASH_SIZE];
    hash("ringback.order.placed",
         "{\"retailer\":\"R1\",\"lines\":[{\"product\":\"P1\",\"cartons\":2}],\"x\":[true,false,null,-0.5]}",
         got);
    assert_memory_equal(got, want, RB_HASH_SIZE);
}

static void test_hash_refuses_bottomless_values(void **state)
{
    (void)state;
    uint8_t out[RB_HASH_SIZE];
    json_t *value = json_array();
    for (int i = 1; i < RB_JSON_DEPTH; i++) {
        json_t *outer = json_array();
        json_array_append_new(outer, value);
        value = outer;
    }
    assert_ok(rb_json_hash("t", value, out));
    json_t *outer = json_array();
    json_array_append_new(outer, value);
    assert_err(rb_json_hash("t", outer, out), RB_ERR_INVALID);
    json_decref(outer);
}

static void test_whole(void **state)
{
    (void)state;
    static const struct {
        double number;
        bool whole;
    } cases[] = {
        {1, true},     {100, true},           {0, false},     {101, false},    {1.5, false},
        {-1, false},   {99.999, false},       {1e300, false}, {-1e300, false}, {100.000000000000001, true},
        {1e19, false}, {0.9999999999, false},
    };
    int64_t out;
    for (size_t i = 0; i < COUNT(cases); i++) {
        json_t *value = json_real(cases[i].number);
        assert_int_equal(rb_json_whole(value, 1, 100, &out), cases[i].whole);
        if (cases[i].whole)
            assert_true((double)out == floor(cases[i].number));
        json_decref(value);
    }
    json_t *huge = json_real(9223372036854775808.0), *least = json_real(-9223372036854775808.0);
    assert_false(rb_json_whole(huge, INT64_MIN, INT64_MAX, &out));
    assert_true(rb_json_whole(least, INT64_MIN, INT64_MAX, &out));
    assert_int_equal(out, INT64_MIN);
    json_decref(huge);
    json_decref(least);
    json_t *text = json_string("5");
    assert_false(rb_json_whole(text, 1, 100, &out));
    assert_false(rb_json_whole(NULL, 1, 100, &out));
    assert_false(rb_json_whole(json_true(), 0, 100, &out));
    json_decref(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_why_tells_where),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_number_of_values),
        cmocka_unit_test(test_numbers_are_reals),
        cmocka_unit_test(test_hash_ignores_spelling),
        cmocka_unit_test(test_hash_tells_values_apart),
        cmocka_unit_test(test_hash_sorts_few_and_many_keys),
        cmocka_unit_test(test_hash_of_long_texts),
        cmocka_unit_test(test_hash_stays_the_same_for_ever),
        cmocka_unit_test(test_hash_refuses_bottomless_values),
        cmocka_unit_test(test_whole),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
