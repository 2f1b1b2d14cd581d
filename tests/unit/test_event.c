/* Tests of server/intake/event: what is taken, what is refused with which pointer, and when two events are
 * the same. */
#include "server/intake/event.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

static const struct rb_attributes order_attributes = {"1.0", "ringback.order.placed", "/gw", "1", NULL};

static enum rb_err make(const struct rb_attributes *attributes, const char *text, struct rb_event **event,
                        struct rb_refusal *why)
{
    json_t *data = NULL;
    char words[160];
    if (text)
        assert_ok(rb_json_parse(text, strlen(text), &data, words, sizeof(words)));
    struct rb_span span = {.text = text ? text : "", .len = text ? strlen(text) : 0};
    rb_refusal_init(why);
    enum rb_err err = rb_event_new(attributes, data, span, "0416", event, why);
    json_decref(data);
    return err;
}

static struct rb_event *take(const char *type, const char *text)
{
    struct rb_attributes attributes = order_attributes;
    struct rb_event *event;
    struct rb_refusal why;
    attributes.type = type;
    assert_ok(make(&attributes, text, &event, &why));
    rb_refusal_deinit(&why);
    return event;
}

/* The whole array of errors is compared: code and detail of each are fixed by what the pointer says. */
static void refuse(const char *type, const char *text, const char *pointers)
{
    struct rb_attributes attributes = order_attributes;
    struct rb_event *event;
    struct rb_refusal why;
    char found[512] = "";
    attributes.type = type;
    assert_int_equal(make(&attributes, text, &event, &why), RB_ERR_INVALID);
    assert_int_equal(why.status, 422);
    assert_string_equal(why.code, "invalid-data");
    json_t *errors = json_loads(why.errors.data, 0, NULL);
    assert_non_null(errors);
    for (size_t i = 0; i < json_array_size(errors); i++) {
        json_t *error = json_array_get(errors, i);
        assert_string_equal(json_string_value(json_object_get(error, "code")), "invalid-data");
        if (i)
            strcat(found, " ");
        strcat(found, json_string_value(json_object_get(error, "pointer")));
    }
    assert_string_equal(found, pointers);
    json_decref(errors);
    rb_refusal_deinit(&why);
}

static void test_order(void **state)
{
    (void)state;
    static const char text[] =
        "{\"retailer\":\"R1\",\"call\":\"c\",\"operator\":\"OP\",\"note\":\"x\",\"more\":[1.50],"
        "\"lines\":[{\"product\":\"P1\",\"cartons\":1},{\"product\":\"P2\",\"cartons\":100000}]}";
    struct rb_event *event = take("ringback.order.placed", text);
    assert_int_equal(event->kind, RB_EVENT_ORDER);
    assert_string_equal(event->retailer, "R1");
    assert_null(event->caller);
    assert_string_equal(event->call, "c");
    assert_int_equal(event->order.n, 2);
    assert_string_equal(event->order.lines[1].product, "P2");
    assert_int_equal(event->order.lines[1].cartons, 100000);
    assert_string_equal(event->data, text);
    assert_false(event->has_time);
    rb_event_free(event);
}

static void test_caller_is_normalized(void **state)
{
    (void)state;
    struct rb_event *event =
        take("ringback.complaint.raised", "{\"caller\":\"154-0000 1234\",\"text\":\"短少\"}");
    assert_string_equal(event->phone, "+8615400001234");
    assert_string_equal(event->complaint.kind, "complaint");
    assert_int_equal(event->complaint.severity, 0);
    rb_event_free(event);
    event = take("ringback.complaint.raised",
                 "{\"caller\":\"anonymous\",\"text\":\"x\",\"kind\":\"report\",\"severity\":3.0}");
    assert_string_equal(event->phone, "");
    assert_string_equal(event->caller, "anonymous");
    assert_string_equal(event->complaint.kind, "report");
    assert_int_equal(event->complaint.severity, 3);
    rb_event_free(event);
    event = take("ringback.complaint.raised", "{\"caller\":\"\",\"text\":\"x\"}");
    assert_string_equal(event->phone, "");
    rb_event_free(event);
}

