/*
 * The OpenAPI document as it is put together at start: the real one has no fault, and each fault is named.
 */
#include <string.h>

#include "server/console/document.h"
#include "tests/unit/unit.h"

#define OPERATION(id, more) "{\"operationId\": \"" id "\", \"x-roles\": [\"operator\"]" more "}"

static void the_real_one_holds(void **state)
{
    struct rb_document *document;
    char why[256] = "";
    size_t n;
    size_t len;
    (void)state;
    if (rb_document_new(rb_documents, &document, why, sizeof(why)) != RB_OK)
        fail_msg("%s", why);
    const struct rb_operation *operations = rb_document_operations(document, &n);
    assert_true(n > 5);
    for (size_t i = 1; i < n; i++)
        assert_true(strcmp(operations[i - 1].path, operations[i].path) <= 0);
    const char *text = rb_document_text(document, &len);
    assert_int_equal(strlen(text), len);
    assert_non_null(strstr(text, "\"/v1/events\""));
    rb_document_free(document);
}

static void parts_are_united(void **state)
{
    const struct rb_script parts[] = {
        {"a",
         "{\"openapi\": \"3.1.0\", \"tags\": [{\"name\": \"a\"}], \"paths\": {\"/api/v1/x/{id}\": "
         "{\"get\": " OPERATION(
             "get_x",
             ", \"parameters\": [{\"$ref\": \"#/components/parameters/P\"}]") "}},"
                                                                              "\"components\": {\"schemas\": "
                                                                              "{\"A\": {}}}}"},
        {"b",
         "{\"tags\": [{\"name\": \"b\"}], \"paths\": {\"/api/v1/x/all\": {\"post\": " OPERATION(
             "make_x", ", \"requestBody\": {\"required\": true}") "}, \"/elsewhere\": {\"get\": {}}},"
                                                                  "\"components\": {\"schemas\": {\"B\": "
                                                                  "{}}, \"parameters\": {\"P\": {\"name\": "
                                                                  "\"p\", \"in\": \"query\"}}}}"},
        {NULL, NULL}};
    struct rb_document *document;
    char why[256];
    size_t n;
    (void)state;
    assert_int_equal(rb_document_new(parts, &document, why, sizeof(why)), RB_OK);
    const struct rb_operation *operations = rb_document_operations(document, &n);
    assert_int_equal(n, 2);
    assert_string_equal(operations[0].id, "make_x"); /* the concrete path is asked first */
    assert_string_equal(operations[0].method, "POST");
    assert_true(operations[0].takes_body && operations[0].needs_body);
    assert_string_equal(operations[1].path, "/api/v1/x/{id}");
    assert_string_equal(operations[1].roles[0], "operator");
    assert_null(operations[1].roles[1]);
    assert_string_equal(operations[1].queries[0], "p");
    assert_false(operations[1].takes_body);
    rb_document_free(document);
}

static void refuse(const char *first, const char *second, const char *reason)
{
    const struct rb_script parts[] = {{"first", first}, {second ? "second" : NULL, second}, {NULL, NULL}};
    struct rb_document *document;
    char why[256] = "";
    assert_int_equal(rb_document_new(parts, &document, why, sizeof(why)), RB_ERR_INVALID);
    if (!strstr(why, reason))
        fail_msg("\"%s\" does not say \"%s\"", why, reason);
}

static void faults_are_named(void **state)
{
    static const char x[] = "{\"paths\": {\"/api/v1/x\": {\"get\": " OPERATION("get_x", "") "}}}";
    static const char y[] = "{\"paths\": {\"/api/v1/y\": {\"get\": " OPERATION("get_x", "") "}}}";
    (void)state;
    refuse("{", NULL, "first: line 1");
    refuse(x, x, "second: \"/api/v1/x\" is in another part already");
    refuse(x, y, "get_x: operationId is that of two operations");
    refuse("{\"components\": {\"schemas\": {\"A\": {}}}}", "{\"components\": {\"schemas\": {\"A\": {}}}}",
           "\"A\" is in");
    refuse("{\"paths\": {\"/api/v1/x\": {\"get\": {}}}}", NULL, "operationId is missing");
    refuse("{\"paths\": {\"/api/v1/x\": {\"get\": {\"operationId\": \"x'; drop\"}}}}", NULL,
           "not like get_order");
    refuse("{\"paths\": {\"/api/v1/x\": {\"get\": {\"operationId\": \"x\", \"x-roles\": [\"boss\"]}}}}", NULL,
           "there is no role \"boss\"");
    refuse("{\"paths\": {\"/api/v1/x\": {\"get\": {\"operationId\": \"x\", \"x-roles\": []}}}}", NULL,
           "lists nobody");
    refuse("{\"paths\": {\"/api/v1/x\": {\"get\": " OPERATION(
               "x", ", \"parameters\": [{\"$ref\": \"#/components/parameters/Nothing\"}]") "}}}",
           NULL, "leads nowhere");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_real_one_holds),
        cmocka_unit_test(parts_are_united),
        cmocka_unit_test(faults_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
