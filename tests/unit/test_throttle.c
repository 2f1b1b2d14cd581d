/*
 * What the log-in remembers of names and addresses that must wait: each for itself, for a second, and no
 * longer than they must.
 */
#include <arpa/inet.h>
#include <sodium.h>
#include <string.h>

#include "common/clock.h"
#include "server/console/throttle.h"
#include "tests/unit/unit.h"

static struct rb_throttle *throttle;

static const struct sockaddr *address(const char *text)
{
    static struct sockaddr_in v4;
    static struct sockaddr_in6 v6;
    v4 = (struct sockaddr_in){.sin_family = AF_INET};
    v6 = (struct sockaddr_in6){.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return (const struct sockaddr *)&v4;
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return (const struct sockaddr *)&v6;
}

static int64_t wait_at(const char *name, const char *from, int64_t now)
{
    return rb_throttle_wait(throttle, name, address(from), now);
}

static void a_name_waits_from_everywhere(void **state)
{
    (void)state;
    rb_throttle_note_name(throttle, "anna", 4, 0);
    assert_int_equal(wait_at("anna", "10.0.0.1", 1), 4);
    assert_int_equal(wait_at("anna", "2001:db8::1", RB_SECOND / 2), 4);
    assert_int_equal(wait_at("berta", "10.0.0.1", 1), 0);
    assert_int_equal(wait_at("anna", "10.0.0.1", RB_SECOND), 0); /* ask the database again */
}

static void an_address_waits_whatever_the_name(void **state)
{
    (void)state;
    rb_throttle_note_address(throttle, address("10.0.0.1"), 1, 0);
    rb_throttle_note_address(throttle, address("2001:db8:1:2::1"), 300, 0);
    assert_int_equal(wait_at("emma", "10.0.0.1", 1), 1);
    assert_int_equal(wait_at("emma", "::ffff:10.0.0.1", 1), 1);
    assert_int_equal(wait_at("emma", "10.0.0.2", 1), 0);
    assert_int_equal(wait_at("emma", "2001:db8:1:2:ffff::9", 1), 300);
    assert_int_equal(wait_at("emma", "2001:db8:1:3::1", 1), 0);
}

static void the_longer_wait_counts_and_none_is_none(void **state)
{
    (void)state;
    rb_throttle_note_name(throttle, "carla", 2, 0);
    rb_throttle_note_address(throttle, address("10.0.0.9"), 7, 0);
    assert_int_equal(wait_at("carla", "10.0.0.9", 1), 7);
    rb_throttle_note_name(throttle, "dora", 0, 0);
    assert_int_equal(wait_at("dora", "10.0.0.8", 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_waits_from_everywhere),
        cmocka_unit_test(an_address_waits_whatever_the_name),
        cmocka_unit_test(the_longer_wait_counts_and_none_is_none),
    };
    if (sodium_init() < 0)
        return 1;
    throttle = rb_throttle_new();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rb_throttle_free(throttle);
    return failed;
}