static void test_bad_orders(void **state)
{
    (void)state;
    static const char type[] = "ringback.order.placed";
    refuse(type, "[]", "");
    refuse(type, NULL, "");
    refuse(type, "{\"lines\":[{\"product\":\"P\",\"cartons\":1}]}", "");
    refuse(type, "{\"retailer\":5,\"lines\":[{\"product\":\"P\",\"cartons\":1}]}", "/retailer");
    refuse(type, "{\"retailer\":\"R\"}", "/lines");
    refuse(type, "{\"retailer\":\"R\",\"lines\":[]}", "/lines");
    refuse(type, "{\"retailer\":\"R\",\"lines\":{}}", "/lines");
    refuse(type, "{\"retailer\":\"R\",\"lines\":[1]}", "/lines/0");
    refuse(type, "{\"retailer\":\"R\",\"lines\":[{}]}", "/lines/0/product /lines/0/cartons");
    refuse(type, "{\"retailer\":\"R\",\"lines\":[{\"product\":\"P\",\"cartons\":0}]}", "/lines/0/cartons");
    refuse(type, "{\"retailer\":\"R\",\"lines\":[{\"product\":\"P\",\"cartons\":1.5}]}", "/lines/0/cartons");
    refuse(type, "{\"retailer\":\"R\",\"lines\":[{\"product\":\"P\",\"cartons\":100001}]}",
           "/lines/0/cartons");
    refuse(type, "{\"retailer\":\"R\",\"lines\":[{\"product\":\"P\",\"cartons\":\"1\"}]}",
           "/lines/0/cartons");
    refuse(type, "{\"retailer\":\"R\",\"lines\":[{\"product\":7,\"cartons\":1}]}", "/lines/0/product");
    refuse(
        type,
        "{\"retailer\":\"R\",\"lines\":[{\"product\":\"A\",\"cartons\":1},{\"product\":\"B\",\"cartons\":1},"
        "{\"product\":\"A\",\"cartons\":2}]}",
        "/lines/2/product");
}

static void test_line_limit(void **state)
{
    (void)state;
    char text[16384];
    for (int n = 200; n <= 201; n++) {
        int len = sprintf(text, "{\"retailer\":\"R\",\"lines\":[");
        for (int i = 0; i < n; i++)
            len += sprintf(text + len, "%s{\"product\":\"P%d\",\"cartons\":1}", i ? "," : "", i);
        sprintf(text + len, "]}");
        if (n == 200)
            rb_event_free(take("ringback.order.placed", text));
        else
            refuse("ringback.order.placed", text, "/lines");
    }
}

static void test_text_length_is_in_characters(void **state)
{
    (void)state;
    char text[20000];
    for (int n = 4000; n <= 4001; n++) {
        int len = sprintf(text, "{\"retailer\":\"R\",\"text\":\"");
        for (int i = 0; i < n; i++)
            len += sprintf(text + len, i % 2 ? "😀" : "烟");
        sprintf(text + len, "\"}");
        if (n == 4000)
            rb_event_free(take("ringback.complaint.raised", text));
        else
            refuse("ringback.complaint.raised", text, "/text");
    }
}

static void test_bad_complaints(void **state)
{
    (void)state;
    static const char type[] = "ringback.complaint.raised";
    refuse(type, "{\"text\":\"x\"}", "");
    refuse(type, "{\"retailer\":\"R\"}", "/text");
    refuse(type, "{\"retailer\":\"R\",\"text\":\"\"}", "/text");
    refuse(type, "{\"retailer\":\"R\",\"text\":\"x\",\"kind\":\"rant\"}", "/kind");
    refuse(type, "{\"retailer\":\"R\",\"text\":\"x\",\"severity\":0}", "/severity");
    refuse(type, "{\"retailer\":\"R\",\"text\":\"x\",\"severity\":4}", "/severity");
    refuse(type, "{\"retailer\":\"R\",\"text\":\"x\",\"order\":12}", "/order");
    refuse(type, "{\"caller\":1,\"text\":2}", "/caller /text");
}

