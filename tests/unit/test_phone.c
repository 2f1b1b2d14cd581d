/* Tests of common/phone: the table of spellings beside this file, hostile bytes, and that a result stays
 * itself. */
#include "common/phone.h"
#include "tests/unit/unit.h"

#include <jansson.h>
#include <stdio.h>

static const char cases_file[] = "tests/unit/phone_cases.jsonl";

/* text is copied to a block of its own, so that the sanitizer sees a read behind its end. */
static bool normalize(const char *text, size_t len, const char *area, char out[RB_PHONE_SIZE])
{
    char *exact = malloc(len ? len : 1);
    assert_non_null(exact);
    memcpy(exact, text, len);
    memset(out, '~', RB_PHONE_SIZE);
    bool is_number = rb_phone_normalize(exact, len, area, out);
    free(exact);
    return is_number;
}

/* Returns whether it came out as wanted. */
static bool check_case(json_t *row, int line)
{
    char out[RB_PHONE_SIZE], again[RB_PHONE_SIZE];
    json_t *text = json_array_get(row, 0);
    const char *area = json_string_value(json_array_get(row, 1));
    const char *want = json_string_value(json_array_get(row, 2));
    bool is_number = normalize(json_string_value(text), json_string_length(text), area, out);
    if (is_number != (want != NULL) || (want && strcmp(out, want) != 0)) {
        print_error("%s:%d: \"%s\" became %s, not %s\n", cases_file, line, json_string_value(text),
                    is_number ? out : "nothing", want ? want : "nothing");
        return false;
    }
    /* what is stored is found again by what is stored */
    return !want || (normalize(want, strlen(want), NULL, again) && strcmp(again, want) == 0);
}

static void test_cases(void **state)
{
    (void)state;
    char text[1000];
    int line = 0, wrong = 0;
    FILE *file = fopen(cases_file, "r");
    assert_non_null(file);
    while (fgets(text, sizeof(text), file)) {
        line++;
        if (*text == '\n')
            continue;
        json_t *row = json_loads(text, JSON_ALLOW_NUL, NULL);
        if (json_array_size(row) != 4)
            fail_msg("%s:%d: not a case", cases_file, line);
        wrong += !check_case(row, line);
        json_decref(row);
    }
    fclose(file);
    assert_true(line > 200);
    assert_int_equal(wrong, 0);
}

static void test_bytes_that_are_no_text(void **state)
{
    (void)state;
    static const char *const texts[] = {"15400001234\xff",     "\xff",         "154\xc0\xb0 00001234",
                                        "15400001234\xef\xbc", "\xed\xa0\x80", "15400001234\xe8\xbd"};
    char out[RB_PHONE_SIZE];
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_false(normalize(texts[i], strlen(texts[i]), "0416", out));
}

static void test_long_texts(void **state)
{
    (void)state;
    static char text[70000];
    char out[RB_PHONE_SIZE];
    memset(text, '1', sizeof(text));
    for (size_t len = 20; len < 1000; len++)
        assert_false(normalize(text, len, "0416", out));
    assert_false(normalize(text, sizeof(text), "0416", out));
    memset(text, ' ', sizeof(text));
    memcpy(text + 100, "15400001234", 11);
    assert_true(
        normalize(text, 300, NULL, out)); /* what stands before and around the number does not count */
    assert_false(normalize(text, 301, NULL, out));
    memset(text, 'x', sizeof(text));
    memcpy(text, "sip:15400001234@", 16);
    assert_true(normalize(text, sizeof(text), NULL, out));
    memset(text, '-', sizeof(text));
    assert_false(normalize(text, 200, NULL, out));
}

static void test_every_cut_of_a_number_is_safe(void **state)
{
    (void)state;
    static const char text[] = "\"A\" <sip:+86-416-2345678;ext=801:x@192.0.2.1>";
    char out[RB_PHONE_SIZE];
    for (size_t from = 0; from < sizeof(text); from++)
        for (size_t len = 0; from + len < sizeof(text); len++)
            (void)normalize(text + from, len, "0416", out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_bytes_that_are_no_text),
        cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_every_cut_of_a_number_is_safe),
    };
    return cmocka_run_group_tests_name("phone", tests, NULL, NULL);
}
