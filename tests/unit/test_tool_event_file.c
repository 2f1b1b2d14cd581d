/* Tests of the tool's event files: where each event begins and ends, and what is no event. */
#include "tests/unit/unit.h"
#include "tools/ringback/event_file.h"

#include <stdio.h>

struct file {
    const char *text;
    const char *events; /* "LINE:text" of each with "|" between; NULL: a fault */
    size_t line;        /* of the fault */
};

static const struct file files[] = {
    {"", "", 0},
    {" \n\t\r\n", "", 0},
    {"\xef\xbb\xbf{}", "1:{}", 0},
    {"{\"a\":1}", "1:{\"a\":1}", 0},
    {"{\n \"a\": [1, {\"b\": 2}]\n}\n", "1:{\n \"a\": [1, {\"b\": 2}]\n}", 0},
    {"{\"a\":1}\n{\"a\":2}\r\n\n{\"a\":3}", "1:{\"a\":1}|2:{\"a\":2}|4:{\"a\":3}", 0},
    {"[]", "", 0},
    {"[ {\"a\":1} ,\n{\"a\":2}\n]\n", "1:{\"a\":1}|2:{\"a\":2}", 0},
    {"[{}]\n[{}]\n{}", "1:{}|2:{}|3:{}", 0},
    {"{\"a\":\"}{][\\\"\\\\\"}{}", "1:{\"a\":\"}{][\\\"\\\\\"}|1:{}", 0},
    {"1", NULL, 1},
    {"\"a\"", NULL, 1},
    {"{}\nx", NULL, 2},
    {"{}\n{\"a\":1\n", NULL, 2},
    {"{\"a\":\"x\n}", NULL, 1},
    {"{\"a\":\"x\\", NULL, 1},
    {"[{}", NULL, 1},
    {"[{},]", NULL, 1},
    {"[{}\n{}]", NULL, 2},
    {"[[{}]]", NULL, 1},
    {"[1]", NULL, 1},
    {"{},{}", NULL, 1},
};

static void test_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(files); i++) {
        struct event_span *spans = NULL;
        size_t n = 0, line = 0;
        const char *why = NULL;
        char seen[512] = "";
        enum rb_err err = event_file_split(files[i].text, strlen(files[i].text), &spans, &n, &line, &why);
        for (size_t k = 0; k < n; k++) {
            size_t used = strlen(seen);
            snprintf(seen + used, sizeof(seen) - used, "%s%zu:%.*s", k ? "|" : "", spans[k].line,
                     (int)spans[k].len, files[i].text + spans[k].start);
        }
        free(spans);
        if (files[i].events) {
            assert_ok(err);
            assert_string_equal(seen, files[i].events);
        } else {
            if (err != RB_ERR_INVALID || line != files[i].line || !why || !*why)
                fail_msg("%s: %s in line %zu: %s", files[i].text, rb_err_name(err), line, why ? why : "");
        }
    }
}

static void test_many(void **state)
{
    enum { EVENTS = 1000 };
    char text[3 * EVENTS + 1];
    struct event_span *spans = NULL;
    size_t n = 0, line = 0;
    const char *why;
    (void)state;
    for (int i = 0; i < EVENTS; i++)
        memcpy(text + 3 * i, "{}\n", 4);
    assert_ok(event_file_split(text, 3 * EVENTS, &spans, &n, &line, &why));
    assert_int_equal(n, EVENTS);
    assert_int_equal(spans[EVENTS - 1].line, EVENTS);
    free(spans);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_files), cmocka_unit_test(test_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
