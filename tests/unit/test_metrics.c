/* Tests of common/metrics: both text forms to the letter, escapes, histograms, misuse that ends the process.
 */
#include "common/metrics.h"
#include "tests/unit/unit.h"

#include <float.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static struct rb_buf text;

static int start(void **state)
{
    (void)state;
    rb_buf_init(&text, 100000);
    return 0;
}

static int end(void **state)
{
    (void)state;
    rb_buf_deinit(&text);
    rb_metrics_reset();
    return 0;
}

static const char *rendered(bool openmetrics)
{
    rb_buf_reset(&text);
    rb_metrics_render(&text, openmetrics);
    assert_ok(rb_buf_err(&text));
    return text.data ? text.data : "";
}

static void test_nothing(void **state)
{
    (void)state;
    assert_string_equal(rendered(false), "");
    assert_string_equal(rendered(true), "# EOF\n");
}

static void test_counter_in_both_forms(void **state)
{
    (void)state;
    struct rb_metric *events = rb_counter("rb_events", "Events taken.", "outcome");
    struct rb_metric *starts = rb_counter("rb_starts", "Starts.", NULL);
    rb_count(rb_series(events, "accepted"), 2);
    rb_count(rb_series(events, "refused"), 1);
    rb_count(rb_series(events, "accepted"), 1);
    assert_true(rb_value(rb_series(events, "accepted")) == 3);
    assert_true(rb_value(rb_series(starts, NULL)) == 0);
    assert_string_equal(rendered(false), "# HELP rb_events_total Events taken.\n"
                                         "# TYPE rb_events_total counter\n"
                                         "rb_events_total{outcome=\"accepted\"} 3\n"
                                         "rb_events_total{outcome=\"refused\"} 1\n"
                                         "# HELP rb_starts_total Starts.\n"
                                         "# TYPE rb_starts_total counter\n"
                                         "rb_starts_total 0\n");
    assert_string_equal(rendered(true), "# HELP rb_events Events taken.\n"
                                        "# TYPE rb_events counter\n"
                                        "rb_events_total{outcome=\"accepted\"} 3\n"
                                        "rb_events_total{outcome=\"refused\"} 1\n"
                                        "# HELP rb_starts Starts.\n"
                                        "# TYPE rb_starts counter\n"
                                        "rb_starts_total 0\n"
                                        "# EOF\n");
}

static void test_family_without_series(void **state)
{
    (void)state;
    rb_counter("rb_events", "Events taken.", "outcome");
    assert_string_equal(rendered(false), "# HELP rb_events_total Events taken.\n"
                                         "# TYPE rb_events_total counter\n");
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *want;
    } cases[] = {
        {0, "0"},
        {-1, "-1"},
        {0.5, "0.5"},
        {0.1, "0.1"},
        {1.0 / 3, "0.3333333333333333"},
        {1e15, "1000000000000000"},
        {1e300, "1e+300"},
        {-0.0001, "-0.0001"},
        {INFINITY, "+Inf"},
        {-INFINITY, "-Inf"},
        {NAN, "NaN"},
        {DBL_MIN, "2.2250738585072014e-308"},
    };
    struct rb_series *gauge = rb_series(rb_gauge("rb_gauge", "Any.", NULL), NULL);
    for (size_t i = 0; i < COUNT(cases); i++) {
        char want[100];
        rb_set(gauge, cases[i].value);
        snprintf(want, sizeof(want), "# HELP rb_gauge Any.\n# TYPE rb_gauge gauge\nrb_gauge %s\n",
                 cases[i].want);
        assert_string_equal(rendered(false), want);
    }
}

static void test_histogram(void **state)
{
    (void)state;
    static const double bounds[] = {0.005, 1, 2.5};
    struct rb_metric *latency = rb_histogram("rb_seconds", "Latency.", "way", bounds, 3);
    struct rb_series *fast = rb_series(latency, "fast");
    rb_observe(fast, 0.005); /* a bound belongs to its bucket */
    rb_observe(fast, 0.006);
    rb_observe(fast, 2.5);
    rb_observe(fast, 100);
    assert_true(rb_value(fast) == 4);
    assert_string_equal(rendered(false), "# HELP rb_seconds Latency.\n"
                                         "# TYPE rb_seconds histogram\n"
                                         "rb_seconds_bucket{way=\"fast\",le=\"0.005\"} 1\n"
                                         "rb_seconds_bucket{way=\"fast\",le=\"1.0\"} 2\n"
                                         "rb_seconds_bucket{way=\"fast\",le=\"2.5\"} 3\n"
                                         "rb_seconds_bucket{way=\"fast\",le=\"+Inf\"} 4\n"
                                         "rb_seconds_sum{way=\"fast\"} 102.511\n"
                                         "rb_seconds_count{way=\"fast\"} 4\n");
}

