/* Tests of common/clock: RFC 3339 both ways, against the calendar of the C library, and the shift. */
#include "common/clock.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <time.h>

struct time_case {
    const char *text;
    int64_t wall_us;
};

static const struct time_case good[] = {
    {"1970-01-01T00:00:00Z", 0},
    {"1970-01-01t00:00:00z", 0},
    {"1970-01-01T00:00:00.5Z", 500000},
    {"1970-01-01T00:00:00.000001Z", 1},
    {"1970-01-01T00:00:00.0000019Z", 1}, /* cut, not rounded */
    {"1970-01-01T00:00:00.99999999999999999999Z", 999999},
    {"1969-12-31T23:59:59.999999Z", -1},
    {"1970-01-01T08:00:00+08:00", 0},
    {"1969-12-31T16:00:00-08:00", 0},
    {"1970-01-01T00:00:00+00:00", 0},
    {"1970-01-01T00:00:00-00:00", 0},
    {"1970-01-02T23:59:00+23:59", INT64_C(86400000000)},
    {"2026-11-21T22:34:54.123456Z", INT64_C(1795300494123456)},
    {"2016-12-31T23:59:60Z", INT64_C(1483228799000000)}, /* a leap second */
    {"2016-12-31T23:59:60.25Z", INT64_C(1483228799250000)},
    {"2024-02-29T00:00:00Z", INT64_C(1709164800000000)},
    {"2000-02-29T00:00:00Z", INT64_C(951782400000000)},
    {"0001-01-01T00:00:00Z", INT64_C(-62135596800000000)},
    {"9999-12-31T23:59:59.999999Z", INT64_C(253402300799999999)},
};

static const char *const bad[] = {
    "",
    "2026",
    "2026-11-21",
    "2026-11-21T22:34:54",                        /* no offset */
    "2026-11-21T22:34Z",                          /* no seconds */
    "2026-11-21 22:34:54Z",                       /* a space */
    "2026-11-21T22:34:54.Z",                      /* no digit */
    "2026-11-21T22:34:54,5Z",                     /* a comma */
    "2026-11-21T22:34:54Z ",                      /* something behind */
    " 2026-11-21T22:34:54Z",                      /* something before */
    "2026-11-21T22:34:54ZZ",                      /* twice */
    "2026-11-21T22:34:54+0800",                   /* no colon */
    "2026-11-21T22:34:54+08",                     /* no minutes */
    "2026-11-21T22:34:54+24:00",                  /* no such hour */
    "2026-11-21T22:34:54+08:60",                  /* no such minute */
    "2026-11-21T22:34:54 08:00",                  /* no sign */
    "2026-11-21T24:00:00Z",                       /* no such hour */
    "2026-11-21T22:60:00Z",                       /* no such minute */
    "2026-11-21T22:34:61Z",                       /* no such second */
    "2026-00-21T22:34:54Z",                       /* no such month */
    "2026-13-21T22:34:54Z",                       /* no such month */
    "2026-11-00T22:34:54Z",                       /* no such day */
    "2026-11-31T22:34:54Z",                       /* not in November */
    "2026-02-29T22:34:54Z",                       /* no leap year */
    "1900-02-29T22:34:54Z",                       /* no leap year */
    "2100-02-29T22:34:54Z",                       /* no leap year */
    "0000-01-01T00:00:00Z",                       /* no such year */
    "-001-01-01T00:00:00Z",                       /* no such year */
    "+2026-11-21T22:34:54Z",                      /* more than four digits */
    "12026-11-21T22:34:54Z",                      /* more than four digits */
    "26-11-21T22:34:54Z",                         /* two digits */
    "2026-1-21T22:34:54Z",                        /* one digit */
    "2026-11-21T2:34:54Z",                        /* one digit */
    "20261121T223454Z",                           /* ISO 8601, not RFC 3339 */
    "2026-W47-6T22:34:54Z",                       /* likewise */
    "2026-11-21T22:34:5\xd9\xa4Z",                /* a digit of another script */
    "2026-11-21T22:34:54\xe2\x88\x92\x30\x38:00", /* a minus that is no hyphen */
};

static void test_parse_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        int64_t us = 42;
        assert_ok(rb_time_parse(good[i].text, strlen(good[i].text), &us));
        assert_int_equal(us, good[i].wall_us);
    }
}

static void test_parse_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        int64_t us;
        if (rb_time_parse(bad[i], strlen(bad[i]), &us) == RB_OK)
            fail_msg("taken: %s", bad[i]);
    }
}

static void test_parse_reads_no_further_than_len(void **state)
{
    (void)state;
    const char *text = good[12].text;
    char *exact = malloc(strlen(text)); /* without a NUL: the sanitizer watches its end */
    assert_non_null(exact);
    memcpy(exact, text, strlen(text));
    int64_t us;
    for (size_t len = 0; len < strlen(text); len++)
        assert_err(rb_time_parse(exact, len, &us), RB_ERR_INVALID);
    assert_ok(rb_time_parse(exact, strlen(text), &us));
    free(exact);
    assert_err(rb_time_parse("1970-01-01T00:00:00Z\0", 21, &us), RB_ERR_INVALID);
}

static void test_format(void **state)
{
    (void)state;
    char out[RB_TIME_SIZE];
    rb_time_format(0, out);
    assert_string_equal(out, "1970-01-01T00:00:00Z");
    rb_time_format(-1, out);
    assert_string_equal(out, "1969-12-31T23:59:59.999999Z");
    rb_time_format(INT64_C(1795300494120000), out);
    assert_string_equal(out, "2026-11-21T22:34:54.120000Z");
    rb_time_format(INT64_MAX, out); /* far away, but never beyond its bytes */
    rb_time_format(INT64_MIN, out);
    assert_true(strlen(out) < RB_TIME_SIZE);
}

static void test_every_day_of_eight_centuries(void **state)
{
    (void)state;
    for (int64_t day = -135000; day < 160000; day++) {
        char want[40], got[RB_TIME_SIZE];
        struct tm parts;
        time_t seconds = (time_t)(day * 86400 + 3723);
        assert_non_null(gmtime_r(&seconds, &parts));
        strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%SZ", &parts);
        rb_time_format(seconds * RB_SECOND, got);
        assert_string_equal(got, want);
        int64_t back;
        assert_ok(rb_time_parse(got, strlen(got), &back));
        assert_int_equal(back, seconds * RB_SECOND);
    }
}

static void test_clocks(void **state)
{
    (void)state;
    int64_t wall = rb_clock_wall(), mono = rb_clock_mono();
    assert_true(llabs(wall / RB_SECOND - (int64_t)time(NULL)) <= 2);
    assert_true(rb_clock_mono() >= mono);
    rb_clock_shift_wall(3600 * RB_SECOND);
    assert_true(rb_clock_wall() - wall >= 3600 * RB_SECOND);
    assert_true(rb_clock_mono() - mono < 60 * RB_SECOND); /* intervals are not moved */
    rb_clock_shift_wall(-3600 * RB_SECOND);
    assert_true(rb_clock_wall() - wall < 60 * RB_SECOND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_good),
        cmocka_unit_test(test_parse_bad),
        cmocka_unit_test(test_parse_reads_no_further_than_len),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_every_day_of_eight_centuries),
        cmocka_unit_test(test_clocks),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
