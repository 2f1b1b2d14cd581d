/*
 * Whose turn it is: fairness between targets, the cap for one, and slots that targets which hang cannot take.
 */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "server/outbox/lane.h"

static struct rb_parcel *parcel(int target, int number)
{
    struct rb_parcel *parcel = rb_parcel_new("http://a.test/", NULL, "{}", NULL);
    parcel->branch = 1;
    parcel->target = target;
    snprintf(parcel->id, sizeof(parcel->id), "%d", number);
    return parcel;
}

static void add(struct rb_lanes *lanes, int target, int n)
{
    for (int i = 0; i < n; i++)
        rb_lanes_add(lanes, parcel(target, i));
}

/* Takes off until nothing may; counts by target, keeps what flies. */
static unsigned fly(struct rb_lanes *lanes, struct rb_parcel **air, unsigned *by_target)
{
    unsigned n = 0;
    while ((air[n] = rb_lanes_next(lanes)))
        by_target[air[n++]->target]++;
    return n;
}

static void land(struct rb_lanes *lanes, struct rb_parcel **air, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        rb_lanes_landed(lanes, air[i]);
        rb_parcel_free(air[i]);
    }
}

static void test_texts_are_copied(void **state)
{
    char address[] = "http://a.test/x", body[] = "{\"a\":1}";
    struct rb_parcel *made = rb_parcel_new(address, NULL, body, NULL);
    (void)state;
    memset(address, 'z', sizeof(address) - 1);
    memset(body, 'z', sizeof(body) - 1);
    assert_string_equal(made->address, "http://a.test/x");
    assert_string_equal(made->body, "{\"a\":1}");
    assert_int_equal(made->body_len, 7);
    rb_parcel_free(made);
}

static void test_lanes_take_turns(void **state)
{
    struct rb_lanes *lanes = rb_lanes_new(64);
    int order[6];
    (void)state;
    add(lanes, 1, 2);
    add(lanes, 2, 3);
    add(lanes, 3, 1);
    for (size_t i = 0; i < COUNT(order); i++) {
        struct rb_parcel *next = rb_lanes_next(lanes);
        order[i] = next->target * 10 + atoi(next->id);
        rb_lanes_landed(lanes, next);
        rb_parcel_free(next);
    }
    static const int want[] = {10, 20, 30, 11, 21, 22};
    assert_memory_equal(order, want, sizeof(want));
    assert_null(rb_lanes_next(lanes));
    rb_lanes_free(lanes);
}

static void test_one_target_has_half_of_the_slots_at_most(void **state)
{
    struct rb_lanes *lanes = rb_lanes_new(64);
    struct rb_parcel *air[128];
    unsigned by_target[2] = {0};
    (void)state;
    add(lanes, 1, 100);
    unsigned n = fly(lanes, air, by_target);
    assert_int_equal(n, 32);
    assert_int_equal(rb_lanes_flying(lanes), 32);
    assert_int_equal(rb_lanes_queued(lanes), 68);
    land(lanes, air, n);
    rb_lanes_free(lanes);
}

static void test_a_target_never_has_more_than_32(void **state)
{
    struct rb_lanes *lanes = rb_lanes_new(1000);
    struct rb_parcel *air[128];
    unsigned by_target[2] = {0};
    (void)state;
    add(lanes, 1, 100);
    unsigned n = fly(lanes, air, by_target);
    assert_int_equal(n, 32);
    land(lanes, air, n);
    rb_lanes_free(lanes);
}

static void test_targets_that_hang_leave_slots_to_others(void **state)
{
    struct rb_lanes *lanes = rb_lanes_new(64);
    struct rb_parcel *air[128];
    unsigned by_target[8] = {0};
    unsigned n = 0;
    (void)state;
    for (int target = 1; target <= 5; target++) { /* one after the other, none ever lands */
        add(lanes, target, 100);
        n += fly(lanes, air + n, by_target);
    }
    add(lanes, 6, 1);
    n += fly(lanes, air + n, by_target);
    assert_int_equal(by_target[6], 1);
    assert_true(n < 64);
    land(lanes, air, n);
    rb_lanes_free(lanes);
}

static void test_all_slots_are_used_when_many_want_them(void **state)
{
    struct rb_lanes *lanes = rb_lanes_new(64);
    struct rb_parcel *air[128];
    unsigned by_target[101] = {0};
    (void)state;
    for (int target = 1; target <= 100; target++)
        add(lanes, target, 3);
    unsigned n = fly(lanes, air, by_target);
    assert_int_equal(n, 64);
    assert_null(rb_lanes_next(lanes));
    land(lanes, air, n);
    rb_lanes_free(lanes);
}

static void test_withdrawn_parcels_are_no_more_sent(void **state)
{
    struct rb_lanes *lanes = rb_lanes_new(64);
    struct rb_parcel *out;
    (void)state;
    add(lanes, 1, 3);
    add(lanes, 2, 1);
    struct rb_parcel *air = rb_lanes_next(lanes);
    assert_int_equal(air->target, 1);
    int withdrawn = 0;
    for (; (out = rb_lanes_withdraw(lanes, 1, 1)); withdrawn++)
        rb_parcel_free(out);
    assert_int_equal(withdrawn, 2);
    assert_null(rb_lanes_withdraw(lanes, 1, 9));
    assert_int_equal(rb_lanes_queued(lanes), 1);
    rb_lanes_landed(lanes, air); /* the lane, empty by now, still knew it */
    rb_parcel_free(air);
    out = rb_lanes_withdraw(lanes, 0, 0);
    assert_int_equal(out->target, 2);
    rb_parcel_free(out);
    assert_null(rb_lanes_withdraw(lanes, 0, 0));
    rb_lanes_free(lanes);
}

struct seen {
    int n;
    int target;
    unsigned room;
};

static void see(void *ctx, int branch, int target, unsigned room)
{
    struct seen *seen = ctx;
    assert_int_equal(branch, 1);
    seen->n++;
    seen->target = target;
    seen->room = room;
}

static void test_busy_targets_are_those_with_a_queue(void **state)
{
    struct rb_lanes *lanes = rb_lanes_new(64);
    struct rb_parcel *air[128];
    unsigned by_target[3] = {0};
    struct seen seen = {0};
    (void)state;
    add(lanes, 2, 1);
    unsigned n = fly(lanes, air, by_target);
    rb_lanes_busy(lanes, see, &seen);
    assert_int_equal(seen.n, 0); /* in the air only */
    add(lanes, 1, 40);
    n += fly(lanes, air + n, by_target);
    rb_lanes_busy(lanes, see, &seen);
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.target, 1);
    assert_int_equal(seen.room, by_target[1] - (40 - by_target[1]));
    land(lanes, air, n);
    rb_lanes_free(lanes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_are_copied),
        cmocka_unit_test(test_lanes_take_turns),
        cmocka_unit_test(test_one_target_has_half_of_the_slots_at_most),
        cmocka_unit_test(test_a_target_never_has_more_than_32),
        cmocka_unit_test(test_targets_that_hang_leave_slots_to_others),
        cmocka_unit_test(test_all_slots_are_used_when_many_want_them),
        cmocka_unit_test(test_withdrawn_parcels_are_no_more_sent),
        cmocka_unit_test(test_busy_targets_are_those_with_a_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
