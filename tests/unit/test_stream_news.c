/* Tests of server/console/sight and news: who sees what, and places in the feed. */
#include <jansson.h>

#include "server/console/news.h"
#include "tests/unit/unit.h"

/* everything, retailers, reports, through_retailers, area, managers */
static struct rb_sight sight_of(bool everything, bool retailers, bool reports, bool through, int area,
                                const char *managers)
{
    struct rb_sight sight;
    char text[512];
    snprintf(text, sizeof(text),
             "{\"branch\": 1, \"account\": 2, \"person\": null, \"everything\": %s, \"retailers\": %s, "
             "\"reports\": %s, "
             "\"through_retailers\": %s, \"area\": %d, \"managers\": %s}",
             everything ? "true" : "false", retailers ? "true" : "false", reports ? "true" : "false",
             through ? "true" : "false", area, managers);
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    rb_sight_init(&sight, json);
    json_decref(json);
    return sight;
}

/* owner 5; retailer of manager 6 in area 7 */
static struct rb_concern concern(bool report)
{
    return (struct rb_concern){
        .branch = 1, .owner = 5, .manager = 6, .area = 7, .has_retailer = true, .report = report};
}

static void test_who_sees_what(void **state)
{
    static const struct {
        const char *who;
        bool everything, retailers, reports, through;
        int area;
        const char *managers;
        bool follow_up, report, call;
    } cases[] = {
        {"operator", true, true, false, false, 0, "[9]", true, false, true},
        {"supervisor named for reports", true, true, true, false, 0, "[9]", true, true, true},
        {"inspector", false, true, true, false, 0, "[9]", false, true, true},
        {"deliverer", false, false, false, false, 0, "[9]", false, false, false},
        {"the owner", false, false, false, true, 0, "[3, 5]", true, false, false},
        {"the retailer's manager", false, false, false, true, 0, "[6, 8]", true, false, true},
        {"another manager", false, false, false, true, 0, "[4]", false, false, false},
        {"the area's market manager", false, false, false, true, 7, "[4]", true, false, true},
        {"another area's", false, false, false, true, 8, "[4]", false, false, false},
        {"an account without a person", false, false, false, false, 0, "[]", false, false, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct rb_sight sight = sight_of(cases[i].everything, cases[i].retailers, cases[i].reports,
                                         cases[i].through, cases[i].area, cases[i].managers);
        struct rb_concern it = concern(false);
        struct rb_concern report = concern(true);
        struct rb_concern elsewhere = concern(false);
        struct rb_concern of_nobody = {.branch = 1};
        elsewhere.branch = 2;
        print_message("%s\n", cases[i].who);
        assert_int_equal(rb_sight_follow_up(&sight, &it), cases[i].follow_up);
        assert_int_equal(rb_sight_follow_up(&sight, &report), cases[i].report);
        assert_int_equal(rb_sight_call(&sight, &it), cases[i].call);
        assert_false(rb_sight_follow_up(&sight, &elsewhere));
        assert_false(rb_sight_call(&sight, &elsewhere));
        assert_int_equal(rb_sight_call(&sight, &of_nobody), cases[i].everything);
        assert_int_equal(rb_sight_follow_up(&sight, &of_nobody), cases[i].everything);
        rb_sight_deinit(&sight);
    }
}

static void test_a_sight_that_has_changed(void **state)
{
    (void)state;
    struct rb_sight a = sight_of(false, false, false, true, 0, "[3, 5]");
    struct rb_sight same = sight_of(false, false, false, true, 0, "[3, 5]");
    struct rb_sight more = sight_of(false, false, false, true, 0, "[3, 5, 6]");
    struct rb_sight other = sight_of(false, false, false, true, 0, "[3, 6]");
    struct rb_sight reports = sight_of(false, false, true, true, 0, "[3, 5]");
    assert_true(rb_sight_equal(&a, &same));
    assert_false(rb_sight_equal(&a, &more));
    assert_false(rb_sight_equal(&a, &other));
    assert_false(rb_sight_equal(&a, &reports));
    rb_sight_deinit(&a);
    rb_sight_deinit(&same);
    rb_sight_deinit(&more);
    rb_sight_deinit(&other);
    rb_sight_deinit(&reports);
}

static void test_places(void **state)
{
    static const char *const none[] = {"",
                                       "-",
                                       "1",
                                       "1-",
                                       "-1",
                                       "1--1",
                                       "1-1-1",
                                       " 1-1",
                                       "1-1 ",
                                       "a-1",
                                       "1-a",
                                       "0x1-1",
                                       "1-99999999999999999999",
                                       "99999999999999999999-1",
                                       "1-1\n"};
    struct rb_place place;
    struct rb_place other;
    char text[RB_PLACE_SIZE];
    (void)state;
    for (size_t i = 0; i < COUNT(none); i++)
        if (rb_place_parse(none[i], &place))
            fail_msg("\"%s\" was taken for a place", none[i]);
    assert_true(rb_place_parse("18446744073709551614-9223372036854775807", &place));
    rb_place_format(&place, text);
    assert_string_equal(text, "18446744073709551614-9223372036854775807");
    assert_true(rb_place_parse("9-10", &place) && rb_place_parse("10-9", &other));
    assert_true(rb_place_compare(&place, &other) < 0);
    assert_true(rb_place_compare(&other, &place) > 0);
    assert_true(rb_place_parse("9-9", &other));
    assert_true(rb_place_compare(&place, &other) > 0);
    assert_int_equal(rb_place_compare(&place, &place), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_sees_what),
        cmocka_unit_test(test_a_sight_that_has_changed),
        cmocka_unit_test(test_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
