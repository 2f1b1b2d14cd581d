/* Tests of common/csv: what it reads, fed whole and in every two pieces, and each fault with its line. */
#include "common/csv.h"
#include "tests/unit/unit.h"

#include <stdio.h>

/* What came out, as text: "1:[a][b] 3:[c]" */
struct seen {
    char text[2000];
    size_t stop_after; /* records; 0: never */
    size_t records;
};

static enum rb_err on_record(void *ctx, size_t line, char **fields, size_t n)
{
    struct seen *seen = ctx;
    size_t at = strlen(seen->text);
    at += (size_t)snprintf(seen->text + at, sizeof(seen->text) - at, "%s%zu:", at ? " " : "", line);
    for (size_t i = 0; i < n && at < sizeof(seen->text) - 1; i++)
        at += (size_t)snprintf(seen->text + at, sizeof(seen->text) - at, "[%s]", fields[i]);
    return ++seen->records == seen->stop_after ? RB_ERR_REFUSED : RB_OK;
}

struct result {
    struct seen seen;
    enum rb_err err;
    size_t line;
    char why[100];
};

/* Feeds text in two pieces, the first of so many bytes. */
static struct result read_pieces(const char *text, size_t len, size_t first)
{
    struct result result = {0};
    struct rb_csv *csv = rb_csv_new(on_record, &result.seen);
    assert_non_null(csv);
    result.err = rb_csv_feed(csv, text, first);
    if (result.err == RB_OK)
        result.err = rb_csv_feed(csv, text + first, len - first);
    if (result.err == RB_OK)
        result.err = rb_csv_end(csv);
    result.line = rb_csv_line(csv);
    snprintf(result.why, sizeof(result.why), "%s", rb_csv_why(csv));
    rb_csv_free(csv);
    return result;
}

static void test_good(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", ""},
        {"\n", ""},
        {"\r\n\r\n", ""},
        {"a", "1:[a]"},
        {"a\n", "1:[a]"},
        {"a\r\n", "1:[a]"},
        {"a,b\nc,d\n", "1:[a][b] 2:[c][d]"},
        {"a,b\r\nc,d", "1:[a][b] 2:[c][d]"},
        {"a\nb\r\nc\n", "1:[a] 2:[b] 3:[c]"},
        {",", "1:[][]"},
        {"a,", "1:[a][]"},
        {",a\n", "1:[][a]"},
        {"a,\r\n,", "1:[a][] 2:[][]"},
        {"\n\na\n\nb\n", "3:[a] 5:[b]"},
        {" a , b ", "1:[ a ][ b ]"}, /* blanks belong to a field */
        {" \n", "1:[ ]"},
        {"\"\"", "1:[]"},
        {"\"\"\n", "1:[]"},
        {"\"a\",\"b\"\n", "1:[a][b]"},
        {"\"a,b\"", "1:[a,b]"},
        {"\"a\"\"b\"", "1:[a\"b]"},
        {"\"\"\"\"", "1:[\"]"},
        {"\"\"\"a\"\"\"", "1:[\"a\"]"},
        {"\"a\nb\",c\nd", "1:[a\nb][c] 3:[d]"},
        {"\"a\r\nb\"\r\nd", "1:[a\r\nb] 3:[d]"},
        {"\"a\rb\"", "1:[a\rb]"},
        {"\"\n\n\n\"\nx", "1:[\n\n\n] 5:[x]"},
        {"a,\"\n\"\n\nb", "1:[a][\n] 4:[b]"},
        {"\xef\xbb\xbf"
         "a,b",
         "1:[a][b]"},
        {"\xef\xbb\xbf\"a\"", "1:[a]"},
        {"\xef\xbb\xbf", ""},
        {"\xef\xbb\xbf\n", ""},
        {"\xef\xbc\x8c", "1:[\xef\xbc\x8c]"}, /* starts like the mark; a full-width comma is no comma */
        {"\xef\xbb\xbf\xef\xbb\xbf"
         "a",
         "1:[\xef\xbb\xbf"
         "a]"}, /* only the first is a mark */
        {"a\n\xef\xbb\xbf"
         "b",
         "1:[a] 2:[\xef\xbb\xbf"
         "b]"},
        {"\xe7\x83\x9f,\xf0\x9f\x93\x9e\n", "1:[\xe7\x83\x9f][\xf0\x9f\x93\x9e]"},
        {"a;b\tc", "1:[a;b\tc]"},
        {"a\x01\n", "1:[a\x01]"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t len = strlen(cases[i].text);
        for (size_t first = 0; first <= len; first++) {
            struct result result = read_pieces(cases[i].text, len, first);
            assert_ok(result.err);
            assert_string_equal(result.seen.text, cases[i].want);
        }
    }
}

