/* Tests of common/span: an event's data must be kept byte for byte, wherever it lies in its document. */
#include "common/span.h"
#include "tests/unit/unit.h"

static struct rb_span span(const char *text)
{
    return (struct rb_span){.text = text, .len = strlen(text)};
}

static void assert_member(const char *text, const char *key, const char *expected)
{
    struct rb_span value;
    assert_true(rb_span_member(span(text), key, &value));
    assert_int_equal(value.len, strlen(expected));
    assert_memory_equal(value.text, expected, value.len);
}

static void test_members(void **state)
{
    (void)state;
    assert_member("{\"data\":1}", "data", "1");
    assert_member(" {\n \"a\" : [1,{\"data\":2}] ,\"data\" : { \"x\" : 0.10 } } ", "data",
                  "{ \"x\" : 0.10 }");
    assert_member("{\"a\":\"}\\\"],{\",\"data\":\"t\\\"}\"}", "data", "\"t\\\"}\"");
    assert_member("{\"a\":\"data\",\"data\":null}", "data", "null");
    assert_member("{\"a\":{},\"b\":[],\"data\":-1.5e3,\"c\":true}", "data", "-1.5e3");
    assert_member("{\"data\":[]}", "data", "[]");
    assert_member("{\"data\":true }", "data", "true");
}

static void test_no_member(void **state)
{
    (void)state;
    struct rb_span value;
    assert_false(rb_span_member(span("{}"), "data", &value));
    assert_false(rb_span_member(span("[\"data\",1]"), "data", &value));
    assert_false(rb_span_member(span("\"data\""), "data", &value));
    assert_false(rb_span_member(span("{\"datum\":1,\"dat\":2,\"x\":{\"data\":3}}"), "data", &value));
    assert_false(rb_span_member(span(""), "data", &value));
}

static void test_items(void **state)
{
    (void)state;
    static const char text[] = " [ {\"a\":[1,2]} , 5,\"x,]\" ,[] ,null ] ";
    static const char *const expected[] = {"{\"a\":[1,2]}", "5", "\"x,]\"", "[]", "null"};
    struct rb_span item;
    size_t at = 0;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_true(rb_span_next(span(text), &at, &item));
        assert_int_equal(item.len, strlen(expected[i]));
        assert_memory_equal(item.text, expected[i], item.len);
    }
    assert_false(rb_span_next(span(text), &at, &item));
    at = 0;
    assert_false(rb_span_next(span(" [ ] "), &at, &item));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_no_member),
        cmocka_unit_test(test_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
