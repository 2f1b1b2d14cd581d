/* Tests of common/reference: known check digits, every wrong digit and every swap of neighbours is found. */
#include "common/reference.h"
#include "tests/unit/unit.h"

static void test_known(void **state)
{
    (void)state;
    /* worked out by hand from the published table; leading zeros do not change a check digit */
    char out[RB_REFERENCE_SIZE];
    rb_reference_make(100000000, out);
    assert_string_equal(out, "1000000005");
    rb_reference_make(123456789, out);
    assert_string_equal(out, "1234567894");
    rb_reference_make(999999999, out);
    assert_string_equal(out, "9999999990");
}

static void test_all_ten_check_digits_but_one_are_wrong(void **state)
{
    (void)state;
    char text[RB_REFERENCE_SIZE];
    for (int64_t body = 100000000; body <= 999999999; body += 1234577) {
        rb_reference_make(body, text);
        char right = text[9];
        for (int digit = '0'; digit <= '9'; digit++) {
            text[9] = (char)digit;
            assert_int_equal(rb_reference_valid(text), digit == right);
        }
    }
}

static void test_slips_are_found(void **state)
{
    (void)state;
    for (int64_t body = 100000000; body <= 999999999; body += 4567891) {
        char good[RB_REFERENCE_SIZE], text[RB_REFERENCE_SIZE];
        rb_reference_make(body, good);
        assert_true(rb_reference_valid(good));
        for (int i = 0; i < 10; i++) {
            for (int digit = '0'; digit <= '9'; digit++) {
                memcpy(text, good, sizeof(text));
                text[i] = (char)digit;
                assert_int_equal(rb_reference_valid(text), digit == good[i]);
            }
            if (i < 9 && good[i] != good[i + 1]) {
                memcpy(text, good, sizeof(text));
                text[i] = good[i + 1];
                text[i + 1] = good[i];
                assert_false(rb_reference_valid(text));
            }
        }
    }
}

static void test_not_references(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "0",
        "100000000",
        "10000000055",
        "0000000000", /* leads to 0, but starts with it too */
        " 1000000005",
        "1000000005 ",
        "100000000x",
        "-000000000",
        "+123456789",
        "12345 6789",
        "\xef\xbc\x91\xef\xbc\x91\xef\xbc\x91\x31",
    };
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_false(rb_reference_valid(texts[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_all_ten_check_digits_but_one_are_wrong),
        cmocka_unit_test(test_slips_are_found),
        cmocka_unit_test(test_not_references),
    };
    return cmocka_run_group_tests_name("reference", tests, NULL, NULL);
}