static void test_calls(void **state)
{
    (void)state;
    static const char open[] =
        "{\"call\":\"c\",\"direction\":\"inbound\",\"from\":\"15400000001\",\"to\":\"4161234\"";
    char text[256];
    snprintf(text, sizeof(text), "%s,\"seconds\":12.9,\"cause\":\"x\"}", open);
    struct rb_event *event = take("ringback.call.ended", text);
    assert_int_equal(event->called.state, 3);
    assert_int_equal(event->called.seconds, 12);
    assert_string_equal(event->called.from_phone, "+8615400000001");
    assert_string_equal(event->called.to_phone, "+864164161234");
    rb_event_free(event);
    snprintf(text, sizeof(text), "%s}", open);
    event = take("ringback.call.ringing", text);
    assert_int_equal(event->called.seconds, -1);
    rb_event_free(event);
    refuse("ringback.call.ended", text, "/seconds");
    snprintf(text, sizeof(text), "%s,\"seconds\":-1}", open);
    refuse("ringback.call.ended", text, "/seconds");
    refuse("ringback.call.ringing", "{}", "/call /direction /from /to");
    refuse("ringback.call.answered", "{\"call\":\"c\",\"direction\":\"up\",\"from\":\"\",\"to\":\"\"}",
           "/direction");
}

static void refuse_attributes(const struct rb_attributes *attributes, int status, const char *code)
{
    struct rb_event *event;
    struct rb_refusal why;
    assert_int_equal(make(attributes, "{}", &event, &why), RB_ERR_INVALID);
    assert_int_equal(why.status, status);
    assert_string_equal(why.code, code);
    rb_refusal_deinit(&why);
}

static void test_attributes(void **state)
{
    (void)state;
    static const struct rb_attributes bad[] = {
        {NULL, "t", "s", "i", NULL},   {"0.3", "t", "s", "i", NULL},        {"1.0", NULL, "s", "i", NULL},
        {"1.0", "t", NULL, "i", NULL}, {"1.0", "t", "s", NULL, NULL},       {"1.0", "t", "s", "", NULL},
        {"1.0", "t", "", "i", NULL},   {"1.0", "t", "s", "i", "yesterday"}, {"1.0", "t", "s", "i", ""}};
    static const struct rb_attributes unknown = {"1.0", "ringback.order.eaten", "s", "i",
                                                 "2026-11-21T10:00:00+08:00"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refuse_attributes(&bad[i], 400, "invalid-event");
    refuse_attributes(&unknown, 422, "unknown-type");
    char longest[1026];
    memset(longest, 'x', 1025);
    longest[1025] = '\0';
    struct rb_attributes wide = {"1.0", "t", "s", longest, NULL};
    refuse_attributes(&wide, 400, "invalid-event");
}

static void test_hash_is_of_content(void **state)
{
    (void)state;
    struct rb_event *a = take("ringback.complaint.raised", "{\"retailer\":\"R\",\"text\":\"x\",\"z\":1}");
    struct rb_event *b =
        take("ringback.complaint.raised", " {\"z\":1.0,\"text\":\"\\u0078\", \"retailer\":\"R\"}");
    struct rb_event *c = take("ringback.complaint.raised", "{\"retailer\":\"R\",\"text\":\"x\",\"z\":2}");
    assert_memory_equal(a->hash, b->hash, RB_HASH_SIZE);
    assert_memory_not_equal(a->hash, c->hash, RB_HASH_SIZE);
    rb_event_free(a);
    rb_event_free(b);
    rb_event_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_caller_is_normalized),
        cmocka_unit_test(test_bad_orders),
        cmocka_unit_test(test_line_limit),
        cmocka_unit_test(test_text_length_is_in_characters),
        cmocka_unit_test(test_bad_complaints),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_hash_is_of_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