static void test_faults(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t len; /* 0: all */
        size_t line;
        const char *why, *seen;
    } cases[] = {
        {"a\"b", 0, 1, "a quote in a field that does not start with one", ""},
        {"a,b\n\nc,d\"\n", 0, 3, "a quote in a field that does not start with one", "1:[a][b]"},
        {" \"a\"", 0, 1, "a quote in a field that does not start with one", ""},
        {"\"a\"b", 0, 1, "something behind a closing quote", ""},
        {"\"a\" ,b", 0, 1, "something behind a closing quote", ""},
        {"x\n\"a\nb\"c", 0, 3, "something behind a closing quote", "1:[x]"},
        {"\"", 0, 1, "a quoted field without its end", ""},
        {"x\n\"a\n\n\nb", 0, 2, "a quoted field without its end", "1:[x]"},
        {"x\n\"a\",\n\"\"\"", 0, 3, "a quoted field without its end", "1:[x] 2:[a][]"},
        {"a\rb", 0, 1, "a CR without LF", ""},
        {"a\r", 0, 1, "a CR without LF", ""},
        {"\r", 0, 1, "a CR without LF", ""},
        {"a\n\"b\"\r\rc", 0, 2, "a CR without LF", "1:[a]"},
        {"a\0b", 3, 1, "a NUL", ""},
        {"a\n\"\n\0\"", 6, 3, "a NUL", "1:[a]"},
        {"\xff", 0, 1, "bytes that are no UTF-8", ""},
        {"a\n\"b\n\xc3,\"", 0, 3, "bytes that are no UTF-8", "1:[a]"},
        {"a\n\xe7\x83", 0, 2, "bytes that are no UTF-8", "1:[a]"},
        {"\xe7\x83\n", 0, 1, "bytes that are no UTF-8", ""},
        {"\xc0\x80", 0, 1, "bytes that are no UTF-8", ""},
        {"\xed\xa0\x80", 0, 1, "bytes that are no UTF-8", ""},
        {"\xef", 0, 1, "bytes that are no UTF-8", ""},
        {"\xef\xbb", 0, 1, "bytes that are no UTF-8", ""},
        {"\xef\xbb"
         "a",
         0, 1, "bytes that are no UTF-8", ""},
        {"\xff\xfe"
         "a\0",
         4, 1, "bytes that are no UTF-8", ""},                         /* UTF-16 */
        {"\xd5\xc5\xc8\xfd,x\n", 0, 1, "bytes that are no UTF-8", ""}, /* GBK */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t len = cases[i].len ? cases[i].len : strlen(cases[i].text);
        for (size_t first = 0; first <= len; first++) {
            struct result result = read_pieces(cases[i].text, len, first);
            if (result.err != RB_ERR_INVALID)
                fail_msg("case %zu was taken", i);
            assert_string_equal(result.why, cases[i].why);
            assert_int_equal(result.line, cases[i].line);
            assert_string_equal(result.seen.text, cases[i].seen);
        }
    }
}

static enum rb_err count_record(void *ctx, size_t line, char **fields, size_t n)
{
    size_t *sum = ctx;
    (void)line;
    for (size_t i = 0; i < n; i++)
        *sum += strlen(fields[i]);
    return RB_OK;
}

