/*
 * Tokens of sessions: what is taken as one, and that hash and CSRF value depend on all of it and not on each
 * other.
 */
#include <sodium.h>
#include <string.h>

#include "server/console/token.h"
#include "tests/unit/unit.h"

static void each_is_another(void **state)
{
    char one[RB_TOKEN_SIZE], other[RB_TOKEN_SIZE], read[RB_TOKEN_SIZE];
    (void)state;
    rb_token_make(one);
    rb_token_make(other);
    assert_string_not_equal(one, other);
    assert_true(rb_token_read(one, strlen(one), read));
    assert_string_equal(one, read);
}

static void others_are_none(void **state)
{
    char token[RB_TOKEN_SIZE], read[RB_TOKEN_SIZE];
    (void)state;
    rb_token_make(token);
    assert_false(rb_token_read("", 0, read));
    assert_false(rb_token_read(token, RB_TOKEN_SIZE - 2, read));
    token[7] = '+'; /* base64, but not that for cookies */
    assert_false(rb_token_read(token, RB_TOKEN_SIZE - 1, read));
    token[7] = ';';
    assert_false(rb_token_read(token, RB_TOKEN_SIZE - 1, read));
}

static void what_is_derived_tells_apart(void **state)
{
    char one[RB_TOKEN_SIZE], other[RB_TOKEN_SIZE], csrf[RB_TOKEN_SIZE], again[RB_TOKEN_SIZE];
    uint8_t hash[RB_TOKEN_HASH], differs[RB_TOKEN_HASH];
    (void)state;
    rb_token_make(one);
    strcpy(other, one);
    other[0] = other[0] == 'A' ? 'B' : 'A';
    rb_token_hash(one, hash);
    rb_token_hash(other, differs);
    assert_memory_not_equal(hash, differs, RB_TOKEN_HASH);
    rb_token_csrf(one, csrf);
    rb_token_csrf(one, again);
    assert_string_equal(csrf, again);
    assert_string_not_equal(csrf, one);
    rb_token_csrf(other, again);
    assert_string_not_equal(csrf, again);
    assert_int_equal(strlen(csrf), RB_TOKEN_SIZE - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_another),
        cmocka_unit_test(others_are_none),
        cmocka_unit_test(what_is_derived_tells_apart),
    };
    int failed = sodium_init() < 0;
    return failed ? failed : cmocka_run_group_tests(tests, NULL, NULL);
}
