/*
 * Pauses between attempts: bounds, growth, jitter, and the rest that a target asks for.
 */
#include "tests/unit/unit.h"

#include "common/clock.h"
#include "server/outbox/retry.h"

static void test_first_pause_is_short(void **state)
{
    (void)state;
    assert_int_equal(rb_retry_pause(1, 0, 0), 7500000);
    assert_int_equal(rb_retry_pause(1, 0, UINT32_MAX), 12500000);
    assert_in_range(rb_retry_pause(1, 0, UINT32_MAX / 2), 9900000, 10100000);
}

static void test_pauses_grow_whatever_the_jitter(void **state)
{
    (void)state;
    for (unsigned attempt = 1; attempt < 7; attempt++)
        assert_true(rb_retry_pause(attempt, 0, UINT32_MAX) < rb_retry_pause(attempt + 1, 0, 0));
}

static void test_pauses_end_at_a_quarter_of_an_hour(void **state)
{
    static const unsigned attempts[] = {8, 20, 1000, UINT32_MAX};
    (void)state;
    for (size_t i = 0; i < COUNT(attempts); i++) {
        assert_int_equal(rb_retry_pause(attempts[i], 0, 0), 675 * RB_SECOND);
        assert_int_equal(rb_retry_pause(attempts[i], 0, UINT32_MAX), 1125 * RB_SECOND);
    }
}

static void test_rest_is_kept_and_spread(void **state)
{
    (void)state;
    assert_int_equal(rb_retry_pause(1, 120 * RB_SECOND, 0), 120 * RB_SECOND);
    assert_int_equal(rb_retry_pause(1, 120 * RB_SECOND, UINT32_MAX), 132 * RB_SECOND);
    assert_int_equal(rb_retry_pause(1, RB_SECOND, 0), 7500000); /* a short one changes nothing */
    assert_int_equal(rb_retry_pause(9, 120 * RB_SECOND, 0), 675 * RB_SECOND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_pause_is_short),
        cmocka_unit_test(test_pauses_grow_whatever_the_jitter),
        cmocka_unit_test(test_pauses_end_at_a_quarter_of_an_hour),
        cmocka_unit_test(test_rest_is_kept_and_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