/* Reads one record of so many bytes, made of a prefix, many fillers and a suffix. */
static enum rb_err read_long(const char *prefix, char filler, size_t fillers, const char *suffix, size_t *sum)
{
    size_t len = strlen(prefix) + fillers + strlen(suffix);
    char *text = malloc(len + 1);
    struct rb_csv *csv = rb_csv_new(count_record, sum);
    assert_non_null(text);
    assert_non_null(csv);
    strcpy(text, prefix);
    memset(text + strlen(prefix), filler, fillers);
    strcpy(text + strlen(prefix) + fillers, suffix);
    *sum = 0;
    enum rb_err err = rb_csv_feed(csv, text, len);
    if (err == RB_OK)
        err = rb_csv_end(csv);
    if (err != RB_OK)
        assert_int_equal(rb_csv_line(csv), 2);
    rb_csv_free(csv);
    free(text);
    return err;
}

static void test_limits(void **state)
{
    (void)state;
    size_t sum;
    assert_ok(read_long("\n", 'x', 65536, "", &sum));
    assert_int_equal(sum, 65536);
    assert_ok(read_long("\n", 'x', 65536, "\n", &sum));
    assert_ok(read_long("\n", 'x', 65536, "\r\n", &sum));
    assert_ok(read_long("\n", 'x', 65536 - 63,
                        ",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,\r\n", &sum));
    assert_err(read_long("\n", 'x', 65537, "", &sum), RB_ERR_TOO_LARGE);
    assert_ok(read_long("\n\"", 'x', 65534, "\"\n", &sum));
    assert_int_equal(sum, 65534);
    assert_err(read_long("\n\"", 'x', 65535, "\"\n", &sum), RB_ERR_TOO_LARGE);
    assert_err(read_long("\n\"", '\n', 65536, "\"\n", &sum), RB_ERR_TOO_LARGE);
    assert_ok(read_long("\n", ',', 63, "\n", &sum));
    assert_err(read_long("\n", ',', 64, "\n", &sum), RB_ERR_TOO_LARGE);
    assert_err(read_long("\n", ',', 63, ",x", &sum), RB_ERR_TOO_LARGE);
    assert_err(read_long("\n", ',', 63, ",\"x\"", &sum), RB_ERR_TOO_LARGE);
    assert_err(read_long("\n", ',', 64, "\r\n", &sum), RB_ERR_TOO_LARGE);
    /* limits are of one record, not of the file */
    assert_ok(read_long("\n", '\n', 200000, "", &sum));
    struct result result = read_pieces("a\n", 2, 0);
    assert_ok(result.err);
}

static void test_stop(void **state)
{
    (void)state;
    struct seen seen = {.stop_after = 2};
    struct rb_csv *csv = rb_csv_new(on_record, &seen);
    assert_non_null(csv);
    assert_err(rb_csv_feed(csv, "a\nb\nc\n", 6), RB_ERR_REFUSED);
    assert_string_equal(seen.text, "1:[a] 2:[b]");
    assert_int_equal(rb_csv_line(csv), 2);
    assert_err(rb_csv_feed(csv, "d\n", 2), RB_ERR_REFUSED); /* and it stays so */
    assert_err(rb_csv_end(csv), RB_ERR_REFUSED);
    assert_string_equal(seen.text, "1:[a] 2:[b]");
    rb_csv_free(csv);
    rb_csv_free(NULL);
}

static void test_fault_stays(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct rb_csv *csv = rb_csv_new(on_record, &seen);
    assert_non_null(csv);
    assert_err(rb_csv_feed(csv, "a\"\n", 3), RB_ERR_INVALID);
    assert_err(rb_csv_feed(csv, "b\nc\n", 4), RB_ERR_INVALID);
    assert_err(rb_csv_end(csv), RB_ERR_INVALID);
    assert_string_equal(seen.text, "");
    rb_csv_free(csv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good), cmocka_unit_test(test_faults),      cmocka_unit_test(test_limits),
        cmocka_unit_test(test_stop), cmocka_unit_test(test_fault_stays),
    };
    return cmocka_run_group_tests_name("csv", tests, NULL, NULL);
}