static void test_histogram_without_label(void **state)
{
    (void)state;
    static const double bounds[] = {64};
    rb_histogram("rb_batch", "Size.", NULL, bounds, 1);
    assert_string_equal(rendered(true), "# HELP rb_batch Size.\n"
                                        "# TYPE rb_batch histogram\n"
                                        "rb_batch_bucket{le=\"64.0\"} 0\n"
                                        "rb_batch_bucket{le=\"+Inf\"} 0\n"
                                        "rb_batch_sum 0\n"
                                        "rb_batch_count 0\n"
                                        "# EOF\n");
}

static void test_escapes(void **state)
{
    (void)state;
    struct rb_metric *gauge = rb_gauge("rb_gauge", "A \"quoted\" \\ help\nin two lines.", "name");
    rb_set(rb_series(gauge, "a\"b\\c\nd"), 1);
    rb_set(rb_series(gauge, "\xe7\x83\x9f"), 2);
    rb_set(rb_series(gauge, "bad \xff."), 3);
    assert_string_equal(rendered(false), "# HELP rb_gauge A \"quoted\" \\\\ help\\nin two lines.\n"
                                         "# TYPE rb_gauge gauge\n"
                                         "rb_gauge{name=\"a\\\"b\\\\c\\nd\"} 1\n"
                                         "rb_gauge{name=\"\xe7\x83\x9f\"} 2\n"
                                         "rb_gauge{name=\"bad \xef\xbf\xbd.\"} 3\n");
    const char *help = "# HELP rb_gauge A \\\"quoted\\\" \\\\ help\\nin two lines.\n";
    assert_memory_equal(rendered(true), help, strlen(help));
}

/* True when fn ends the process through an invariant. */
static bool aborts(void (*fn)(void))
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL);
        fclose(stderr);
        fn();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void same_name_twice(void)
{
    rb_counter("rb_x", "X.", NULL);
    rb_gauge("rb_x", "X.", NULL);
}
static void suffix_in_name(void)
{
    rb_counter("rb_x_total", "X.", NULL);
}
static void bad_name(void)
{
    rb_counter("rb-x", "X.", NULL);
}
static void label_le(void)
{
    rb_gauge("rb_x", "X.", "le");
}
static void label_missing(void)
{
    rb_series(rb_gauge("rb_x", "X.", "label"), NULL);
}
static void label_too_many(void)
{
    rb_series(rb_gauge("rb_x", "X.", NULL), "value");
}
static void counter_down(void)
{
    rb_count(rb_series(rb_counter("rb_x", "X.", NULL), NULL), -1);
}
static void gauge_as_counter(void)
{
    rb_count(rb_series(rb_gauge("rb_x", "X.", NULL), NULL), 1);
}
static void bounds_unsorted(void)
{
    rb_histogram("rb_x", "X.", NULL, (const double[]){2, 1}, 2);
}

static void test_misuse_ends_the_process(void **state)
{
    (void)state;
    void (*const cases[])(void) = {same_name_twice, suffix_in_name,   bad_name,
                                   label_le,        label_missing,    label_too_many,
                                   counter_down,    gauge_as_counter, bounds_unsorted};
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_true(aborts(cases[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing, start, end),
        cmocka_unit_test_setup_teardown(test_counter_in_both_forms, start, end),
        cmocka_unit_test_setup_teardown(test_family_without_series, start, end),
        cmocka_unit_test_setup_teardown(test_numbers, start, end),
        cmocka_unit_test_setup_teardown(test_histogram, start, end),
        cmocka_unit_test_setup_teardown(test_histogram_without_label, start, end),
        cmocka_unit_test_setup_teardown(test_escapes, start, end),
        cmocka_unit_test(test_misuse_ends_the_process),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
